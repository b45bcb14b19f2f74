"""The record computed a second time, simply and with all events at hand.

Shares nothing with the package but the templates of command lines: what both agree on is right,
or wrong for two reasons.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import statistics
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary

Event = dict[str, Any]

LOOKUPS = ("cowrie.virustotal.", "cowrie.reversedns.", "cowrie.greynoise.", "cowrie.sessionstats.")


def read_log(path: Path) -> Iterator[Event]:
    """Yield the events of a log, gzipped or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as log:
        for line in log:
            yield json.loads(line)


def by_session(events: Iterable[Event]) -> dict[tuple[str, str], list[Event]]:
    """Return each session's events in their order."""
    sessions: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if not event["eventid"].startswith(LOOKUPS):
            sessions.setdefault((event["sensor"], event["session"]), []).append(event)
    return sessions


def seconds(event: Event) -> float:
    """Return an event's time in seconds since 1970."""
    when = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
    return when.replace(tzinfo=when.tzinfo or timezone.utc).timestamp()


def expected(events: list[Event]) -> dict[str, Any]:
    """Return what the last record of a session must hold, given all its events in order.

    Without ``message``, and without ``partial`` for reasons that its events do not tell.
    """

    def ids(*names: str) -> list[Event]:
        return [event for event in events if event["eventid"] in names]

    def first(name: str, key: str) -> Any:
        return next((event[key] for event in ids(name) if event.get(key)), None)

    def distinct(values: Iterable[Any]) -> list[Any]:
        return list(dict.fromkeys(value for value in values if value))[:32]

    connect = next(iter(ids("cowrie.session.connect")), None)
    closes = ids("cowrie.session.closed")
    last = closes[0] if closes else events[-1]
    logins = ids("cowrie.login.success", "cowrie.login.failed")
    success = next((e for e in logins if e["eventid"] == "cowrie.login.success"), None)
    login = success or (logins[-1] if logins else {})
    offered = [
        e
        for e in ids("cowrie.client.fingerprint", "cowrie.login.failed", "cowrie.login.success")
        if e.get("fingerprint")
    ]
    commands = [e for e in ids("cowrie.command.input") if "realm" not in e]
    lines = [e["input"] for e in commands]
    times = [seconds(e) for e in commands]
    gaps = [round(b - a, 6) for a, b in itertools.pairwise(times) if b >= a]
    downloads, uploads = ids("cowrie.session.file_download"), ids("cowrie.session.file_upload")
    forwards = ids("cowrie.direct-tcpip.request")
    version = first("cowrie.client.version", "version")
    size = next(iter(ids("cowrie.client.size")), None)
    start = seconds(connect or events[0])
    if connect is None and closes:
        start = seconds(last) - told_duration(last)
    duration = told_duration(last) if closes else round(seconds(last) - start, 6)
    templates, found = fingerprint(events)
    known: dict[str, Any] = {
        "eventid": "cowrie.sessionstats.summary",
        "schema": 1,
        "session": events[0]["session"],
        "sensor": events[0]["sensor"] or None,
        "uuid": events[0].get("uuid"),
        "src_ip": (connect or last).get("src_ip"),
        "timestamp": last["timestamp"],
        "start": iso(start),
        "end": iso(seconds(last)),
        "duration": duration,
        "logged_in": success is not None if connect or success else None,
        "login_attempts": len(logins),
        "username": login.get("username"),
        "password": login.get("password"),
        "auth": auth(login) if login else None,
        "key_fingerprint": (login if login.get("fingerprint") else (offered or [{}])[-1]).get(
            "fingerprint"
        ),
        "client_version": version[2:-1] if version and version.startswith("b'") else version,
        "hassh": first("cowrie.client.kex", "hassh"),
        "terminal": f"{size['width']}x{size['height']}" if size else None,
        "arch": first("cowrie.session.params", "arch"),
        "commands": len(commands),
        "commands_failed": len(ids("cowrie.command.failed")),
        "inputs": sum(
            e["eventid"] == "cowrie.session.input"
            or (e["eventid"].startswith("cowrie.command.") and is_fed(e))
            for e in events
        ),
        "command_events": sum(e["eventid"].startswith("cowrie.command.") for e in events),
        "commands_distinct": len(set(lines)),
        "first_command": lines[0][:1024] if lines else None,
        "last_command": lines[-1][:1024] if lines else None,
        "last_command_template": templates[-1][:1024] if templates else None,
        "command_rate": len(lines) / duration if duration else None,
        "command_rate_active": (
            len(lines) / round(times[-1] - times[0], 6) if times and times[-1] > times[0] else None
        ),
        "first_command_after": (
            span(seconds(success), times[0]) if success is not None and times else None
        ),
        "quiet_before_close": span(times[-1], seconds(last)) if times and closes else None,
        "gap_median": statistics.median(gaps) if gaps else None,
        "gap_cv": (
            statistics.pstdev(gaps) / statistics.fmean(gaps)
            if len(gaps) > 1 and statistics.fmean(gaps) > 0
            else None
        ),
        "commands_sha256": (
            hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
            if lines
            else None
        ),
        "fingerprint": found if lines else None,
        "templates": [text[:1024] for text in templates[:32]],
        "downloads": len(downloads),
        "uploads": len(uploads),
        "files": distinct(e.get("shasum") for e in [e for e in events if e in downloads + uploads]),
        "urls": distinct(
            e.get("url")
            for e in ids("cowrie.session.file_download", "cowrie.session.file_download.failed")
        ),
        "forwards": len(forwards),
        "forward_targets": distinct(target(e) for e in forwards),
        "ttylogs": distinct(e.get("ttylog") for e in ids("cowrie.log.closed")),
    }
    if connect:
        known |= {key: connect[key] for key in ("src_port", "dst_ip", "dst_port")}
    if connect and closes:
        known["late_events"] = len(events) - events.index(closes[0]) - 1
    return {key: value for key, value in known.items() if value is not None}


