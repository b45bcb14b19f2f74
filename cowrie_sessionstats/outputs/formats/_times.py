"""When a session was, whatever the sensor's clock is set to."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from cowrie_sessionstats.outputs.sending import TIME, Record
from cowrie_sessionstats.timestamps import format_timestamp, parse_timestamp

ZONE: Final = 900.0
"""Seconds by which time zones differ, or a multiple of them (IANA's database, all of today's)."""

FARTHEST: Final = 14 * 3600.0
"""Seconds between UTC and the zone that is farthest from it (Kiribati)."""

SAME: Final = 1.0
"""Seconds that two times of the same close may be apart."""


@frozen
class Times:
    """Of one session, in seconds since 1970; None for what is not known."""

    start: float | None
    end: float | None
    event: float | None
    """Of the record: the close, else the last that is known."""
    is_local: bool
    """Whether the record's own texts are in the sensor's local time."""


def times_of(record: Record) -> Times:
    """Return a record's times, put right by ``TIME`` where that is another than its close.

    A machine that is not set to UTC writes local time with a Z (see ``events.tick``): its events
    would stand hours away from those of the same attack in other logs.
    """
    start, end = _seconds(record, "start"), _seconds(record, "end")
    close = _first(_seconds(record, "timestamp"), end)
    shift = _shift(record.get(TIME), close)
    if shift:
        start, end, close = _plus(start, shift), _plus(end, shift), _plus(close, shift)
    return Times(start, end, _first(end, close, start), is_local=bool(shift))


def _shift(known: Any, close: float | None) -> float:
    """Return the seconds to add to local time; 0 if the two differ by no time zone."""
    if not isinstance(known, float) or close is None:
        return 0.0
    apart = known - close
    zones = round(apart / ZONE) * ZONE if abs(apart) <= FARTHEST + SAME else 0.0
    return zones if abs(apart - zones) < SAME else 0.0


def stamp(seconds: float | None) -> str | None:
    """Return a time as Cowrie writes it in UTC."""
    return None if seconds is None else format_timestamp(seconds)


def _seconds(record: Record, key: str) -> float | None:
    value: Any = record.get(key)
    return parse_timestamp(value)


def _plus(seconds: float | None, shift: float) -> float | None:
    return None if seconds is None else seconds + shift


def _first(*times: float | None) -> float | None:
    return next((time for time in times if time is not None), None)
