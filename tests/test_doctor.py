"""``doctor``: what works, what does not, and what to do about it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cowrie_sessionstats import __version__
from cowrie_sessionstats.cli import main
from cowrie_sessionstats.operating import installed, kept, machine
from cowrie_sessionstats.operating.processes import Process, running
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.store import Store
from cowrie_sessionstats.timestamps import format_timestamp

DIST = resources("cowrie").joinpath("data/etc/cowrie.cfg.dist").read_text("utf-8")
SECTION = (
    "[output_sessionstats]\nenabled = true\nlogfile = ${honeypot:log_path}/sessionstats.json\n"
)
TOLD = {"python": "3", "is_cowrie": True, "cowrie": "3", "plugin": __version__, "trouble": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as ``cowrie init`` makes it, with the plugin on."""
    for name in ("etc", "var/log/cowrie", "var/lib/cowrie"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/cowrie.cfg").write_text(f"{DIST}\n{SECTION}")
    if os.geteuid() == 0:  # the doctor asks as the folder's owner, who may not see this Python
        tmp_path.chmod(0o755)
    return tmp_path


def doctor(folder: Path, *words: str, python: str = sys.executable) -> Result:
    """Run ``cowrie-sessionstats doctor``."""
    command = ["doctor", "--cowrie", str(folder), "--python", python, *words]
    return CliRunner().invoke(main, command)


def checks(folder: Path, python: str | None = None) -> dict[str, dict[str, Any]]:
    """Return what the doctor found, by name.

    Without a Python, of one that answers at once what a sound Cowrie's would: to import Cowrie
    takes a second each time.
    """
    quick = folder / "quick"
    quick.write_text(f"#!/bin/sh\necho '{json.dumps({**TOLD, 'write': {}})}'\n")
    quick.chmod(0o755)
    said = doctor(folder, "--json", python=python or str(quick))
    return {check["name"]: check for check in json.loads(said.stdout)["checks"]}


def test_all_is_well(folder: Path) -> None:
    """Nothing is wrong with a Cowrie that has not been started yet; the lines say what was seen."""
    said = doctor(folder)
    assert said.exit_code == 0, said.output
    found = checks(folder, sys.executable)
    assert {name for name, check in found.items() if check["state"] == "error"} == set()
    assert set(found) == {
        *("cowrie", "plugin", "process", "section", "options", "log", "store", "clock", "disk"),
    }
    assert found["process"]["state"] == "warning"
    assert "no record yet" in found["log"]["message"]
    assert all(check["remedy"] for check in found.values() if check["state"] != "ok")
    assert "-> cowrie start" in said.output


def without(text: str) -> str:
    """Return the configuration with other text in place of the section."""
    return f"{DIST}\n{text}"


@pytest.mark.parametrize(
    ("text", "name", "message", "remedy"),
    [
        (without(""), "section", "has no [output_sessionstats]", "cowrie-sessionstats enable"),
        (
            without(SECTION.replace("true", "false")),
            *("section", "is not on", "cowrie-sessionstats enable"),
        ),
        (without(f"{SECTION}max_sessions = many\n"), "options", "'many'", "correct it"),
        (
            without(f"{SECTION}forward = siem\n"),
            "options",
            "no section [sessionstats_siem]",
            "corr",
        ),
        (
            without(f"{SECTION}forward = siem\n[sessionstats_siem]\ntype = carrier pigeon\n"),
            *("options", "carrier pigeon", "correct it"),
        ),
        (without(SECTION * 2), "options", "DuplicateSectionError", "correct it"),
        (
            without(SECTION.replace("${honeypot:log_path}", "/no/such/folder")),
            *("log", "cannot write /no/such/folder/sessionstats.json", "make the folder"),
        ),
    ],
)
def test_a_mistake_is_named_with_its_remedy(
    folder: Path, text: str, name: str, message: str, remedy: str
) -> None:
    """And the exit status is 1."""
    (folder / "etc/cowrie.cfg").write_text(text)
    said = doctor(folder)
    assert said.exit_code == 1, said.output
    assert "Traceback" not in said.output
    check = checks(folder, sys.executable)[name]
    assert check["state"] == "error"
    assert message in check["message"]
    assert remedy in check["remedy"]


def test_a_folder_that_is_none_of_cowries(tmp_path: Path) -> None:
    """It is said, and the rest is looked at all the same."""
    said = doctor(tmp_path)
    assert said.exit_code == 1
    assert "there is no cowrie.cfg" in said.output
    assert "disk" in said.output


def test_a_python_without_cowrie_or_none_at_all(folder: Path, tmp_path: Path) -> None:
    """What was named is not what runs Cowrie."""
    fake = tmp_path / "python3"
    for script, words in (
        ("#!/bin/sh\necho boo >&2\n", "boo"),
        ("#!/bin/sh\n", "it said nothing"),
        (f"#!/bin/sh\necho '{{\"python\": {'[' * 100_000}'\n", "it said nothing"),
        ("#!/bin/sh\necho '{\"python\": 3}'\n", "it said nothing"),
        ("#!/no/such/program\n", "cannot be started"),
    ):
        fake.write_text(script)
        fake.chmod(0o755)
        said = doctor(folder, python=str(fake))
        assert said.exit_code == 1
        assert words in said.output
        assert "--python" in said.output


# ---------------------------------------------------------------- the store and the destinations


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """Return the store of that Cowrie, with a destination that got nothing yet."""
    (folder / "etc/cowrie.cfg").write_text(
        f"{DIST}\n{SECTION}forward = siem\n[sessionstats_siem]\ntype = http\nurl = http://127.0.0.1:9\n"
    )
    path = folder / "var/lib/cowrie/sessionstats.sqlite"
    made = Store(path, ("siem",), lambda: time.time() - 3600, print)
    assert made.open()
    made.add({"session": "a", "revision": 0})
    made.commit()
    yield made
    made.close()


def test_a_destination_that_is_away(folder: Path, store: Store) -> None:
    """What waits, for how long, and why."""
    check = checks(folder)["destination siem"]
    assert check["state"] == "warning"
    assert "0 delivered, 1 waiting, the oldest for 1 h" in check["message"]
    store.went_wrong("siem", "connection refused\x1b[2J")
    store.commit()
    check = checks(folder)["destination siem"]
    assert check["state"] == "error"
    assert "last error: connection refused" in check["message"]
    assert "\x1b" not in doctor(folder).output
    assert "sound, " in checks(folder)["store"]["message"]


def test_a_destination_that_refused_a_record(folder: Path, store: Store) -> None:
    """What was set aside is told with the way to see it."""
    (entry,), _ = store.batch("siem", Limits(10, 1 << 20, 0))
    store.set_aside("siem", entry, "bad")
    store.delivered("siem", 1, entry.seq)
    store.commit()
    check = checks(folder)["destination siem"]
    assert check["state"] == "warning"
    assert "1 delivered, 0 waiting; 1 refused" in check["message"]
    assert "outbox --export" in check["remedy"]


@pytest.mark.parametrize("content", [b"no database at all", b""])
def test_a_store_that_is_none(folder: Path, content: bytes) -> None:
    """It is an error with a remedy, and no traceback."""
    (folder / "var/lib/cowrie/sessionstats.sqlite").write_bytes(content)
    said = doctor(folder)
    assert said.exit_code == 1
    assert checks(folder)["store"]["state"] == "error"
    assert "Traceback" not in said.output


def test_a_store_with_a_damaged_page(folder: Path, store: Store) -> None:
    """SQLite's own check finds it."""
    for number in range(3000):
        store.add({"session": str(number), "revision": 0, "text": "x" * 900})
    store.close()
    with (folder / "var/lib/cowrie/sessionstats.sqlite").open("r+b") as file:
        file.seek(4096 * 40)
        file.write(b"\xff" * 4096 * 8)
    assert checks(folder)["store"]["state"] == "error"


# ---------------------------------------------------------------- the log


def lines(path: Path, *events: tuple[str, float]) -> None:
    """Write a log of JSON lines."""
    path.write_text(
        "".join(
            json.dumps({"eventid": name, "timestamp": format_timestamp(when)}) + "\n"
            for name, when in events
        )
    )


def test_how_old_the_last_record_is(folder: Path) -> None:
    """Also where the log was rotated a moment ago, and where a line is half written."""
    log = folder / "var/log/cowrie/sessionstats.json"
    lines(log, ("cowrie.sessionstats.summary", time.time() - 7300))
    assert "last record 2 h ago" in checks(folder)["log"]["message"]
    log.rename(f"{log}.2026-11-25")
    log.write_text('{"eventid": "cow')
    assert "last record 2 h ago" in checks(folder)["log"]["message"]
    lines(log, ("cowrie.sessionstats.summary", time.time() + 7300))
    assert checks(folder)["log"]["state"] == "warning"
    assert "ahead of now" in checks(folder)["log"]["message"]


def test_sessions_without_records_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cowrie runs and closed a session long enough ago, and the log has none of it."""
    now = time.time()
    found = Process(os.getpid(), now - 5000, None)
    monkeypatch.setattr("cowrie_sessionstats.operating.doctor_command.running", lambda _: found)
    logs = folder / "var/log/cowrie"
    lines(logs / "cowrie.json", ("cowrie.session.closed", now - 200), ("cowrie.login", now))
    assert checks(folder)["log"]["state"] == "error"
    lines(logs / "sessionstats.json", ("cowrie.sessionstats.summary", now - 4000))
    assert "has no record" in checks(folder)["log"]["message"]
    lines(logs / "sessionstats.json", ("cowrie.sessionstats.summary", now - 199))
    assert checks(folder)["log"]["state"] == "ok"
    lines(logs / "cowrie.json", ("cowrie.session.closed", now - 1))  # it is on its way
    assert checks(folder)["log"]["state"] == "ok"


def test_a_process_older_than_its_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was changed since takes a restart."""
    found = Process(os.getpid(), time.time() - 5000, None)
    monkeypatch.setattr("cowrie_sessionstats.operating.doctor_command.running", lambda _: found)
    check = checks(folder)["process"]
    assert (check["state"], check["remedy"]) == ("warning", "restart Cowrie")
    os.utime(folder / "etc/cowrie.cfg", (0, time.time() - 6000))
    assert checks(folder)["process"]["state"] == "ok"


def test_a_quiet_sensor_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day without a visitor is worth a look at the firewall."""
    found = Process(os.getpid(), time.time() - 200_000, None)
    monkeypatch.setattr("cowrie_sessionstats.operating.doctor_command.running", lambda _: found)
    lines(folder / "var/log/cowrie/sessionstats.json", ("x", time.time() - 100_000))
    check = checks(folder)["log"]
    assert (check["state"], "1 d ago" in check["message"]) == ("warning", True)


def test_figures_that_are_written_no_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there, but old."""
    figures = folder / "figures.prom"
    (folder / "etc/cowrie.cfg").write_text(f"{DIST}\n{SECTION}metrics_file = {figures}\n")
    check = checks(folder)["metrics"]
    assert (check["state"], "restart Cowrie" in check["remedy"]) == ("warning", True)
    figures.touch()
    found = Process(os.getpid(), time.time() - 5000, None)
    monkeypatch.setattr("cowrie_sessionstats.operating.doctor_command.running", lambda _: found)
    assert checks(folder)["metrics"]["state"] == "ok"
    os.utime(figures, (0, time.time() - 600))
    assert checks(folder)["metrics"]["state"] == "warning"


def test_figures_for_a_folder_that_is_not_there(folder: Path) -> None:
    """Nobody makes it: the remedy is to do so, which a restart is not."""
    figures = folder / "textfile/figures.prom"
    (folder / "etc/cowrie.cfg").write_text(f"{DIST}\n{SECTION}metrics_file = {figures}\n")
    check = checks(folder)["metrics"]
    assert check["state"] == "warning"
    assert check["remedy"] == f"make the folder {figures.parent}, for Cowrie's user to write in"


def test_a_log_is_read_from_its_end_only(tmp_path: Path) -> None:
    """Years in one file, and a line longer than what is read, cost no more."""
    log = tmp_path / "cowrie.json"
    lines(log, ("first", 1000.0))
    with log.open("a") as file:
        file.write('{"timestamp": "' + "x" * kept.TAIL_BYTES)
    assert kept.last_time(log) is None


# ---------------------------------------------------------------- the machine


@pytest.mark.parametrize(("found", "state"), [(None, "ok"), (0, "ok"), (5, "warning")])
def test_a_clock_that_nobody_sets(
    found: int | None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel tells."""
    monkeypatch.setattr(machine, "_adjtimex", lambda: found)
    assert machine.clock().state == state


@pytest.mark.parametrize(
    ("free", "inodes", "state"),
    [(2 << 30, 9, "ok"), (1 << 29, 9, "warning"), (1 << 20, 9, "error"), (2 << 30, 0, "error")],
)
def test_a_disk_that_is_nearly_full(
    tmp_path: Path, free: int, inodes: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes and inodes; each file system once."""
    real = os.statvfs(tmp_path)
    known = [*real][:10]
    known[0] = known[1] = 1
    known[4], known[5], known[7] = free, 10, inodes
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*known, real.f_namemax)))
    (check,) = machine.disk([tmp_path / "a", tmp_path / "b" / "c"])
    assert check.state == state


