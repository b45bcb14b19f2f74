"""Lines of a log to events, fast; the only module that needs msgspec."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TypeAlias, Union

from attrs import define, field

from cowrie_sessionstats import events
from cowrie_sessionstats.events import ABSENT
from cowrie_sessionstats.replay import problems
from cowrie_sessionstats.replay._extra import EXTRA
from cowrie_sessionstats.timestamps import YEAR_10000, parse_timestamp

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
"""One event: an attribute for each of ``events.FIELDS``, ``ABSENT`` where the line has none; or, of
events that are decoded in blocks, for what is read of their kind (``events.READ_OF``).

It reads as the dictionary does that Cowrie hands to its outputs (``get``, ``[]``, ``in``), so that
``events.read`` takes it. A value can be of any type: what to make of it is said there.
"""

_READS_AS_DICTIONARY: Final = {"get": _get, "__getitem__": _item, "__contains__": _has}
_Event: Final[Any] = msgspec.defstruct(
    "LogEvent",
    [(name, Any, ABSENT) for name in events.FIELDS],
    namespace={**_READS_AS_DICTIONARY, "stamped": False},
    gc=False,  # made of JSON, so never part of a cycle
)
_decoder: Final = msgspec.json.Decoder(_Event)


def _kind(eventid: str) -> Any:
    """Return the type of events of one kind, with only what is read of them.

    No line of theirs has a ``time``, so that the one set later is the one that ``timestamp`` says.
    """
    names = dict.fromkeys((*events.ENVELOPE, *events.READ_OF.get(eventid, ())))
    return msgspec.defstruct(
        "LogEvent",
        [
            ("session", str) if name == "session" else (name, _TYPES.get(name, Any), ABSENT)
            for name in names
            if name != "eventid"
        ],
        namespace={**_READS_AS_DICTIONARY, "stamped": True, "eventid": eventid},
        tag=eventid,
        tag_field="eventid",
        gc=False,
    )


_TYPES: Final[Mapping[str, Any]] = {"time": None}
KINDS: Final = 100
"""Kinds of events that are known: Cowrie has some 40, and what else a log holds must not fill the
memory."""
_REFUSED: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


@define(eq=False)
class _Kinds:
    """The kinds of events that have been seen, each decoded to no more than what is read of it."""

    decoder: Any = field(init=False)
    _types: dict[str, Any] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._types = {eventid: _kind(eventid) for eventid in events.READ_OF}
        self.decoder = msgspec.json.Decoder(Union[tuple(self._types.values())])  # noqa: UP007

    def learn(self, eventids: set[str]) -> None:
        """Know these, too, from now on."""
        short = {eventid for eventid in eventids if len(eventid) <= events.ID_LIMIT}
        new = sorted(short - self._types.keys())[: KINDS - len(self._types)]
        if new:
            self._types.update((eventid, _kind(eventid)) for eventid in new)
            self.decoder = msgspec.json.Decoder(Union[tuple(self._types.values())])  # noqa: UP007


_kinds: Final = _Kinds()
_ALIKE: Final = 19  # {"eventid":"cowrie.
_WHITE: Final = b" \t\r\n\0"
_BOM: Final = b"\xef\xbb\xbf"


def decode_block(block: bytes, lines: int, *, whole: bool) -> list[LogEvent] | None:
    """Return the events of a block of whole lines; None if each line has to be looked at.

    ``lines`` is how many there are, so that the nth event is known to be the nth line. All are
    Cowrie's, each of a session; but for ``whole`` they hold no more than what is read of their
    kind.
    """
    # msgspec takes a line with two objects, and one object on two lines, too: where each line
    # begins and ends as one object does, and there are as many objects, neither can be.
    if not (block.startswith(b"{") and block.endswith(b"}\n")):
        return None
    # Most logs begin every line alike, and a longer text is found faster.
    alike = block.count(b"}\n%b" % block[:_ALIKE])
    if alike != lines - 1 and block.count(b"}\n{") != lines - 1:
        return None
    found = (None if whole else _decoded(_kinds.decoder, block)) or _decode_any(block)
    return found if found is not None and len(found) == lines else None


def _decoded(decoder: Any, block: bytes) -> list[LogEvent] | None:
    try:
        found: list[LogEvent] = decoder.decode_lines(block)
    except _REFUSED:
        return None
    return found


def _decode_any(block: bytes) -> list[LogEvent] | None:
    """Return the events of a block with all that they have, of whatever kinds they are."""
    found = _decoded(_decoder, block)
    if found is None or not {event.session.__class__ for event in found} <= _STR:
        return None
    try:
        eventids = {event.eventid for event in found}
    except TypeError:  # one is no text
        return None
    if not all(map(is_cowries, eventids)):
        return None
    _kinds.learn(eventids)
    return found


@contextmanager
def steady_depth() -> Iterator[None]:
    """Let JSON be as deep whoever calls: what is too deep must not depend on the stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + _DEPTH)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


_DEPTH: Final = 1_000


def is_cowries(eventid: object) -> bool:
    """Return whether it is the name of a kind of event that Cowrie's are."""
    return isinstance(eventid, str) and eventid.startswith("cowrie.")


def is_whole(event: LogEvent) -> bool:
    """Return whether an event holds all that its line has."""
    return event.__class__ is _Event


_STR: Final = frozenset({str})


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
    except _REFUSED:
        pass
    try:
        # A stray byte must not cost the event.
        raw = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None, problems.NUL_BYTES if b"\0" in text else problems.NOT_JSON
    if not isinstance(raw, dict):
        return None, problems.NO_OBJECT
    return _Event(**{name: raw[name] for name in events.FIELDS if name in raw}), None


def parse_timestamps(stamps: Sequence[Any]) -> list[float | None]:
    """Return what ``parse_timestamp`` says of each: at once, if all are as Cowrie writes them."""
    count = len(stamps)
    try:
        text = '","'.join(stamps)
        if (
            len(text) == count * _STEP - 3
            and text[10::_STEP] == "T" * count
            and text[19::_STEP] == "." * count
            and text[26::_STEP] == "Z" * count
            and text[27::_STEP] == '"' * (count - 1)
            and "\\" not in text
        ):
            times = _times.decode(f'["{text}"]')
            seconds = list(map(_seconds, times))
            if len(times) == count and min(seconds) >= 0 and max(seconds) < YEAR_10000:
                return seconds  # type: ignore[return-value]
    except (TypeError, *_REFUSED):
        pass
    return [parse_timestamp(stamp) for stamp in stamps]


_STEP: Final = len('2026-03-18T10:00:00.123456Z","')
_seconds: Final[Callable[[datetime], float]] = datetime.timestamp
_times: Final = msgspec.json.Decoder(list[datetime])
