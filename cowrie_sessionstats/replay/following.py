"""A growing log, through its rotations, to records at each close; over restarts, too."""

from __future__ import annotations

import io
import itertools
import os
import stat
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

from attrs import define, evolve, field, frozen

from cowrie_sessionstats import events
from cowrie_sessionstats.replay import problems
from cowrie_sessionstats.replay.counting import Settings, Values
from cowrie_sessionstats.replay.decoding import decode_line
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.reading import LINE_LIMIT, Tally
from cowrie_sessionstats.replay.rotation import Rotation, beginning_of, beginning_of_open, probe
from cowrie_sessionstats.replay.streams import CHUNK, FileError, chunks
from cowrie_sessionstats.sessions import Sessions

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

    number: int
    """Of the file: they are counted as they are read."""
    offset: int
    """Bytes of its content, decompressed, that are before."""
    line: int = field(default=0, order=False)
    """Lines that are before."""


NOTHING_READ: Final = Place(0, 0)


@frozen
class Mark:
    """Where one log has been read to."""

    read: Place = NOTHING_READ
    """Everything before it was read, and its records were handed on."""
    since: Place = NOTHING_READ
    """Where to begin in order to know all sessions that are open there."""
    row: tuple[tuple[int, str], ...] = ()
    """The files between the two: number and identity (``Beginning.identity``)."""
    done: frozenset[str] = frozenset()
    """Rotated files of which nothing is to be read any more."""


class _MovedError(Exception):
    """A file is not what it was when the folder was looked through."""


