"""Shortens a record until it fits: the longest texts and lists first, and it says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from cowrie_sessionstats.outputs.sending import Record

KEPT: Final = frozenset(
    {"eventid", "schema", "session", "uuid", "src_ip", "start", "end", "timestamp"} | {"truncated"}
)
"""Keys that are never shortened: by them a record is found, and what was cut."""

_LEAST: Final = 16
"""Bytes below which a value is not worth cutting: the name in ``truncated`` may be as long."""


def fitted(record: Record, render: Callable[[Record], str], limit: int) -> bytes:
    """Return the record as ``render`` writes it, in UTF-8 and in ``limit`` bytes at most.

    Cut values are named in its ``truncated``. ValueError if it does not fit even then.
    """
    # What is too long by itself is cut before it costs the time to be written.
    huge = [name for name, value in record.items() if _least(value) > limit and name not in KEPT]
    text = b"" if huge else render(record).encode()
    if not huge and len(text) <= limit:
        return text
    known = dict(record)
    truncated = known.get("truncated")
    cut = {str(name) for name in truncated} if isinstance(truncated, (list, tuple)) else set()
    for name in huge:
        known[name] = _shortened(known[name], limit)
        cut.add(name)
    if huge:
        known["truncated"] = sorted(cut)
        text = render(known).encode()
    sizes = {name: _size(value) for name, value in known.items() if _can_be_cut(name, value)}
    while len(text) > limit:
        name = max(sizes, key=sizes.__getitem__, default="")
        if sizes.get(name, 0) <= _LEAST:
            raise ValueError(f"needs {len(text)} bytes and cannot be shortened to {limit}")
        # Halves at most: what is over may be shared by several long values.
        target = max(sizes[name] - (len(text) - limit), sizes[name] // 2)
        known[name] = _shortened(known[name], target)
        sizes[name] = min(_size(known[name]), sizes[name] - 1)
        cut.add(name)
        known["truncated"] = sorted(cut)
        text = render(known).encode()
    return text


def _can_be_cut(name: str, value: Any) -> bool:
    return name not in KEPT and isinstance(value, (str, list, tuple))


def _least(value: Any) -> int:
    """Return how many bytes a text or list takes at least, whatever writes it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (list, tuple)):
        return sum(len(entry) if isinstance(entry, str) else 1 for entry in value)
    return 0


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _shortened(value: Any, target: int) -> Any:
    """Return the beginning of a text or list that takes about ``target`` bytes as JSON."""
    if isinstance(value, str):
        share = target / max(_size(value), 1)  # an escape takes up to twelve bytes
        return value[: min(int(len(value) * share), len(value) - 1)]
    kept, size = [], 2
    for entry in value[: len(value) - 1 or None]:
        size += _size(entry) + 1
        if size > target:
            break
        kept.append(entry)
    if not kept and value and isinstance(value[0], str) and len(value[0]) > 1:
        kept = [_shortened(value[0], target - 2)]
    elif len(kept) == len(value):
        kept = []
    return kept
