"""A growing log, through its rotations, to records at each close; over restarts, too."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from cowrie_sessionstats import events
from cowrie_sessionstats.replay import problems
from cowrie_sessionstats.replay.counting import Settings, Values
from cowrie_sessionstats.replay.decoding import decode_line
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.reading import LINE_LIMIT, Tally
from cowrie_sessionstats.replay.streams import CHUNK, FileError, chunks
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.summary import values_of
from cowrie_sessionstats.timestamps import parse_timestamp

CURRENT: Final = "cowrie.json"
"""What Cowrie calls the log that it is writing."""

AT_ONCE: Final = 10_000
"""Lines that are read before their records are handed on: half a second's work."""

REMEMBERED: Final = 7 * 86_400.0
"""Seconds of silence after which a session is not read again from its beginning at a restart, so
that one which never ends does not make every restart read all there is."""


@frozen(order=True)
class Place:
    """A place in a row of files."""

    head: float
    """Time of the file's first event, seconds since 1970."""
    file: str
    """SHA-256 of the file's first line: its name changes, its inode too, that does not."""
    offset: int
    """Bytes of its content, decompressed, that are before."""


NOTHING_READ: Final = Place(0.0, "", 0)
_ALL: Final = 1 << 62  # bytes: more than a file has


@frozen
class Mark:
    """Where one log has been read to."""

    read: Place
    """Everything before it was read, and its records were handed on."""
    since: Place
    """Where to begin in order to know all sessions that are open there."""


@define(eq=False)
class Follower:
    """Follows one log: ``path`` is what Cowrie writes to, beside it are the rotated ones.

    With a ``mark`` it begins where another left off. Without one it begins with ``path``, or with
    ``history`` with the oldest of those beside it.
    """

    path: Path
    emit: Callable[[Values], None]
    """Takes what ``values_of`` returns: at a session's close, and again with a late event."""
    settings: Settings
    problems: Problems
    mark: Mark | None = None
    history: bool = False
    tally: Tally = field(factory=Tally)
    _table: Sessions = field(init=False)
    _at: Place = field(default=NOTHING_READ, init=False)
    """Everything before it was read."""
    _quiet_until: Place = field(default=NOTHING_READ, init=False)
    """Records of what comes before it were handed on by whoever left the mark."""
    _begun: dict[events.SessionKey, tuple[Place, float | None]] = field(factory=dict, init=False)
    """Where each session began, and when it was last heard of."""
    _open: io.FileIO | None = field(default=None, init=False)
    """The log that is being written, once all before it was read."""
    _rest: bytes = field(default=b"", init=False)
    _line: int = field(default=0, init=False)
    _skipping: bool = field(default=False, init=False)
    _told: set[str] = field(factory=set, init=False)
    """Files that were said to be unreadable."""

    def __attrs_post_init__(self) -> None:
        self._table = Sessions(
            self._emitted,
            keep_passwords=self.settings.keep_passwords,
            templates=self.settings.templates,
            make=values_of,
        )
        if self.mark is None and not self.history:
            self.mark = self._behind_the_rotated()
        if self.mark is not None:
            self._at, self._quiet_until = self.mark.since, self.mark.read

    def _behind_the_rotated(self) -> Mark:
        """Return the mark of who has read what was rotated before now, and nothing else."""
        place = NOTHING_READ
        for beginning, file in self._files():
            if file.path == self.path:
                break
            place = Place(beginning.head, beginning.file, _ALL)
        return Mark(place, place)

    def _emitted(self, values: Values) -> None:
        if self._at > self._quiet_until:
            self.emit(values)

    def read(self) -> Iterator[None]:
        """Read what there is; yields where records can be handed on and the place be saved."""
        while True:
            if self._open is None:
                yield from self._read_rotated()
            if self._open is None:
                return
            while piece := self._open.read(CHUNK):
                self.tally.bytes += len(piece)
                yield from self._feed(piece)
            if not self._rotated():
                return
            yield from self._end_of_file()
            self._open.close()
            self._open = None

    # ------------------------------------------------------------ files

    def _read_rotated(self) -> Iterator[None]:
        """Read all files that are complete, then open the one that is being written."""
        for place, file in self._files():
            here = place.file == self._at.file
            if not here and place.head <= self._at.head:
                continue
            skip = self._at.offset if here else 0
            self._at = Place(place.head, place.file, skip)
            self._rest, self._line, self._skipping = b"", 0, False
            if file.path == self.path:
                self._open = self._opened(skip)
                return
            try:
                for piece in chunks(file):
                    if skip >= len(piece):
                        skip -= len(piece)
                        continue
                    yield from self._feed(piece[skip:] if skip else piece)
                    skip = 0
            except FileError as error:
                self.problems.file(file.name, str(error))
            yield from self._end_of_file()

    def _opened(self, skip: int) -> io.FileIO | None:
        """Open the log that is being written; None if it has just been rotated."""
        try:
            opened = io.FileIO(str(self.path))
        except FileNotFoundError:
            return None
        if _first_line(opened) != self._at.file:
            opened.close()
            return None
        opened.seek(skip)
        return opened

    def _files(self) -> list[tuple[Place, LogFile]]:
        """Return the files of this log in the order of time, each with its beginning."""
        found: dict[str, tuple[Place, LogFile]] = {}
        rotated = self.path.parent.glob(f"{_escaped(self.path.name)}.*")
        paths = [self.path, *sorted(rotated)]
        for path in paths:
            try:
                beginning = _beginning(path)
            except FileError as error:
                if path.exists() and str(path) not in self._told:
                    self._told.add(str(path))
                    self.problems.file(str(path), str(error))
                continue
            if beginning is not None:
                # The one being written wins over a copy of it, a plain one over a packed one.
                found.setdefault(beginning.file, (beginning, LogFile(path, str(path), 0)))
        return sorted(found.values(), key=lambda entry: entry[0])

    def _rotated(self) -> bool:
        """Return whether the open file is not the one any more that Cowrie writes to."""
        assert self._open is not None  # noqa: S101 - only asked of an open file
        opened = os.fstat(self._open.fileno())
        try:
            found = self.path.stat()
        except OSError:
            return False  # moved, and Cowrie may still write to it
        if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
            return bool(found.st_size)  # a new one without a line says nothing yet
        # Or another one was copied into it: then it is shorter, or begins with another line.
        if found.st_size < self._open.tell():
            return True
        with self.path.open("rb", buffering=0) as file:
            return _first_line(file) != self._at.file

    # ------------------------------------------------------------ lines

    def _feed(self, piece: bytes) -> Iterator[None]:
        """Count the events of all whole lines."""
        lines = piece.split(b"\n")
        lines[0] = self._rest + lines[0]
        self._rest = lines.pop()
        for number, line in enumerate(lines, 1):
            self._count(line, len(line) + 1)
            if number % AT_ONCE == 0:
                yield
        if len(self._rest) > LINE_LIMIT:
            self._at = Place(self._at.head, self._at.file, self._at.offset + len(self._rest))
            self._rest, self._skipping = b"", True
        yield

    def _end_of_file(self) -> Iterator[None]:
        """Count what is behind the last line end: nothing more will come."""
        if self._rest or self._skipping:
            self._count(self._rest, len(self._rest))
            self._rest = b""
            yield

    def _count(self, line: bytes, length: int) -> None:
        """Count the event on a line."""
        begin = self._at
        self._at = Place(begin.head, begin.file, begin.offset + length)
        self._line += 1
        quiet = self._at <= self._quiet_until
        self.tally.lines += not quiet
        event, reason = decode_line(line)
        if self._skipping:
            event, reason, self._skipping = None, problems.TOO_LONG, False
        key = None if event is None else events.session_key(event)
        if event is not None and reason is None:
            if not isinstance(event.eventid, str) or not event.eventid.startswith("cowrie."):
                reason = problems.NOT_COWRIES
            elif key is None:
                reason = problems.NO_SESSION
        if reason is not None:
            if not quiet:
                self.problems.line(str(self.path), self._line, reason)
            return
        if event is None or key is None:
            return
        self.tally.events += not quiet
        tick = parse_timestamp(events.stamp(event))
        event.time = events.tick(event)
        self._begun[key] = (self._begun.get(key, (begin, None))[0], tick)
        self._table.feed(event)

    # ------------------------------------------------------------ the place

    def marked(self) -> Mark:
        """Return where this one is, for another to begin there."""
        known = set(self._table.keys())
        self._begun = {key: begun for key, begun in self._begun.items() if key in known}
        now = max((tick for _, tick in self._begun.values() if tick is not None), default=None)
        places = [
            place
            for place, tick in self._begun.values()
            if now is None or tick is None or now - tick <= REMEMBERED
        ]
        return Mark(max(self._at, self._quiet_until), min([self._at, *places]))

    @property
    def open_sessions(self) -> int:
        """How many sessions have not ended."""
        return len(self._table)


