"""``cowrie-sessionstats summarize``: what goes in, what comes out, what it says."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgpack
import pyarrow.parquet
import pytest
import zstandard
from logs import COMMAND, as_lines, summarize, write_log
from samples import closed, command, connect, event, login

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.running import Running
from cowrie_sessionstats.replay.streams import Appetite, FileError, chunks
from cowrie_sessionstats.summary import json_schema

DAY = 86_400.0
Event = dict[str, Any]


def session(name: str, at: float = 0.0, sensor: str = "svr04", lines: int = 2) -> list[Event]:
    """Return the events of a session of ten seconds."""
    made = [
        connect(at, name),
        login(at + 1, name),
        *(command(f"echo {i}", at + 2 + i / 10, name) for i in range(lines)),
        event("session.closed", at + 10, name, duration_ms=10_000),
    ]
    return [{**each, "sensor": sensor} for each in made]


# ---------------------------------------------------------------- input


def test_records_come_in_the_order_of_their_close(tmp_path: Path) -> None:
    """However the sessions began, and whichever sensor they are of."""
    long = [connect(0.0, "long"), command("w", 5.0, "long"), closed(500.0, "long")]
    mixed = sorted([*long, *session("b", 20), *session("a", 3)], key=lambda each: each["timestamp"])
    one = write_log(tmp_path / "one/cowrie.json", mixed)
    two = write_log(tmp_path / "two/cowrie.json", session("c", 10, "other"))
    said = summarize(one, two)
    assert said.status == 0
    assert [r["session"] for r in said.records] == ["a", "c", "b", "long"]
    ends = [r["end"] for r in said.records]
    assert ends == sorted(ends)
    assert said.err == "2 files, 18 lines, 18 events, 4 sessions\n"
    for record in said.records:
        jsonschema.validate(record, json_schema())


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "": bytes,
}


@pytest.mark.parametrize("ending", list(COMPRESSED))
def test_what_a_file_is_compressed_with_is_seen_in_it(tmp_path: Path, ending: str) -> None:
    """Also behind one another in one file, as logrotate and cat leave them, and by a wrong name."""
    pack = COMPRESSED[ending]
    halves = as_lines(session("a")), as_lines(session("b", 60))
    (tmp_path / f"cowrie.json.1{ending}").write_bytes(pack(halves[0]) + pack(halves[1]))
    (tmp_path / "wrong.json").write_bytes(pack(as_lines(session("c", 120))))
    said = summarize(tmp_path)
    assert [r["session"] for r in said.records] == ["a", "b", "c"]
    assert (
        said.records
        == summarize("-", stdin=b"".join((*halves, as_lines(session("c", 120))))).records
    )


def test_a_session_that_crosses_days_is_one_record(tmp_path: Path) -> None:
    """It goes on through five rotated files, compressed or not, whatever their names' order."""
    days: list[list[Event]] = [[] for _ in range(6)]
    days[0] = [connect(0.0, "long"), login(1.0, "long")]
    for day in range(1, 5):
        days[day] = [*session(f"s{day}", day * DAY), command(f"echo {day}", day * DAY + 60, "long")]
    days[5] = [event("session.closed", 5 * DAY, "long", duration=5 * DAY)]
    names = ["cowrie.json.5", "cowrie.json.4", "cowrie.json.2026-03-20", "x.jsonl", "y.json"]
    for name, events in zip([*names, "cowrie.json"], days, strict=True):
        write_log(tmp_path / name, events)
    (tmp_path / "cowrie.json.4.gz").write_bytes(
        gzip.compress((tmp_path / "cowrie.json.4").read_bytes())
    )
    (tmp_path / "cowrie.json.4").unlink()
    made = summarize(tmp_path).records
    assert [r["session"] for r in made] == ["s1", "s2", "s3", "s4", "long"]
    assert (made[-1]["commands"], made[-1]["duration"]) == (4, 5 * DAY)
    assert "partial" not in made[-1]


