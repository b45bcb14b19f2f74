"""Reads a Cowrie event of any generation: the one place that knows Cowrie's field names.

An event is the dictionary that Cowrie hands to its outputs, or one line of its JSON log, from 2017
to today. Everything in it may be absent, of another type or hostile: what cannot be read counts as
unknown (None), and nothing here raises. Field names and their history are those of Cowrie's
``docs/OUTPUT.rst`` and of its source in the releases named beside each rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from cowrie_sessionstats import activity
from cowrie_sessionstats.timestamps import YEAR_10000, parse_timestamp

RawEvent: TypeAlias = Mapping[str, Any]
SessionKey: TypeAlias = tuple[str, str]

SUMMARY_EVENTID: Final = "cowrie.sessionstats.summary"
CONNECT: Final = "cowrie.session.connect"
CLOSED: Final = "cowrie.session.closed"
COMMAND_INPUT: Final = "cowrie.command.input"
CHANNEL: Final = "cowrie.session.params"

FIELDS: Final = (
    "eventid",
    "session",
    "protocol",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "sensor",
    "uuid",
    "input",
    "timestamp",
    "realm",
    "time",
    "late",
    "system",
    "duration",
    "duration_ms",
    "username",
    "password",
    "fingerprint",
    "key",
    "version",
    "hassh",
    "width",
    "height",
    "arch",
    "url",
    "shasum",
    "ttylog",
    "ending",
)
"""All that is read of an event: a reader of logs may skip every other field. In about the order in
which Cowrie writes them, so that a decoder finds the next one where it looks first."""

ENVELOPE: Final = ("session", "sensor", "timestamp", "time")
"""What is read of every event."""

ID_LIMIT: Final = 256
"""Characters of a session's or sensor's name: Cowrie's have 8 to 12, a host name at most 253."""

LONGEST: Final = 1e9
"""Seconds that a duration may have, about 30 years; more is damage, not a session."""

_PORT_LIMIT: Final = 65_535
_PROTOCOLS: Final = ("ssh", "telnet")
_NUMBER_LIMIT: Final = 32  # characters of a number written as text: Cowrie's have at most 20


class Endpoints(NamedTuple):
    """Where a session came from and went to, as far as one event tells."""

    uuid: str | None
    protocol: str | None
    src_ip: str | None
    src_port: int | None
    dst_ip: str | None
    dst_port: int | None


# ---------------------------------------------------------------- fields


def _text(raw: RawEvent, key: str) -> str | None:
    """Return the text under ``key``; None if it is absent or no text."""
    value = raw.get(key)
    return value if isinstance(value, str) else None


def _name(raw: RawEvent, key: str) -> str | None:
    """Return a text that names something: not empty."""
    return _text(raw, key) or None


def _whole(raw: RawEvent, key: str) -> int | None:
    """Return the number under ``key`` if it could be a port or a terminal's width."""
    value = raw.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _PORT_LIMIT:
        return value
    return None


def _seconds(value: object) -> float | None:
    """Return a number, or a number written as text, of seconds within ``LONGEST``."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if len(value) > _NUMBER_LIMIT:
            return None
    elif not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if 0 <= number <= LONGEST else None


def duration(raw: RawEvent) -> float | None:
    """Return how long the session lasted, in seconds.

    ``duration_ms`` is an integer of milliseconds (Cowrie 3.0.4 on); ``duration`` is a float (to
    2024), or text for SSH and a float for Telnet (2.7 to 3.0.3).
    """
    milliseconds = _seconds(raw.get("duration_ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return _seconds(raw.get("duration"))


def stamp(raw: RawEvent) -> Any:
    """Return the event's time as it stands there, for ``parse_timestamp`` to read when needed."""
    return raw.get("timestamp")


def tick(raw: RawEvent) -> float | None:
    """Return when the event happened, in seconds of which only differences mean anything.

    Live, that is ``time``, which costs nothing to read; a log has only ``timestamp``. ``between``
    gives the same differences either way, but the times need not be the same: a Cowrie whose
    machine is not set to UTC writes local time with a Z into ``timestamp`` (seen in 3.0.0 to
    3.1.4: the C library does not notice that Cowrie sets TZ).
    """
    value = raw.get("time")
    if value.__class__ is float and 0 <= value < YEAR_10000:
        return value
    return parse_timestamp(raw.get("timestamp"))


# ---------------------------------------------------------------- whose event it is


