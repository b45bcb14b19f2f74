"""The record as a document of the Elastic Common Schema (ECS)."""

from __future__ import annotations

from typing import Any, Final

from cowrie_sessionstats._toml import packaged
from cowrie_sessionstats.outputs.formats._addresses import address
from cowrie_sessionstats.outputs.formats._times import Times, stamp, times_of
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.sending import TIME, Record

_TABLE: Final = packaged("cowrie_sessionstats.outputs.formats", "ecs.toml")
TYPES: Final[dict[str, str]] = _TABLE["types"]
"""The ECS fields that a document can have, and their types."""

NAMES: Final[dict[str, str]] = _TABLE["names"]
"""The record's keys that have a name in ECS; all others stand under ``cowrie.``."""

CONSTANT: Final[dict[str, Any]] = _TABLE["constant"]
"""What is the same in every document."""

OWN: Final = "cowrie"
"""Where everything stands that ECS has no name for."""

_NANOSECONDS: Final = 1_000_000_000
_UNENDED: Final = ("open", "evicted")  # values of ``partial`` for a session that may go on
_PATHS: Final = {key: tuple(name.split(".")) for key, name in NAMES.items()}
_CONSTANT: Final = [(tuple(name.split(".")), value) for name, value in CONSTANT.items()]
_OUTCOMES: Final = {True: "success", False: "failure"}


def ecs_document(record: Record) -> dict[str, Any]:
    """Return the document for a record.

    ``event.outcome`` says whether a login worked; ``event.duration`` is in nanoseconds;
    ``event.type`` is ``end``, or ``info`` for a session whose end was not seen. ``source.ip`` and
    ``destination.ip`` are left out where the address is none (the ``address`` is always there):
    Elasticsearch refuses a document with text in a field of the type ``ip``.
    """
    document: dict[str, Any] = {"@timestamp": record.get("end") or record.get("start")}
    for path, value in _CONSTANT:
        _put(document, path, value)
    own: dict[str, Any] = {}
    for key, value in record.items():
        if value is None or key == TIME:
            continue
        if key in _PATHS:
            _put(document, _PATHS[key], value)
        elif key != "duration":
            own[key] = value
    _add_event(document["event"], record)
    if TIME in record:
        _put_right(document, times_of(record))
    _add_addresses(document, record)
    document[OWN] = own
    if document["@timestamp"] is None:
        del document["@timestamp"]
    return document


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if len(path) == 1:
        document[path[0]] = value
    else:
        document.setdefault(path[0], {})[path[1]] = value


def _put_right(document: dict[str, Any], times: Times) -> None:
    """Put UTC in the place of local time."""
    if times.is_local:
        document["@timestamp"] = stamp(times.event)
        for name, seconds in (("start", times.start), ("end", times.end)):
            if seconds is not None:
                document["event"][name] = stamp(seconds)


def _add_event(event: dict[str, Any], record: Record) -> None:
    event["id"] = record_id(record)
    event["type"] = ["info" if record.get("partial") in _UNENDED else "end"]
    logged_in = record.get("logged_in")
    event["outcome"] = _OUTCOMES[logged_in] if isinstance(logged_in, bool) else "unknown"
    duration = record.get("duration")
    if isinstance(duration, (int, float)):
        event["duration"] = round(duration * _NANOSECONDS)


def _add_addresses(document: dict[str, Any], record: Record) -> None:
    """Add the addresses that are such, and what ``related`` gathers for a search of all fields."""
    found = []
    for key, name in (("src_ip", "source"), ("dst_ip", "destination")):
        found_address = address(record.get(key))
        if found_address is not None:
            document[name]["ip"] = record[key]
            found.append(record[key])
            document["network"]["type"] = f"ipv{found_address.version}"
    hashes = [record["hassh"]] if record.get("hassh") else []
    hashes += record.get("files") or []
    users = [record["username"]] if record.get("username") else []
    related = {"ip": found, "hash": hashes, "user": users}
    document["related"] = {name: values for name, values in related.items() if values}
