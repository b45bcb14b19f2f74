"""Old records, from files of summaries to the engine that delivers."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import define, field, frozen

from cowrie_sessionstats.entries import Entry, identity, pack
from cowrie_sessionstats.events import SUMMARY_EVENTID
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.problems import NO_OBJECT, NOT_JSON, TOO_LONG, Problems
from cowrie_sessionstats.replay.streams import FileError, chunks

LINE_LIMIT: Final = 16 << 20
"""Bytes of a line: a record has two million at most."""

NO_RECORD: Final = "no summary (of a raw log, `summarize` makes them)"
WRONG_VALUE: Final = "a value that no record has"
NO_SESSION: Final = "a summary without its session"


@frozen
class _Placed:
    """A record and where it stands."""

    file: str
    line: int
    known: bytes
    """What the same record in another place has, too."""
    packed: bytes
    at: int
    """How far that is, in bytes of all files."""


@define(eq=False)
class OldRecords:
    """The records in ``files``, each once, as ``delivery.Source``; used by one thread at a time.

    ``finished`` is called when there is none left. A record is known by ``store.identity`` and its
    revision; to know those that were there takes some 150 bytes each.
    """

    files: Sequence[LogFile]
    problems: Problems
    finished: Callable[[], object]
    done: int = field(default=0, init=False)
    """Bytes of the files up to the last record that is done."""
    count: int = field(default=0, init=False)
    """Records that were delivered."""
    repeats: int = field(default=0, init=False)
    refused: Problems = field(factory=Problems, init=False)
    """Records that were refused, by reason."""
    error: str | None = field(default=None, init=False)
    """What went wrong since a record was last delivered."""
    reached: str | None = field(default=None, init=False)
    """``file:line`` of the last record that is done."""
    broken: Exception | None = field(default=None, init=False)
    """Why there is none left, if that is a mistake of ours."""
    _window: deque[tuple[Entry, _Placed]] = field(factory=deque, init=False)
    """What is not done."""
    _records: Iterator[_Placed] = field(init=False)
    _newest: Entry | None = field(default=None, init=False)
    _number: int = field(default=0, init=False)
    _read: int = field(default=0, init=False)
    """Bytes that were read of the files."""
    _size: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._records = self._unrepeated()

    # ------------------------------------------------------------ for the engine

    def batch(self, _destination: str, limits: Limits) -> tuple[list[Entry], bool]:
        """Return the next records; a batch is always full, since no others come."""
        while len(self._window) < limits.records and self._size < limits.size:
            if not self._read_one():
                break
        entries: list[Entry] = []
        size = 0
        for waiting, _ in self._window:
            size += len(waiting.packed)
            if entries and (size > limits.size or len(entries) >= limits.records):
                break
            entries.append(waiting)
        if not entries:
            self.finished()
        return entries, True

    def newest(self, _destination: str) -> Entry | None:
        """Return the record that was read last."""
        return self._newest

    def delivered(self, _destination: str, count: int, cursor: int) -> None:
        """Go on behind ``cursor``."""
        self.count += count
        if count:
            self.error = None
        while self._window and self._window[0][0].seq <= cursor:
            entry, placed = self._window.popleft()
            self._size -= len(entry.packed)
            self.reached, self.done = f"{placed.file}:{placed.line}", placed.at

    def set_aside(self, _destination: str, entry: Entry, reason: str) -> None:
        """Take note where a record stands that was refused."""
        for waiting, placed in self._window:
            if waiting.seq == entry.seq:
                self.refused.line(placed.file, placed.line, reason)

    def went_wrong(self, _destination: str, reason: str) -> None:
        """Take note of a failure."""
        self.error = reason

    def _read_one(self) -> bool:
        """Read another record; False if there is none."""
        try:
            placed = next(self._records, None)
        except Exception as error:  # noqa: BLE001 - the engine would ask again, and find no more
            self.broken, placed = error, None
        if placed is None:
            return False
        self._number += 1
        self._newest = Entry(self._number, 0.0, placed.packed)
        self._window.append((self._newest, placed))
        self._size += len(placed.packed)
        return True

    # ------------------------------------------------------------ from the files

    def _unrepeated(self) -> Iterator[_Placed]:
        seen: set[bytes] = set()
        for placed in self._all():
            if placed.known in seen:
                self.repeats += 1
            else:
                seen.add(placed.known)
                yield placed

    def _all(self) -> Iterator[_Placed]:
        for file in self.files:
            try:
                yield from self._of(file)
            except FileError as error:  # noqa: PERF203 - a file, not a line
                self.problems.file(file.name, str(error))

    def _of(self, file: LogFile) -> Iterator[_Placed]:
        at = self._read
        for number, line in enumerate(self._lines(file), 1):
            at += len(line) + 1
            if not line.strip():
                continue
            try:
                # Of a packed file, only what was read of it is known.
                yield _Placed(file.name, number, *_record(line), min(at, self._read))
            except _LineError as error:
                self.problems.line(file.name, number, str(error))

    def _lines(self, file: LogFile) -> Iterator[bytes]:
        """Yield the lines of a file; one that is too long as one that is no JSON."""
        rest, is_long = b"", False
        for chunk in chunks(file, self._count):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield _TOO_LONG if is_long or len(line) > LINE_LIMIT else line
                is_long = False
            if len(rest) > LINE_LIMIT:
                rest, is_long = b"", True
        if rest or is_long:
            yield _TOO_LONG if is_long else rest

    def _count(self, size: int) -> None:
        self._read += size


_TOO_LONG: Final = b"\0"
_BOM: Final = b"\xef\xbb\xbf"


class _LineError(ValueError):
    """A line that is no record; the text says why."""


def _record(line: bytes) -> tuple[bytes, bytes]:
    """Return by what a record is known, and it packed."""
    if line is _TOO_LONG:
        raise _LineError(TOO_LONG)
    try:
        record = json.loads(line.removeprefix(_BOM))
    except (ValueError, RecursionError):
        raise _LineError(NOT_JSON) from None
    if not isinstance(record, dict):
        raise _LineError(NO_OBJECT)
    if record.get("eventid") != SUMMARY_EVENTID:
        raise _LineError(NO_RECORD)
    if not isinstance(record.get("session"), str) or not record["session"]:
        raise _LineError(NO_SESSION)
    revision = str(record.get("revision", 0)).encode("utf-8", "replace")
    try:
        return identity(record) + revision, pack(record)
    except (ValueError, TypeError, OverflowError):  # a number of more than 64 bits, say
        raise _LineError(WRONG_VALUE) from None
