"""The id of a record, by which a receiver knows that it has it already."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Final

from cowrie_sessionstats.outputs.sending import Record

LENGTH: Final = 32
"""Hex digits of an id: 128 bits, so that not even 2**50 records have two alike by chance."""

_KEYS: Final = ("uuid", "sensor", "session", "start", "revision")
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def record_id(record: Record) -> str:
    """Return the id of a record: the same for the same record, whoever sends it and when.

    The first 32 hex digits of the SHA-256 of ``["uuid","sensor","session","start",revision]``, a
    JSON array of those keys' values (ASCII, no spaces, null for a key that is absent). A later
    revision of a session has another id.
    """
    return sha256(_encode([record.get(key) for key in _KEYS]).encode("ascii")).hexdigest()[:LENGTH]
