"""The command line beside Cowrie: what waits and what was refused, and old records sent."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from logs import COMMAND, Said, tool
from receivers_dshield import HANGS, DShieldServer, Fault, dshield_server
from summaries import summary, write_records

from cowrie_sessionstats.entries import unpack
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.store import Store

KEY = "Zm9yIHRlc3RzIG9ubHksIG5vYm9keSdz"
ALL = Limits(records=1_000_000, size=1 << 40)


@define
class Cowrie:
    """A folder as a Cowrie has it, with a store that it filled."""

    folder: Path

    @property
    def path(self) -> Path:
        """The store."""
        return self.folder / "var/lib/cowrie/sessionstats.sqlite"

    def configure(self, text: str) -> None:
        """Write its cowrie.cfg."""
        (self.folder / "etc/cowrie.cfg").write_text(text)

    def store(self, now: float | None = None) -> Store:
        """Return its store, open, as the plugin has it."""
        store = Store(self.path, ("siem", "isc"), lambda: now or time.time(), pytest.fail)
        assert store.open()
        return store

    def outbox(self, *arguments: object) -> Said:
        """Run ``outbox``."""
        return tool("outbox", "--cowrie", self.folder, *arguments)

    def forward(self, *arguments: object) -> Said:
        """Run ``forward``."""
        return tool("forward", "--to", "isc", "--cowrie", self.folder, *arguments)


@pytest.fixture
def cowrie(tmp_path: Path) -> Cowrie:
    """Return a Cowrie that has two destinations."""
    made = Cowrie(tmp_path / "cowrie")
    (made.folder / "etc").mkdir(parents=True)
    made.path.parent.mkdir(parents=True)
    made.configure("[output_sessionstats]\nenabled = true\nforward = siem, isc\n")
    return made


def filled(cowrie: Cowrie) -> None:
    """Have records wait, one of them refused twice over, and one destination in trouble."""
    store = cowrie.store(time.time() - 7300)
    for number in range(5):
        store.add(summary(f"{number:012x}", "id"))
    store.commit()
    entries, _ = store.batch("siem", ALL)
    store.set_aside("siem", entries[0], "field [session] has the wrong type\n\x1b[31m")
    store.set_aside("siem", entries[1], "too long")
    store.set_aside("isc", entries[1], "no address")
    store.delivered("siem", 1, entries[2].seq)
    store.went_wrong("siem", "it answers 401: \x1b[2J correct the key")
    store.close()


def in_aside(cowrie: Cowrie) -> list[tuple[str, str]]:
    """Return whose and which records are set aside."""
    file = sqlite3.connect(cowrie.path)
    rows = file.execute("SELECT destination, packed FROM aside ORDER BY number").fetchall()
    file.close()
    return [(name, str(unpack(packed)["session"])) for name, packed in rows]


# ---------------------------------------------------------------- outbox


def test_the_outbox_shows_how_each_destination_is_getting_on(cowrie: Cowrie) -> None:
    """What waits and since when, the rate, the last error, and what was refused and why."""
    filled(cowrie)
    said = cowrie.outbox()
    assert said.status == 0, said.err
    path, head, isc, siem, *rest = said.out.decode().splitlines()
    assert path == str(cowrie.path)
    assert head.split("  ")[0] == "destination"
    assert siem.split() == ["siem", "2", "2", "h", "0.00/s", "1", "2", "0"]
    assert isc.split() == ["isc", "5", "2", "h", "0.00/s", "0", "1", "0"]
    assert rest == [
        "siem, last error 2 h ago: it answers 401: \\x1b[2J correct the key",
        "isc refused 1: no address",
        "siem refused 1: field [session] has the wrong type\\n\\x1b[31m",
        "siem refused 1: too long",
    ]


def test_the_outbox_of_one_destination(cowrie: Cowrie) -> None:
    """``--to`` leaves the others out; a name that does not exist is said with those that do."""
    filled(cowrie)
    said = cowrie.outbox("--to", "isc")
    assert b"siem" not in said.out.split(b"\n", 1)[1]
    said = cowrie.outbox("--to", "sime")
    assert said.status == 1
    assert "no destination sime in the outbox; there is isc, siem" in said.err


def test_a_rate_is_shown_while_records_go(cowrie: Cowrie) -> None:
    """What was delivered a moment ago counts; what was delivered an hour ago does not."""
    store = cowrie.store()
    for number in range(30):
        store.add(summary(f"{number:012x}"))
    store.commit()
    store.delivered("siem", 30, 30)
    store.close()
    row = next(line for line in cowrie.outbox().out.decode().splitlines() if line[:4] == "siem")
    assert row.split()[:4] == ["siem", "0", "-", "30.00/s"]


def test_refused_records_are_tried_again(cowrie: Cowrie) -> None:
    """``--retry`` marks them; Cowrie's store then has them for that destination alone."""
    filled(cowrie)
    said = cowrie.outbox("--retry", "--to", "siem")
    assert said.out == b"2 records are tried again: at once if Cowrie runs, else when it starts\n"
    assert b"siem refused 1, 1 of them to be tried again: too long" in cowrie.outbox().out
    store = cowrie.store()
    store.commit()
    again = [entry.record()["session"] for entry in store.batch("siem", ALL)[0][2:]]
    assert again == [f"{0:012x}", f"{1:012x}"]
    assert len(store.batch("isc", ALL)[0]) == 5
    store.close()
    assert in_aside(cowrie) == [("isc", f"{1:012x}")]


