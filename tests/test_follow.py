"""``summarize --follow``: each record once, through rotations, restarts and ``kill -9``."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from logs import COMMAND, DAY, as_lines, session, summarize, write_log
from samples import closed, command, connect, event, login

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.following import Follower, Mark, Place
from cowrie_sessionstats.replay.journal import Journal
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.rotation import Rotation


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
        # But for a line that is being written.
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
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


@pytest.mark.parametrize("is_there", [True, False])
def test_a_crash_between_the_records_and_the_state(tmp_path: Path, *, is_there: bool) -> None:
    """And another at once at the next start, and in mid-write: still each record once."""
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    lines = [b'{"eventid":"cowrie.sessionstats.summary","session":"%d"}' % i for i in range(4)]
    marks = {"log": Mark(read=Place(1, 10))}
    if is_there:
        out.write_bytes(b"")
    Journal(out, state).commit(marks)
    crashed = Journal(out, state)
    for line in lines[:3]:
        crashed.add(line)
    crashed._write()  # and it is killed before the state is saved
    with out.open("ab") as file:
        file.write(lines[3][:20])
    again = Journal(out, state)
    again.add(lines[0])
    again.commit({"log": Mark(read=Place(1, 20))})  # killed while it reads again
    last = Journal(out, state)
    for line in lines[1:]:
        last.add(line)
    last.caught_up()
    last.commit({"log": Mark(read=Place(1, 40))})
    assert out.read_bytes() == b"".join(line + b"\n" for line in lines)
    moved = out.rename(tmp_path / "moved.jsonl")  # as logrotate does
    crashed = Journal(out, state)
    crashed.add(b"{}")
    crashed._write()
    after = Journal(out, state)
    after.add(b"{}")
    after.commit({"log": Mark(read=Place(1, 50))})
    assert out.read_bytes() == b"{}\n"
    assert moved.stat().st_size == sum(len(line) + 1 for line in lines)


def test_a_log_that_was_cut_is_read_on_from_its_end(tmp_path: Path, begin: Any) -> None:
    """As a power cut leaves it, while it is followed or before a restart; no busy loop."""
    log = write_log(tmp_path / "cowrie.json", [*session("a"), *session("b", 20)])
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    following = begin(log, "-o", out, "--state", state)
    wait_for(out, 2)
    os.truncate(log, log.stat().st_size - 150)
    time.sleep(0.5)
    append(log, {}, *session("c", 40))
    wait_for(out, 3)
    following.stop()
    os.truncate(log, 1000)
    before = state.read_bytes()
    following = begin(log, "-o", out, "--state", state)
    deadline = time.monotonic() + 30
    while state.read_bytes() == before and time.monotonic() < deadline:
        time.sleep(0.05)  # until it has seen the cut; before that, the log has only grown
    append(log, {}, *session("d", 60))
    made = wait_for(out, 4)
    begun = time.monotonic()
    following.stop()
    assert time.monotonic() - begun < 1.5
    assert [r["session"] for r in made] == ["a", "b", "c", "d"]


def test_a_log_that_is_cut_under_its_writer(tmp_path: Path, begin: Any) -> None:
    """Cowrie goes on at its old place: the file then begins with as many NUL bytes."""
    many = [each for i in range(3000) for each in session(f"{i:05d}", i * 20.0)]
    log = write_log(tmp_path / "cowrie.json", many)
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    following = begin(log, "-o", out, "--state", state)
    wait_for(out, 3000)
    with log.open("rb+") as writer:
        writer.seek(0, os.SEEK_END)
        (tmp_path / "cowrie.json.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)
        writer.write(as_lines(session("a", DAY)))
        writer.flush()
        assert log.read_bytes()[: 1 << 20] == bytes(1 << 20)
        wait_for(out, 3001)
        following.stop()
        writer.write(as_lines(session("b", DAY + 20)))
        writer.flush()
        begin(log, "-o", out, "--state", state)
        made = wait_for(out, 3002)
    assert [r["session"] for r in made[3000:]] == ["a", "b"]
    assert len(summarize(log).records) == 2


def test_a_clock_that_goes_back_at_a_rotation_loses_no_log(tmp_path: Path, begin: Any) -> None:
    """The new log begins before the old one did, or at the same time."""
    log = write_log(tmp_path / "cowrie.json", session("a", 5000))
    out = tmp_path / "out.jsonl"
    begin(log, "-o", out)
    wait_for(out, 1)
    for number, at in enumerate((1400, 5000, 1400)):
        log.rename(tmp_path / f"cowrie.json.{number}")
        write_log(log, session(f"b{number}", at))
        wait_for(out, 2 + number)
    assert [r["session"] for r in wait_for(out, 4)] == ["a", "b0", "b1", "b2"]


def test_a_rotation_while_old_logs_are_read(tmp_path: Path) -> None:
    """Names that all shift, one that is packed meanwhile: nothing is lost or counted twice."""
    for number in range(4):
        at = number * 2 * DAY
        events = [each for i in range(5000) for each in session(f"{number}-{i}", at + i * 20)]
        name = "cowrie.json" if number == 3 else f"cowrie.json.{3 - number}"
        write_log(tmp_path / name, events)
    made: list[Any] = []
    follower = Follower(
        tmp_path / "cowrie.json", made.append, Settings(), Problems(strict=True), history=True
    )
    reading = follower.read()
    next(reading)
    for number in (3, 2, 1):
        (tmp_path / f"cowrie.json.{number}").rename(tmp_path / f"cowrie.json.{number + 1}")
    (tmp_path / "cowrie.json").rename(tmp_path / "cowrie.json.1")
    write_log(tmp_path / "cowrie.json", session("new", 9 * DAY))
    packed = tmp_path / "cowrie.json.2"
    (tmp_path / "cowrie.json.2.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    for _ in reading:
        pass
    follower.close()
    names = [values[2] for values in made]
    assert len(names) == len(set(names)) == 20_001
    assert names[-1] == "new"


def test_a_log_that_moves_between_being_seen_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found again by its new name, and stands once in what a restart would read."""
    names = [tmp_path / name for name in ("cowrie.json.1", "cowrie.json.2", "cowrie.json")]
    for number, name in enumerate(names):
        write_log(name, [*session(f"{number}", number * DAY), connect(number * DAY + 50, "open")])
    made: list[Any] = []
    follower = Follower(names[2], made.append, Settings(), Problems(strict=True), history=True)
    look = Rotation.rotated
    looks: list[int] = []

    def look_and_move(rotation: Rotation) -> Any:
        seen = look(rotation)
        looks.append(len(seen))
        if len(looks) == 2:  # the first was read, the second is about to be
            names[1].rename(tmp_path / "cowrie.json.9")
        return seen

    monkeypatch.setattr(Rotation, "rotated", look_and_move)
    for _ in follower.read():
        pass
    follower.close()
    assert [values[2] for values in made if values[2] != "open"] == ["0", "1", "2"]
    identities = [identity for _, identity in follower.marked().row]
    assert len(identities) == len(set(identities)) > 0


