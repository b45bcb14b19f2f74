"""Starting Cowrie in the foreground."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from conftest import Environment

from cowrie_sessionstats.launch import LOG, Installation, LaunchError

pytestmark = pytest.mark.cowrie


def state(environment: Environment, folder: Path) -> None:
    """Make a state folder with free ports."""
    environment.installation.init(folder)
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        (folder / "cowrie.cfg").write_text(
            f"[ssh]\nlisten_endpoints = tcp:{one.getsockname()[1]}:interface=127.0.0.1\n"
            "[telnet]\nenabled = true\n"
            f"listen_endpoints = tcp:{two.getsockname()[1]}:interface=127.0.0.1\n"
        )


def test_a_folder_of_yesterday_starts_again(environment: Environment, tmp_path: Path) -> None:
    """Cowrie rotates its log at the first start of a day; ready is read in the new one."""
    state(environment, tmp_path)
    environment.installation.start(tmp_path).stop()
    log = tmp_path / LOG
    with log.open("a") as file:
        file.write("a line of yesterday\n" * 100)
    yesterday = time.time() - 86_400
    os.utime(log, (yesterday, yesterday))
    environment.installation.start(tmp_path).stop()


def test_a_cowrie_that_cannot_start_says_why(environment: Environment, tmp_path: Path) -> None:
    """The end of its log is in the error."""
    state(environment, tmp_path)
    with (tmp_path / "cowrie.cfg").open("a") as file:
        file.write("[honeypot]\nbackend = nonsense\n")
    with pytest.raises(LaunchError, match="nonsense"):
        environment.installation.start(tmp_path)


def test_an_environment_without_cowrie_is_named(tmp_path: Path) -> None:
    """The error says how to get it."""
    with pytest.raises(LaunchError, match="pip install cowrie"):
        Installation(tmp_path)