def test_refused_records_are_tried_again_by_a_cowrie_that_runs(cowrie: Cowrie) -> None:
    """The store is open there, and notices at its next turn; nobody has to wait or restart."""
    filled(cowrie)
    store = cowrie.store()
    store.commit()
    before = len(store.batch("isc", ALL)[0])
    assert cowrie.outbox("--retry").out.startswith(b"3 records are tried again")
    assert store.commit()
    assert len(store.batch("isc", ALL)[0]) == before + 1
    store.close()
    assert in_aside(cowrie) == []


def test_refused_records_are_exported_and_dropped(cowrie: Cowrie, tmp_path: Path) -> None:
    """A line of JSON each with the reason, readable by its owner alone; then they are gone."""
    filled(cowrie)
    out = tmp_path / "refused.jsonl"
    said = cowrie.outbox("--export", out, "--drop", "--to", "siem")
    assert said.out.decode() == f"2 records are written to {out}\n2 records are deleted\n"
    first, second = map(json.loads, out.read_text().splitlines())
    assert first["session"] == f"{0:012x}"
    assert first["refused_by"] == second["refused_by"] == "siem"
    assert second["refused_because"] == "too long"
    assert first["refused_added"].endswith("Z")
    assert out.stat().st_mode & 0o777 == 0o600
    assert in_aside(cowrie) == [("isc", f"{1:012x}")]
    assert cowrie.outbox("--drop").out == b"1 record is deleted\n"
    assert in_aside(cowrie) == []


def test_nothing_is_dropped_if_it_could_not_be_exported(cowrie: Cowrie, tmp_path: Path) -> None:
    """A full disk, or a folder that is not there: the records stay where they are."""
    filled(cowrie)
    said = cowrie.outbox("--export", tmp_path / "no/such/file", "--drop")
    assert said.status == 1
    assert "cannot be written: No such file or directory. Nothing was changed" in said.err
    assert len(in_aside(cowrie)) == 3


def test_without_an_outbox_it_says_why(cowrie: Cowrie, tmp_path: Path) -> None:
    """No store yet, none wanted, another program's file, no cowrie.cfg: a line with a remedy."""
    said = cowrie.outbox()
    assert said.status == 1
    assert f"there is no store {cowrie.path} yet" in said.err
    cowrie.path.write_bytes(b"something else, and long enough to be looked at by SQLite" * 9)
    assert "file is not a database" in cowrie.outbox().err
    cowrie.configure("[output_sessionstats]\nenabled = true\nstore =\n")
    assert "there is no outbox" in cowrie.outbox().err
    cowrie.configure("[output_sessionstats]\nmax_sessions = many\n")
    assert "[output_sessionstats] max_sessions = 'many'" in cowrie.outbox().err
    cowrie.configure("[output_sessionstats]\nsecret line\n")
    said = cowrie.outbox()
    assert "etc/cowrie.cfg cannot be used (ParsingError" in said.err
    assert "secret line" not in said.err
    said = tool("outbox", "--cowrie", tmp_path)
    assert "there is no cowrie.cfg in" in said.err
    assert tool("outbox", "--cowrie", tmp_path, "--retry", "--drop").status == 2