envelope: Final[Callable[[RawEvent], tuple[Any, Any, Any]]] = itemgetter(
    "sensor", "session", "timestamp"
)
"""Returns what every event of every generation has, unchecked; KeyError if this one has not.

One call in C for three fields: it is made for every event in Cowrie's reactor.
"""


def session_key(raw: RawEvent) -> SessionKey | None:
    """Return (sensor, session), which tells sessions of several sensors apart.

    An unusable name of a sensor is ""; None for an event that belongs to no session.
    """
    session, sensor = raw.get("session"), raw.get("sensor")
    if not isinstance(session, str) or not 0 < len(session) <= ID_LIMIT:
        return None
    if not isinstance(sensor, str) or len(sensor) > ID_LIMIT:
        return "", session
    return sensor, session


def is_channel(raw: RawEvent) -> bool:
    """Return whether a shell or a single command begins, whose terminal Cowrie records."""
    return raw.get("eventid") == CHANNEL


def is_late(raw: RawEvent) -> bool:
    """Return whether Cowrie says that the session was over already (``late``, 3.0.4 on)."""
    return raw.get("late") is True


def endpoints(raw: RawEvent) -> Endpoints:
    """Return what the event says of the session's identity and addresses.

    A ``cowrie.direct-tcpip.*`` event carries the addresses of the connection that was asked for
    under the names of the session's own (``dst_ip`` and ``dst_port`` in all generations,
    ``src_port`` in older ones), and those are the attacker's words; ``src_ip`` is the client's in
    it as everywhere, for Cowrie sets that itself.
    """
    eventid = _text(raw, "eventid") or ""
    foreign = eventid.startswith(("cowrie.direct-tcpip.", "cowrie.tunnelproxy-tcpip."))
    return Endpoints(
        uuid=_name(raw, "uuid"),
        protocol=_protocol(raw, eventid),
        src_ip=_name(raw, "src_ip"),
        src_port=None if foreign else _whole(raw, "src_port"),
        dst_ip=None if foreign else _name(raw, "dst_ip"),
        dst_port=None if foreign else _whole(raw, "dst_port"),
    )


def _protocol(raw: RawEvent, eventid: str) -> str | None:
    """Return ``ssh`` or ``telnet``.

    On every event (2020 on), on ``session.connect`` alone (2018 on), or nowhere: then ``system``,
    the name of the transport's class, tells, or an event that only one of the two has.
    """
    named = _name(raw, "protocol")
    if named in _PROTOCOLS:
        return named
    system = (_text(raw, "system") or "")[:ID_LIMIT].lower()
    if "telnet" in system or eventid.startswith("cowrie.telnet."):
        return "telnet"
    if "ssh" in system or eventid in ("cowrie.client.version", "cowrie.client.kex"):
        return "ssh"
    return None


# ---------------------------------------------------------------- reading


