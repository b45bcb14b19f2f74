"""``cowrie-sessionstats summarize``: what cannot be read, and what ends the work."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner
from logs import COMMAND, COMPRESSED, DAY, as_lines, session, summarize, write_log

from cowrie_sessionstats.cli import main
from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.running import Running
from cowrie_sessionstats.replay.streams import Appetite, FileError, chunks


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


def test_without_shared_memory_one_process_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine whose /dev/shm is closed: what to do is said, and helps."""

    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/closed/pym-1")

    log = write_log(tmp_path / "cowrie.json", session("a"))
    monkeypatch.setattr("cowrie_sessionstats.replay.running.RawArray", closed)
    said = CliRunner().invoke(main, ["summarize", str(log), "--jobs", "2"])
    assert said.exit_code == 1
    assert "error: /closed/pym-1: Permission denied; several processes need it" in said.output
    assert "--jobs 1" in said.output
    said = CliRunner().invoke(main, ["summarize", str(log), "--jobs", "1"])
    assert said.exit_code == 0
