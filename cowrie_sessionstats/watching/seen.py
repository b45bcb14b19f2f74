"""What a record says of its session, whoever wrote it; and how that is shown to people."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from cowrie_sessionstats.events import SUMMARY_EVENTID
from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.timestamps import parse_timestamp

TEXT: Final = 1024
"""Characters of a text that are kept: a record's longest."""

_LARGEST: Final = 1e15
"""Greater numbers are no figures of a session, and cannot be shown as one."""

_UNSTEADY: Final = re.compile(
    "[\u1160-\u11ff\ud7b0-\ud7ff\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]"
)
"""Vowels of Korean syllables, halves of flags, colours of skin: they join what is before them on
one terminal and not on the other, so that no column behind them would be in its place."""


def decoded(line: bytes) -> dict[str, Any] | None:
    """Return the record on a line; None if it is anything else."""
    if _MARK not in line:
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("eventid") != SUMMARY_EVENTID:
        return None
    return record if isinstance(record.get("session"), str) else None


_MARK: Final = SUMMARY_EVENTID.encode()


def text(record: Mapping[str, Any], key: str, most: int = TEXT) -> str | None:
    """Return a text of the record, cut; None if it is not there, or something else."""
    value = record.get(key)
    return value[:most] if isinstance(value, str) else None


def number(record: Mapping[str, Any], key: str) -> float | None:
    """Return a number of the record, from 0 on; None for anything else."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 <= value < _LARGEST else None  # of integers, some are no floats


def whole(record: Mapping[str, Any], key: str) -> int:
    """Return a count of the record; 0 if it is not there."""
    return int(number(record, key) or 0)


def texts(record: Mapping[str, Any], key: str) -> list[str]:
    """Return the texts of a list of the record."""
    value = record.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


@frozen
class Seen:
    """What is shown of a session; None: nothing is known."""

    session: str
    sensor: str
    protocol: str | None
    src_ip: str | None
    username: str | None
    start: float | None
    end: float | None
    """Both in seconds since 1970."""
    duration: float | None
    logged_in: bool
    commands: int
    files: int
    """Downloads and uploads."""
    first: str | None
    """Template of the first command."""
    last: str | None
    """The last command."""
    fingerprint: str | None
    ending: str | None
    automation: str | None
    is_new: bool
    """Whether its script was never seen before, as far as the history knows."""
    revision: int


def seen_of(record: Mapping[str, Any], most: int = TEXT) -> Seen:
    """Return what is shown of a record's session, texts of so many characters."""
    templates = texts(record, "templates")
    return Seen(
        session=text(record, "session", most) or "",
        sensor=text(record, "sensor", most) or "",
        protocol=text(record, "protocol", most),
        src_ip=text(record, "src_ip", most),
        username=text(record, "username", most),
        start=parse_timestamp(record.get("start")),
        end=parse_timestamp(record.get("end")),
        duration=number(record, "duration"),
        logged_in=record.get("logged_in") is True,
        commands=whole(record, "commands"),
        files=whole(record, "downloads") + whole(record, "uploads"),
        first=templates[0][:most] if templates else None,
        last=text(record, "last_command", most),
        fingerprint=text(record, "fingerprint", most),
        ending=text(record, "ending", most),
        automation=text(record, "automation", most),
        is_new=is_new(record),
        revision=whole(record, "revision"),
    )


def is_new(record: Mapping[str, Any]) -> bool:
    """Return whether nobody came with a session's script before, as far as the history knows."""
    return number(record, "seen_before") == 0


def shown(value: str, limit: int) -> str:
    """Return text for a terminal: ``printable``, and every character in a column of its own.

    What joins the character before it (accents that stand alone, and the like) is shown as its
    escape: terminals do not agree how wide that is.
    """
    safe = printable(value, limit)
    if safe.isascii():
        return safe
    return "".join(
        c.encode("unicode_escape").decode("ascii")
        if unicodedata.category(c).startswith("M") or _UNSTEADY.match(c)
        else c
        for c in safe
    )


def cells(shown: str) -> int:
    """Return how many columns of a terminal a text takes that was made by ``shown``."""
    if shown.isascii():
        return len(shown)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown)


def fitted(shown: str, width: int) -> str:
    """Return the part of such a text that fits into so many columns."""
    if len(shown) * 2 <= width or cells(shown) <= width:
        return shown
    kept = 0
    for place, c in enumerate(shown):
        kept += 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if kept > width:
            return shown[:place]
    return shown