def read(raw: RawEvent) -> activity.Event | None:
    """Return what the event says happened; None if it is no activity of a session.

    Results of lookups that other outputs send (VirusTotal, reverse DNS, ...) are no activity, nor
    are our own summaries: they come at any time, also long after the close.
    """
    eventid = raw.get("eventid")
    if not isinstance(eventid, str):
        return None
    reader = _READERS.get(eventid)
    if reader is not None:
        return reader(raw)
    if eventid.startswith("cowrie.command."):
        return _COMMAND_OTHER
    if eventid.startswith(_ACTIVITY):
        return _OTHER
    return None


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""What a field of a ``LogEvent`` holds that the line does not have."""


class LogEvent(Protocol):
    """One event of a log, decoded: ``FIELDS`` as attributes, ABSENT where it has none.

    It reads as a dictionary, too (``get``, ``[]``, ``in``), so that ``read`` takes it.
    """

    eventid: Any
    sensor: Any
    session: Any
    timestamp: Any
    time: Any
    """Set by the reader to the time that ``timestamp`` says, where the log has none."""
    stamped: bool
    """Whether ``time`` is known to be that."""


def read_log(event: Any) -> activity.Event | None:
    """Return what ``read`` does, of an event of a log: the commonest ones faster.

    And of our own summaries, which are no news to whoever writes them, what they tell.
    """
    reader = _LOG_READERS.get(event.eventid)
    return read(event) if reader is None else reader(event)


def log_endpoints(event: Any) -> Endpoints:
    """Return what ``endpoints`` does, of an event of a log: of the usual kind faster."""
    ends = Endpoints(
        event.uuid, event.protocol, event.src_ip, event.src_port, event.dst_ip, event.dst_port
    )
    if (
        ends.uuid.__class__ is str
        and ends.protocol in _PROTOCOLS
        and ends.src_ip.__class__ is str
        and ends.src_port.__class__ is int
        and ends.dst_ip.__class__ is str
        and ends.dst_port.__class__ is int
        and ends.uuid
        and ends.src_ip
        and ends.dst_ip
        and 0 <= ends.src_port <= _PORT_LIMIT
        and 0 <= ends.dst_port <= _PORT_LIMIT
        and event.eventid == CONNECT
    ):
        return ends
    return endpoints(event)


def _log_connect(event: Any) -> activity.Event:
    stamp = None if event.timestamp is ABSENT else event.timestamp
    return activity.Connect(stamp, event.time if event.stamped else None)


def _log_closed(event: Any) -> activity.Event:
    milliseconds, stamp, tick = event.duration_ms, event.timestamp, event.time
    if (
        milliseconds.__class__ is int
        and 0 <= milliseconds <= LONGEST
        and stamp.__class__ is str
        and tick.__class__ is float
    ):
        return activity.Closed(stamp, tick, milliseconds / 1000, tick if event.stamped else None)
    return _closed(event)


def _log_version(event: Any) -> activity.Event:
    version = event.version
    if version.__class__ is str and version[:4] == "SSH-":
        return activity.ClientVersion(version)
    return _client_version(event)


def _log_kex(event: Any) -> activity.Event:
    hassh = event.hassh
    return activity.ClientKex(hassh) if hassh.__class__ is str and hassh else _client_kex(event)


def _log_login(event: Any) -> activity.Event:
    username, password, tick = event.username, event.password, event.time
    if (
        username.__class__ is str
        and password.__class__ is str
        and tick.__class__ is float
        and event.fingerprint is ABSENT
        and event.key is ABSENT
    ):
        succeeded = event.eventid == "cowrie.login.success"
        return activity.Login(tick, succeeded, "password", username, password, None)
    return _login(event)


def _log_summary(event: Any) -> activity.Event:
    return activity.Told(stopped=event.ending == "sensor_stopped")


# Events without fields are the same object every time.
_COMMAND_FAILED: Final = activity.CommandFailed()
_COMMAND_OTHER: Final = activity.CommandOther()
_OTHER: Final = activity.Other()

_ACTIVITY: Final = (
    "cowrie.session.",
    "cowrie.login.",
    "cowrie.client.",
    "cowrie.direct-tcpip.",
    "cowrie.tunnelproxy-tcpip.",
    "cowrie.log.",
    "cowrie.telnet.",
    "cowrie.proxy.",
)


def _connect(raw: RawEvent) -> activity.Connect:
    return activity.Connect(stamp(raw))


def _closed(raw: RawEvent) -> activity.Closed:
    return activity.Closed(stamp(raw), tick(raw), duration(raw))


def _login(raw: RawEvent) -> activity.Login:
    """Read a login.

    One with a public key has no ``password`` but ``key``, ``fingerprint`` and ``type``; one with
    neither is the SSH method ``none``.
    """
    fingerprint = _name(raw, "fingerprint")
    password = _text(raw, "password")
    auth: activity.Auth
    if fingerprint is not None or "key" in raw:
        auth = "publickey"
    elif "password" in raw:
        auth = "password"
    else:
        auth = "none"
    return activity.Login(
        tick=tick(raw),
        succeeded=raw["eventid"] == "cowrie.login.success",
        auth=auth,
        username=_text(raw, "username"),
        password=password,
        key_fingerprint=fingerprint,
    )


def _key_offered(raw: RawEvent) -> activity.KeyOffered:
    return activity.KeyOffered(_name(raw, "fingerprint"))


def _client_version(raw: RawEvent) -> activity.ClientVersion:
    """Read the client's version, which Cowrie of 2018 to 2021 wrote as Python writes bytes."""
    version = _name(raw, "version")
    if version is not None and version[:2] in ("b'", 'b"') and version[-1] == version[1]:
        version = version[2:-1] or None
    return activity.ClientVersion(version)


def _client_kex(raw: RawEvent) -> activity.ClientKex:
    return activity.ClientKex(_name(raw, "hassh"))


def _terminal(raw: RawEvent) -> activity.Terminal:
    width, height = _whole(raw, "width"), _whole(raw, "height")
    return activity.Terminal(None if width is None or height is None else f"{width}x{height}")


def _architecture(raw: RawEvent) -> activity.Architecture:
    return activity.Architecture(_name(raw, "arch"))


