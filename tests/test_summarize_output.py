"""``cowrie-sessionstats summarize``: what comes out, to whom, and with which status."""

from __future__ import annotations

import csv
import gzip
import json
import stat
import subprocess
from pathlib import Path

import msgpack
import pyarrow.parquet
import pytest
from logs import COMMAND, as_lines, session, summarize, write_log
from samples import closed, command, connect, event, login


def test_each_kind_of_file_holds_the_same_records(tmp_path: Path) -> None:
    """Read back by the libraries that others will read them with."""
    log = write_log(
        tmp_path / "in/cowrie.json",
        [
            *session("a"),
            *session("b", 30, lines=0),
            connect(90.0, "\ud800"),
            closed(99.0, "\ud800"),
        ],
    )
    want = summarize(log).records
    out = {
        end: tmp_path / f"out{end}"
        for end in (".jsonl", ".jsonl.gz", ".msgpack", ".csv", ".parquet")
    }
    for path in out.values():
        said = summarize(log, "-o", path)
        assert (said.status, said.out) == (0, b"")
    assert [json.loads(line) for line in out[".jsonl"].read_bytes().splitlines()] == want
    assert gzip.decompress(out[".jsonl.gz"].read_bytes()) == out[".jsonl"].read_bytes()
    with out[".msgpack"].open("rb") as stream:
        unpacked = list(msgpack.Unpacker(stream))
    # Half a surrogate pair is no text to what reads these: it is escaped.
    assert unpacked == [*want[:2], {**want[2], "session": "\\ud800"}]
    with out[".csv"].open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["session"] for row in rows] == ["a", "b", "\\ud800"]
    assert rows[0]["last_command"] == "echo 1"
    assert (rows[0]["commands"], rows[0]["logged_in"], rows[0]["urls"]) == ("2", "true", "[]")
    table = pyarrow.parquet.read_table(out[".parquet"])
    assert table.num_rows == 3
    (first, *_) = table.to_pylist()
    assert {key: value for key, value in first.items() if value is not None} == want[0]


def test_a_table_begins_no_formula(tmp_path: Path) -> None:
    """What an attacker types must not run in the spreadsheet of who reads it."""
    hostile = ["=cmd|'/c calc'!A1", "@SUM(1)", "+1", "-1", "\t=1"]
    events = [
        each
        for i, line in enumerate(hostile)
        for each in (
            connect(i * 10.0, f"{i}"),
            command(line, i * 10 + 1.0, f"{i}"),
            closed(i * 10 + 2.0, f"{i}"),
        )
    ]
    summarize(write_log(tmp_path / "cowrie.json", events), "-o", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as table:
        shown = [row["last_command"] for row in csv.DictReader(table)]
    assert shown == [f"'{line}" for line in hostile]


def test_what_attackers_send_is_ascii_on_the_output() -> None:
    """No byte that a terminal would obey: C1 controls, marks that turn the writing round."""
    text = "\x9b31m\u202e\x1b]0;x\x07\u2028\ud800é\x7f"
    said = summarize("-", stdin=as_lines([connect(), command(text, 1.0), closed(2.0)]))
    assert said.out.isascii()
    assert b"\x1b" not in said.out
    assert said.records[0]["last_command"] == text


def test_open_sessions_are_written_if_asked_for(tmp_path: Path) -> None:
    """By default they are left out, and counted."""
    log = write_log(tmp_path / "cowrie.json", [*session("a"), connect(20.0, "b"), login(21.0, "b")])
    said = summarize(log)
    assert [r["session"] for r in said.records] == ["a"]
    assert "1 session whose end was not seen is left out (--open writes it)" in said.err
    both = summarize(log, "--open").records
    assert [(r["session"], r.get("partial")) for r in both] == [("a", None), ("b", "open")]


def test_late_events_are_in_the_one_record(tmp_path: Path) -> None:
    """Where the plugin writes revisions, there is one record here: the last of them."""
    late = [event("session.file_download", 10.5 + i, "a", url=f"http://x/{i}") for i in range(3)]
    log = write_log(tmp_path / "cowrie.json", [*session("a"), *late, *session("b", 400)])
    made = summarize(log).records
    assert [r["session"] for r in made] == ["a", "b"]
    assert (made[0]["downloads"], made[0]["late_events"], made[0]["revision"]) == (3, 3, 3)


def test_passwords_are_left_out_if_asked_for(tmp_path: Path) -> None:
    """As with ``passwords = drop`` in cowrie.cfg."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    assert summarize(log).records[0]["password"] == "admin"
    assert "password" not in summarize(log, "--passwords", "drop").records[0]


def test_an_output_is_replaced_whole_or_left_alone(tmp_path: Path) -> None:
    """It keeps its mode, a link stays one, and nothing else is left in the folder."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    folder = tmp_path / "out"
    folder.mkdir()
    real = folder / "real.jsonl"
    real.write_text("before")
    real.chmod(0o640)
    (folder / "link.jsonl").symlink_to(real)
    assert summarize(tmp_path / "absent", "-o", folder / "link.jsonl", "--strict").status == 1
    assert real.read_text() == "before"
    assert summarize(log, "-o", folder / "link.jsonl").status == 0
    assert json.loads(real.read_text())["session"] == "a"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in folder.iterdir()) == ["link.jsonl", "real.jsonl"]


