"""``cowrie-sessionstats summarize``: which logs go in, and how they belong together."""

from __future__ import annotations

import bz2
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from logs import COMMAND, COMPRESSED, DAY, Event, as_lines, session, summarize, write_log
from samples import closed, command, connect, event, login

from cowrie_sessionstats.summary import json_schema


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