def _command(raw: RawEvent) -> activity.Command | activity.Input:
    """Read a command.

    Some of Cowrie's commands (grep, python, ...) report a line of their standard input under the
    same id and name themselves in ``realm``; others (cat, dd, ...) as ``cowrie.session.input``,
    passwd as ``cowrie.command.success``. All of them are inputs, not commands.
    """
    if "realm" in raw:
        return activity.Input(command_event=True, tick=tick(raw))
    line = raw.get("input")
    return activity.Command(tick(raw), line if line.__class__ is str else None)


def _command_success(raw: RawEvent) -> activity.Input | activity.CommandOther:
    """Read ``command.success``: with a ``realm`` a line fed to it, else a part of a command.

    Cowrie of 2017 repeats the parts of each parsed line so; today's BusyBox still does.
    """
    if "realm" in raw:
        return activity.Input(command_event=True, tick=tick(raw))
    return _COMMAND_OTHER


def _session_input(raw: RawEvent) -> activity.Input:
    return activity.Input(command_event=False, tick=tick(raw))


def _download(raw: RawEvent) -> activity.Download:
    return activity.Download(_name(raw, "url"), _sha256(raw))


def _download_failed(raw: RawEvent) -> activity.DownloadFailed:
    return activity.DownloadFailed(_name(raw, "url"))


def _upload(raw: RawEvent) -> activity.Upload:
    return activity.Upload(_sha256(raw))


_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


def _sha256(raw: RawEvent) -> str | None:
    shasum = _text(raw, "shasum")
    return shasum.lower() if shasum is not None and _SHA256.fullmatch(shasum) else None


def _forward(raw: RawEvent) -> activity.Forward:
    host, port = _name(raw, "dst_ip"), _whole(raw, "dst_port")
    if host is None or port is None:
        return activity.Forward(host)
    return activity.Forward(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _tty_log(raw: RawEvent) -> activity.TtyLog:
    return activity.TtyLog(_name(raw, "ttylog"), tick(raw))


_READERS: Final[Mapping[str, Callable[[RawEvent], activity.Event]]] = {
    CONNECT: _connect,
    CLOSED: _closed,
    "cowrie.login.success": _login,
    "cowrie.login.failed": _login,
    "cowrie.client.fingerprint": _key_offered,
    "cowrie.client.version": _client_version,
    "cowrie.client.kex": _client_kex,
    "cowrie.client.size": _terminal,
    CHANNEL: _architecture,
    COMMAND_INPUT: _command,
    "cowrie.command.failed": lambda _: _COMMAND_FAILED,
    "cowrie.command.success": _command_success,
    "cowrie.session.input": _session_input,
    "cowrie.session.file_download": _download,
    "cowrie.session.file_download.failed": _download_failed,
    "cowrie.session.file_upload": _upload,
    "cowrie.direct-tcpip.request": _forward,
    "cowrie.log.closed": _tty_log,
}
READ_OF: Final[Mapping[str, tuple[str, ...]]] = {
    CONNECT: FIELDS,
    CLOSED: ("duration", "duration_ms"),
    "cowrie.login.success": ("username", "password", "fingerprint", "key"),
    "cowrie.login.failed": ("username", "password", "fingerprint", "key"),
    "cowrie.client.fingerprint": ("fingerprint",),
    "cowrie.client.version": ("version",),
    "cowrie.client.kex": ("hassh",),
    "cowrie.client.size": ("width", "height"),
    CHANNEL: ("arch",),
    COMMAND_INPUT: ("input", "realm"),
    "cowrie.command.failed": (),
    "cowrie.command.success": ("realm",),
    "cowrie.session.input": (),
    "cowrie.session.file_download": ("url", "shasum"),
    "cowrie.session.file_download.failed": ("url",),
    "cowrie.session.file_upload": ("shasum",),
    "cowrie.direct-tcpip.request": ("dst_ip", "dst_port"),
    "cowrie.log.closed": ("ttylog",),
    SUMMARY_EVENTID: ("ending",),
}
"""What is read of an event, besides ``ENVELOPE``, if the beginning of its session was seen."""
_LOG_READERS: Final[Mapping[Any, Callable[[Any], activity.Event]]] = {
    CONNECT: _log_connect,
    CLOSED: _log_closed,
    "cowrie.client.version": _log_version,
    "cowrie.client.kex": _log_kex,
    "cowrie.login.success": _log_login,
    "cowrie.login.failed": _log_login,
    SUMMARY_EVENTID: _log_summary,
}
