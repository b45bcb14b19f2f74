"""The demo: one command that shows the plugin at work."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import attackers
import pytest
from attackers import Ports
from conftest import Environment, run

from cowrie_sessionstats.demo import describe

pytestmark = pytest.mark.cowrie

ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Demo:
    """A running demo and the lines that it printed."""

    def __init__(self, environment: Environment, *arguments: str | Path) -> None:
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [environment.bin / "cowrie-sessionstats", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._new.put(line)

    def wait_for(self, words: str, seconds: float = 40) -> str:
        """Return the next line that holds ``words``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                line = self._new.get(timeout=0.2)
            except queue.Empty:
                continue
            self.lines.append(line)
            if words in line:
                return line
        pytest.fail(f"no {words!r} in {self.lines}")


@pytest.fixture
def ports() -> Ports:
    """Return two free ports."""
    with socket.socket() as one, socket.socket() as two:
        one.bind((attackers.HOST, 0))
        two.bind((attackers.HOST, 0))
        return Ports(one.getsockname()[1], two.getsockname()[1])


def options(ports: Ports) -> tuple[str, ...]:
    """Return the options that set the ports."""
    return "--ssh-port", str(ports.ssh), "--telnet-port", str(ports.telnet)


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name
)
def test_the_demo_shows_each_summary_and_stops_both(
    environment: Environment, ports: Ports, tmp_path: Path, end: signal.Signals
) -> None:
    """It says how to connect, prints what a client did, and ends with Cowrie on Ctrl-C."""
    demo = Demo(environment, tmp_path / "state", *options(ports))
    assert str(ports.ssh) in demo.wait_for("ssh -p")
    asyncio.run(attackers.visit(attackers.ssh_no_login, ports))
    assert "no login" in demo.wait_for("127.0.0.1 ssh")
    asyncio.run(attackers.ssh_shell(ports))
    line = demo.wait_for("root@127.0.0.1 ssh")
    assert "4 commands, last: exit" in line
    demo.process.send_signal(end)
    assert demo.process.wait(20) == 0
    assert demo.wait_for("Summaries written to").endswith(": 2\n")
    with socket.socket() as probe:  # nothing is left behind
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((attackers.HOST, ports.ssh))


def test_a_port_in_use_is_said_with_the_remedy(environment: Environment, ports: Ports) -> None:
    """The error names the port and the option for another."""
    with socket.socket() as taken:
        taken.bind((attackers.HOST, ports.ssh))
        taken.listen()
        demo = Demo(environment, *options(ports))
        assert demo.process.wait(20) == 1
    assert "--ssh-port" in demo.wait_for(str(ports.ssh))


def test_a_folder_of_somebody_else_is_left_as_it_is(
    environment: Environment, ports: Ports, tmp_path: Path
) -> None:
    """A sensor's state folder is no place for a demo, which would change its configuration."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/cowrie.cfg").write_text("[ssh]\n")
    demo = Demo(environment, tmp_path, *options(ports))
    assert demo.process.wait(20) == 1
    assert str(tmp_path) in demo.wait_for("name another folder")
    assert [path.name for path in tmp_path.rglob("*")] == ["etc", "cowrie.cfg"]


def test_an_environment_without_cowrie_says_how_to_get_it(
    environment: Environment, ports: Ports, tmp_path: Path
) -> None:
    """The error names the environment and the command that installs Cowrie."""
    assert environment.bin.exists()
    run("python3", "-m", "venv", tmp_path / "bare")
    program = (
        "import sys; sys.path += sys.argv.pop(1).split(':');"
        "from cowrie_sessionstats.cli import main; main()"
    )
    done = subprocess.run(
        [
            tmp_path / "bare/bin/python",
            "-c",
            program,
            ":".join(
                str(p) for p in (environment.bin.parent / "lib").glob("python*/site-packages")
            ),
            "demo",
            *options(ports),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install cowrie" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_an_attacker_sent_is_shown_escaped() -> None:
    """No byte of a record moves the cursor of the terminal that shows it."""
    nasty = "\x1b]0;owned\x07\r\n\u202e"
    shown = describe(
        {
            "message": nasty, "client_version": nasty, "password": nasty, "first_command": nasty,
            "last_command": nasty, "urls": [nasty], "partial": nasty, "login_attempts": 2,
        }
    )  # fmt: skip
    assert all(line.isprintable() for line in shown.split("\n"))
