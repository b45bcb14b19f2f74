"""Times as Cowrie writes them, and the differences between them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

YEAR_10000: Final = 253_402_300_799
"""Seconds since 1970: what datetime can express ends there, but for one second, since rounding
must not lead behind the end."""

_STAMP_LIMIT: Final = 40  # characters of a time: Cowrie's have at most 31
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive: the fast path has cut the Z off
_COWRIE_STAMP: Final = len("2026-03-18T10:00:00.123456Z")
_STAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)


WHOLE: Final = float(3 << 51)
"""Added to a number of microseconds, it leaves the bits no room for a part of one: the sum is
whole, rounded half to even, and the difference of two such sums is exact.

Cowrie rounds the time so when it writes it. A tick less a number near it, in whole seconds, has
bits to spare, so that one read from ``time`` and one from the ``timestamp`` of the same event give
the same. (What is 71 years from that number is rounded to two microseconds.)
"""


def between(earlier: float | None, later: float | None) -> float | None:
    """Return the seconds between two times; None if either is unknown or the clock went back.

    To the microsecond, which is what Cowrie writes.
    """
    if earlier is None or later is None or later < earlier:
        return None
    base = float(int(earlier))
    return (((later - base) * 1e6 + WHOLE) - ((earlier - base) * 1e6 + WHOLE)) / 1e6


def parse_timestamp(stamp: Any) -> float | None:
    """Return the seconds since 1970 UTC of an ISO 8601 time; None for anything else.

    Cowrie writes ``Z`` when it runs in UTC and a numeric offset otherwise; without either, UTC.
    """
    return _parsed(stamp) if isinstance(stamp, str) and len(stamp) <= _STAMP_LIMIT else None


@lru_cache(256)  # a record asks for the same two or three times over and over
def _parsed(stamp: str) -> float | None:
    if _is_cowries(stamp):
        try:
            seconds = (datetime.fromisoformat(stamp[:-1]) - _EPOCH).total_seconds()
        except (TypeError, ValueError):
            return None
        return seconds if 0 <= seconds < YEAR_10000 else None
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return None
    day, clock, fraction, sign, hours, minutes = match.groups()
    try:
        when = datetime.fromisoformat(f"{day}T{clock}")
    except ValueError:
        return None
    fraction_micros = int(f"{fraction or '':0<6.6}")
    shift = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    seconds = (when - _EPOCH - (shift if sign != "-" else -shift)).total_seconds()
    return seconds + fraction_micros / 1_000_000 if 0 <= seconds < YEAR_10000 else None


def _is_cowries(stamp: Any) -> bool:
    """Return whether a time has the form that Cowrie gives it in UTC."""
    return (
        isinstance(stamp, str)
        and len(stamp) == _COWRIE_STAMP
        and stamp[-1] == "Z"
        and stamp[7] == "-"
        and stamp[19] == "."
    )


def format_timestamp(when: float, stamp: Any = None) -> str:
    """Return seconds since 1970 as Cowrie writes a time in UTC: microseconds and ``Z``.

    ``stamp`` is the text that they were read from, if any: most often it is the answer.
    """
    if _is_cowries(stamp) and stamp[10] == "T":
        return str(stamp)
    return (_EPOCH + timedelta(seconds=when)).isoformat(timespec="microseconds") + "Z"


_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def ago(seconds: float) -> str:
    """Return a time for people, in the largest unit that it fills."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "0 s"
