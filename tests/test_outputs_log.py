"""The log: whole lines, rotated as Cowrie's are, through full and hanging disks."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from samples import closed, connect
from twisted.logger import Logger

from cowrie_sessionstats import outputs
from cowrie_sessionstats.complaints import INTERVAL, Complaints
from cowrie_sessionstats.outputs import log as log_module
from cowrie_sessionstats.outputs.log import LineFile, LogDestination, check_writable
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.summary import Summary
from cowrie_sessionstats.worker import QUEUE_LIMIT, Worker


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def localtime(self, seconds: float | None) -> time.struct_time:
        """Return the date of a time, or of now, in UTC."""
        return time.gmtime(self.now if seconds is None else seconds)


def a_summary() -> Summary:
    """Return the record of some session."""
    made: list[Summary] = []
    sessions = Sessions(made.append)
    sessions.feed(connect())
    sessions.feed(closed(1.0))
    return made[0]


class Harness:
    """A log destination with its worker, and what it said."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        self.clock = Clock()
        observer: Any = lambda event: self.said.append(event["log_format"].format(**event))  # noqa: E731
        log = Logger(observer=observer)
        self.complaints = Complaints(log, self.clock)
        self.worker = Worker()
        self.file = LineFile(path, daily=False)
        self.destination = LogDestination(
            self.file, self.worker, self.complaints, lambda call: call()
        )

    def write(self, count: int = 1) -> None:
        """Write some records and wait until they are done with."""
        for _ in range(count):
            self.destination.write(a_summary())
        assert self.worker.drain(10)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """Return a destination for a file."""
    made = Harness(tmp_path / "sessionstats.json")
    yield made
    made.worker.stop(10)


def test_each_record_is_one_line(harness: Harness) -> None:
    """What is written is what was summarized, one JSON object a line."""
    harness.write(3)
    lines = harness.file.path.read_text().splitlines()
    assert [json.loads(line)["session"] for line in lines] == ["5ca1ab1e0001"] * 3
    assert harness.said == []


def test_a_full_disk_is_said_once_a_minute_and_recovers_by_itself(tmp_path: Path) -> None:
    """Lost records are counted; when there is room again, the next one is written."""
    target = tmp_path / "sessionstats.json"
    target.symlink_to("/dev/full")
    harness = Harness(target)
    harness.write(5)
    assert harness.destination.lost == 5
    assert len(harness.said) == 1
    assert str(target) in harness.said[0]
    assert "No space left" in harness.said[0]
    harness.clock.now += INTERVAL
    harness.write()
    assert len(harness.said) == 2
    assert "and 4 more" in harness.said[1]

    target.unlink()
    harness.write()
    assert len(target.read_text().splitlines()) == 1
    assert "can be written again" in harness.said[2]
    assert "6" in harness.said[2]
    harness.worker.stop(10)


