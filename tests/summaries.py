"""Records for tests of the report, and what it says of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from ready import tool
from samples import START

from cowrie_sessionstats.commands import Templates, default_vocabulary
from cowrie_sessionstats.commands.fingerprints import Script
from cowrie_sessionstats.timestamps import format_timestamp

_TEMPLATES = Templates(default_vocabulary())
Record = dict[str, Any]


def summary(session: str, *lines: str, at: float = 0.0, **known: Any) -> Record:
    """Return the record of a session that ran these command lines."""
    script = Script()
    for line in lines:
        script.add(line, _TEMPLATES)
    record: Record = {
        "eventid": "cowrie.sessionstats.summary",
        "schema": 1,
        "session": session,
        "sensor": "svr04",
        "uuid": "3e1d9a4c-0000-4000-8000-000000000001",
        "protocol": "ssh",
        "src_ip": "203.0.113.7",
        "message": "",
        "start": format_timestamp(START + at),
        "end": format_timestamp(START + at + 10),
        "duration": 10.0,
        "logged_in": True,
        "login_attempts": 1,
        "commands": len(lines),
        "command_events": len(lines),
        "templates": script.templates,
        "downloads": 0,
        "uploads": 0,
        "files": [],
        "revision": 0,
    }
    if lines:
        record |= {
            "first_command": lines[0],
            "last_command": lines[-1],
            "last_command_template": script.template,
            "quiet_before_close": 0.5,
            "commands_sha256": sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest(),
            "fingerprint": script.fingerprint(),
        }
    return {key: value for key, value in (record | known).items() if value is not None}


def write_records(path: Path, records: Iterable[Record]) -> Path:
    """Write records as lines of JSON and return the path."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def figures(*arguments: object) -> dict[str, Any]:
    """Return what ``report --json`` says."""
    said = tool("report", "--json", *arguments)
    assert said.status == 0, said.err
    return json.loads(said.out)  # type: ignore[no-any-return]
