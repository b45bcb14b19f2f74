"""``tail`` and ``top`` beside a real Cowrie."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import attackers
import pytest
from conftest import Environment
from logs import tool
from test_real_cowrie import Honeypot

from cowrie_sessionstats.launch import SUMMARIES

pytestmark = pytest.mark.cowrie

SECONDS = 30.0
"""A checkpoint of open sessions comes within 5 s."""


async def stay(honeypot: Honeypot) -> str:
    """Be in the honeypot until ``top`` shows it; return the row in which it does."""
    async with (
        attackers.ssh(honeypot.ports) as (connection, _),
        connection.create_process(term_type="xterm", term_size=(80, 24)) as process,
    ):
        await process.stdout.readuntil(("$ ", "# "))
        process.stdin.write("id\r")
        deadline = time.monotonic() + SECONDS
        page = ""
        while time.monotonic() < deadline:
            said = await asyncio.to_thread(tool, "top", "--cowrie", honeypot.folder, "--once")
            page = said.out.decode().partition("Scripts now")[0]
            rows = [line.rstrip() for line in page.splitlines() if "127.0.0.1" in line]
            if rows and rows[0].endswith(" 1 id"):
                process.stdin.write("exit\r")
                await process.wait()
                return rows[0]
    pytest.fail(page)


def test_an_open_session_is_on_the_page_and_its_summary_is_shown(
    environment: Environment, tmp_path: Path
) -> None:
    """``top`` tells of it while it is open, without a trace; ``tail``, without extras, after it."""
    honeypot = Honeypot(environment, tmp_path, variables={"COWRIE_HONEYPOT_IDLE_TIMEOUT": "120"})
    try:
        row = asyncio.run(stay(honeypot))
        deadline = time.monotonic() + SECONDS
        while not honeypot.lines(SUMMARIES) and time.monotonic() < deadline:
            time.sleep(0.1)
        (record,) = honeypot.lines(SUMMARIES)
        assert row.split()[0] == record["session"]
        assert "127.0.0.1       ssh" in row
        command = environment.bin / "cowrie-sessionstats"
        said = subprocess.run(
            [command, "tail", "--cowrie", tmp_path, "--no-follow", "--label", "user-discovery"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert said.split()[0] == record["end"]
        assert said.endswith(f" {record['fingerprint']} exit\n")
    finally:
        honeypot.running.stop()