def test_nothing_summarized_is_status_1_and_wrong_usage_2(tmp_path: Path) -> None:
    """With a sentence on what to do, and no traceback."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    empty = write_log(tmp_path / "empty.json", [])
    out = tmp_path / "out.jsonl"
    assert summarize(empty).status == summarize(empty, "-o", out).status == 1
    assert not out.exists()
    for arguments, words in (
        ([], "Missing argument"),
        ([log, "-o", tmp_path / "out.xlsx"], "has to end in one of .jsonl, .jsonl.gz"),
        ([log, "-o", tmp_path / "absent/out.csv"], "there is no folder"),
        ([log, "--jobs", 0], "not in the range"),
        ([log, "--passwords", "hash"], "is not one of"),
    ):
        said = summarize(*arguments)
        assert said.status == 2
        assert words in said.err
        assert "Traceback" not in said.err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """``summarize ... | head -1`` says nothing of a broken pipe."""
    events = [each for i in range(3000) for each in session(f"{i:05d}", i * 20.0)]
    log = write_log(tmp_path / "cowrie.json", events)
    done = subprocess.run(
        ["/bin/bash", "-c", f"{COMMAND} summarize {log} | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        check=False,
    )
    assert done.stdout.count(b"\n") == 1
    assert done.returncode == 141
    assert done.stderr == b""


def test_an_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    """The raw log would be gone."""
    log = write_log(tmp_path / "cowrie.jsonl", session("a"))
    before = log.read_bytes()
    said = summarize(tmp_path, "-o", log)
    assert said.status == 2
    assert "is one of the logs to read" in said.err
    assert log.read_bytes() == before


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "msgpack", "csv", "parquet"])
def test_a_disk_that_is_full_is_one_sentence(tmp_path: Path, kind: str) -> None:
    """And nothing is left behind; so is an output that is closed."""
    events = [each for i in range(4000) for each in session(f"{i:05d}", i * 20.0)]
    log = write_log(tmp_path / "in/cowrie.json", events)
    limited = f"ulimit -f 100; trap '' XFSZ; exec {COMMAND} summarize {log} -o {tmp_path}/x.{kind}"
    closed_ = f"exec {COMMAND} summarize {log} >&-"
    full = f"exec {COMMAND} summarize {log} >/dev/full"
    for script in (limited, closed_, full):
        done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: ")
        assert done.stderr.count(b"\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    quiet = subprocess.run(
        ["/bin/bash", "-c", f"exec {COMMAND} summarize {log} 2>&- | wc -l"],
        capture_output=True,
        check=True,
    )
    assert int(quiet.stdout) == 4000
