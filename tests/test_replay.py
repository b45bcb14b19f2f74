"""Logs of ten years, and of a study's size, through ``summarize`` from Python."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import independent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import as_lines, write_log
from samples import START, closed, command, connect, event, login
from test_real_logs import logs

import cowrie_sessionstats
from cowrie_sessionstats import events, summarize
from cowrie_sessionstats.replay.decoding import decode_block, decode_line, parse_timestamps
from cowrie_sessionstats.replay.problems import StrictError
from cowrie_sessionstats.replay.reading import Batch
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.summary import Summary, record
from cowrie_sessionstats.timestamps import parse_timestamp


@pytest.mark.parametrize("files", list(logs()))
def test_every_session_of_a_real_log_comes_out_once_and_right(files: list[Path]) -> None:
    """Whatever the order in which the files are given, as an independent count has them."""
    made = list(summarize(random.Random(1).sample(files, len(files)), open_sessions=True))
    raw = [each for path in files for each in independent.read_log(path)]
    wanted = independent.by_session(raw)
    keys = [(s.sensor or "", s.session) for s in made]
    assert sorted(keys) == sorted(wanted)
    for summary, key in zip(made, keys, strict=True):
        want = independent.expected(wanted[key])
        assert independent.differences(record(summary), want) == {}, key
    ends = [summary.end or "" for summary in made]
    assert ends == sorted(ends)


def test_all_real_logs_at_once_are_each_log_by_itself(shared: Path) -> None:
    """Ten years of a dozen sensors, in one call."""
    real = shared / "data/real"
    together = list(summarize(real, open_sessions=True))
    apart = [s for path in sorted(real.iterdir()) for s in summarize(path, open_sessions=True)]
    assert len(together) == len(apart) > 14_000
    assert sorted(map(repr, together)) == sorted(map(repr, apart))


@pytest.mark.parametrize("generation", [1, 2, 3])
@pytest.mark.parametrize("seed", [1, 7])
def test_the_study_comes_out_as_it_was_made(
    shared: Path, tmp_path: Path, generation: int, seed: int
) -> None:
    """Each session with its exact commands, command events, duration and last command."""
    tool = shared / "tools/seed_corpus.py"
    options = {"--sessions": 3000, "--days": 60, "--generation": generation, "--seed": seed}
    words = [str(word) for pair in options.items() for word in pair]
    subprocess.run([sys.executable, tool, "--out", tmp_path, *words], check=True)
    truth = {}
    for line in (tmp_path / "truth.jsonl").read_text().splitlines():
        told = json.loads(line)
        truth[told["sensor"], told["session"]] = told
    made = list(summarize(tmp_path / "sensor*"))
    assert len(made) == len(truth) > 3000
    for summary in made:
        told = truth[summary.sensor or "", summary.session]
        # Of generation 2 Cowrie's own text of the duration has one digit behind the point.
        rounded = generation == 2 and summary.protocol == "ssh"
        duration = round(told["duration"], 1) if rounded else told["duration"]
        assert summary.duration == pytest.approx(duration, abs=0.0501 if rounded else 1e-9)
        assert summary.commands == told["commands"]
        assert summary.command_events == told["command_events"]
        assert (summary.last_command or "") == told["last_command"]
        assert bool(summary.logged_in) == told["logged_in"]
        assert summary.partial is None


# ---------------------------------------------------------------- the function


EVENTS = [connect(), login(1.0), command("id", 2.0), closed(3.0)]


def test_events_and_paths_in_every_form(tmp_path: Path) -> None:
    """One or many, in a list or from a generator: the same summary."""
    log = write_log(tmp_path / "cowrie.json", EVENTS)
    forms: list[tuple[Any, ...]] = [
        (log,), (str(log),), ([log],), (iter([log]),), (log, str(log)),
        (EVENTS,), tuple(EVENTS), (iter(EVENTS),), (EVENTS[:2], EVENTS[2:]),
    ]  # fmt: skip
    made = [list(summarize(*form)) for form in forms]
    assert all(summaries == made[0] for summaries in made)
    ((summary,),) = {tuple(summaries) for summaries in made}
    assert (summary.session, summary.commands, summary.partial) == ("5ca1ab1e0001", 1, None)
    assert list(summarize()) == list(summarize([])) == []
    for wrong in ((3,), ([3],), (log, EVENTS[0])):
        with pytest.raises(TypeError):
            list(summarize(*wrong))


def test_problems_are_logged_or_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A library prints nothing; with ``strict`` the first problem is an exception."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(as_lines(EVENTS) + b"{\n{\n")
    with caplog.at_level(logging.WARNING):
        assert len(list(summarize(log, tmp_path / "absent"))) == 1
    assert [each.getMessage() for each in caplog.records] == [
        f"{tmp_path}/absent: No such file or directory",
        f"2 lines skipped: not JSON (first: {log}:5)",
    ]
    with pytest.raises(StrictError, match=":5: not JSON"):
        list(summarize(log, strict=True))


def test_options_are_those_of_the_command() -> None:
    """Open sessions, passwords."""
    assert [s.partial for s in summarize(EVENTS[:3], open_sessions=True)] == ["open"]
    assert list(summarize(EVENTS[:3])) == []
    (made,) = summarize(EVENTS, keep_passwords=False)
    assert made.password is None


def test_the_package_is_light_until_it_is_asked_for_more() -> None:
    """Importing it, as the plugin does, brings nothing that only the command line needs."""
    code = (
        "import sys, cowrie_sessionstats.sessions; "
        "assert not {'msgspec', 'rich', 'pyarrow', 'zstandard'} & set(sys.modules); "
        "import cowrie_sessionstats; cowrie_sessionstats.summarize; assert 'msgspec' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'summarise'"):
        _ = cowrie_sessionstats.summarise


# ---------------------------------------------------------------- the fast ways are the slow ways


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]),
    st.sampled_from(["root", "SSH-2.0-Go", "b'SSH-2.0-x'", "ssh", "telnet", 22, 65_536, -1, 0.5]),
)  # fmt: skip
IDS = [
    "session.connect", "session.closed", "login.success", "login.failed", "client.version",
    "client.kex", "client.size", "client.fingerprint", "session.params", "command.input",
    "command.input", "command.input", "command.failed", "command.success", "session.input",
    "session.file_download", "session.file_upload", "direct-tcpip.request", "log.closed",
    "reversedns.connect", "unknown",
]  # fmt: skip
LINES = [
    "id", "uname -a", "passwd", "x\ny", "", "a" * 2000, "lockr", "cd /tmp; > lockr", "./lockr",
    "echo aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=", "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=", "d29y", "echo 'a",
]  # fmt: skip
"""Some matter to those after them."""
REST = sorted(set(events.FIELDS) - {"eventid", "sensor", "session"})


@st.composite
def odd_events(draw: st.DrawFn) -> dict[str, Any]:
    """Return an event as Cowrie has it, with some fields odd or missing."""
    fields: dict[str, Any] = {
        "eventid": f"cowrie.{draw(st.sampled_from(IDS))}",
        "sensor": "s",
        "session": draw(st.sampled_from(["a", "b"])),
        "timestamp": draw(
            st.floats(0, 400).map(lambda at: event("x", at)["timestamp"])
            | st.sampled_from(["2026-03-18T10:00:00Z", "2026-03-18T11:00:01.5+0100", "never", None])
        ),
        "src_ip": "192.0.2.1", "src_port": 1, "dst_ip": "192.0.2.2", "dst_port": 2222,
        "protocol": "ssh", "uuid": "u", "username": "root", "password": "x",
        "version": "SSH-2.0-Go", "hassh": "ab", "width": 80, "height": 24,
        "arch": "linux", "duration_ms": 1500,
        "input": draw(st.sampled_from(LINES)),
        "url": "http://x/", "shasum": "ab" * 32, "ttylog": "t",
    }  # fmt: skip
    for name in draw(st.lists(st.sampled_from(REST), max_size=2)):
        fields[name] = draw(values)
    for name in draw(st.lists(st.sampled_from(REST), max_size=2)):
        fields.pop(name, None)
    return fields


def once(raws: list[Any], whole: Callable[[Any], Any] | None = None) -> list[Summary]:
    """Return what a table makes of events: one by one, or with ``whole`` each session's at once."""
    made: list[Summary] = []
    table = Sessions(made.append, final_only=True)
    if whole is not None:
        for name in ("a", "b"):
            table.feed_session(("s", name), [raw for raw in raws if raw.session == name], whole)
    else:
        for raw in raws:
            table.feed(raw)
    table.finish()
    return sorted(made, key=repr)