def test_the_store_can_be_busy(folder: Path, store: Store) -> None:
    """Cowrie writes while the doctor looks: that is no damage."""
    with sqlite3.connect(store.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert checks(folder)["store"]["state"] == "ok"


def test_the_plugins_own_file_is_no_cowrie(folder: Path) -> None:
    """Installed into the wrong environment, it brings a folder of Cowrie's name with it."""
    (folder / "src/cowrie/output").mkdir(parents=True)
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    assert "has no Cowrie" in checks(folder, str(python))["cowrie"]["message"]


# ---------------------------------------------------------------- who broke into Cowrie's user


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    """A pipe in the place of a log, a process's number or the configuration keeps nobody."""
    os.mkfifo(folder / "var/log/cowrie/sessionstats.json")
    os.mkfifo(folder / "cowrie.pid")
    found = checks(folder)
    assert "no regular file" in found["log"]["message"]
    (folder / "etc/cowrie.cfg").unlink()
    os.mkfifo(folder / "etc/cowrie.cfg")
    assert "no regular file" in checks(folder)["options"]["message"]


def test_the_program_that_is_asked_has_no_terminal_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could type into the administrator's shell; root's environment it does not see either."""
    monkeypatch.setenv("SECRET", "s3cret")
    fake = folder / "python3"
    fake.write_text("#!/bin/sh\necho session $(cut -d' ' -f6 /proc/$$/stat) $SECRET\n")
    fake.chmod(0o755)
    said = installed.ask(fake, folder, [])
    assert isinstance(said, str)
    assert said.split()[1] != str(os.getsid(0))
    assert ("s3cret" in said) is (os.geteuid() != 0)


def groups() -> set[str]:
    """Return the groups of all processes that run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group, *_ = path.read_text().rpartition(")")[2].split()
            found |= {group} - ({group} if state == "Z" else set())
    return found


def test_a_program_that_says_no_end_of_things_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With whatever it started, and without all of it in memory."""
    monkeypatch.setattr(installed, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(installed, "SAID_LIMIT", 1000)
    fake, number = folder / "python3", folder / "number"
    for last in ("exec yes", "sleep 60 &"):
        number.touch(0o666)
        fake.write_text(f"#!/bin/sh\necho $$ > {number}\n{last}\n")
        fake.chmod(0o755)
        assert "did not answer" in str(installed.ask(fake, folder, []))
        deadline = time.monotonic() + 30
        while number.read_text().strip() in groups():
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be made to run something as root")
def test_nothing_is_run_as_root_that_another_user_can_choose(folder: Path) -> None:
    """Any user can start a program of root's under the name of a Cowrie; his own run as he."""
    words = ["-c", "read until", "twistd", "cowrie"]
    evil = folder / "python-evil"
    for uid, python in ((0, None), (1234, evil)):
        child = subprocess.Popen(
            [evil, *words],
            executable="/bin/sh",
            stdin=subprocess.PIPE,
            cwd=folder,
            user=uid or None,
        )
        try:
            found = running(folder)
        finally:
            child.communicate()
        assert found is not None
        assert (found.pid, found.uid, found.python) == (child.pid, uid, python)
    with tempfile.TemporaryDirectory() as name:  # where every user can get to
        Path(name).chmod(0o755)
        evil = Path(name, "python-evil")
        evil.write_text("#!/bin/sh\necho as $(id -u) $(id -g)\n")
        evil.chmod(0o755)
        assert installed.ask(evil, Path(name), [], found) == "as 1234 1234"
        os.chown(name, 1235, 0)
        assert installed.ask(evil, Path(name), []) == "as 1235 1235"
