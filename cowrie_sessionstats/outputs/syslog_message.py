"""A record as a syslog message: the header of RFC 5424 and a body that fits behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from cowrie_sessionstats import timestamps
from cowrie_sessionstats.outputs.formats.cef import to_cef
from cowrie_sessionstats.outputs.formats.keyvalue import to_keyvalue
from cowrie_sessionstats.outputs.formats.shorter import fitted
from cowrie_sessionstats.outputs.sending import Record

_SYSTEM: Final = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron")
_MORE: Final = ("authpriv", "ftp", "ntp", "audit", "alert", "clock")
_LOCAL: Final = tuple(f"local{number}" for number in range(8))

FACILITIES: Final[Mapping[str, int]] = {
    name: code for code, name in enumerate((*_SYSTEM, *_MORE, *_LOCAL))
}
"""Facilities by the names that syslog.conf has for them; codes of RFC 5424, table 1."""

SEVERITIES: Final[Mapping[str, int]] = {
    name: code
    for code, name in enumerate(
        ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
    )
}
"""Severities by the names that syslog.conf has for them; codes of RFC 5424, table 2."""

APP_NAME_LIMIT: Final = 48
HOSTNAME_LIMIT: Final = 255
MSGID_LIMIT: Final = 32
"""Characters of each; RFC 5424, section 6."""

_NOTHING: Final = "-"  # RFC 5424's NILVALUE
_NOT_PRINTUSASCII: Final = re.compile(r"[^!-~]")
_NOT_OF_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]")
_Body: TypeAlias = Callable[[Record], str]

_to_json: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
BODIES: Final[Mapping[str, _Body]] = {"json": _to_json, "cef": to_cef, "keyvalue": to_keyvalue}
"""What a message can say, by the name of the option's value. JSON is ASCII, as in the log."""


@frozen
class Messages:
    """Makes messages of records.

    There is no BOM, which RFC 5424 asks for in front of UTF-8: rsyslog keeps it, and its JSON
    parser then refuses the message. There is no structured data: its names need a number of our
    own from IANA, and the body has everything.
    """

    facility: int
    severity: int
    app_name: str
    body: _Body
    limit: int
    """Bytes of a message at most."""
    _begin: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Write what is the same in each."""
        object.__setattr__(self, "_begin", f"<{self.facility * 8 + self.severity}>1")

    def of(self, record: Record) -> bytes:
        """Return the message for ``record``, which is shortened if need be.

        ValueError if it cannot be made to fit, or holds what JSON cannot express.
        """
        head = (
            f"{self._begin} {_timestamp(record)} {_word(record.get('sensor'), HOSTNAME_LIMIT)} "
            f"{self.app_name} {_NOTHING} {_word(record.get('eventid'), MSGID_LIMIT)} {_NOTHING} "
        ).encode("ascii")
        try:
            return head + fitted(record, self.body, self.limit - len(head))
        except TypeError as error:
            raise ValueError(str(error)) from None

    def frame(self, record: Record) -> bytes:
        """Return the message with its length in front (RFC 6587, 3.4.1; RFC 5425, 4.3)."""
        message = self.of(record)
        return b"%d %s" % (len(message), message)


def is_word(text: str, limit: int) -> bool:
    """Return whether ``text`` can be a part of the header as it is."""
    return 0 < len(text) <= limit and not _NOT_PRINTUSASCII.search(text)


def _word(value: Any, limit: int) -> str:
    """Return a value as a part of the header: what is not used in names of hosts is ``_``.

    RFC 5424 allows more, but syslog-ng takes some of that for no header at all, e.g. ``a:b=c``.
    """
    text = value[:limit] if isinstance(value, str) else ""
    return _NOT_OF_NAMES.sub("_", text) or _NOTHING


def _timestamp(record: Record) -> str:
    """Return when the session ended, by RFC 3339 with six digits of a second, in UTC."""
    for name in ("end", "timestamp"):
        stamp = record.get(name)
        when = timestamps.parse_timestamp(stamp)
        if when is not None:
            return timestamps.format_timestamp(when, stamp)
    return _NOTHING
