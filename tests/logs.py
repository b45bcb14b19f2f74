"""Logs on the disk for tests, and what summarizing them says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import frozen

COMMAND = Path(sys.executable).with_name("cowrie-sessionstats")
Record = dict[str, Any]


def as_lines(events: Iterable[Any]) -> bytes:
    """Return events as Cowrie's JSON log holds them."""
    return b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)


def write_log(path: Path, events: Iterable[Any]) -> Path:
    """Write a log and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_lines(events))
    return path


@frozen
class Said:
    """What the command said."""

    status: int
    out: bytes
    err: str

    @property
    def records(self) -> list[Record]:
        """The records on its output."""
        return [json.loads(line) for line in self.out.splitlines()]


def summarize(*arguments: object, stdin: bytes = b"", **options: Any) -> Said:
    """Run ``cowrie-sessionstats summarize`` as a user does."""
    done = subprocess.run(
        [COMMAND, "summarize", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        **options,
    )
    return Said(done.returncode, done.stdout, done.stderr.decode())
