"""The record as an event of the Open Cybersecurity Schema Framework (OCSF)."""

from __future__ import annotations

import re
from typing import Any, Final

from cowrie_sessionstats import __version__
from cowrie_sessionstats._toml import packaged
from cowrie_sessionstats.outputs.formats._addresses import address
from cowrie_sessionstats.outputs.formats._json import encode
from cowrie_sessionstats.outputs.formats._times import times_of
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.sending import TIME, Record

_TABLE: Final = packaged("cowrie_sessionstats.outputs.formats", "ocsf.toml")
VERSION: Final[str] = _TABLE["version"]
"""Of the schema."""

ENRICHMENTS: Final[dict[str, str]] = _TABLE["enrichments"]
"""The record's keys that become enrichments, and their types."""

_CONSTANT: Final[dict[str, Any]] = _TABLE["constant"]
_CLASSES: Final[dict[str, Any]] = _TABLE["class"]
_ACTIVITIES: Final[dict[str, Any]] = _TABLE["activity"]
_AUTHS: Final[dict[str, Any]] = _TABLE["auth"]
_UNENDED: Final = ("open", "evicted")  # values of ``partial`` for a session that may go on
_PRODUCT: Final = {
    "name": "cowrie-sessionstats",
    "vendor_name": "The cowrie-sessionstats authors",
    "version": __version__,
}
_STATUSES: Final[dict[bool | None, tuple[int, str]]] = {
    True: (1, "Success"),
    False: (2, "Failure"),
    None: (0, "Unknown"),
}
_MAPPED: Final = frozenset(ENRICHMENTS) | {
    TIME,
    "auth",
    "dst_ip",
    "dst_port",
    "duration",
    "end",
    "eventid",
    "hassh",
    "logged_in",
    "message",
    "protocol",
    "sensor",
    "session",
    "src_ip",
    "src_port",
    "start",
    "timestamp",
    "username",
    "uuid",
}
_SSH_VERSION: Final = re.compile(r"SSH-([0-9]{1,3}\.[0-9]{1,3})-")  # RFC 4253, section 4.2
_MD5: Final = {"algorithm_id": 1, "algorithm": "MD5"}  # what HASSH is
_INBOUND: Final = 1
_TCP: Final = 6  # IANA's number
_SERVER: Final = 1  # type_id of a device
_OTHER: Final = 99


def ocsf(record: Record) -> str:
    """Return the event for a record, on one line."""
    return encode(ocsf_event(record))


def ocsf_event(record: Record) -> dict[str, Any]:
    """Return the event: SSH Activity; for Telnet, which has no class, Network Activity.

    Its activity is Close, or Traffic for a session whose end was not seen. ``status`` says whether
    a login worked; ``actor`` is who tried to log in and ``device`` the sensor (profile ``host``).
    Times are in milliseconds. Raises ValueError for a record without a time: an event needs one.
    """
    is_ssh = record.get("protocol") == "ssh"
    kind = _CLASSES["ssh" if is_ssh else "other"]
    activity = _ACTIVITIES["traffic" if record.get("partial") in _UNENDED else "close"]
    status_id, status = _STATUSES[_flag(record, "logged_in")]
    event: dict[str, Any] = {
        **_CONSTANT,
        **kind,
        **activity,
        "type_uid": kind["class_uid"] * 100 + activity["activity_id"],
        "type_name": f"{kind['class_name']}: {activity['activity_name']}",
        "metadata": _metadata(record),
        "status_id": status_id,
        "status": status,
        **_times(record),
        "connection_info": _connection(record),
        "dst_endpoint": _receiver(record),
        "device": _device(record),
    }
    source = _endpoint(record, "src_ip", "src_port")
    if source:
        event["src_endpoint"] = source
    if record.get("username"):
        event["actor"] = {"user": {"name": record["username"]}}
    for key, name in (("message", "message"), ("protocol", "app_protocol_name")):
        if record.get(key):
            event[name] = record[key]
    if is_ssh:
        event.update(_ssh(record))
    event["enrichments"] = [
        {"name": key, "value": str(record[key]), "type": kind, "data": {key: record[key]}}
        for key, kind in ENRICHMENTS.items()
        if record.get(key) is not None
    ]
    event["unmapped"] = {
        key: value for key, value in record.items() if value is not None and key not in _MAPPED
    }
    return event


def _flag(record: Record, key: str) -> bool | None:
    value = record.get(key)
    return value if isinstance(value, bool) else None


def _metadata(record: Record) -> dict[str, Any]:
    metadata = {
        "version": VERSION,
        "product": _PRODUCT,
        "profiles": ["host"],
        "uid": record_id(record),
        "is_truncated": bool(record.get("truncated")),
    }
    for key, name in (
        ("eventid", "event_code"),
        ("timestamp", "original_time"),
        ("session", "correlation_uid"),
    ):
        if record.get(key):
            metadata[name] = record[key]
    return metadata


def _times(record: Record) -> dict[str, int]:
    times = times_of(record)
    if times.event is None:
        msg = "has no time"
        raise ValueError(msg)
    made = {"time": _milliseconds(times.event)}
    if times.start is not None:
        made["start_time"] = _milliseconds(times.start)
    if times.end is not None:
        made["end_time"] = _milliseconds(times.end)
    duration = record.get("duration")
    if isinstance(duration, (int, float)):
        made["duration"] = _milliseconds(duration)
    return made


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _connection(record: Record) -> dict[str, Any]:
    connection: dict[str, Any] = {
        "direction_id": _INBOUND,
        "direction": "Inbound",
        "protocol_num": _TCP,
        "protocol_name": "tcp",
    }
    found = address(record.get("src_ip")) or address(record.get("dst_ip"))
    if found is not None:
        connection["protocol_ver_id"] = found.version
    if record.get("session"):
        connection["uid"] = record["session"]
    return connection


def _endpoint(record: Record, ip: str, port: str) -> dict[str, Any]:
    """Return an end of the connection; a text that is no address is its name."""
    endpoint: dict[str, Any] = {}
    if record.get(ip):
        endpoint["ip" if address(record[ip]) is not None else "name"] = record[ip]
        if record.get(port) is not None:
            endpoint["port"] = record[port]
    return endpoint


def _receiver(record: Record) -> dict[str, Any]:
    endpoint = _endpoint(record, "dst_ip", "dst_port")
    endpoint["svc_name"] = record.get("protocol") or "unknown"
    return endpoint


def _device(record: Record) -> dict[str, Any]:
    """Return the sensor; it has at least its name."""
    device: dict[str, Any] = {"type_id": _SERVER, "type": "Server"}
    device["name"] = record.get("sensor") or "unknown"
    if record.get("uuid"):
        device["uid"] = record["uuid"]
    return device


def _ssh(record: Record) -> dict[str, Any]:
    """Return what only SSH Activity has."""
    event: dict[str, Any] = {}
    auth = record.get("auth")
    if auth:
        event.update(_AUTHS.get(auth, {"auth_type_id": _OTHER, "auth_type": auth}))
    if record.get("hassh"):
        event["client_hassh"] = {"fingerprint": {**_MD5, "value": record["hassh"]}}
    match = _SSH_VERSION.match(record.get("client_version") or "")
    if match:
        event["protocol_ver"] = match[1]
    return event
