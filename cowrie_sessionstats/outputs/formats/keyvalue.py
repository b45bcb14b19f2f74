r"""A record as ``key=value`` pairs on one line of ASCII.

The grammar: pairs are separated by one space; a key is made of ``A-Z a-z 0-9 _``. A value that is
made of ``A-Z a-z 0-9 _ . : / @ % + -`` only stands as it is. Any other, the empty one too, is a
JSON string: in double quotes, with ``\"``, ``\\``, ``\n`` and ``\uXXXX`` for what is not
printable ASCII. A list is the text of its JSON array. Numbers, true and false are as in JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from cowrie_sessionstats.outputs.sending import Record

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/@%+-]+")
_NO_KEY: Final = re.compile(r"[^A-Za-z0-9_]")
_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def to_keyvalue(record: Record) -> str:
    """Return the pairs, in the record's order; what is null is left out.

    Raises ValueError or TypeError for a value that JSON cannot express.
    """
    return " ".join(
        f"{as_key(name)}={_value(value)}" for name, value in record.items() if value is not None
    )


def as_key(name: str) -> str:
    """Return a name with ``_`` for what cannot be in a key."""
    return _NO_KEY.sub("_", name) or "_"


def as_text(value: Any) -> str:
    """Return a text as it is, and anything else as JSON."""
    return value if isinstance(value, str) else _encode(value)


def _value(value: Any) -> str:
    text = as_text(value)
    return text if _PLAIN.fullmatch(text) else _encode(text)
