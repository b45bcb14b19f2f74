"""What was read of each piece of a log, and what all pieces come to, however often they were read.

A task of Spark's runs again where a worker was lost, or was slow: what a piece came to is kept by
its place, so that what comes twice counts once.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, field, frozen

from cowrie_sessionstats.replay import problems
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.reading import BEFORE_ALL, LINE_LIMIT, Tally

LONGEST: Final = 2 * LINE_LIMIT
"""Bytes of a line that Spark's reader hands on. It skips what is longer and says so to nobody,
but that the bytes are missing in the sum."""


@define(eq=False)
class Piece:
    """What was read of a piece of a log."""

    lines: int = 0
    events: int = 0
    summaries: int = 0
    """Events that are summaries of ours: no raw log has more of them than of others."""
    bytes: int = 0
    """Of its lines, each with a newline."""
    skipped: dict[str, tuple[int, int]] = field(factory=dict)
    """By reason: how many lines, and the number of the first within the piece."""
    ends_badly: bool = False
    """Whether its last line is no JSON: perhaps it was cut off."""
    first: float | None = None
    """The time of its first event; None if it has none."""
    latest: float = BEFORE_ALL
    goes_back: bool = False
    """Whether another log may begin in it."""
    trouble: str | None = None
    """Why it could not be read to its end."""

    def skip(self, number: int, reason: str) -> None:
        """Take note of a line that is skipped."""
        count, first = self.skipped.get(reason, (0, number))
        self.skipped[reason] = count + 1, first


@define(eq=False)
class Gathered:
    """What became of the sessions of one partition."""

    records: int = 0
    left_open: int = 0
    dropped: int = 0


class ByPlace:
    """How an accumulator of Spark's keeps what became of each place."""

    def zero(self, _: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return nothing."""
        return {}

    def addInPlace(self, known: dict[Any, Any], more: Mapping[Any, Any]) -> dict[Any, Any]:  # noqa: N802 - Spark's
        """Take what else is known."""
        known.update(more)
        return known


@frozen
class Extent:
    """A log that was read in pieces."""

    name: str
    size: int | None = None
    """Its bytes, if the pieces' lines come to that."""
    first: int = 1
    """The number of its first line."""


def suspicious(pieces: Mapping[int, Piece]) -> bool:
    """Return whether the pieces of a log, by where they begin, have to be read as one.

    Times go back between two of them, or another log may begin in one.
    """
    latest = BEFORE_ALL
    for _, piece in sorted(pieces.items()):
        if piece.goes_back or (piece.first is not None and piece.first < latest):
            return True
        latest = max(latest, piece.latest)
    return False


def add_up(
    extents: Iterable[tuple[Extent, Mapping[int, Piece]]], tally: Tally, found: Problems
) -> None:
    """Add up the pieces of logs: the number of a line counts from its log's beginning."""
    for extent, pieces in extents:
        ordered = sorted(pieces.items())
        end = 0
        skips: list[tuple[int, str, int]] = []
        line = extent.first
        starts = [*(start for start, _ in ordered[1:]), extent.size or 0]
        for (_, piece), following in zip(ordered, starts, strict=False):  # without a piece: none
            skips += [
                (line + first, reason, count) for reason, (count, first) in piece.skipped.items()
            ]
            end += piece.bytes
            if extent.size is not None and following - end > LONGEST:
                skips.append((line + piece.lines, problems.TOO_LONG, 1))
                tally.lines += 1
                end = following
            line += piece.lines
            tally.lines += piece.lines
            tally.events += piece.events
            tally.bytes += piece.bytes
            if piece.trouble is not None:
                found.file(extent.name, piece.trouble)
        if ordered and ordered[-1][1].ends_badly and lacks_newline(extent.size, end):
            skips = _cut_off(skips, line - 1)
        for place, reason, count in sorted(skips):
            found.line(extent.name, place, reason)
            found.lines[reason].count += count - 1


def lacks_newline(size: int | None, read: int) -> bool:
    """Return whether the last line of a log has none: each that was read counts with one."""
    # Spark takes away a mark of the order of bytes at the beginning.
    return size is not None and read in {size + 1, size + 1 - len(BOM_UTF8)}


def _cut_off(skips: list[tuple[int, str, int]], last: int) -> list[tuple[int, str, int]]:
    """Say of the last line, which is no JSON and has no newline, that it is cut off."""
    kept = [(last, problems.CUT, 1)]
    taken = False
    for place, reason, count in reversed(skips):
        if reason == problems.NOT_JSON and not taken:
            taken = True
            if count > 1:
                kept.append((place, reason, count - 1))
        else:
            kept.append((place, reason, count))
    return kept
