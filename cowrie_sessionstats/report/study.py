"""The tables of the study "DShield Cowrie honeypot stats and when sessions disconnect"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ibis import Table as Expression

from cowrie_sessionstats.report import figures
from cowrie_sessionstats.report.asking import (
    EXAMPLE,
    FINGERPRINT,
    PERCENT,
    RUNNING,
    SESSIONS,
    Ask,
    rounded,
)
from cowrie_sessionstats.report.engine import Row
from cowrie_sessionstats.report.tables import Column, Table

SINGLES: Final = 32
"""Commands a session up to which every number has a bar of its own in the histogram."""
_PLACEHOLDER: Final = re.compile(r"(?<!\\)<[a-z]+[0-9]*>")
_PIECE: Final = re.compile(figures.PIECE)


def figure2(counts: Sequence[Row]) -> Table:
    """Return the histogram: every number for itself while they are small."""
    known = [row for row in counts if row["commands"] is not None]
    rows: list[Row] = []
    for low, high in _bins(max((row["commands"] for row in known), default=0)):
        there = [row for row in known if low <= row["commands"] <= high]
        rows.append(
            {
                "from": low,
                "to": high,
                "sessions": sum(row["sessions"] for row in there),
                "example": there[0]["example"] if there else None,
            }
        )
    return Table(
        "figure2",
        "Commands a session",
        f"Up to {SINGLES} every number for itself, then twice as many with every row.",
        (Column("from", "from"), Column("to", "to"), SESSIONS, EXAMPLE),
        rows,
    )


def _bins(most: int) -> list[tuple[int, int]]:
    bins = [(number, number) for number in range(min(most, SINGLES) + 1)]
    low = SINGLES + 1
    while low <= most:
        bins.append((low, 2 * (low - 1)))
        low = 2 * (low - 1) + 1
    return bins


def figure4(counts: Sequence[Row], top: int) -> Table:
    """Return the most frequent numbers of commands."""
    return Table(
        "figure4",
        "The most frequent numbers of commands",
        "Figures 3 and 4 of the study.",
        (Column("commands", "commands"), SESSIONS, PERCENT, RUNNING, EXAMPLE),
        rounded(counts[:top]),
        len(counts) > top,
    )


def figure5(ask: Ask, scripts: Expression) -> Table:
    """Return the scripts whose sessions differ only in what varies."""
    rows, more = ask.first(figures.figure5(scripts))
    for row in rows:
        row["varies"] = _varies(row)
    return Table(
        "figure5",
        "Alike, though their exact hashes differ",
        "Sessions of one fingerprint; what can vary is what its templates leave out. Shares are of "
        "the sessions that ran a command line.",
        (
            FINGERPRINT,
            SESSIONS,
            PERCENT,
            Column("hashes", "exact hashes"),
            Column("commands_min", "fewest commands"),
            Column("commands_max", "most commands"),
            Column("varies", "what can vary", "texts"),
            Column("last_template", "ends with", "text"),
            EXAMPLE,
        ),
        rounded(rows),
        more,
    )


def _varies(script: Row) -> list[str]:
    """Return what a script's sessions may differ in: what its templates leave out."""
    found: dict[str, int] = {}
    for template in script["templates"] or ():
        for placeholder in set(_PLACEHOLDER.findall(template)):
            found[placeholder] = found.get(placeholder, 0) + 1
    said = [
        f"{placeholder} in {count} command{'s' if count > 1 else ''}"
        for placeholder, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    if script["commands_min"] != script["commands_max"]:
        said.append("how often commands are repeated")
    return said


def figure6(counts: Sequence[Row]) -> Table:
    """Return durations by the number of commands."""
    several = [row for row in counts if row["sessions"] > 1]
    return Table(
        "figure6",
        "Durations by the number of commands",
        "Numbers that at least two sessions have. Commands a second: number / mean duration.",
        (
            Column("commands", "commands"),
            SESSIONS,
            Column("min", "shortest", "seconds"),
            Column("max", "longest", "seconds"),
            Column("range", "range", "seconds"),
            Column("mean", "mean", "seconds"),
            Column("rate", "commands a second", "rate"),
            EXAMPLE,
        ),
        rounded(several),
    )


def figure7(ask: Ask, chosen: Expression) -> Table:
    """Return the sessions with the highest command rates."""
    rows, more = ask.first(figures.figure7(chosen))
    return Table(
        "figure7",
        "The highest command rates",
        "Sessions with more than one command; commands / duration.",
        (
            Column("session", "session", "text"),
            Column("sensor", "sensor", "text"),
            Column("start", "start", "time"),
            Column("src_ip", "from", "text"),
            Column("commands", "commands"),
            Column("duration", "duration", "seconds"),
            Column("rate", "commands a second", "rate"),
            Column("last_command", "last command", "text"),
            FINGERPRINT,
        ),
        rounded(rows),
        more,
    )


_PIECES: Final = 3  # templates of pieces that a row shows


def chunks(ask: Ask, scripts: Expression) -> Table:
    """Return the scripts that build something piece by piece."""
    rows, more = ask.first(figures.chunks(scripts))
    for row in rows:
        row["builds"] = [text for text in row["templates"] if _PIECE.search(text)][:_PIECES]
    return Table(
        "chunks",
        "Built piece by piece",
        f"Scripts that write pieces of something and repeat templates at least {figures.CHUNKS} "
        "times: one fingerprint, whatever the number of pieces.",
        (
            FINGERPRINT,
            SESSIONS,
            Column("steps", "different steps"),
            Column("commands_min", "fewest commands"),
            Column("commands_max", "most commands"),
            Column("builds", "pieces", "texts"),
            Column("last_template", "ends with", "text"),
            EXAMPLE,
        ),
        rounded(rows),
        more,
    )


def figure8(ask: Ask, last: Expression) -> Table:
    """Return the last commands."""
    rows, more = ask.first(last)
    return Table(
        "figure8",
        "Last commands",
        "Of the sessions that ran any. Commands with the same template are one row; the text is "
        "one of them.",
        (
            Column("last", "last command", "text"),
            SESSIONS,
            PERCENT,
            RUNNING,
            Column("different", "different texts"),
            EXAMPLE,
        ),
        rounded(rows),
        more,
    )