def test_what_may_not_be_looked_at_is_said_in_a_line(cowrie: Cowrie) -> None:
    """By another user, or where something else stands in the place of the store: no traceback."""
    os.mkfifo(cowrie.path)
    assert f"{cowrie.path} is no file" in cowrie.outbox().err
    cowrie.path.unlink()
    cowrie.configure(f"[output_sessionstats]\nenabled = true\nstore = {'x' * 300}\n")
    said = cowrie.outbox()
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert "File name too long" in said.err
    if os.getuid() == 0:
        pytest.skip("root may look at everything")
    for folder, told in (("etc", "cannot be read"), ("var/lib", "cannot be used")):
        cowrie.configure("[output_sessionstats]\nenabled = true\n")
        (cowrie.folder / folder).chmod(0)
        said = cowrie.outbox()
        (cowrie.folder / folder).chmod(0o700)
        assert (said.status, said.err.count("\n")) == (1, 1)
        assert f"{told}: Permission denied" in said.err


def test_a_damaged_record_is_exported_as_it_is(cowrie: Cowrie, tmp_path: Path) -> None:
    """A disk that flips bits does not say so; the others are to be had all the same."""
    filled(cowrie)
    file = sqlite3.connect(cowrie.path)
    file.execute("UPDATE aside SET packed = x'c1' WHERE number = 1")
    file.commit()
    file.close()
    out = tmp_path / "refused.jsonl"
    assert cowrie.outbox("--export", out).status == 0
    first, *others = map(json.loads, out.read_text().splitlines())
    assert first["damaged"] == "c1"
    assert len(others) == 2


def test_a_pipe_gets_refused_records_and_stays_one(cowrie: Cowrie, tmp_path: Path) -> None:
    """As root, ``--export /dev/stdout`` would replace what that leads to."""
    filled(cowrie)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["/bin/cat", pipe], stdout=subprocess.PIPE) as reader:
        cowrie.outbox("--export", pipe)
        got, _ = reader.communicate(timeout=10)
    assert got.count(b"\n") == 3
    assert pipe.is_fifo()


# ---------------------------------------------------------------- forward


@pytest.fixture
def server(cowrie: Cowrie) -> Iterator[DShieldServer]:
    """Return a DShield to which the destination ``isc`` leads."""
    with dshield_server({"42": KEY}) as running:
        destination(cowrie, running, "batch_records = 3")
        yield running


def destination(cowrie: Cowrie, server: DShieldServer, more: str = "") -> None:
    """Configure the destination ``isc``."""
    cowrie.configure(
        "[output_sessionstats]\nenabled = true\nforward = isc\n[sessionstats_isc]\n"
        f"type = dshield\nuserid = 42\nauth_key = {KEY}\nurl = {server.url}\n{more}\n"
    )


