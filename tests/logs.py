"""Logs on the disk for tests, and what summarizing them says."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import zstandard
from attrs import frozen
from samples import command, connect, event, login

COMMAND = Path(sys.executable).with_name("cowrie-sessionstats")
Record = dict[str, Any]
Event = dict[str, Any]


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
    return tool("summarize", *arguments, stdin=stdin, **options)


def tool(*arguments: object, stdin: bytes = b"", patience: float = 120, **options: Any) -> Said:
    """Run ``cowrie-sessionstats`` as a user does."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=patience,
        **options,
    )
    return Said(done.returncode, done.stdout, done.stderr.decode())


DAY = 86_400.0


def session(name: str, at: float = 0.0, sensor: str = "svr04", lines: int = 2) -> list[Event]:
    """Return the events of a session of ten seconds."""
    made = [
        connect(at, name),
        login(at + 1, name),
        *(command(f"echo {i}", at + 2 + i / 10, name) for i in range(lines)),
        event("session.closed", at + 10, name, duration_ms=10_000),
    ]
    return [{**each, "sensor": sensor} for each in made]


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "": bytes,
}
