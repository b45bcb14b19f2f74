"""A file to batches of events with their times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from typing import Final

from attrs import define, evolve, field, frozen

from cowrie_sessionstats import events
from cowrie_sessionstats.events import ABSENT
from cowrie_sessionstats.replay import problems
from cowrie_sessionstats.replay.decoding import (
    LogEvent,
    decode_block,
    decode_line,
    is_cowries,
    is_whole,
    parse_timestamps,
)
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.streams import Appetite, FileError, chunks
from cowrie_sessionstats.timestamps import parse_timestamp

LINE_LIMIT: Final = 1 << 24
"""Bytes of a line that are read: Cowrie's longest have some ten thousand, an attacker's paste a
million."""

SEAM: Final = 3_600.0
"""Seconds that the time has to go back, and to stay back, for a file to be taken for several logs
in a row. Less is a clock that was set, or the end of summer time on a machine that writes local
time; a single event is a clock that was not set yet."""

MOST_PARTS: Final = 10_000
"""Logs in a row in one file; with more, the file is read as it stands."""

BEFORE_ALL: Final = float("-inf")


@frozen
class Part:
    """A file, or one of several logs that stand in it one behind the other."""

    file: LogFile
    head: float
    """Time of its first event, seconds since 1970; ``BEFORE_ALL`` if none could be read."""
    start: int = 0
    """Its first byte in the decompressed content."""
    stop: int | None = None
    line: int = 1
    """The number of its first line."""
    whole: bool = False
    """Whether it is not to be looked at for several logs any more."""


@define(eq=False)
class Batch:
    """Events that followed one another in a part."""

    events: list[LogEvent]
    ticks: list[float | None]
    """The time of each, seconds since 1970."""
    keys: list[float]
    """The latest time so far at each: never goes back."""
    block: bytes = b""
    """Their lines, where one file is read by itself: then they may not be whole."""
    _lines: dict[int, bytes] | None = field(default=None, init=False)

    def whole(self, event: LogEvent) -> LogEvent:
        """Return one of the events with all that its line has."""
        if is_whole(event):
            return event
        if self._lines is None:
            self._lines = dict(zip(map(id, self.events), self.block.split(b"\n"), strict=False))
        found, _ = decode_line(self._lines[id(event)])
        if found is None:  # something is wrong with what is not read of it
            return event
        found.time = event.time
        return found

    def lines(self) -> list[bytes]:
        """Return the line of each, where one file is read by itself."""
        return self.block.split(b"\n")[: len(self.events)]

    def all_whole(self) -> list[LogEvent]:
        """Return all events with all that their lines have."""
        return list(map(self.whole, self.events))


class SeamError(Exception):
    """A part is several logs in a row: ``Reader.split`` tells them apart."""


@define(eq=False)
class Tally:
    """What has been read so far."""

    bytes: int = 0
    """Of the files on the disk."""
    lines: int = 0
    events: int = 0


@define(eq=False)
class Reader:
    """Reads parts; what is wrong with them goes to ``problems``."""

    problems: Problems
    tally: Tally = field(factory=Tally)
    moved: Callable[[], None] | None = None
    """Called after each piece that was read."""
    appetite: Appetite = field(factory=Appetite)

    def batches(self, part: Part) -> Iterator[Batch]:
        """Yield the events of ``part``; SeamError if it turns out to be several logs in a row."""
        latest = part.head
        first: LogEvent | None = None
        for number, _, block, lines in self._blocks(part):
            good = block
            found = decode_block(block, lines, whole=not self.appetite.alone)
            if found is None:
                tell = partial(self.problems.line, part.file.name)
                found, good = one_by_one(block, number, tell, is_end=not block.endswith(b"\n"))
            self.tally.lines += lines
            self.tally.events += len(found)
            if self.moved is not None:
                self.moved()
            if not found:
                continue
            ticks = timed(found)
            if first is None:
                first = found[0]
            keys = in_order(latest, ticks)
            if keys is None:
                part = self._whole(part, latest, ticks, found, first)
                keys = latest_at_each(latest, ticks)
            latest = keys[-1]
            yield Batch(found, ticks, keys, good if self.appetite.alone else b"")

    def _whole(
        self,
        part: Part,
        latest: float,
        ticks: list[float | None],
        found: list[LogEvent],
        first: LogEvent,
    ) -> Part:
        """Return the part, of which the times go back here; SeamError if it is several logs."""
        if part.whole or not seam_among(latest, ticks, found, first):
            return part
        parts = self.split(part)
        if len(parts) > 1:
            raise SeamError(part.file.name)
        return evolve(part, whole=True)

    # ------------------------------------------------------------ bytes

    def _blocks(self, part: Part) -> Iterator[tuple[int, int, bytes, int]]:
        """Yield blocks of whole lines: its first line's number and place, it, how many lines."""
        number, at = part.line, part.start
        rest: list[bytes] = []
        length = 0
        for piece in self._pieces(part):
            end = piece.rfind(b"\n") + 1
            if not end:
                if not length and not piece.strip(b"\0"):
                    at += len(piece)  # a file that was cut under its writer begins so
                    continue
                if length <= LINE_LIMIT:
                    rest.append(piece)
                length += len(piece)
                continue
            if length > LINE_LIMIT:
                self.problems.line(part.file.name, number, problems.TOO_LONG)
                self.tally.lines += 1
                number += 1
                begin = piece.index(b"\n") + 1
                at += length + begin
                block = piece[begin:end]
            else:
                block = b"".join((*rest, piece[:end])) if rest else piece[:end]
            lines = block.count(b"\n")
            if lines:
                yield number, at, block, lines
            number += lines
            at += len(block)
            rest = [piece[end:]] if end < len(piece) else []
            length = len(piece) - end
        if length > LINE_LIMIT:
            self.problems.line(part.file.name, number, problems.TOO_LONG)
            self.tally.lines += 1
        elif rest:
            yield number, at, b"".join(rest), 1

    def _pieces(self, part: Part) -> Iterator[bytes]:
        at = 0
        try:
            for piece in chunks(part.file, self._count if part.start == 0 else None, self.appetite):
                begin = max(0, part.start - at)
                end = len(piece) if part.stop is None else min(len(piece), part.stop - at)
                at += len(piece)
                if end <= 0:
                    return
                if begin < end:
                    yield piece[begin:end] if begin or end < len(piece) else piece
        except FileError as error:
            self.problems.file(part.file.name, str(error))

    def _count(self, read: int) -> None:
        self.tally.bytes += read

    # ------------------------------------------------------------ several logs in a row

    def split(self, part: Part) -> list[Part]:  # noqa: C901 - a clock goes back in many ways
        """Return the logs that stand in ``part`` one behind the other."""
        if part.whole:
            return [part]
        parts = [evolve(part, whole=True)]
        latest = before = BEFORE_ALL
        first: bytes | None = None
        last: Part | None = None
        for line, place in self._places(part):
            event, _ = decode_line(line)
            tick = None if event is None else parse_timestamp(events.stamp(event))
            if tick is None:
                continue
            if first is None:
                first = line
            here = evolve(place, head=tick)
            if last is not None:  # the event before this one may have been a seam
                if tick < latest - SEAM:
                    _cut(parts, last)
                    first, latest, before = None, last.head, BEFORE_ALL
                last = None
            if tick < latest and line == first:
                _cut(parts, here)
                latest = BEFORE_ALL
            elif tick < latest - SEAM:
                if tick >= before - SEAM > BEFORE_ALL:
                    latest = before  # the event before this one was alone in the future
                else:
                    last = here
                    continue
            before, latest = latest, max(latest, tick)
            if len(parts) > MOST_PARTS:
                trouble = (
                    f"its times go back more than {MOST_PARTS:,} times: it is read as it stands"
                )
                self.problems.file(part.file.name, trouble)
                return [evolve(part, whole=True)]
        return parts

    def _places(self, part: Part) -> Iterator[tuple[bytes, Part]]:
        """Yield the lines of a part, each with the part that begins there."""
        quiet = Reader(Problems())
        for number, at, block, _ in quiet._blocks(part):
            place = at
            for offset, line in enumerate(block.removesuffix(b"\n").split(b"\n")):
                yield line, evolve(part, start=place, line=number + offset, whole=True)
                place += len(line) + 1