def test_a_line_that_fits_only_in_part_is_taken_back(tmp_path: Path) -> None:
    """A file holds whole lines only, also when a limit cuts a write in the middle."""
    file = LineFile(tmp_path / "log", daily=False)
    file.append(b"x" * 99 + b"\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal  # noqa: PLC0415 - the limit sends one

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, before[1]))
        with pytest.raises(OSError, match="50 of 100"):
            file.append(b"y" * 99 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.path.read_bytes() == b"x" * 99 + b"\n"
    file.append(b"z\n")
    assert file.path.read_bytes().splitlines() == [b"x" * 99, b"z"]


def test_what_cannot_be_taken_back_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a line that stays in the file does not spoil the next one."""
    file = LineFile(tmp_path / "log", daily=False)
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:3]))

    def refuse(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(OSError, match="3 of 9"):
        file.append(b"a record\n")
    monkeypatch.undo()
    file.append(b"another\n")
    assert file.path.read_bytes() == b"a r\nanother\n"


def test_the_reactor_does_not_wait_for_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are refused and counted once too many wait; a stop waits two seconds at most."""
    monkeypatch.setattr(outputs, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(log_module, "STOP_SECONDS", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fill(pipe)
    harness = Harness(pipe)  # writing waits until somebody takes something out
    summary = a_summary()
    slowest = 0.0
    for _ in range(QUEUE_LIMIT + 50):
        begun = time.perf_counter()
        harness.destination.write(summary)
        slowest = max(slowest, time.perf_counter() - begun)
    assert slowest < 1
    assert 45 <= harness.destination.lost <= 50
    assert "does not keep up" in harness.said[0]
    begun = time.perf_counter()
    harness.destination.stop()
    assert time.perf_counter() - begun < 1

    stuck = harness.worker._done
    os.set_blocking(reading, True)
    taken = tmp_path / "taken"
    with taken.open("wb") as out:  # somebody reads at last: everything that waited is written
        reader = subprocess.Popen(["/bin/cat"], stdin=reading, stdout=out)
    os.close(reading)
    while harness.worker._done == stuck:
        assert reader.poll() is None
        time.sleep(0.01)
    assert harness.worker.stop(30)
    harness.file.close()
    assert reader.wait(30) == 0
    received = [line for line in taken.read_bytes().splitlines() if line]
    assert len(received) == QUEUE_LIMIT + 50 - harness.destination.lost


def fill(pipe: Path) -> None:
    """Put empty lines into a pipe until there is no room for a single one more."""
    handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(handle, b"\n" * size)
    os.close(handle)


def test_a_pipe_nobody_reads_is_refused_at_the_start(tmp_path: Path) -> None:
    """The check of the option does not wait, as opening such a pipe would."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        check_writable(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)


def dated(tmp_path: Path, clock: Clock) -> Callable[[bytes], None]:
    """Return a function that appends a line to a log that is rotated daily."""
    file = LineFile(tmp_path / "s.json", daily=True, localtime=clock.localtime)

    def append(line: bytes) -> None:
        file.append(line)
        os.utime(file.path, (clock.now, clock.now))

    return append


def names(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder and what they hold."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_log_is_rotated_each_day_as_cowries_is(tmp_path: Path) -> None:
    """The first line of a day moves yesterday's file to its date; also after a restart."""
    clock = Clock()
    append = dated(tmp_path, clock)
    append(b"1\n")
    clock.now += 86_400
    append(b"2\n")
    append(b"3\n")
    clock.now += 2 * 86_400
    dated(tmp_path, clock)(b"4\n")  # another process
    assert names(tmp_path) == {
        "s.json.1970-01-01": b"1\n",
        "s.json.1970-01-02": b"2\n3\n",
        "s.json": b"4\n",
    }


def test_a_file_of_that_date_is_not_replaced(tmp_path: Path) -> None:
    """Where the dated name is taken, lines go on in the present file."""
    clock = Clock()
    append = dated(tmp_path, clock)
    (tmp_path / "s.json.1970-01-01").write_bytes(b"precious\n")
    append(b"1\n")
    clock.now += 86_400
    append(b"2\n")
    assert names(tmp_path) == {"s.json.1970-01-01": b"precious\n", "s.json": b"1\n2\n"}


def test_a_log_that_is_gone_at_midnight_is_made_anew(tmp_path: Path) -> None:
    """A file deleted before the day changed is not missed for ever."""
    clock = Clock()
    append = dated(tmp_path, clock)
    append(b"1\n")
    (tmp_path / "s.json").unlink()
    clock.now += 86_400
    append(b"2\n")
    append(b"3\n")
    assert names(tmp_path) == {"s.json": b"2\n3\n"}


def test_a_new_file_of_today_is_not_taken_for_yesterdays(tmp_path: Path) -> None:
    """Where another program has rotated the log at midnight, we do not do it again."""
    clock = Clock()
    append = dated(tmp_path, clock)
    append(b"1\n")
    (tmp_path / "s.json").rename(tmp_path / "s.json.1")
    clock.now += 86_400
    (tmp_path / "s.json").write_bytes(b"header\n")
    os.utime(tmp_path / "s.json", (clock.now, clock.now))
    append(b"2\n")
    assert names(tmp_path) == {"s.json.1": b"1\n", "s.json": b"header\n2\n"}


def test_a_file_that_cannot_be_moved_is_written_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder is not ours to write in, there is no rotation, and no loss."""
    clock = Clock()
    append = dated(tmp_path, clock)
    append(b"1\n")

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    for line in (b"2\n", b"3\n"):
        clock.now += 86_400
        append(line)
    dated(tmp_path, clock)(b"4\n")
    assert names(tmp_path) == {"s.json": b"1\n2\n3\n4\n"}


def test_a_line_that_a_crash_tore_is_ended(tmp_path: Path) -> None:
    """The first record after a power cut stands on a line of its own."""
    (tmp_path / "s.json").write_bytes(b'{"a": 1}\n{"a"')
    LineFile(tmp_path / "s.json", daily=False).append(b'{"a": 2}\n')
    assert (tmp_path / "s.json").read_bytes() == b'{"a": 1}\n{"a"\n{"a": 2}\n'


def test_a_torn_line_in_a_file_that_cannot_be_moved_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where yesterday's file has to be written on."""

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    clock = Clock()
    (tmp_path / "s.json").write_bytes(b'{"a"')
    os.utime(tmp_path / "s.json", (clock.now, clock.now))
    clock.now += 86_400
    dated(tmp_path, clock)(b"2\n")
    assert names(tmp_path) == {"s.json": b'{"a"\n2\n'}


def test_the_log_can_be_read_by_its_group_whatever_the_umask(tmp_path: Path) -> None:
    """The mode is that of Cowrie's own logs; one that somebody chose for a file stays."""
    before = os.umask(0o077)
    try:
        LineFile(tmp_path / "s.json", daily=False).append(b"1\n")
        assert (tmp_path / "s.json").stat().st_mode & 0o777 == log_module.MODE
        (tmp_path / "s.json").chmod(0o600)
        LineFile(tmp_path / "s.json", daily=False).append(b"2\n")
        assert (tmp_path / "s.json").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_log_moved_or_deleted_by_others_is_made_anew(tmp_path: Path) -> None:
    """By logrotate or somebody short of space: the next record is in a new file."""
    clock = Clock()
    append = dated(tmp_path, clock)
    append(b"1\n")
    (tmp_path / "s.json").rename(tmp_path / "s.json.1")
    clock.now += 2
    append(b"2\n")
    (tmp_path / "s.json").unlink()
    clock.now += 2
    append(b"3\n")
    assert names(tmp_path) == {"s.json.1": b"1\n", "s.json": b"3\n"}


def test_a_folder_that_comes_back_is_written_to_again(harness: Harness) -> None:
    """A failing path is tried again with every record."""
    folder = harness.file.path.parent / "gone"
    harness.file.path = folder / "log"
    harness.write()
    assert harness.destination.lost == 1
    folder.mkdir()
    harness.write()
    assert len((folder / "log").read_text().splitlines()) == 1


def test_a_pipe_that_nobody_reads_any_more_is_an_error(tmp_path: Path) -> None:
    """Waiting for a reader would hold the thread that delivers, too."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = LineFile(pipe, daily=True)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    file.append(b"1\n")
    assert os.read(reader, 10) == b"1\n"
    os.close(reader)
    for _ in range(2):
        with pytest.raises(OSError, match=r"Broken pipe|No such device"):
            file.append(b"2\n")