@settings(max_examples=300, deadline=None)
@given(st.lists(odd_events(), min_size=1, max_size=25))
def test_events_of_a_log_count_as_those_of_cowrie(raws: list[dict[str, Any]]) -> None:
    """Decoded line by line or as a block, and a session's together: as in the live plugin."""
    wanted = once(raws)
    lines = as_lines(raws)
    by_line: list[Any] = [decode_line(line)[0] for line in lines.splitlines()]
    block = decode_block(lines, len(raws), whole=False)  # none if a number has no end
    for found in (by_line, block or by_line):
        for each in found:
            each.time = events.tick(each)  # as every reader of logs does
        assert once(found, Batch(found, [], [], lines).whole) == wanted


def test_every_kind_of_event_says_what_is_read_of_it() -> None:
    """Who decodes no more than that knows all kinds that are read."""
    assert events.READ_OF.keys() == events._READERS.keys() | events._LOG_READERS.keys()
    assert set().union(*events.READ_OF.values()) == set(events.FIELDS)


@given(odd_events())
def test_a_decoded_line_reads_as_the_dictionary(raw: dict[str, Any]) -> None:
    """``get``, ``[]`` and ``in`` for every field that is ever read."""
    decoded, _ = decode_line(json.dumps(raw).encode())
    assert decoded is not None
    as_json: Mapping[str, Any] = json.loads(json.dumps(raw))
    for name in events.FIELDS:
        assert (name in decoded) == (name in as_json)
        assert repr(decoded.get(name)) == repr(as_json.get(name))
        if name in as_json:
            assert repr(decoded[name]) == repr(as_json[name])
        else:
            with pytest.raises(KeyError):
                decoded[name]