def test_a_log_that_is_copied_over_while_nobody_looks(tmp_path: Path, begin: Any) -> None:
    """The new content is longer than what was read of the old."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    out = tmp_path / "out.jsonl"
    following = begin(log, "-o", out)
    wait_for(out, 1)
    following.process.send_signal(signal.SIGSTOP)
    append(log, *session("b", 20))
    (tmp_path / "cowrie.json.1").write_bytes(log.read_bytes())
    new = [each for i in range(50) for each in session(f"c{i}", DAY + i * 20)]
    log.write_bytes(as_lines(new))
    following.process.send_signal(signal.SIGCONT)
    made = wait_for(out, 52)
    _, err = following.stop()
    assert [r["session"] for r in made] == ["a", "b", *(f"c{i}" for i in range(50))]
    assert {r["revision"] for r in made} == {0}
    assert "skipped" not in err


def test_nothing_beside_the_log_or_behind_the_pipe_holds_it_up(tmp_path: Path, begin: Any) -> None:
    """A pipe with a rotated log's name, a reader that sleeps: signals end it all the same."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    os.mkfifo(tmp_path / "cowrie.json.1")
    out = tmp_path / "out.jsonl"
    following = begin(log, "-o", out)
    wait_for(out, 1)
    following.stop()
    append(log, *(each for i in range(500) for each in session(f"{i}", 20.0 + i)))
    with subprocess.Popen(
        [str(COMMAND), "summarize", "--follow", str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as stalled:
        time.sleep(1.5)
        begun = time.monotonic()
        stalled.send_signal(signal.SIGTERM)
        stalled.wait(timeout=5)
        assert time.monotonic() - begun < 1.5


def test_a_damaged_packed_log_is_said_once(tmp_path: Path, begin: Any) -> None:
    """Not at every look, and half a line of it counts as none."""
    events = [each for i in range(800) for each in session(f"{i}", i * 20.0)]
    (tmp_path / "cowrie.json.1.gz").write_bytes(gzip.compress(as_lines(events))[:-4000])
    out = tmp_path / "out.jsonl"
    following = begin(tmp_path, "-o", out)
    wait_for(out, 10)
    time.sleep(1)
    _, err = following.stop()
    assert err.count("the file is cut off") == 1
    assert "skipped" not in err


def test_logs_are_told_apart_by_what_they_are(tmp_path: Path, begin: Any) -> None:
    """One by two names is one; one that is left out for a run keeps its place."""
    one = write_log(tmp_path / "one/cowrie.json", session("a"))
    two = write_log(tmp_path / "two/cowrie.json", session("b", 20))
    (tmp_path / "link").symlink_to(tmp_path / "one")
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    for logs in (
        (one, tmp_path / "link/cowrie.json", tmp_path / "one/../one/cowrie.json", two),
        (one,),
        (two, one),
    ):
        following = begin(*logs, "-o", out, "--state", state)
        wait_for(out, 2)
        time.sleep(0.5)
        following.stop()
    assert [r["session"] for r in wait_for(out, 2)] == ["a", "b"]


def test_what_is_written_must_not_be_read(tmp_path: Path) -> None:
    """Summaries in Cowrie's log, or a state in the place of the records, help nobody."""
    log = write_log(tmp_path / "cowrie.jsonl", session("a"))
    os.mkfifo(tmp_path / "pipe.jsonl")
    for arguments, words in (
        ((log, "-o", log), "is the log, too"),
        ((log, "--state", log), "is the log, too"),
        ((log, "--state", tmp_path / "x.jsonl", "-o", tmp_path / "x.jsonl"), "is --state, too"),
        ((log, "-o", tmp_path / "pipe.jsonl"), "is no regular file"),
    ):
        said = summarize("--follow", *arguments)
        assert said.status == 2
        assert words in said.err
    assert log.read_bytes() == as_lines(session("a"))


def test_places_of_bad_lines_are_those_of_the_file(tmp_path: Path, begin: Any) -> None:
    """Also in a rotated one, and after a restart."""
    log = write_log(tmp_path / "cowrie.json", [*session("a"), connect(50.0, "open")])
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    following = begin(log, "-o", out, "--state", state)
    wait_for(out, 1)
    following.stop()
    with log.open("ab") as file:
        file.write(b"{\n")
    old = log.rename(tmp_path / "cowrie.json.1")
    write_log(log, session("b", DAY))
    following = begin(log, "-o", out, "--state", state)
    wait_for(out, 2)
    _, err = following.stop()
    assert f"1 not JSON (first: {old}:7)" in err


def test_one_time_in_the_future_takes_no_session_apart(tmp_path: Path, begin: Any) -> None:
    """An open session of 2099 does not make the others look silent."""
    odd = {**connect(30.0, "odd"), "timestamp": "2099-01-01T00:00:00.000000Z"}
    events = [*session("x"), connect(20.0, "a"), login(21.0, "a"), odd, connect(31.0, "b")]
    log = write_log(tmp_path / "cowrie.json", events)
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    following = begin(log, "-o", out, "--state", state)
    wait_for(out, 1)
    following.stop()
    append(log, command("id", 40.0, "a"), closed(50.0, "a"))
    begin(log, "-o", out, "--state", state)
    made = wait_for(out, 2)[1]
    assert (made["session"], made["login_attempts"], made.get("partial")) == ("a", 1, None)


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
    assert mark["read"] == [0, 0, 0]


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
