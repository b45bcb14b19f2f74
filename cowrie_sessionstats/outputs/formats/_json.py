"""JSON that every receiver can read, whatever stands in a record."""

from __future__ import annotations

import json
import re
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"
"""Unicode's own sign for what is no character."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ascii: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_unicode: Final = json.JSONEncoder(
    separators=(",", ":"), allow_nan=False, ensure_ascii=False
).encode


def encode(value: Any) -> str:
    r"""Return ``value`` as one line of JSON, ASCII only.

    A lone surrogate (a byte that was no UTF-8, as Cowrie keeps it) becomes U+FFFD: as ``\udcff``,
    Elasticsearch refuses the document and other parsers the whole batch. RFC 8259, section 8.2,
    calls it unpredictable. Raises ValueError for NaN and infinities, which JSON has not.
    """
    text = _ascii(value)
    if "\\ud" not in text:
        return text
    raw = _unicode(value)
    cleaned = _SURROGATE.sub(REPLACEMENT, raw)
    return text if cleaned == raw else _ascii(json.loads(cleaned))


def decode(body: bytes) -> Any:
    """Return what a receiver's JSON says; ValueError if it is none."""
    try:
        return json.loads(body)
    except RecursionError as error:  # thousands of brackets, one in the other
        msg = "nested too deeply"
        raise ValueError(msg) from error