stamps: st.SearchStrategy[Any] = st.one_of(
    st.floats(-1e9, 4e9).map(lambda at: event("x", at)["timestamp"] if at > -START else "1"),
    st.from_regex(r"\d{4}-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d:[0-5]\d\.\d{6}Z", fullmatch=True),
    st.sampled_from([None, 3, [], "Z" * 27, "2026-W12-3T10:00:00.123456Z", "2026-03-18T10:00:00Z"]),
    st.sampled_from([r"2026-03-18T10:00:00.\u0031Z", "2026-03-18T10:00:00.123456Z", "", "é" * 27]),
    st.just('2026-03-18T10:00:00.123456Z","2026-03-18T10:00:00.123456Z'),
    st.text(max_size=30),
)


@given(st.lists(stamps, max_size=5))
def test_many_times_are_read_as_one(given_stamps: list[Any]) -> None:
    """All at once or one by one."""
    assert parse_timestamps(given_stamps) == [parse_timestamp(each) for each in given_stamps]


def test_a_time_of_its_own_moves_no_start_and_no_end(tmp_path: Path) -> None:
    """Only ``timestamp`` says when a session was, whether or not a line has a ``time``, too."""
    at: dict[str, Any] = {"time": START + 7_200.0}
    bare = [connect(), command("id", 2.0), closed(9.0)]
    odd = [connect(**at), {**command("id", 2.0), **at}, closed(9.0, **at)]
    (want,) = summarize(write_log(tmp_path / "bare/cowrie.json", bare))
    for some in ([odd[0], *bare[1:]], [*bare[:2], odd[2]], odd):
        (made,) = summarize(write_log(tmp_path / "odd/cowrie.json", some))
        assert (made.start, made.end) == (want.start, want.end)