def many(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return records that differ."""
    return [
        summary(f"{number:012x}", "id", at=float(number), username=f"u{number}")
        for number in range(first, first + count)
    ]


def test_old_records_are_sent(cowrie: Cowrie, server: DShieldServer, tmp_path: Path) -> None:
    """Of plain and packed files and folders, in order, in batches as the destination wants them."""
    (tmp_path / "logs").mkdir()
    write_records(tmp_path / "logs/a.json", many(4))
    packed = tmp_path / "logs/b.json.2026-11-25.gz"
    packed.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in many(3, 4)).encode()))
    said = cowrie.forward(tmp_path / "logs")
    assert said.status == 0, said.err
    assert said.err.startswith(f"7 records delivered to isc ({server.url} as 42 of ")
    assert [log["user"] for log in server.logs] == [f"u{number}" for number in range(7)]
    assert len(server.requests) == 3
    assert (server.problems, server.repeats) == ([], 0)
    assert KEY not in said.err


def test_what_is_there_twice_is_sent_once(
    cowrie: Cowrie, server: DShieldServer, tmp_path: Path
) -> None:
    """A copy of the log, and a record that stands in two: the service gets each once."""
    one = write_records(tmp_path / "one.json", many(3))
    two = write_records(
        tmp_path / "two.json", [*many(2), *many(1, 7), many(1)[0] | {"revision": 1}]
    )
    said = cowrie.forward(one, two, one)
    assert said.status == 0, said.err
    assert "2 left out that were there twice" in said.err
    assert [log["user"] for log in server.logs] == ["u0", "u1", "u2", "u7"]
    assert server.repeats == 0


def test_what_is_no_record_is_counted_and_named(
    cowrie: Cowrie, server: DShieldServer, tmp_path: Path
) -> None:
    """Raw events, other JSON, broken and huge lines are skipped, each kind with its first place."""
    path = tmp_path / "log.json"
    good = [json.dumps(record) for record in many(2)]
    lines = [
        '{"eventid":"cowrie.session.connect","session":"x"}',
        good[0],
        '{"eventid":"cowrie.sessionstats.summary"}',
        "[1]",
        "",
        "x" * (17 << 20),
        good[1][:-1] + ',"commands":1' + "0" * 30 + "}",
        '{"eventid":' + "[" * 100_000,
        good[1][:50],
    ]
    path.write_text("\n".join(lines))
    said = cowrie.forward(path, tmp_path / "absent.json")
    assert said.status == 1
    assert f"error: {tmp_path}/absent.json: No such file or directory" in said.err
    assert "1 record delivered to isc" in said.err
    assert (
        f"1 skipped: no summary (of a raw log, `summarize` makes them) (first: {path}:1)"
        in said.err
    )
    assert f"1 skipped: longer than 16 MiB (first: {path}:6)" in said.err
    assert f"1 skipped: a value that no record has (first: {path}:7)" in said.err
    assert f"2 skipped: not JSON (first: {path}:8)" in said.err
    assert len(server.logs) == 1


def test_a_record_that_is_refused_is_named(
    cowrie: Cowrie, server: DShieldServer, tmp_path: Path
) -> None:
    """The others are delivered; where it stands and why is said, and the exit status is 1."""
    records = many(7)
    records[4].pop("src_ip")
    path = write_records(tmp_path / "log.json", records)
    said = cowrie.forward(path)
    assert said.status == 1
    assert "6 records delivered" in said.err
    assert "1 refused: cannot be rendered: the record has no address of the client" in said.err
    assert f"(first: {path}:5)" in said.err
    assert [log["user"] for log in server.logs] == [f"u{i}" for i in (0, 1, 2, 3, 5, 6)]
    assert server.problems == []


def test_a_receiver_that_is_away_is_waited_for(
    cowrie: Cowrie, server: DShieldServer, tmp_path: Path
) -> None:
    """What is wrong is said meanwhile, and nothing is lost or sent twice."""
    server.faults.append(Fault(503, "later"))
    said = cowrie.forward(write_records(tmp_path / "log.json", many(4)))
    assert said.status == 0, said.err
    assert "isc (" in said.err
    assert 'has no records now: it answers 503, "later"' in said.err
    assert "4 records delivered" in said.err
    assert (len(server.logs), server.repeats) == (4, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_says_how_far_it_came(
    cowrie: Cowrie, server: DShieldServer, tmp_path: Path, number: signal.Signals
) -> None:
    """At once, also while the receiver hangs; what is done is said, to go on from there."""
    path = write_records(tmp_path / "log.json", many(7))
    server.faults.extend([Fault(200, "OK", takes=True), HANGS])
    running = subprocess.Popen(
        [COMMAND, "forward", "--to", "isc", "--cowrie", str(cowrie.folder), str(path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(server.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted: 3 records delivered" in err
    assert f"all up to {path}:3 are done" in err


def test_a_destination_that_cannot_be_used_is_named(
    cowrie: Cowrie, server: DShieldServer, tmp_path: Path
) -> None:
    """A section that is not there, an option that is wrong: the plugin's own words."""
    path = write_records(tmp_path / "log.json", many(1))
    said = tool("forward", "--to", "other", "--cowrie", cowrie.folder, path)
    assert said.status == 1
    assert "[sessionstats_other]" in said.err
    destination(cowrie, server, "batch_records = none")
    assert "[sessionstats_isc] batch_records = 'none'" in cowrie.forward(path).err
    assert server.requests == []


def test_cowries_environment_counts(
    cowrie: Cowrie, server: DShieldServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container Cowrie is configured by variables; these commands read them as Cowrie does."""
    cowrie.configure("[output_sessionstats]\nenabled = true\n")
    given = {
        "OUTPUT_SESSIONSTATS_FORWARD": "isc",
        "OUTPUT_DSHIELD_USERID": "42",
        "OUTPUT_DSHIELD_AUTH_KEY": KEY,
        "SESSIONSTATS_ISC_TYPE": "dshield",
        "SESSIONSTATS_ISC_URL": server.url,
    }
    for name, value in given.items():
        monkeypatch.setenv(f"COWRIE_{name}", value)
    said = cowrie.forward(write_records(tmp_path / "log.json", many(2)))
    assert said.status == 0, said.err
    assert "as 42 of [output_dshield]" in said.err
    assert len(server.logs) == 2