@define(eq=False)
class Follower:
    """Follows one log: ``path`` is what Cowrie writes to, beside it are the rotated ones.

    With a ``mark`` it begins where another left off. Without one it begins with ``path``, or with
    ``history`` with the oldest of those beside it.
    """

    path: Path
    emit: Callable[[Values], None]
    """Takes what ``Settings.values`` returns: at a session's close, and again with a late event."""
    settings: Settings
    problems: Problems
    mark: Mark | None = None
    history: bool = False
    tally: Tally = field(factory=Tally)
    _table: Sessions = field(init=False)
    _rotation: Rotation = field(init=False)
    _at: Place = field(default=NOTHING_READ, init=False)
    """Everything before it was read."""
    _quiet_until: Place = field(default=NOTHING_READ, init=False)
    """Records of what comes before it were handed on by whoever left the mark."""
    _again: list[tuple[int, str]] = field(factory=list, init=False)
    """The files that whoever left the mark had read, and that are to be read again."""
    _row: dict[int, str] = field(factory=dict, init=False)
    _done: set[str] = field(factory=set, init=False)
    _numbers: Iterator[int] = field(init=False)
    _begun: dict[events.SessionKey, tuple[Place, float | None]] = field(factory=dict, init=False)
    """Where each session began, and when it was last heard of."""
    _ticks: tuple[float | None, float | None] = field(default=(None, None), init=False)
    """Times of the last two events: one alone can be wrong."""
    _name: str = field(default="", init=False)
    """The file that is being read."""
    _open: io.FileIO | None = field(default=None, init=False)
    """The log that is being written, once all before it was read."""
    _probe: tuple[int, bytes] = field(default=(0, b""), init=False)
    """What it begins with, and where."""
    _rest: bytes = field(default=b"", init=False)
    _skipping: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._rotation = Rotation(self.path, self.problems.file)
        self._table = Sessions(
            self._emitted,
            keep_passwords=self.settings.keep_passwords,
            templates=self.settings.templates,
            make=self.settings.values,
            judge=self.settings.judge,
        )
        mark = self.mark
        if mark is None:
            ignored = () if self.history else self._rotation.rotated()
            mark = Mark(done=frozenset(beginning.identity for beginning, _ in ignored))
        self._at, self._quiet_until = mark.since, mark.read
        self._again, self._row, self._done = list(mark.row), dict(mark.row), set(mark.done)
        self._numbers = itertools.count(max((number for number, _ in mark.row), default=0) + 1)

    def _emitted(self, values: Values) -> None:
        if self._at > self._quiet_until:
            self.emit(values)

    def read(self) -> Iterator[None]:
        """Read what there is; yields where records can be handed on and the place be saved."""
        while True:
            if self._open is None:
                yield from self._read_rotated()
            if self._open is None or not (yield from self._read_open()):
                return

    def close(self) -> None:
        """Let go of the log."""
        if self._open is not None:
            self._open.close()
            self._open = None

    # ------------------------------------------------------------ rotated files

    def _read_rotated(self) -> Iterator[None]:
        """Read all files that are complete, then open the one that is being written."""
        while True:
            # Looked through anew for each: reading one can take minutes, in which others move.
            rotated = self._rotation.rotated()
            if self._again:
                number, identity = self._again[0]
                file = next((f for b, f in rotated if b.identity == identity), None)
                if file is None and self._opened(number, identity):
                    return
                if file is None:
                    self._rotation.say(
                        self.path,
                        "a log that was read before is gone: sessions "
                        "that began in it are not whole",
                    )
            else:
                ahead = ((b.identity, f) for b, f in rotated if b.identity not in self._done)
                identity, file = next(ahead, ("", None))
                if file is None:
                    self._opened(None, None)
                    return
                number = next(self._numbers)
            if file is not None:
                at = self._at
                try:
                    yield from self._read_file(file, number, identity)
                except _MovedError:
                    self._at = at
                    if not self._again:  # it gets another number when it is found again
                        del self._row[number]
                    continue
            if self._again and self._again[0][0] == number:
                del self._again[0]
            self._done.add(identity)

    def _read_file(self, file: LogFile, number: int, identity: str) -> Iterator[None]:
        """Read a rotated file to its end."""
        self._begin(number, identity, file.name)
        skip = self._at.offset
        ahead: list[bytes] = []
        pieces = chunks(file)
        try:
            # What is read must be what was looked at: the name can be another file's by now.
            beginning = beginning_of(_kept(pieces, ahead), 0.0)
        except FileError as error:
            if not file.path.exists():
                raise _MovedError from error
            self._rotation.say(file.path, str(error))
            return
        if beginning is None or beginning.identity != identity:
            raise _MovedError
        try:
            for piece in itertools.chain(ahead, pieces):
                if skip >= len(piece):
                    skip -= len(piece)
                    continue
                yield from self._feed(piece[skip:] if skip else piece)
                skip = 0
        except FileError as error:
            self._rotation.say(file.path, str(error))
            self._rest = b""  # half a line
        if self._rest or self._skipping:
            self._count(self._rest, len(self._rest))
            self._rest = b""
        yield

    def _begin(self, number: int, identity: str, name: str) -> None:
        """Get ready to read a file, from its beginning or from where it was read to."""
        if self._at.number != number:
            self._at = Place(number, 0)
        self._row[number] = identity
        self._name = name
        self._rest, self._skipping = b"", False

    # ------------------------------------------------------------ the file that is being written

    def _opened(self, number: int | None, identity: str | None) -> bool:
        """Open the log that is being written; False if it is not there, or another than that."""
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                self._rotation.say(self.path, "is no regular file")
                return False
            opened = io.FileIO(str(self.path))
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._rotation.say(self.path, error.strerror or str(error))
            return False
        beginning = beginning_of_open(opened)
        if beginning is None or (identity is not None and beginning.identity != identity):
            opened.close()
            return False
        if number is None:
            number = next((n for n, i in self._row.items() if i == beginning.identity), None)
        if number is None:
            number = next(self._numbers)
        self._again = [entry for entry in self._again if entry[0] != number]
        self._begin(number, beginning.identity, str(self.path))
        self._open = opened
        self._probe = probe(opened)
        opened.seek(self._at.offset)
        return True

    def _read_open(self) -> Generator[None, None, bool]:
        """Read what was added to the log; the result is whether it was rotated."""
        opened = self._open
        if opened is None:
            return False
        size = os.fstat(opened.fileno()).st_size
        if self._is_the_same(opened):
            self._see_whether_cut(opened, size)
            while piece := opened.read(CHUNK):
                self.tally.bytes += len(piece)
                yield from self._feed(piece)
            if not self._is_elsewhere(opened):
                return False
            while piece := opened.read(CHUNK):  # what was written before the other one began
                yield from self._feed(piece)
            if self._rest or self._skipping:
                self._count(self._rest, len(self._rest))
                self._rest = b""
            self._done.add(self._row[self._at.number])
        elif not size:
            return False  # emptied: what comes will tell
        else:  # another log was copied into it; the rest of the old one may be in a copy
            self._again.insert(0, (self._at.number, self._row[self._at.number]))
            if not self._is_copied():
                self._done.add(self._row[self._at.number])
                del self._again[0]
        opened.close()
        self._open = None
        return True

    def _see_whether_cut(self, opened: io.FileIO, size: int) -> None:
        """Go back to the end of a file that was cut: what comes behind that is new."""
        end = evolve(self._at, offset=size)
        if size < self._at.offset + len(self._rest):
            self._at, self._rest = end, b""
            opened.seek(size)
        if self._quiet_until.number == end.number:
            self._quiet_until = min(self._quiet_until, end)

    def _is_the_same(self, opened: io.FileIO) -> bool:
        """Return whether the file begins as it did when it was opened."""
        at, began = self._probe
        if os.pread(opened.fileno(), len(began), at) == began:
            return True
        beginning = beginning_of_open(opened)
        if beginning is None or beginning.identity != self._row[self._at.number]:
            return False
        self._probe = probe(opened)
        return True

    def _is_elsewhere(self, opened: io.FileIO) -> bool:
        """Return whether Cowrie writes to another file by now, and has written something."""
        status = os.fstat(opened.fileno())
        try:
            found = self.path.stat()
        except OSError:
            return False  # moved, and Cowrie may still write to it
        moved = (found.st_dev, found.st_ino) != (status.st_dev, status.st_ino)
        return moved and bool(found.st_size)

    def _is_copied(self) -> bool:
        """Return whether a copy of what was being read is among the rotated files."""
        identity = self._row[self._at.number]
        return any(beginning.identity == identity for beginning, _ in self._rotation.rotated())

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
        # NUL bytes stand where another program cut the file that Cowrie goes on writing to.
        nothing = not self._rest.strip(b"\0")
        if nothing or len(self._rest) > LINE_LIMIT:
            self._skipping |= not nothing
            self._at = evolve(self._at, offset=self._at.offset + len(self._rest))
            self._rest = b""
        yield

    def _count(self, line: bytes, length: int) -> None:
        """Count the event on a line."""
        begin = self._at
        self._at = Place(begin.number, begin.offset + length, begin.line + 1)
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
                self.problems.line(self._name, self._at.line, reason)
            return
        if event is None or key is None:
            return
        self.tally.events += not quiet
        event.time = tick = events.tick(event)
        self._ticks = (self._ticks[1], tick)
        self._begun[key] = (self._begun.get(key, (begin, None))[0], tick)
        self._table.feed(event)

    # ------------------------------------------------------------ the place

    def marked(self) -> Mark:
        """Return where this one is, for another to begin there."""
        known = set(self._table.keys())
        self._begun = {key: begun for key, begun in self._begun.items() if key in known}
        last, now = self._ticks
        if last is not None and now is not None:
            now = min(last, now)
        places = [
            place
            for place, tick in self._begun.values()
            if now is None or tick is None or now - tick <= REMEMBERED
        ]
        read = max(self._at, self._quiet_until)
        since = min([self._at, *places])
        self._row = {n: i for n, i in self._row.items() if since.number <= n}
        row = tuple(sorted(self._row.items()))
        there = {beginning.identity for beginning, _ in self._rotation.rotated()}
        self._done &= there | set(self._row.values())
        return Mark(read, since, row, frozenset(self._done))

    @property
    def place(self) -> Place:
        """Where this one is: unchanged if nothing happened."""
        return self._at


def _kept(pieces: Iterator[bytes], kept: list[bytes]) -> Iterator[bytes]:
    """Yield pieces and keep them."""
    for piece in pieces:
        kept.append(piece)
        yield piece
