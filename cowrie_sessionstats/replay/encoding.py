"""Records to lines of JSON and back, fast."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from cowrie_sessionstats.replay.counting import Values
from cowrie_sessionstats.summary import KEYS

# What equals its default is left out, and the default is what an unknown value is: None.
_Record: Final[Any] = msgspec.defstruct(
    "_Record", [(key, Any, None) for key in KEYS], omit_defaults=True, gc=False
)
_encoder: Final = msgspec.json.Encoder()


def encode(values: Values) -> bytes:
    """Return a record, given in the order of ``KEYS``, as a line of JSON without its newline.

    ASCII only, as the log is: what an attacker sent must not steer a terminal.
    """
    try:
        line = _encoder.encode(_Record(*values))
    except UnicodeEncodeError:  # half a surrogate pair
        line = b"\xff"
    if line.isascii():
        return line
    known = {key: value for key, value in zip(KEYS, values, strict=True) if value is not None}
    return json.dumps(known, separators=(",", ":")).encode("ascii")


def read_record(line: bytes) -> dict[str, Any]:
    """Return the record on a line of JSON."""
    try:
        record: dict[str, Any] = msgspec.json.decode(line)
    except msgspec.MsgspecError:  # half a surrogate pair
        record = json.loads(line)
    return record