def _beginning(path: Path) -> Place | None:
    """Return the place at the beginning of a file; None if there is no event with a time in it.

    FileError if it cannot be read.
    """
    piece = next(chunks(LogFile(path, str(path), 0)), b"")
    first = None
    for line in piece.split(b"\n")[:-1]:
        first = line if first is None else first
        event, _ = decode_line(line)
        when = None if event is None else parse_timestamp(events.stamp(event))
        if when is not None:
            return Place(when, _identity(first), 0)
    return None


def _first_line(file: io.FileIO) -> str | None:
    """Return what identifies a plain file; None if it has no whole line."""
    line, end, _ = file.read(CHUNK).partition(b"\n")
    return _identity(line) if end else None


def _identity(line: bytes) -> str:
    return sha256(line).hexdigest()


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


# ---------------------------------------------------------------- marks as JSON


def mark_to_json(mark: Mark) -> dict[str, Any]:
    """Return a mark for a file of JSON."""
    return {
        "read": {"head": mark.read.head, "file": mark.read.file, "offset": mark.read.offset},
        "since": {"head": mark.since.head, "file": mark.since.file, "offset": mark.since.offset},
    }


def mark_from_json(told: Any) -> Mark:
    """Return a mark that ``mark_to_json`` wrote; ValueError and the like if it did not."""
    read, since = (
        Place(float(told[name]["head"]), str(told[name]["file"]), int(told[name]["offset"]))
        for name in ("read", "since")
    )
    return Mark(read, since)
