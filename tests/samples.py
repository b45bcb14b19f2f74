"""Raw events as Cowrie makes them, for tests that need only a few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.summary import Summary, record
from cowrie_sessionstats.timestamps import format_timestamp

START = 1_773_828_000.0  # 2026-03-18T10:00:00Z

Event = dict[str, Any]


def event(eventid: str, at: float, session: str = "5ca1ab1e0001", **fields: Any) -> Event:
    """Return an event ``at`` seconds into a session, as a log holds it."""
    return {
        "eventid": f"cowrie.{eventid}",
        "session": session,
        "sensor": "svr04",
        "uuid": "3e1d9a4c-0000-4000-8000-000000000001",
        "src_ip": "203.0.113.7",
        "protocol": "ssh",
        "timestamp": format_timestamp(START + at),
        **fields,
    }


def connect(at: float = 0.0, session: str = "5ca1ab1e0001", **fields: Any) -> Event:
    """Return the beginning of a session."""
    ends = {"src_port": 40_000, "dst_ip": "198.51.100.2", "dst_port": 2222}
    return event("session.connect", at, session, **{**ends, **fields})


def login(at: float = 1.0, session: str = "5ca1ab1e0001", **fields: Any) -> Event:
    """Return a login that worked."""
    return event(
        "login.success", at, session, **{"username": "root", "password": "admin", **fields}
    )


def command(line: Any, at: float, session: str = "5ca1ab1e0001") -> Event:
    """Return a command line."""
    return event("command.input", at, session, input=line)


def closed(at: float, session: str = "5ca1ab1e0001", **fields: Any) -> Event:
    """Return the end of a session."""
    return event("session.closed", at, session, **{"duration_ms": round(at * 1000), **fields})


def records(events: Iterable[Any], *, finish: bool = True, **options: Any) -> list[dict[str, Any]]:
    """Return the records that these events make, in their order."""
    made: list[Summary] = []
    sessions = Sessions(made.append, **options)
    for raw in events:
        sessions.feed(raw)
    if finish:
        sessions.finish()
    return [record(summary) for summary in made]


def only(events: Iterable[Any], **options: Any) -> dict[str, Any]:
    """Return the one record that these events make."""
    (made,) = records(events, **options)
    return made
