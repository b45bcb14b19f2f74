"""The record as columns of a table: their types, and what a value in them has to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

from cowrie_sessionstats.summary import KEYS, Summary

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


def _schema() -> dict[str, str]:
    """Return Ibis's type of each key."""
    names: Mapping[Any, str] = {str: "string", int: "int64", float: "float64", bool: "boolean"}
    hints = get_type_hints(Summary)
    types = {}
    for key in KEYS:
        options = [option for option in get_args(hints[key]) if option is not type(None)]
        hint = options[0] if type(None) in get_args(hints[key]) else hints[key]
        if get_origin(hint) is tuple:
            types[key] = "array<string>"
        else:
            types[key] = names.get(hint) or names[type(get_args(hint)[0])]  # of a Literal
    return types


SCHEMA: Final = _schema()


def is_bounded(key: str) -> bool:
    """Return whether what is not from 0 to ``MOST`` is unknown."""
    return SCHEMA[key] == "float64" or key in COUNTED