def _cut(parts: list[Part], part: Part) -> None:
    """Let the last of ``parts`` end where another begins."""
    parts[-1] = evolve(parts[-1], stop=part.start)
    parts.append(part)


def one_by_one(
    block: bytes, number: int, tell: Callable[[int, str], None], *, is_end: bool
) -> tuple[list[LogEvent], bytes]:
    """Return the events of a block in which something is wrong, and their lines; say what is.

    ``number`` is that of its first line, ``is_end`` whether the last line of the file is in it
    and has no newline.
    """
    found: list[LogEvent] = []
    kept: list[bytes] = []
    lines = block.removesuffix(b"\n").split(b"\n")
    for line in lines:
        event, reason = decode_line(line)
        if event is not None:
            if not is_cowries(event.eventid):
                reason = problems.NOT_COWRIES
            elif events.session_key(event) is None:
                reason = problems.NO_SESSION
            else:
                found.append(event)
                kept.append(line)
        if reason is not None:
            if reason == problems.NOT_JSON and is_end and line is lines[-1]:
                reason = problems.CUT
            tell(number, reason)
        number += 1
    return found, b"\n".join(kept)


def timed(found: list[LogEvent]) -> list[float | None]:
    """Let events that were decoded together know their times; return those of their stamps."""
    ticks = parse_timestamps([event.timestamp for event in found])
    if found[0].stamped:  # then all are
        for event, tick in zip(found, ticks, strict=True):
            event.time = tick
    else:
        for event, tick in zip(found, ticks, strict=True):
            event.time = tick if event.time is ABSENT else events.tick(event)
    return ticks


def in_order(latest: float, ticks: list[float | None]) -> list[float] | None:
    """Return the times themselves if none goes back."""
    try:
        if ticks[0] >= latest and sorted(ticks) == ticks:  # type: ignore[operator, type-var]
            return ticks  # type: ignore[return-value]
    except TypeError:  # one is unknown
        pass
    return None


def latest_at_each(latest: float, ticks: list[float | None]) -> list[float]:
    """Return the latest time so far at each, but for an event that is alone in the future."""
    keys = []
    for tick, after in zip_longest(ticks, ticks[1:]):
        alone = tick is not None and after is not None and latest - SEAM <= after < tick - SEAM
        if tick is not None and not alone:
            latest = max(latest, tick)
        keys.append(latest)
    return keys


def seam_among(
    latest: float, ticks: list[float | None], found: list[LogEvent], first: LogEvent
) -> bool:
    """Return whether another log may begin among these events."""
    for tick, event in zip(ticks, found, strict=True):
        if tick is None:
            continue
        if tick < latest - SEAM or (tick < latest and _alike(event, first)):
            return True
        latest = max(latest, tick)
    return False


def _alike(event: LogEvent, other: LogEvent) -> bool:
    """Return whether two events can be the same: each may be decoded in another way."""
    return bool(
        event.timestamp == other.timestamp
        and event.eventid == other.eventid
        and event.session == other.session
    )
