"""Lines of a log to events, fast; the only module that needs msgspec."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from cowrie_sessionstats import events
from cowrie_sessionstats.events import ABSENT
from cowrie_sessionstats.replay import problems
from cowrie_sessionstats.replay._extra import EXTRA

try:
    import msgspec
except ImportError:
    raise ImportError(f"the package msgspec is missing. {EXTRA}") from None


def _get(event: Any, key: str, default: Any = None) -> Any:
    value = getattr(event, key, ABSENT)
    return default if value is ABSENT else value


def _item(event: Any, key: str) -> Any:
    value = getattr(event, key, ABSENT)
    if value is ABSENT:
        raise KeyError(key)
    return value


def _has(event: Any, key: str) -> bool:
    return getattr(event, key, ABSENT) is not ABSENT


LogEvent: TypeAlias = Any
"""One event: an attribute for each of ``events.FIELDS``, ``ABSENT`` where the line has none.

It reads as the dictionary does that Cowrie hands to its outputs (``get``, ``[]``, ``in``), so that
``events.read`` takes it. A value can be of any type: what to make of it is said there.
"""

_Event: Final[Any] = msgspec.defstruct(
    "LogEvent",
    [(name, Any, ABSENT) for name in events.FIELDS],
    namespace={"get": _get, "__getitem__": _item, "__contains__": _has},
    gc=False,  # made of JSON, so never part of a cycle
)
_decoder: Final = msgspec.json.Decoder(_Event)
_ALIKE: Final = 10  # {"eventid"
_WHITE: Final = b" \t\r\n\0"
_BOM: Final = b"\xef\xbb\xbf"


def decode_block(block: bytes, lines: int) -> list[LogEvent] | None:
    """Return the events of a block of whole lines; None if each line has to be looked at.

    ``lines`` is how many there are, so that the nth event is known to be the nth line.
    """
    # msgspec takes a line with two objects, and one object on two lines, too: where each line
    # begins and ends as one object does, and there are as many objects, neither can be.
    if not (block.startswith(b"{") and block.endswith(b"}\n")):
        return None
    # Most logs begin every line alike, and a longer text is found faster.
    alike = block.count(b"}\n%b" % block[:_ALIKE])
    if alike != lines - 1 and block.count(b"}\n{") != lines - 1:
        return None
    try:
        found = _decoder.decode_lines(block)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return found if len(found) == lines else None


def decode_line(line: bytes) -> tuple[LogEvent | None, str | None]:
    """Return the event on a line, or the reason why there is none; of a blank line neither.

    NUL bytes around it, which a crash of the machine leaves in a file, are taken away. What
    msgspec refuses and Python's own reader takes (half a surrogate pair, NaN, numbers without
    end) is read by that.
    """
    text = line.strip(_WHITE).removeprefix(_BOM).strip(_WHITE)
    if not text:
        return None, problems.NUL_BYTES if b"\0" in line else None
    try:
        return _decoder.decode(text), None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    try:
        # A stray byte must not cost the event.
        raw = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None, problems.NUL_BYTES if b"\0" in text else problems.NOT_JSON
    if not isinstance(raw, dict):
        return None, problems.NO_OBJECT
    return _Event(**{name: raw[name] for name in events.FIELDS if name in raw}), None
