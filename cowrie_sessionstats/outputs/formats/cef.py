"""A record in ArcSight's Common Event Format (CEF), version 0, on one line of UTF-8."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from cowrie_sessionstats import __version__, timestamps
from cowrie_sessionstats._toml import packaged
from cowrie_sessionstats.outputs.formats.keyvalue import as_key, as_text
from cowrie_sessionstats.outputs.sending import Record
from cowrie_sessionstats.summary import printable

_HEADER: Final = str.maketrans({"\\": r"\\", "|": r"\|", "\n": " ", "\r": " "})
_EXTENSION: Final = str.maketrans({"\\": r"\\", "=": r"\=", "\n": r"\n", "\r": r"\r"})
_IPV6: Final = 6


@frozen
class Dictionary:
    """Which key of CEF each key of a record goes to, as ``cef.toml`` has it."""

    header: dict[str, str]
    severity: dict[str, int]
    times: dict[str, str]
    keys: dict[str, str]
    addresses: dict[str, list[str]]
    labelled: dict[str, str]


@lru_cache(1)
def dictionary() -> Dictionary:
    """Return the dictionary of the package."""
    return Dictionary(**packaged("cowrie_sessionstats.outputs.formats", "cef.toml"))


def to_cef(record: Record) -> str:
    r"""Return the event: every key of the record is in it, but what is null or empty.

    Escapes are those of "Implementing ArcSight Common Event Format", section on character
    encoding: ``\|`` and ``\\`` in the header; ``\=``, ``\\``, ``\n`` and ``\r`` in values.
    Other characters that are not printable are shown as their escape in Python. Lists are JSON.
    Raises ValueError or TypeError for a value that JSON cannot express.
    """
    known = dictionary()
    head = "|".join(
        str(part).translate(_HEADER)
        for part in (
            "CEF:0",
            known.header["vendor"],
            known.header["product"],
            __version__,
            _visible(as_text(record.get("eventid", ""))),
            known.header["name"],
            _severity(record, known),
        )
    )
    pairs = (
        f"{key}={_visible(text).translate(_EXTENSION)}"
        for name, value in record.items()
        if value not in (None, "", [], ())
        for key, text in _pairs(name, value, known)
    )
    return f"{head}|{' '.join(pairs)}"


def _severity(record: Record, known: Dictionary) -> int:
    if record.get("downloads") or record.get("uploads"):
        return known.severity["files"]
    return known.severity["logged_in" if record.get("logged_in") else "visited"]


def _pairs(name: str, value: Any, known: Dictionary) -> list[tuple[str, str]]:
    """Return the pairs of CEF for a key of the record."""
    text = as_text(value)
    if name == "logged_in":
        return [("outcome", "success" if value else "failure")]
    if name in known.keys:
        return [(known.keys[name], text)]
    if name in known.labelled:
        key = known.labelled[name]
        return [(f"{key}Label", name), (key, text)]
    when = timestamps.parse_timestamp(value) if name in known.times else None
    if when is not None:
        return [(known.times[name], str(round(when * 1000)))]
    version = _version(text) if name in known.addresses else None
    if version is not None:
        four, six, label = known.addresses[name]
        return [(f"{six}Label", label), (six, text)] if version == _IPV6 else [(four, text)]
    return [(own_key(name), text)]


def own_key(name: str) -> str:
    """Return the key of our own for a key of the record: ``cowrieGapMedian`` for ``gap_median``."""
    return "cowrie" + "".join(part[:1].upper() + part[1:] for part in as_key(name).split("_"))


def _version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


def _visible(text: str) -> str:
    """Return a text in which everything but line ends is printable."""
    if text.isprintable():
        return text
    return "".join(c if c in "\r\n" else printable(c, 1) for c in text)
