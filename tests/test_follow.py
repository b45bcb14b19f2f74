"""``summarize --follow``: each record once, through rotations, restarts and ``kill -9``."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from logs import COMMAND, as_lines, summarize, write_log
from samples import closed, command, connect, event, login
from test_summarize import DAY, session


class Following:
    """A running ``summarize --follow``."""

    def __init__(self, *arguments: object, stdout: IO[bytes] | int = subprocess.PIPE) -> None:
        words = [str(COMMAND), "summarize", "--follow", *map(str, arguments)]
        self.process = subprocess.Popen(words, stdout=stdout, stderr=subprocess.PIPE)

    def stop(self, number: int = signal.SIGTERM) -> tuple[bytes, str]:
        """End it and return what it said: on its output, and to people."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        return out, err.decode()


@pytest.fixture
def begin() -> Iterator[Any]:
    """Return what starts a follower; none of them outlives the test."""
    started: list[Following] = []

    def begin_(*arguments: object, **options: Any) -> Following:
        started.append(Following(*arguments, **options))
        return started[-1]

    yield begin_
    for each in started:
        if each.process.returncode is None:
            each.process.kill()
            each.process.communicate()


def append(path: Path, *events: Any) -> None:
    """Write events behind what is in a log."""
    with path.open("ab") as log:
        log.write(as_lines(events))


def wait_for(path: Path, records: int, seconds: float = 10) -> list[dict[str, Any]]:
    """Return the records in a file once there are so many."""
    deadline = time.monotonic() + seconds
    lines: list[bytes] = []
    while time.monotonic() < deadline and len(lines) < records:
        time.sleep(0.05)
        lines = path.read_bytes().splitlines() if path.exists() else []
    assert len(lines) >= records, f"only {len(lines)} records in {path}"
    return [json.loads(line) for line in lines]


