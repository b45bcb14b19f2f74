"""A real Cowrie, oldest and newest, visited by real clients."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attackers
import independent
import jsonschema
import pytest
from attackers import PASSWORD, SCENARIOS, Ports, Scenario, Visit
from conftest import Environment, run
from logs import summarize
from ports import free_port

from cowrie_sessionstats.launch import LOG, SUMMARIES, RunningCowrie
from cowrie_sessionstats.summary import json_schema

pytestmark = pytest.mark.cowrie

ALLOW_LOOPBACK = {"PYTHONPATH": str(Path(__file__).with_name("allow_loopback"))}
EVENTS = Path("var/log/cowrie/cowrie.json")
TTYLOGS = Path("var/lib/cowrie/tty")
IDLE_SECONDS = 3
LOGIN_SECONDS = 6
PLUGIN = "[output_sessionstats]\nenabled = true\nlogfile = ${honeypot:log_path}/sessionstats.json"


ENDINGS = {
    "ssh_only_wrong": "never_logged_in",
    "ssh_no_login": "never_logged_in",
    "telnet_no_login": "never_logged_in",
    "telnet_wrong_password": "never_logged_in",
    "telnet_silent": "login_timeout",
    "ssh_upload": "client_closed",
    "ssh_forward": "client_closed",
    "ssh_download": "client_closed",  # 3.0.0 never ends a wget that was refused
    "ssh_drop": "client_closed",
    "ssh_idle": "idle_timeout",
}
"""How a scenario ends that does not end by itself."""


class Honeypot:
    """A running Cowrie with the plugin and jsonlog, and what they wrote."""

    def __init__(
        self,
        environment: Environment,
        folder: Path,
        plugin: str = PLUGIN,
        variables: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.ports = Ports(free_port(), free_port())
        environment.installation.init(folder)
        (folder / "etc/userdb.txt").write_text(f"root:x:{PASSWORD}\n")
        (folder / "cowrie.cfg").write_text(
            f"[honeypot]\nidle_timeout = {IDLE_SECONDS}\n"
            f"authentication_timeout = {LOGIN_SECONDS}\n"
            "[ssh]\nauth_publickey_allow_any = true\n"
            f"listen_endpoints = tcp:{self.ports.ssh}:interface=127.0.0.1\n"
            "[telnet]\nenabled = true\n"
            f"listen_endpoints = tcp:{self.ports.telnet}:interface=127.0.0.1\n"
            f"{plugin}\n"
        )
        self.running: RunningCowrie = environment.installation.start(folder, variables)

    def lines(self, name: Path) -> list[dict[str, Any]]:
        """Return the objects of a log of JSON lines, but for a line that is being written."""
        path = self.folder / name
        if not path.exists():
            return []
        whole, _, _ = path.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def wait_for(self, visit: Visit, seconds: float = 10) -> dict[str, Any]:
        """Return the record of a visit."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for record in self.lines(SUMMARIES):
                if record.get("src_port") == visit.port:
                    return record
            time.sleep(0.1)
        pytest.fail(f"no record for port {visit.port} in {self.lines(SUMMARIES)}")

    def events(self, record: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return a session's events in ``cowrie.json``: Cowrie's, and ours."""
        of_it = [e for e in self.lines(EVENTS) if e.get("session") == record["session"]]
        ours = [e for e in of_it if e["eventid"] == "cowrie.sessionstats.summary"]
        return [e for e in of_it if e not in ours], ours

    def log(self) -> str:
        """Return Cowrie's diagnostic log."""
        return (self.folder / LOG).read_text()


PAST = ("seen_before", "first_seen", "stopped_early", "usual_next")
AUTOMATION = ("automation", "automation_score", "automation_reasons")


def assert_replayed(honeypot: Honeypot, *live: dict[str, Any], passwords: str = "keep") -> None:
    """Summarizing ``cowrie.json`` gives the same records as the plugin gave: every key.

    But for what the store of that time knew; and where Cowrie threw a recording away, since it had
    one with the same keys, for who typed.
    """
    said = summarize(
        honeypot.folder / EVENTS,
        *("--open", "--passwords", passwords, "--ttylogs", honeypot.folder / TTYLOGS),
        *("--idle-timeout", IDLE_SECONDS, "--authentication-timeout", LOGIN_SECONDS),
    )
    replayed = {record["session"]: record for record in said.records}
    for record in live:
        others = [e for e in honeypot.lines(EVENTS) if e.get("session") != record["session"]]
        known = {e.get("ttylog") for e in others}
        # Cowrie 3.0.0 does not always tell of a recording, which the plugin had open all the same.
        has_own = record["ttylogs"] and known.isdisjoint(record["ttylogs"])
        left_out = PAST if has_own else PAST + AUTOMATION
        wanted = {key: value for key, value in record.items() if key not in left_out}
        again = replayed[record["session"]]
        assert {key: value for key, value in again.items() if key not in left_out} == wanted
    assert "skipped" not in said.err


def go(scenario: Scenario, honeypot: Honeypot) -> Visit:
    """Let a client visit the honeypot."""
    return asyncio.run(attackers.visit(scenario, honeypot.ports))


@pytest.fixture(scope="module")
def honeypot(
    environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Honeypot]:
    """Return one honeypot for many visits."""
    folder = tmp_path_factory.mktemp("honeypot")
    started = Honeypot(environment, folder, variables=ALLOW_LOOPBACK)
    yield started
    started.running.stop()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_visit_leaves_one_true_record(honeypot: Honeypot, name: str) -> None:
    """Each session has one record, as the client and as ``cowrie.json`` tell it."""
    before = time.time()
    visit = go(SCENARIOS[name], honeypot)
    record = honeypot.wait_for(visit, LOGIN_SECONDS + 10)
    time.sleep(0.3)  # a second record would come within this
    (record,) = [r for r in honeypot.lines(SUMMARIES) if r.get("src_port") == visit.port]

    did = {key: record.get(key) for key in visit.did}
    assert did == visit.did
    ending = (
        "exit" if record["duration"] < 2 and name == "ssh_download" else ENDINGS.get(name, "exit")
    )
    assert record["ending"] == ending
    assert before - 1 < independent.seconds({"timestamp": record["start"]}) < time.time() + 1
    if name == "ssh_idle":
        assert IDLE_SECONDS - 1 < record["quiet_before_close"] < IDLE_SECONDS + 2

    raw, ours = honeypot.events(record)
    assert independent.differences(record, independent.expected(raw)) == {}
    assert "partial" not in record
    jsonschema.validate(record, json_schema())
    # Cowrie's own outputs carry the same record, behind everything else of the session.
    assert ours == [record]
    assert honeypot.lines(EVENTS).index(record) > honeypot.lines(EVENTS).index(raw[-1])
    assert_replayed(honeypot, record)


@pytest.mark.skipif(shutil.which("telnet") is None, reason="no telnet program: apt-get install it")
def test_the_telnet_program(honeypot: Honeypot) -> None:
    """Debian's own telnet, on a terminal, as a person would use it."""
    before = len(honeypot.lines(SUMMARIES))
    attackers.telnet_program(honeypot.ports)
    deadline = time.monotonic() + 10
    while len(honeypot.lines(SUMMARIES)) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    (record,) = honeypot.lines(SUMMARIES)[before:]
    assert record["ending"] == "exit"
    assert (record["protocol"], record["username"], record["auth"]) == (
        "telnet",
        "root",
        "password",
    )
    assert (record["commands"], record["last_command"]) == (2, "exit")
    raw, _ = honeypot.events(record)
    assert independent.differences(record, independent.expected(raw)) == {}
    assert_replayed(honeypot, record)


def test_sessions_at_once_are_kept_apart(honeypot: Honeypot) -> None:
    """Sessions that run side by side each get their own record."""

    async def both() -> list[Visit]:
        return await asyncio.gather(
            *(
                attackers.visit(SCENARIOS[name], honeypot.ports)
                for name in ("ssh_shell", "ssh_exec", "telnet_shell")
            )
        )

    for visit in asyncio.run(both()):
        record = honeypot.wait_for(visit)
        assert {key: record.get(key) for key in visit.did} == visit.did
        assert_replayed(honeypot, record)


def test_the_doctor_finds_a_running_cowrie(environment: Environment, honeypot: Honeypot) -> None:
    """Its process, its Python, its configuration, and the record of a moment ago."""
    honeypot.wait_for(go(SCENARIOS["ssh_exec"], honeypot))
    program = environment.bin / "cowrie-sessionstats"
    said = json.loads(run(program, "doctor", "--json", "--cowrie", honeypot.folder).stdout)
    found = {check["name"]: check for check in said["checks"]}
    wanted = dict.fromkeys(
        ("cowrie", "plugin", "process", "section", "options", "log", "store"), "ok"
    )
    assert {name: found[name]["state"] for name in wanted} == wanted, said
    assert said["ok"]
    assert str(environment.bin / "python") in found["cowrie"]["message"]
    assert "last record " in found["log"]["message"]


def test_a_killed_cowrie_leaves_no_session_without_a_record(
    environment: Environment, tmp_path: Path
) -> None:
    """After ``kill -9`` and a new start: one that had just ended, one kept open, one new."""
    honeypot = Honeypot(environment, tmp_path)

    async def visits() -> tuple[Visit, Visit, Visit]:
        async with attackers.ssh(honeypot.ports) as (connection, kept):
            process = await connection.create_process(term_type="xterm", term_size=(80, 24))
            for line in ("uname -a", "id"):
                await process.stdout.readuntil(("$ ", "# "))
                process.stdin.write(f"{line}\r")
            await process.stdout.readuntil(("$ ", "# "))
            for _ in range(6):  # until it was kept, without being idle
                await asyncio.sleep(1)
                await connection.run("uname -r")
            await connection.run("uname -n")
            ended = await attackers.visit(SCENARIOS["ssh_exec"], honeypot.ports)
            async with attackers.ssh(honeypot.ports) as (another, new):
                await another.run("uname -m")
                await asyncio.get_running_loop().run_in_executor(None, honeypot.running.kill)
        return kept, ended, new

    kept, ended, new = asyncio.run(visits())
    honeypot.running = environment.installation.start(honeypot.folder)
    try:
        records = [honeypot.wait_for(visit) for visit in (kept, ended, new)]
        honeypot.running.stop()
        again = environment.installation.start(honeypot.folder)
        time.sleep(2)
        again.stop()
        by_port = Counter(record["src_port"] for record in honeypot.lines(SUMMARIES))
        assert by_port == {visit.port: 1 for visit in (kept, ended, new)}
    finally:
        honeypot.running.kill()
    assert [record.get("partial") for record in records] == ["recovered", None, "recovered"]
    assert [record["ending"] for record in records] == ["sensor_stopped", "exit", "sensor_stopped"]
    assert [record["commands"] for record in records] == [9, 1, 1]
    assert records[0]["last_command"] == "uname -n"
    for record in records:
        jsonschema.validate(record, json_schema())


def test_sigterm_in_mid_session_still_gives_its_record(
    environment: Environment, tmp_path: Path
) -> None:
    """Cowrie stopped while clients are there: one record each, in our log and ``cowrie.json``."""
    honeypot = Honeypot(environment, tmp_path)

    async def visit() -> tuple[Visit, Visit]:
        async with attackers.ssh(honeypot.ports) as (connection, first):
            await connection.run("uname -a")
            process = await connection.create_process(term_type="xterm", term_size=(80, 24))
            await process.stdout.readuntil(("$ ", "# "))
            process.stdin.write("id\r")
            await process.stdout.readuntil(("$ ", "# "))
            reader, writer = await asyncio.open_connection(attackers.HOST, honeypot.ports.telnet)
            second = Visit(writer.get_extra_info("sockname")[1])
            await reader.read(8)
            await asyncio.get_running_loop().run_in_executor(None, honeypot.running.stop)
            writer.close()
        return first, second

    first, second = asyncio.run(visit())
    records = honeypot.lines(SUMMARIES)
    assert sorted(r["src_port"] for r in records) == sorted((first.port, second.port))
    for record in records:
        raw, ours = honeypot.events(record)
        assert ours == [record]
        assert independent.differences(record, independent.expected(raw)) == {}
    assert_replayed(honeypot, *records)
    by_port = {r["src_port"]: r for r in records}
    assert by_port[first.port]["last_command"] == "id"
    assert {record["ending"] for record in records} == {"sensor_stopped"}
    assert "sessionstats: 0 open, 2 written, 0 revised, 0 evicted, 0 dropped" in honeypot.log()
    assert "Traceback" not in honeypot.log()


def test_a_late_event_revises_the_record(environment: Environment, tmp_path: Path) -> None:
    """A download that fails after its client has gone makes no session, but a revision."""
    honeypot = Honeypot(environment, tmp_path, variables=ALLOW_LOOPBACK)

    async def leave_during_download() -> Visit:
        server = await asyncio.start_server(_never_answer, attackers.HOST, 0)
        port = server.sockets[0].getsockname()[1]
        async with attackers.ssh(honeypot.ports) as (connection, visit):
            await connection.create_process(f"wget http://{attackers.HOST}:{port}/slow")
            await asyncio.sleep(0.5)
            connection.abort()
        await asyncio.sleep(0.5)
        server.close()
        return visit

    visit = asyncio.run(leave_during_download())
    time.sleep(1)
    honeypot.running.stop()
    records = [r for r in honeypot.lines(SUMMARIES) if r["src_port"] == visit.port]
    raw, ours = honeypot.events(records[0])
    assert len({r["session"] for r in honeypot.lines(SUMMARIES)}) == 1
    assert len({r["start"] for r in records}) == 1
    assert [r["revision"] for r in records] == list(range(len(records)))
    assert ours == records
    assert independent.differences(records[-1], independent.expected(raw)) == {}
    if raw[-1]["eventid"] != "cowrie.session.closed":  # 3.0.0 drops what is late, itself
        assert records[-1]["revision"] >= 1
        assert records[-1]["late_events"] >= 1
        assert records[-1]["urls"]
    drops = "cowrie==3.0.0" in environment.before
    assert (raw[-1]["eventid"] == "cowrie.session.closed") == drops
    assert_replayed(honeypot, records[-1])


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    await asyncio.sleep(0.7)
    writer.transport.abort()


def test_a_machine_outside_utc_gets_the_times_of_its_log(
    environment: Environment, tmp_path: Path
) -> None:
    """Where Cowrie writes local time, our record and its copy in ``cowrie.json`` do, too."""
    honeypot = Honeypot(environment, tmp_path, variables={"TZ": "XYZ-5"})
    visit = go(attackers.ssh_exec, honeypot)
    record = honeypot.wait_for(visit)
    honeypot.running.stop()
    raw, ours = honeypot.events(record)
    closed = next(e for e in raw if e["eventid"] == "cowrie.session.closed")
    assert record["timestamp"] == closed["timestamp"]
    assert ours == [record]
    assert independent.differences(record, independent.expected(raw)) == {}
    assert_replayed(honeypot, record)


def test_a_cowrie_in_the_background_writes_records_too(
    environment: Environment, tmp_path: Path
) -> None:
    """``cowrie start`` loads the plugin, then forks: what it started before must not be lost."""
    honeypot = Honeypot(environment, tmp_path)
    honeypot.running.stop()
    cowrie: list[str | Path] = [*environment.installation.prefix, environment.bin / "cowrie"]
    variables = {**os.environ, "PATH": f"{environment.bin}{os.pathsep}{os.environ['PATH']}"}
    run(*cowrie, "start", cwd=tmp_path, env=variables)
    try:
        deadline = time.monotonic() + 20
        while honeypot.log().count("Ready to accept Telnet") < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        visit = go(attackers.ssh_no_login, honeypot)
        honeypot.wait_for(visit)
    finally:
        run(*cowrie, "stop", cwd=tmp_path, env=variables)
        deadline = time.monotonic() + 20
        while "Server Shut Down" not in honeypot.log()[-200:] and time.monotonic() < deadline:
            time.sleep(0.1)
    assert "1 written" in honeypot.log()


MISTAKES = {
    "unknown": ("max_session = 5", "max_session = '...'", "no such option", "max_sessions"),
    "no number": ("max_sessions = many", "max_sessions = 'many'", "whole number"),
    "no choice": ("passwords = maybe", "passwords = 'maybe'", "keep or drop"),
    "no folder": ("logfile = /nowhere/x", "logfile = '/nowhere/x'", "No such file", "folder"),
    "no section": ("logfile = ${no:such}/x", "logfile = '${no:such}/x'", "Correct"),
}


def test_figures_for_prometheus(environment: Environment, tmp_path: Path) -> None:
    """In a file, and at Cowrie's own endpoint where this Cowrie has one."""
    run(environment.bin / "pip", "install", "--quiet", "prometheus-client")
    port = free_port()
    has_one = any(environment.bin.parent.glob("lib/*/site-packages/cowrie/output/prometheus.py"))
    honeypot = Honeypot(
        environment,
        tmp_path,
        f"{PLUGIN}\nmetrics_file = figures.prom\nmetrics_endpoint = {str(has_one).lower()}\n"
        f"[output_prometheus]\nenabled = {str(has_one).lower()}\nport = {port}\n"
        "address = 127.0.0.1",
    )
    try:
        honeypot.wait_for(go(SCENARIOS["ssh_exec"], honeypot))
        if has_one:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                served = answer.read().decode()
            assert "cowrie_sessionstats_write_seconds_count{" in served
            assert "cowrie_session_duration_seconds_count{" in served
    finally:
        honeypot.running.stop()
    lines = (tmp_path / "figures.prom").read_text().splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    found = {name.split("{")[0].removeprefix("cowrie_sessionstats_"): value
             for name, value in figures.items()}  # fmt: skip
    assert (found["records_total"], found["open_sessions"]) == ("1", "0")
    assert 0 < float(found["write_seconds_sum"]) < 1


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_configuration_is_one_line(
    environment: Environment, tmp_path: Path, mistake: str
) -> None:
    """Cowrie starts without the plugin, and its log names option, value and remedy."""
    option, *said = MISTAKES[mistake]
    honeypot = Honeypot(environment, tmp_path, f"[output_sessionstats]\nenabled = true\n{option}")
    visit = go(attackers.ssh_no_login, honeypot)
    honeypot.running.stop()
    lines = [line for line in honeypot.log().splitlines() if "sessionstats is off" in line]
    assert len(lines) == 1
    for words in said:
        assert words in lines[0]
    assert "Traceback" not in honeypot.log()
    assert visit.port in [e.get("src_port") for e in honeypot.lines(EVENTS)]
    assert honeypot.lines(SUMMARIES) == []


def test_passwords_can_be_dropped(environment: Environment, tmp_path: Path) -> None:
    """With ``passwords = drop`` no record holds the password of a login."""
    honeypot = Honeypot(environment, tmp_path, f"{PLUGIN}\npasswords = drop")
    visit = go(attackers.ssh_exec, honeypot)
    record = honeypot.wait_for(visit)
    honeypot.running.stop()
    assert record["username"] == "root"
    assert PASSWORD not in (tmp_path / SUMMARIES).read_text()
    assert_replayed(honeypot, record, passwords="drop")
