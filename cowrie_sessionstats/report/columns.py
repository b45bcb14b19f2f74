"""The record as columns of a table: their types, and what a value in them has to be."""

from __future__ import annotations

from typing import Final

from cowrie_sessionstats.summary import KINDS

MOST: Final = 999_999_999_999
"""What a number of commands, of seconds or a rate can be at most: what is larger, negative or no
number is nonsense that someone wrote into a file, and unknown. So no sum of theirs overflows, and
each is an exact decimal of twelve digits and six behind the point."""

COUNTED: Final = ("commands", "command_events")
"""Counts that are added up. Others are only compared, which DuckDB does without reading them all,
but not through an expression."""

IDENTITY: Final = ("uuid", "sensor", "session", "start")
"""What tells one session from another: as the records of a session, whatever their revision, have
it in common."""

LATEST: Final = (
    "revision",
    "late_events",
    "end",
    "schema",
    "ending",
    "automation_score",
    "message",
)
"""What the last record of a session has the highest values of, the first of these first. Behind the
end they tell apart what two versions of this program made of one session: the one that says more
is taken, and always the same."""

NEEDED: Final = ("eventid", "session", "command_events")
"""Without which no table is one of summaries."""


_TYPES: Final = {
    "text": "string",
    "integer": "int64",
    "number": "float64",
    "boolean": "boolean",
    "texts": "array<string>",
}
SCHEMA: Final = {key: _TYPES[kind] for key, kind in KINDS.items()}
"""Ibis's type of each key."""


def is_bounded(key: str) -> bool:
    """Return whether what is not from 0 to ``MOST`` is unknown."""
    return KINDS[key] == "number" or key in COUNTED