def test_a_record_comes_when_its_session_closes(tmp_path: Path, begin: Any) -> None:
    """Not before, within a second; a line that is only half there is waited for."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    out = tmp_path / "out.jsonl"
    following = begin(log, "-o", out)
    assert [r["session"] for r in wait_for(out, 1)] == ["a"]
    append(log, connect(20.0, "b"), command("id", 22.0, "b"))
    line = as_lines([closed(30.0, "b")])
    with log.open("ab") as file:
        file.write(line[:40])
        file.flush()
        time.sleep(0.6)
        assert len(out.read_bytes().splitlines()) == 1
        file.write(line[40:])
    assert wait_for(out, 2)[1]["session"] == "b"
    append(log, event("session.file_download", 31.0, "b"))
    assert [r["revision"] for r in wait_for(out, 3)] == [0, 0, 1]
    _, err = following.stop()
    assert following.process.returncode == 0
    assert err == "1 file, 9 lines, 9 events, 3 sessions\n"


def test_rotation_takes_nothing_apart(tmp_path: Path, begin: Any) -> None:
    """Renamed daily as Cowrie does, copied and cut as logrotate can; written to while moved."""
    log = write_log(tmp_path / "cowrie.json", [*session("a"), connect(100.0, "long")])
    out = tmp_path / "out.jsonl"
    begin(log, "-o", out)
    wait_for(out, 1)
    old = log.rename(tmp_path / "cowrie.json.2026-03-18")
    append(old, *session("b", 200.0))  # the writer has it open still
    wait_for(out, 2)
    write_log(log, [*session("c", DAY), command("id", DAY + 20, "long")])
    wait_for(out, 3)
    (tmp_path / "cowrie.json.2026-03-19").write_bytes(log.read_bytes())
    append(tmp_path / "cowrie.json.2026-03-19", *session("d", DAY + 100))
    log.write_bytes(as_lines(session("e", 2 * DAY)))  # shorter, and another beginning
    wait_for(out, 5)
    append(log, event("session.closed", 2 * DAY + 50, "long", duration=2 * DAY))
    made = wait_for(out, 6)
    assert [r["session"] for r in made] == ["a", "b", "c", "d", "e", "long"]
    assert (made[-1]["commands"], made[-1].get("partial")) == (1, None)


def test_a_folder_is_read_from_its_oldest_log(tmp_path: Path, begin: Any) -> None:
    """Then ``cowrie.json`` in it is followed; a log that is not there yet is waited for."""
    old = as_lines([*session("a"), connect(50.0, "night")])
    (tmp_path / "cowrie.json.2026-03-18.gz").write_bytes(gzip.compress(old))
    out = tmp_path / "out.jsonl"
    following = begin(tmp_path, "-o", out)
    wait_for(out, 1)
    write_log(tmp_path / "cowrie.json", [closed(DAY, "night"), *session("b", DAY + 60)])
    assert [r["session"] for r in wait_for(out, 3)] == ["a", "night", "b"]
    _, err = following.stop()
    assert f"waiting for {tmp_path}/cowrie.json, which is not there yet" in err


def test_a_restart_goes_on_where_the_last_one_was(tmp_path: Path, begin: Any) -> None:
    """Also if the log was rotated twice and packed meanwhile; a session open then is whole."""
    log = write_log(
        tmp_path / "cowrie.json", [*session("a"), connect(50.0, "long"), login(51, "long")]
    )
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    first = begin(log, "-o", out, "--state", state)
    wait_for(out, 1)
    first.stop()
    append(log, *session("b", 100.0), command("id", 120.0, "long"))
    (tmp_path / "cowrie.json.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    write_log(tmp_path / "cowrie.json.2026-03-20", session("c", DAY))
    write_log(log, [*session("d", 2 * DAY), command("w", 2 * DAY + 30, "long")])
    second = begin(log, "-o", out, "--state", state)
    wait_for(out, 4)
    append(log, event("session.closed", 2 * DAY + 60, "long", duration=2.0 * DAY))
    made = wait_for(out, 5)
    second.stop()
    assert [r["session"] for r in made] == ["a", "b", "c", "d", "long"]
    assert (made[-1]["commands"], made[-1]["login_attempts"]) == (2, 1)
    whole = summarize(tmp_path / "cowrie.json*")
    assert sorted(out.read_bytes().splitlines()) == sorted(whole.out.splitlines())


@pytest.mark.parametrize("to_stdout", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_neither_loses_nor_repeats_a_record(
    tmp_path: Path, begin: Any, seed: int, *, to_stdout: bool
) -> None:
    """A log that grows and rotates, a follower that is killed at any time, again and again."""
    draw = random.Random(seed)
    events: list[Any] = []
    for i in range(400):
        events += session(f"{i:04d}", i * 3.0 + draw.random(), lines=draw.randrange(8))
        if draw.random() < 0.2:
            late = event("session.file_download", i * 3.0 + 12, f"{i:04d}", url=f"http://x/{i}")
            events.append(late)
    events.sort(key=lambda each: each["timestamp"])
    log, out, state = tmp_path / "cowrie.json", tmp_path / "out.jsonl", tmp_path / "state"
    log.touch()
    out.touch()
    at = rotations = 0
    while at < len(events):
        with out.open("ab") as stdout:
            arguments = [] if to_stdout else ["-o", out]
            following = begin(log, "--state", state, *arguments, stdout=stdout)
        while not state.exists():  # before that it has not begun
            time.sleep(0.01)
        end = time.monotonic() + draw.uniform(0.3, 1.2)
        while time.monotonic() < end:
            count = draw.randrange(1, 40)
            append(log, *events[at : at + count])
            at += count
            if draw.random() < 0.05 and log.stat().st_size:
                rotations += 1
                log.rename(tmp_path / f"cowrie.json.{rotations:03d}")
                log.touch()
            time.sleep(0.01)
        following.process.send_signal(signal.SIGKILL)
        following.process.communicate()
    assert rotations > 0
    with out.open("ab") as stdout:
        arguments = [] if to_stdout else ["-o", out]
        following = begin(log, "--state", state, *arguments, stdout=stdout)
    made = wait_for(out, 400)
    time.sleep(0.6)
    following.stop()
    made = wait_for(out, 400)
    told = [(r["session"], r["revision"]) for r in made]
    assert len(told) == len(set(told))
    last = {r["session"]: r for r in made}  # the last revision of each
    want = {r["session"]: r for r in summarize(tmp_path / "cowrie.json*").records}
    assert last == want
    assert sum(r["revision"] for r in want.values()) == len(told) - 400


def test_a_state_that_is_none_is_refused(tmp_path: Path) -> None:
    """With what to do; so are options that do not go together."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    state = tmp_path / "state"
    for content in (
        "",
        "[]",
        '{"version":1}',
        '{"version":1,"logs":{"x":{"read":1}},"output":null}',
    ):
        state.write_text(content)
        said = summarize("--follow", log, "--state", state)
        assert said.status == 1
        assert f"error: {state} is no state of --follow" in said.err
        assert state.read_text() == content
    state.write_text('{"version":99,"logs":{},"output":null}')
    assert "newer" in summarize("--follow", log, "--state", state).err
    for arguments, words in (
        (["--state", state, log], "--state belongs to --follow"),
        (["--follow", "-"], "--follow reads files"),
        (["--follow", "--open", log], "exclude each other"),
        (["--follow", log, "-o", tmp_path / "x.csv"], "has to end in .jsonl"),
    ):
        said = summarize(*arguments)
        assert said.status == 2
        assert words in said.err


def test_a_disk_that_is_full_ends_it_with_a_sentence(tmp_path: Path) -> None:
    """The state does not say that what could not be written was."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    state = tmp_path / "state"
    with Path("/dev/full").open("wb") as full:
        words = map(str, (COMMAND, "summarize", "--follow", log, "--state", state))
        done = subprocess.run(
            list(words), stdout=full, stderr=subprocess.PIPE, check=False, timeout=20
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    (mark,) = json.loads(state.read_text())["logs"].values()
    assert mark["read"]["offset"] == 0


def test_bad_lines_are_counted_and_no_line_is_too_long(tmp_path: Path, begin: Any) -> None:
    """The last line says which they were; a line of 40 MB is passed over."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(
        as_lines(session("a")) + b"{\n" + b"x" * 40_000_000 + b"\n" + as_lines(session("b", 20))
    )
    out = tmp_path / "out.jsonl"
    following = begin(log, "-o", out)
    assert [r["session"] for r in wait_for(out, 2)] == ["a", "b"]
    _, err = following.stop(signal.SIGINT)
    assert "2 lines skipped" in err
    assert f"1 not JSON (first: {log}:6)" in err
    assert f"1 longer than 16 MiB (first: {log}:7)" in err
