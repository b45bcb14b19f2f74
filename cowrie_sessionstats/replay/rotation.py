"""A log and the files it was rotated to: which they are, and what they begin with."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from cowrie_sessionstats import events
from cowrie_sessionstats.replay.decoding import decode_line
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.streams import CHUNK, FileError, chunks
from cowrie_sessionstats.timestamps import parse_timestamp

_PROBE: Final = 256  # bytes: an event's time and session are among them
_DIGITS: Final = 16  # hex digits: files of one folder are told apart


@frozen
class Beginning:
    """What a file begins with."""

    identity: str
    """Of its first line, whatever the file is called and packed with; NUL bytes do not count."""
    head: float
    """Time of its first event, seconds since 1970; if there is none, when it was last written."""


@define(eq=False)
class Rotation:
    """The files of one log: ``path`` is what Cowrie writes to, beside it are the rotated ones."""

    path: Path
    trouble: Callable[[str, str], None]
    """Told of a file that cannot be read, once."""
    _known: dict[tuple[int, int, int, int], Beginning | None] = field(factory=dict, init=False)
    _told: set[str] = field(factory=set, init=False)

    def rotated(self) -> list[tuple[Beginning, LogFile]]:
        """Return the rotated files in the order of time; of a plain and a packed one the plain."""
        found: dict[str, tuple[Beginning, LogFile]] = {}
        known = {}
        pattern = "".join(f"[{c}]" if c in "*?[" else c for c in self.path.name)
        for path in sorted(self.path.parent.glob(f"{pattern}.*")):
            try:
                status = path.stat()
            except OSError:
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            place = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if place not in self._known:
                self._known[place] = self._beginning(path, status)
            beginning = known[place] = self._known[place]
            if beginning is not None:
                file = LogFile(path, str(path), status.st_size)
                found.setdefault(beginning.identity, (beginning, file))
        self._known = known
        return sorted(found.values(), key=lambda entry: (entry[0].head, entry[1].name))

    def _beginning(self, path: Path, status: os.stat_result) -> Beginning | None:
        try:
            file = LogFile(path, str(path), status.st_size)
            return beginning_of(chunks(file), status.st_mtime)
        except FileError as error:
            self.say(path, str(error))
            return None

    def say(self, path: Path, trouble: str) -> None:
        """Say what is wrong with a file, if it was not said."""
        if (said := f"{path}: {trouble}") not in self._told:
            self._told.add(said)
            self.trouble(str(path), trouble)


def beginning_of(pieces: Iterator[bytes], written: float) -> Beginning | None:
    """Return what content begins with; None if there is no whole line in it yet."""
    content = b""
    for piece in pieces:
        content += piece.lstrip(b"\0") if not content else piece
        if len(content) >= CHUNK or b"\n" in content:
            break
    first, end, _ = content.partition(b"\n")
    if not end and len(content) < CHUNK:
        return None
    identity = sha256(first[:CHUNK]).hexdigest()[:_DIGITS]
    for line in content.split(b"\n")[:-1]:
        event, _ = decode_line(line)
        when = None if event is None else parse_timestamp(events.stamp(event))
        if when is not None:
            return Beginning(identity, when)
    return Beginning(identity, written)


def beginning_of_open(file: io.FileIO) -> Beginning | None:
    """Return what an open plain file begins with, wherever it is being read."""
    return beginning_of((piece for _, piece in _pieces(file)), os.fstat(file.fileno()).st_mtime)


def probe(file: io.FileIO) -> tuple[int, bytes]:
    """Return where an open file has its first bytes that are not NUL, and some of them."""
    for at, piece in _pieces(file):
        content = piece.lstrip(b"\0")
        if content:
            return at + len(piece) - len(content), content[:_PROBE]
    return 0, b""


def _pieces(file: io.FileIO) -> Iterator[tuple[int, bytes]]:
    at = 0
    while piece := os.pread(file.fileno(), CHUNK, at):
        yield at, piece
        at += len(piece)
