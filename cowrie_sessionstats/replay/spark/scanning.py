"""A log's lines, as Spark reads them, to rows that its shuffle brings together: an event each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from cowrie_sessionstats import events
from cowrie_sessionstats.replay import problems
from cowrie_sessionstats.replay.decoding import LogEvent, decode_block, decode_line
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.reading import (
    BEFORE_ALL,
    LINE_LIMIT,
    Batch,
    Part,
    Reader,
    SeamError,
    in_order,
    latest_at_each,
    one_by_one,
    seam_among,
    timed,
)
from cowrie_sessionstats.replay.spark.pieces import Piece
from cowrie_sessionstats.replay.spool import spool_folder
from cowrie_sessionstats.replay.streams import BLOCK

Row: TypeAlias = "tuple[bytes, float, float, int, int, int, int, bytes]"
"""An event: as ``COLUMNS`` says."""
COLUMNS: Final = (
    ("key", "binary"),
    ("tick", "double"),
    ("head", "double"),
    ("file", "int"),
    ("part", "bigint"),
    ("piece", "bigint"),
    ("line", "bigint"),
    ("text", "binary"),
)
"""Whose it is; the latest time so far in its part of a log; the part: the time of its first event,
the log's number, its first byte; where in it the line is; and the line."""

Tell: TypeAlias = Callable[[Any, Piece], None]


@frozen
class Log:
    """A log as the driver knows it before it is read."""

    number: int
    """Which of several logs it is; of such as begin at one time, the order of their names."""
    head: float = BEFORE_ALL
    """The time of its first event."""
    line: bytes = b""
    """That event."""
    path: str = ""
    """Where a worker opens it, if it can."""


def key_of(event: LogEvent) -> bytes:
    """Return the sensor and the session of an event, so that no two pairs look alike."""
    key = events.session_key(event)
    if key is None:
        raise ValueError("no session")  # it was looked at before
    sensor, session = (name.encode("utf-8", "surrogatepass") for name in key)
    return b"%d:%b%b" % (len(sensor), sensor, session)


@define(eq=False)
class Scan:
    """Takes the lines of one piece of a log, in their order, some at a time."""

    log: Log
    start: int
    """Where the piece begins."""
    piece: Piece = field(factory=Piece)
    latest: float = BEFORE_ALL
    _first: LogEvent | None = field(default=None, init=False)
    _lines: list[bytes] = field(factory=list, init=False)
    _numbers: list[int] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.start == 0:
            self.latest = self.log.head
        if self.log.line:
            self._first, _ = decode_line(self.log.line)

    def take(self, line: bytes | None, size: int = 0, number: int | None = None) -> Iterator[Row]:
        """Take a line, None for one of ``size`` bytes that is too long; yield rows if enough wait.

        ``number`` is its own, if it does not count from the beginning of the piece.
        """
        here = self.piece.lines if number is None else number
        self.piece.lines += 1
        if line is None or len(line) > LINE_LIMIT:
            yield from self.flush()
            self.piece.bytes += (size if line is None else len(line)) + 1
            self.piece.skip(here, problems.TOO_LONG)
            self.piece.ends_badly = False
            return
        self._lines.append(line)
        self._numbers.append(here)
        self._size += len(line) + 1
        if self._size >= BLOCK:
            yield from self.flush()

    def flush(self) -> Iterator[Row]:
        """Yield the rows of what is held."""
        lines, self._lines = self._lines, []
        numbers, self._numbers = self._numbers, []
        if not lines:
            return
        piece = self.piece
        piece.bytes += self._size
        self._size = 0
        piece.ends_badly = False
        found = decode_block(b"\n".join((*lines, b"")), len(lines), whole=False)
        if found is None:
            found, lines, numbers = self._one_by_one(lines, numbers)
        if not found:
            return
        piece.events += len(found)
        piece.summaries += sum(event.eventid == events.SUMMARY_EVENTID for event in found)
        for number, tick, event, line in zip(numbers, self._keys(found), found, lines, strict=True):
            log = self.log
            yield key_of(event), tick, log.head, log.number, 0, self.start, number, line

    def _one_by_one(
        self, lines: list[bytes], numbers: list[int]
    ) -> tuple[list[LogEvent], list[bytes], list[int]]:
        """Return the events among lines of which one has something wrong."""
        found: list[LogEvent] = []
        kept: list[bytes] = []
        places: list[int] = []
        for number, line in zip(numbers, lines, strict=True):
            here, _ = one_by_one(line, number, self.piece.skip, is_end=False)
            if here:
                found += here
                kept.append(line)
                places.append(number)
        self.piece.ends_badly = decode_line(lines[-1])[1] == problems.NOT_JSON
        return found, kept, places

    def _keys(self, found: list[LogEvent]) -> list[float]:
        """Return the latest time so far at each; take note if times go back."""
        ticks = timed(found)
        piece = self.piece
        if piece.first is None:
            piece.first = BEFORE_ALL if ticks[0] is None else ticks[0]
        if self._first is None:
            self._first = found[0]
        keys = in_order(self.latest, ticks)
        if keys is None:
            piece.goes_back |= seam_among(self.latest, ticks, found, self._first)
            keys = latest_at_each(self.latest, ticks)
        self.latest = piece.latest = keys[-1]
        return keys


