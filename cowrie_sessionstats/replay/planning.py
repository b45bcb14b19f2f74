"""Which files belong together, in which order, and which only repeat others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import define, field, frozen

from cowrie_sessionstats import events
from cowrie_sessionstats.replay.decoding import decode_line
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.reading import BEFORE_ALL, Part
from cowrie_sessionstats.replay.streams import FileError, chunks, kind_of
from cowrie_sessionstats.timestamps import parse_timestamp

_PEEK: Final = 4096
"""Bytes that nearly always hold a file's first line, for which nothing has to be decompressed."""


@frozen
class Head:
    """What a file begins with."""

    part: Part
    sensor: str
    line: bytes
    """The first line that is an event with a time; empty if there is none in the first megabyte."""


def head_of(file: LogFile) -> Head:
    """Return what a file begins with; of one that cannot be read, too."""
    for piece in _beginnings(file):
        begin = 0
        while end := piece.find(b"\n", begin) + 1:
            line, begin = piece[begin : end - 1], end
            event, _ = decode_line(line)
            if event is None:
                continue
            when = parse_timestamp(events.stamp(event))
            key = events.session_key(event)
            if when is not None and key is not None:
                return Head(Part(file, when), key[0], line)
    return Head(Part(file, BEFORE_ALL), "", b"")


def _beginnings(file: LogFile) -> Iterator[bytes]:
    """Yield ever more of a file's beginning."""
    try:
        handle = os.open(file.path, os.O_RDONLY)
        try:
            peek = os.read(handle, _PEEK)
        finally:
            os.close(handle)
        if kind_of(peek) is None:
            yield peek
            if len(peek) < _PEEK:
                yield peek + b"\n"  # the last line may have no end
                return
        piece = next(chunks(file), b"")
        yield piece
        yield piece + b"\n"
    except (OSError, FileError):  # the reader will say so
        return


def without_repeats(heads: Iterable[Head], problems: Problems) -> tuple[list[Head], int]:
    """Return the files of which none is the beginning of another, and how many are.

    A copy of a log, compressed or not, and a snapshot of one that grew since then begin with the
    same line; then all they hold is compared.
    """
    by_line: dict[bytes, list[Head]] = {}
    kept: list[Head] = []
    repeats = 0
    for head in heads:
        if not head.line:
            kept.append(head)
            continue
        same = by_line.setdefault(head.line, [])
        for number, other in enumerate(same):
            left, right = _Content(other.part.file), _Content(head.part.file)
            longer = _longer(left, right)
            if longer is not None:
                if longer is right:
                    same[number] = head
                shorter = left if longer is right else right
                if shorter.trouble is not None:  # who reads the other would not see it
                    problems.file(shorter.file.name, shorter.trouble)
                repeats += 1
                break
        else:
            same.append(head)
    for same in by_line.values():
        kept += same
    return kept, repeats


@define(eq=False)
class _Content:
    """A file's content, piece by piece."""

    file: LogFile
    piece: memoryview = field(factory=lambda: memoryview(b""), init=False)
    trouble: str | None = field(default=None, init=False)
    """Why it cannot be read on."""
    _chunks: Iterator[bytes] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._chunks = chunks(self.file)

    def more(self) -> bool:
        """Return whether there is anything left, as far as the file can be read."""
        if not self.piece:
            try:
                self.piece = memoryview(next(self._chunks, b""))
            except FileError as error:
                self.trouble = str(error)
        return bool(self.piece)


def _longer(left: _Content, right: _Content) -> _Content | None:
    """Return the one that begins with all that the other holds; None if neither does."""
    while True:
        if not left.more():
            return right
        if not right.more():
            return left
        length = min(len(left.piece), len(right.piece))
        if left.piece[:length] != right.piece[:length]:
            return None
        left.piece, right.piece = left.piece[length:], right.piece[length:]


@frozen
class Group:
    """Parts that are read as one log; no session is in two groups."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes on the disk, as far as they are known to be this group's alone."""
        return sum(part.file.size for part in self.parts if part.start == 0)


def grouped(heads: Iterable[Head]) -> list[Group]:
    """Return the parts by the sensor of their first event."""
    by_sensor: dict[str, list[Part]] = {}
    for head in heads:
        by_sensor.setdefault(head.sensor, []).append(head.part)
    return [Group(tuple(parts)) for parts in by_sensor.values()]


def joined(groups: list[Group], sensors: list[set[str]]) -> list[Group]:
    """Return the groups, those joined that have a sensor in common."""
    found: list[tuple[set[str], list[Part]]] = []
    for group, names in zip(groups, sensors, strict=True):
        known, parts = set(names), list(group.parts)
        apart = []
        for other in found:
            if known.isdisjoint(other[0]):
                apart.append(other)
            else:
                known |= other[0]
                parts = other[1] + parts
        found = [*apart, (known, parts)]
    return [Group(tuple(parts)) for _, parts in found]