def test_folders_globs_and_files_name_each_log_once(tmp_path: Path) -> None:
    """The same file by several names, a link to it, and what is no log of a folder."""
    log = write_log(tmp_path / "a/cowrie.json", session("a"))
    (tmp_path / "a/cowrie.log").write_text("text\n")
    (tmp_path / "link.json").symlink_to(log)
    said = summarize(tmp_path, log, tmp_path / "*/cowrie.*son", tmp_path / "link.json")
    assert said.err == "1 file, 5 lines, 5 events, 1 session\n"
    assert len(said.records) == 1


def test_copies_and_growing_snapshots_count_once(tmp_path: Path) -> None:
    """A copy, a compressed copy, one that stopped in the middle of a line, one from further on."""
    whole = as_lines([*session("a"), *session("b", 20), *session("c", 40), *session("d", 60)])
    write = {
        "cowrie.json": whole,
        "copy/cowrie.json": whole,
        "packed/cowrie.json.gz": gzip.compress(whole),
        "noon/cowrie.json": whole[: len(whole) // 2],
        "rest/cowrie.json": whole[whole.index(b"\n", len(whole) // 3) + 1 :],
        "middle/cowrie.json.bz2": bz2.compress(b"".join(whole.splitlines(keepends=True)[3:9])),
    }
    for name, content in write.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    alone = summarize(tmp_path / "cowrie.json")
    assert len(alone.records) == 4
    together = summarize(tmp_path)
    assert together.out == alone.out
    assert "3 files only repeat what others hold" in together.err


def test_what_a_log_says_twice_stays(tmp_path: Path) -> None:
    """Equal events in one log are two, and stay two beside a copy that overlaps."""
    events = [connect(0.0, "a"), *[command("id", 5.0, "a")] * 3, closed(9.0, "a")]
    log = write_log(tmp_path / "cowrie.json", events)
    part = write_log(tmp_path / "part.json", [*events[1:3], *session("later", 100)])
    assert summarize(log).records[0]["commands"] == 3
    assert [r["commands"] for r in summarize(log, part).records] == [3, 2]


def test_logs_in_any_order_in_one_stream() -> None:
    """``cat cowrie.json*`` puts the newest first, and whoever cats twice has all twice."""
    first = [*session("a"), connect(DAY - 5, "night")]
    second = [closed(DAY + 5, "night"), *session("b", DAY + 60)]
    right = summarize("-", stdin=as_lines(first + second))
    assert [r["session"] for r in right.records] == ["a", "night", "b"]
    assert summarize("-", stdin=as_lines(second + first)).out == right.out
    assert summarize("-", stdin=as_lines(second + first + second + first)).out == right.out
    small = as_lines(session("a"))
    assert summarize("-", stdin=small * 3).out == summarize("-", stdin=small).out


def test_the_end_of_summer_time_takes_nothing_apart() -> None:
    """A clock that goes back by an hour is no second log: the order of the lines holds."""
    events = [
        connect(0.0, "a"),
        login(1.0, "a"),
        command("id", 2.0, "a"),
        command("w", 5.0 - 3600, "a"),
        event("session.closed", 9.0 - 3600, "a", duration=9.0),
    ]
    (made,) = summarize("-", stdin=as_lines(events)).records
    assert (made["commands"], made["last_command"], made["duration"]) == (2, "w", 9.0)
    assert "partial" not in made


def test_sensors_that_share_files_are_kept_together(tmp_path: Path) -> None:
    """A collector's file holds two sensors, of which one has a file of its own, too."""
    one, two = session("a", sensor="one"), session("b", 30, sensor="two")
    write_log(tmp_path / "one.json", one[:3])
    write_log(tmp_path / "collected.json", [*session("c", -20, "two"), *one[3:], *two[:2]])
    write_log(tmp_path / "two.json", two[2:])
    for jobs in (1, 2, 5):
        made = summarize(tmp_path, "--jobs", jobs).records
        assert [(r["session"], r["commands"]) for r in made] == [("c", 2), ("a", 2), ("b", 2)]
        assert all("partial" not in record for record in made)


def test_the_same_bytes_with_any_number_of_jobs(tmp_path: Path) -> None:
    """One sensor or many, with sessions that stay open and events that come late."""
    for sensor in range(5):
        events = []
        for i in range(60):
            events += session(f"{sensor}{i:03d}", i * 7.0, f"s{sensor}", lines=i)
            events.append(
                event(
                    "session.file_download", i * 7 + 12.0, f"{sensor}{i:03d}", sensor=f"s{sensor}"
                )
            )
        events += [{**connect(500.0, f"open{sensor}"), "sensor": f"s{sensor}"}]
        events.sort(key=lambda each: each["timestamp"])
        write_log(tmp_path / f"{sensor}/cowrie.json", events)
    for where in (tmp_path, tmp_path / "3"):
        outputs = {summarize(where, "--jobs", jobs, "--open").out for jobs in (1, 2, 3, 7, 40)}
        assert len(outputs) == 1
        assert outputs.pop().count(b'"partial":"open"') == (5 if where == tmp_path else 1)


def test_a_pipe_by_name_is_read(tmp_path: Path) -> None:
    """As a shell gives it: summarize <(zcat ...)."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    done = subprocess.run(
        ["/bin/bash", "-c", f"{COMMAND} summarize <(cat {log})"], capture_output=True, check=True
    )
    assert json.loads(done.stdout)["session"] == "a"


def test_copies_that_overlap_anywhere_add_nothing(tmp_path: Path) -> None:
    """Whole seconds, a clock that goes back, lines without a time, thousands of equal ones."""
    events = [
        *session("a"),
        *session("b", 100),
        *session("c", 50),  # the clock was set back
        *session("d", 60),
        *session("e", 200),
    ]
    del events[12]["timestamp"]
    rough = [{**each, "timestamp": f"{each['timestamp'][:18]}0Z"} for each in session("f", 300)]
    flood = [command("id", 400.0, "g")] * 5000
    events += [*rough, connect(400.0, "g"), *flood, closed(410.0, "g"), *session("h", 500)]
    whole = write_log(tmp_path / "cowrie.json", events)
    want = summarize(whole).out
    assert want.count(b"\n") == 8
    for begin, end in ((10, 40), (15, 3000), (3, 5), (26, 5000), (2000, len(events))):
        piece = write_log(tmp_path / "piece.json", events[begin:end])
        assert summarize(piece, whole).out == want


def test_a_clock_that_was_wrong_for_one_event_moves_nothing_else(tmp_path: Path) -> None:
    """1970 before the clock was set, 2038 by a fault: the event counts where it stands."""
    for stamp in ("1970-01-01T00:00:09.000000Z", "2038-01-01T00:00:00.000000Z"):
        for number in range(5):
            events = [*session("a"), *session("b", 20), *session("c", 40)]
            events[5 + number]["timestamp"] = stamp
            log = write_log(tmp_path / "cowrie.json", events)
            made = summarize(log, write_log(tmp_path / "next.json", session("d", DAY)), "--open")
            assert sorted(r["session"] for r in made.records) == ["a", "b", "c", "d"]
            (record,) = [r for r in made.records if r["session"] == "b"]
            assert (record["commands"], record.get("partial")) == (2, None)


def test_what_is_late_does_not_depend_on_how_the_log_is_cut(tmp_path: Path) -> None:
    """An event long after a close, and one soon after many closes."""
    many = [
        each
        for i in range(3000)
        for each in (connect(20 + i / 99, f"{i}"), closed(20 + i / 99, f"{i}"))
    ]
    events = [
        *session("a"),
        *many,
        event("session.file_download", 60.0, "a", url="http://x/"),
        *session("m", 900),
        closed(1000, "a"),
        *session("z", 2000),
    ]
    want = summarize(write_log(tmp_path / "whole/cowrie.json", events)).out
    assert json.loads(want.splitlines()[0])["downloads"] == 1
    for at in (5, len(events) - 12, len(events) - 6):
        write_log(tmp_path / "cut/cowrie.json.1", events[:at])
        write_log(tmp_path / "cut/cowrie.json", events[at:])
        assert summarize(tmp_path / "cut").out == want


def test_many_logs_in_a_row_in_many_files(tmp_path: Path) -> None:
    """A hundred files, each of several days in the wrong order; midnights are crossed."""
    for number in range(100):
        at = number * 10 * DAY
        days = [
            [
                closed(at + day * DAY + 1, f"n{number}-{day - 1}"),
                *session(f"{number}-{day}", at + day * DAY + 60),
                connect(at + (day + 1) * DAY - 1, f"n{number}-{day}"),
            ]
            for day in range(5)
        ]
        write_log(tmp_path / f"{number}.json", [each for day in reversed(days) for each in day])
    begun = time.monotonic()
    made = summarize(tmp_path).records
    assert time.monotonic() - begun < 30
    whole = [r for r in made if "partial" not in r]
    assert len(whole) == 100 * (5 + 4)


def test_thousands_of_files_at_once_need_neither_memory_nor_files(tmp_path: Path) -> None:
    """All of one time and one sensor, plain and packed: more than a process may open."""
    for number in range(300):
        events = [
            each
            for i in range(60)
            for each in session(f"{number:03d}{i:02d}", i * 20.0 + number / 99)
        ]
        path = write_log(tmp_path / f"{number}.json", events)
        if number % 3 == 0:
            path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    code = (
        "import resource, subprocess, sys; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160)); "
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, COMMAND, "summarize", tmp_path, "--jobs", "1"],
        capture_output=True,
        check=True,
    )
    kilobytes, status = map(int, done.stdout.split())
    assert done.stderr == b"300 files, 90,000 lines, 90,000 events, 18,000 sessions\n"
    assert status == 0
    assert kilobytes < 150_000


def test_sessions_without_an_end_make_room_for_others(tmp_path: Path) -> None:
    """Years of a Cowrie that is killed: what has been silent for a day is given up."""
    stale = [connect(i / 100, f"stale{i}") for i in range(21_000)]
    new = [each for i in range(50) for each in session(f"new{i}", 10 * DAY + i)[1:]]
    log = write_log(tmp_path / "cowrie.json", [*stale, *new])
    made = [r for r in summarize(log).records if r["partial"] != "evicted"]
    assert [r["session"] for r in made] == [f"new{i}" for i in range(50)]
    assert {r["partial"] for r in made} == {"joined_late"}


# ---------------------------------------------------------------- output


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


# ---------------------------------------------------------------- bad input


def test_hostile_numbers_and_times_cost_no_record() -> None:
    """A time that is no time, the end of the calendar, JSON without a bottom."""
    for name, value in (
        ("time", 1e305),
        ("time", float("nan")),
        ("time", -1.0),
        ("timestamp", "9999-12-31T23:59:59.999999Z"),
        ("timestamp", "9999-12-31T23:59:59.999999+00:00"),
        ("duration_ms", 10**400),
    ):
        for number in range(5):
            events = session("a")
            events[number][name] = value
            said = summarize("-", stdin=as_lines([*events, *session("b", 20)]))
            assert said.status == 0
            assert "b" in [r["session"] for r in said.records]
    deep = as_lines(session("a")).replace(b'"echo 1"', b"[" * 970 + b"]" * 970)
    outputs = {summarize("-", "--jobs", jobs, stdin=deep).out for jobs in (1, 2, 3)}
    assert len(outputs) == 1


def test_a_line_is_one_object_whatever_stands_beside_it() -> None:
    """Two on a line, or one on two lines: not JSON, and no other line makes it so."""
    lines = as_lines(session("a")).splitlines(keepends=True)
    for bad in (lines[2].strip() + lines[3], lines[2].replace(b",", b",\n", 1)):
        for behind in (b"", b"\n"):
            said = summarize("-", stdin=lines[0] + lines[1] + bad + behind + lines[4])
            (made,) = said.records
            assert made["commands"] == 0
            assert "not JSON" in said.err


def test_a_cut_copy_is_said_though_nothing_is_missing(tmp_path: Path) -> None:
    """A truncated .gz of a log that is there whole."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    cut = tmp_path / "copy.json.gz"
    cut.write_bytes(gzip.compress(log.read_bytes())[:-12])
    said = summarize(tmp_path)
    assert f"error: {cut}: gzip: the file is cut off" in said.err
    assert len(said.records) == 1
    assert summarize(tmp_path, "--strict").status == 1


def test_a_zstd_file_may_begin_with_a_frame_to_skip(tmp_path: Path) -> None:
    """As pzstd writes it."""
    frame = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    log = tmp_path / "cowrie.json.zst"
    log.write_bytes(frame + zstandard.ZstdCompressor().compress(as_lines(session("a"))))
    assert len(summarize(log).records) == 1
    assert "names no file" in summarize("").err


def test_bad_lines_are_skipped_and_said(tmp_path: Path) -> None:
    """By reason, with the first place of each; all the rest is read."""
    good = as_lines(session("a")).splitlines()
    lines = [
        b"\0" * 540_597 + good[0],
        good[1],
        b"{broken",
        b'{"eventid":"suricata.alert","src_ip":"192.0.2.1"}',
        b"[1,2]",
        b"",
        good[2],
        b'{"eventid":"cowrie.session.connect"}',
        b"{broken too}",
        b"\0\0\0",
        good[3],
        good[4] + b"\r",
        b'{"eventid":"cowrie.session.connect","sess',
    ]
    log = tmp_path / "cowrie.json"
    log.write_bytes(b"\n".join(lines))
    said = summarize(log)
    assert said.status == 0
    assert said.records == summarize("-", stdin=as_lines(session("a"))).records
    assert said.err == (
        f"1 file, 13 lines, 5 events, 1 session; 7 lines skipped: 2 not JSON (first: {log}:3), "
        f"1 no event of Cowrie (first: {log}:4), 1 no JSON object (first: {log}:5), "
        f"1 no session named (first: {log}:8), 1 NUL bytes (first: {log}:10), "
        f"1 cut off at the end of the file (first: {log}:13)\n"
    )


def test_odd_json_that_is_an_event_all_the_same() -> None:
    """A stray byte, half a surrogate pair, NaN, a byte order mark: read, not skipped."""
    lines = as_lines(session("a")).splitlines()
    lines[0] = b"\xef\xbb\xbf" + lines[0]
    lines[2] = lines[2].replace(b"echo 0", b"echo \xff")
    lines[3] = lines[3].replace(b"echo 1", b"echo \\ud800").replace(b"{", b'{"x":NaN,"y":1e999,', 1)
    said = summarize("-", stdin=b"\n".join(lines))
    assert said.err == "1 file, 5 lines, 5 events, 1 session\n"
    (made,) = said.records
    assert (made["first_command"], made["last_command"]) == ("echo \ufffd", "echo \ud800")


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "broken"])
def test_a_damaged_file_is_read_as_far_as_it_goes(tmp_path: Path, ending: str, damage: str) -> None:
    """And the others are read whole."""
    events = [each for i in range(4000) for each in session(f"{i:05d}", i * 20.0)]
    packed = COMPRESSED[ending](as_lines(events))
    half = len(packed) // 2
    if damage == "cut":
        packed = packed[:-10] if ending in (".bz2", ".zst") else packed[:half]
    else:
        packed = packed[:half] + bytes(64) + packed[half + 64 :]
    bad = tmp_path / f"cowrie.json.1{ending}"
    bad.write_bytes(packed)
    write_log(tmp_path / "cowrie.json", session("good", 10 * DAY))
    said = summarize(tmp_path)
    assert said.status == 0
    assert said.records[-1]["session"] == "good"
    assert f"error: {bad}: " in said.err
    assert "the file is " in said.err
    if damage == "cut" or ending == ".gz":
        assert len(said.records) > 100


def test_files_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    """One that is not there, a glob without a match, a device; the rest counts."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    said = summarize(tmp_path / "absent.json", tmp_path / "*.nothing", "/dev/null", log)
    assert said.status == 0
    assert len(said.records) == 1
    assert f"error: {tmp_path}/absent.json: No such file or directory\n" in said.err
    assert f"error: {tmp_path}/*.nothing: matches no file\n" in said.err
    assert "error: /dev/null: is no file." in said.err


def test_a_file_that_vanishes_is_said(tmp_path: Path) -> None:
    """Between being found and being read, or while it is read in pieces."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    gone = write_log(tmp_path / "gone.json", session("b", 20))
    troubles: list[str] = []
    files = find([tmp_path], tmp_path, lambda path, what: troubles.append(f"{path}: {what}"))
    gone.unlink()
    running = Running(Settings(), 1, tmp_path)
    assert [json.loads(line)["session"] for line in running.records(files)] == ["a"]
    assert running.totals.problems.files == [f"{gone}: No such file or directory"]
    assert troubles == []
    appetite = Appetite(chunk=100, holds=False)
    pieces = chunks(files[0], None, appetite)
    next(pieces)
    log.unlink()
    write_log(log, session("c", 40))
    with pytest.raises(FileError, match="another file has taken its place"):
        list(pieces)


@pytest.mark.skipif(os.geteuid() != 0, reason="the test has to become somebody else")
def test_a_file_without_permission_is_said(tmp_path: Path) -> None:
    """An ordinary user sees which file it is."""
    log = write_log(tmp_path / "secret.json", session("a"))
    log.chmod(0)
    write_log(tmp_path / "open.json", session("b", 20))
    become = shutil.which("setpriv")
    if become is None:
        pytest.skip("no setpriv")
    other = [become, "--reuid=65534", "--regid=65534", "--clear-groups"]
    environment = {**os.environ, "HOME": "/"}
    if subprocess.run([*other, COMMAND, "-h"], capture_output=True, check=False).returncode:
        pytest.skip("the environment is not open to another user")
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and not path.stat().st_mode & 0o005:
            path.chmod(path.stat().st_mode | 0o005)
    done = subprocess.run(
        [*other, COMMAND, "summarize", tmp_path], capture_output=True, check=False, env=environment
    )
    assert b"secret.json: Permission denied" in done.stderr
    assert json.loads(done.stdout)["session"] == "b"


def test_strict_stops_at_the_first(tmp_path: Path) -> None:
    """And says where; nothing is written."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(as_lines(session("a")) + b"{\n" + as_lines(session("b", 20)))
    for jobs in (1, 3):
        said = summarize(log, "--strict", "--jobs", jobs, "-o", tmp_path / "out.jsonl")
        assert said.status == 1
        assert said.err == f"error: {log}:6: not JSON\n"
        assert not (tmp_path / "out.jsonl").exists()


def test_hostile_names_of_files_do_not_steer_the_terminal(tmp_path: Path) -> None:
    """They are shown as escapes."""
    bad = tmp_path / "cowrie.json.\x1b[2J\n"
    bad.write_bytes(b"{\n")
    said = summarize(tmp_path)
    assert "\x1b" not in said.err
    assert "\\x1b[2J\\n:1)" in said.err


def test_a_line_without_an_end_is_not_held(tmp_path: Path) -> None:
    """A line of 40 MB is skipped, and what comes behind it is read."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(as_lines(session("a")) + b"x" * 40_000_000 + b"\n" + as_lines(session("b", 20)))
    said = summarize(log)
    assert [r["session"] for r in said.records] == ["a", "b"]
    assert f"1 longer than 16 MiB (first: {log}:6)" in said.err
    log.write_bytes(bytes(40_000_000) + as_lines(session("a")))  # a log cut under its writer
    said = summarize(log)
    assert [r["session"] for r in said.records] == ["a"]
    assert "skipped" not in said.err


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_at_once_and_leaves_nothing(
    tmp_path: Path, jobs: int, number: signal.Signals
) -> None:
    """Within a second, with status 130, without half a file or a process."""
    events = as_lines(each for i in range(20_000) for each in session(f"{i:06d}", i * 20.0))
    logs = tmp_path / "in"
    logs.mkdir()
    for sensor in range(20):  # more than is done in the time
        (logs / f"{sensor}.json").write_bytes(events.replace(b"svr04", b"svr%02d" % sensor))
    work = subprocess.Popen(
        [COMMAND, "summarize", logs, "--jobs", str(jobs), "-o", tmp_path / "out.jsonl"],
        stderr=subprocess.PIPE,
    )
    time.sleep(1)
    assert work.poll() is None
    begun = time.monotonic()
    work.send_signal(number)
    _, err = work.communicate(timeout=10)
    assert time.monotonic() - begun < 2.0  # a second, and the machine's moods
    assert work.returncode == 130
    assert err == b"interrupted: nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [line for line in commands if os.fsencode(logs) in line]