def scan_lines(lines: Iterable[tuple[Log, int, bytes | None, int]], tell: Tell) -> Iterator[Row]:
    """Yield the rows of lines: each with its log, where its piece of that begins, and its size.

    The lines of a piece follow one another; one that is too long is None. ``tell`` is told what
    each piece came to.
    """
    scan: Scan | None = None
    for log, start, line, size in lines:
        if scan is None or scan.log is not log or scan.start != start:
            if scan is not None:
                yield from scan.flush()
                tell((scan.log.number, scan.start), scan.piece)
            scan = Scan(log, start)
        yield from scan.take(line, size)
    if scan is not None:
        yield from scan.flush()
        tell((scan.log.number, scan.start), scan.piece)


def scan_whole(log: Log, path: Path, tell: Tell) -> Iterator[Row]:
    """Yield the rows of a log that is here as a whole, packed or not, as it is read locally."""
    file = LogFile(path, "", path.stat().st_size)
    part = Part(file, log.head)
    reader = Reader(Problems())
    sent = 0
    try:
        for batch in reader.batches(part):
            yield from _rows(log, part, sent, batch)
            sent += len(batch.events)
    except SeamError:
        parts = reader.split(part)
        reader = Reader(Problems())  # it reads everything again
        for number, each in enumerate(parts):
            passed = 0
            for batch in reader.batches(each):
                # What was sent before the times went back stands: the first log goes on to there.
                rows = _rows(log, each, passed, batch)
                yield from (row for row in rows if number or row[6] >= sent)
                passed += len(batch.events)
    piece = Piece(reader.tally.lines, reader.tally.events, bytes=reader.tally.bytes)
    for reason, skipped in reader.problems.lines.items():
        piece.skipped[reason] = skipped.count, int(skipped.first.rpartition(":")[2]) - 1
    if reader.problems.files:
        piece.trouble = "; ".join(each.removeprefix(": ") for each in reader.problems.files)
    tell((log.number, 0), piece)


def _rows(log: Log, part: Part, begin: int, batch: Batch) -> Iterator[Row]:
    for number, (event, key, line) in enumerate(
        zip(batch.events, batch.keys, batch.lines(), strict=True), begin
    ):
        yield key_of(event), key, part.head, log.number, part.start, 0, number, line


def scan_packed(contents: Iterable[tuple[Log, bytes | None]], tell: Tell) -> Iterator[Row]:
    """Yield the rows of packed logs: each is given whole, or opened where it is.

    Raises FileNotFoundError if it is not there.
    """
    for log, content in contents:
        if content is None:
            path = Path(log.path)
            if not path.exists():
                raise FileNotFoundError(f"File {log.path} does not exist")
            yield from scan_whole(log, path, tell)
            continue
        with tempfile.NamedTemporaryFile(prefix="sessionstats-", dir=spool_folder()) as file:
            file.write(content)
            file.flush()
            yield from scan_whole(log, Path(file.name), tell)


def scan_joined(
    lines: Iterable[tuple[Log, bytes | None]], tell: Tell, unended: frozenset[int]
) -> Iterator[Row]:
    """Yield the rows of logs of which the pieces were put together: all lines of one in a row.

    ``unended`` are the numbers of those whose last line has no newline.
    """
    log: Log | None = None
    file: Any = None
    rest = b""
    try:
        for each, line in lines:
            if each is not log:
                if log is not None:
                    yield from _ended(log, file, rest, tell, unended)
                log, rest = each, b""
                file = tempfile.NamedTemporaryFile(prefix="sessionstats-", dir=spool_folder())  # noqa: SIM115
            file.write(rest)
            # What was too long to be handed on has to be too long again.
            file.write(b" " * (LINE_LIMIT + 1) if line is None else line)
            rest = b"\n"
        if log is not None:
            yield from _ended(log, file, rest, tell, unended)
    finally:
        if file is not None:
            file.close()


def _ended(log: Log, file: Any, rest: bytes, tell: Tell, unended: frozenset[int]) -> Iterator[Row]:
    if log.number not in unended:
        file.write(rest)
    file.flush()
    yield from scan_whole(log, Path(file.name), tell)
    file.close()


SENSORS: Final = 10_000
"""Sensors of which the time is kept apart in one partition of a topic: an operator's fleet, not
what somebody makes up."""


@define(eq=False)
class _Messages(Scan):
    """Takes the messages of one partition of a topic: time goes on for each sensor by itself."""

    _latest: dict[Any, float] = field(factory=dict, init=False)

    def _keys(self, found: list[LogEvent]) -> list[float]:
        keys = []
        for event, tick in zip(found, timed(found), strict=True):
            sensor = events.session_key(event)
            name = sensor[0] if sensor is not None and len(self._latest) < SENSORS else ""
            latest = self._latest.get(name, BEFORE_ALL)
            self._latest[name] = latest = latest if tick is None else max(latest, tick)
            keys.append(latest)
        return keys


def scan_messages(messages: Iterable[tuple[int, int, bytes | None]], tell: Tell) -> Iterator[Row]:
    """Yield the rows of a topic's messages: each with its partition and its offset."""
    scan: _Messages | None = None
    for partition, offset, value in messages:
        if scan is None or scan.log.number != partition:
            if scan is not None:
                yield from scan.flush()
                tell((scan.log.number, 0), scan.piece)
            scan = _Messages(Log(partition), 0)
        # JSON has line breaks only where white space does as well.
        yield from scan.take((value or b"").replace(b"\n", b" "), number=offset)
    if scan is not None:
        yield from scan.flush()
        tell((scan.log.number, 0), scan.piece)