def fingerprint(events: list[Event]) -> tuple[list[str], str]:
    """Return the templates and the fingerprint, the chain worked out with all at hand.

    Only the templates are the package's: SPECIFICATION.md, 5 says what is made of them.
    """
    script = Script()
    templates: list[str] = []
    for event in events:
        name = event["eventid"]
        if name == "cowrie.command.input" and not is_fed(event):
            templates.append(script.add(event["input"], _TEMPLATES))
        elif name == "cowrie.session.input" or (
            name.startswith("cowrie.command.") and is_fed(event)
        ):
            script.prompted()
    folded = [text for text, _ in itertools.groupby(filter(None, templates))]
    link = hashlib.sha256(b"csf1").digest()
    for text in folded:
        link = hashlib.sha256(link + text.encode()).digest()
    verbs = script.fingerprint().split("_")[2]
    return folded, f"csf1_{len(folded)}_{verbs}_{link.hex()[:12]}"


_TEMPLATES = Templates(default_vocabulary())


def told_duration(close: Event) -> float:
    """Return the duration that a close tells, in seconds."""
    if "duration_ms" in close:
        return float(close["duration_ms"]) / 1000
    return float(close["duration"])


def auth(login: Event) -> str:
    """Return how a login was made."""
    if "fingerprint" in login:
        return "publickey"
    return "password" if "password" in login else "none"


def is_fed(event: Event) -> bool:
    """Return whether the line went to a running command."""
    return "realm" in event and event["eventid"] != "cowrie.command.chpasswd"


def target(event: Event) -> str:
    """Return where a forwarding should go."""
    host = event["dst_ip"]
    return f"[{host}]:{event['dst_port']}" if ":" in host else f"{host}:{event['dst_port']}"


def span(earlier: float, later: float) -> float | None:
    """Return the seconds between two times, if they are in order."""
    return round(later - earlier, 6) if later >= earlier else None


def iso(when: float) -> str:
    """Return a time as Cowrie writes it in UTC."""
    micros = round(when * 1_000_000)
    return (
        datetime.fromtimestamp(micros // 1_000_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{micros % 1_000_000:06d}Z"
    )


FINDINGS = {
    *("ending", "automation", "automation_score", "automation_reasons"),
    *("checks", "check_last", "labels", "techniques"),
    *("seen_before", "first_seen", "stopped_early", "usual_next"),
}
"""What is concluded, not counted."""


def differences(record: dict[str, Any], want: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return where a record differs from what is expected: key, what it has, what it should.

    Floats may differ in the last place; an estimate may be off by the error that it states.
    """
    found = {}
    many = record["commands"] > 64
    for key in record.keys() | want.keys():
        if key in ("message", "partial", "truncated", "revision", "protocol") and key not in want:
            continue
        if key in FINDINGS or (key == "late_events" and key not in want):
            continue
        ours: Any = record.get(key)
        theirs: Any = want.get(key)
        if key == "commands_distinct" and many:
            same = abs(ours - theirs) <= 4 * 0.065 * theirs
        elif key == "gap_median" and many and theirs:
            same = abs(ours - theirs) <= 0.05 * theirs + 1e-5
        elif isinstance(ours, float) and isinstance(theirs, float):
            same = abs(ours - theirs) <= 1e-9 * abs(theirs) + 1e-9
        else:
            same = ours == theirs
        if not same:
            found[key] = (ours, theirs)
    return found
