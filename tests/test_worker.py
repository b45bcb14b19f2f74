"""The one thread for what may wait."""

from __future__ import annotations

import os
import threading
import time

import pytest

from cowrie_sessionstats.worker import Worker


def test_tasks_run_in_order_in_another_thread() -> None:
    """One after the other, as submitted."""
    worker = Worker()
    ran: list[tuple[int, int]] = []
    for i in range(100):
        assert worker.submit(lambda i=i: ran.append((i, threading.get_ident())))  # type: ignore[misc]
    assert worker.stop(10)
    assert [i for i, _ in ran] == list(range(100))
    assert {ident for _, ident in ran} & {threading.get_ident()} == set()


def test_nothing_starts_before_the_first_task() -> None:
    """Cowrie forks after it has loaded its outputs: a thread before that would be lost."""
    worker = Worker()
    assert worker.drain(0)
    assert worker.stop(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        worker.submit(lambda: os._exit(os.write(writing, b"ran") - 3))
        worker.stop(10)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reading, 3) == b"ran"


def test_a_thread_that_cannot_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system short of threads costs the tasks of that time only."""
    ran: list[int] = []
    worker = Worker()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not worker.submit(lambda: ran.append(1))
    monkeypatch.undo()
    assert worker.submit(lambda: ran.append(2))
    assert worker.stop(10)
    assert ran == [2]


def test_a_clock_that_is_set_back_is_noticed_once() -> None:
    """Within a second or two, whether there is work or not; forward it may jump as it likes."""
    times = {"wall": 1000.0, "steady": 0.0}
    told = threading.Event()
    calls: list[float] = []

    def set_back() -> None:
        calls.append(times["wall"])
        told.set()

    worker = Worker(wall=lambda: times["wall"], steady=lambda: times["steady"], set_back=set_back)
    worker.submit(lambda: None)
    assert worker.drain(5)
    times["wall"] += 86_400
    worker.submit(lambda: None)
    assert worker.drain(5)
    assert calls == []
    times["wall"] -= 7_200
    assert told.wait(10)
    worker.submit(lambda: None)
    assert worker.stop(5)
    assert len(calls) == 1


def test_a_thread_that_gets_on_is_waited_for_and_one_that_hangs_is_not() -> None:
    """A slow disk loses nothing at a stop, and one that is away holds up nobody."""
    worker = Worker()
    for _ in range(10):
        worker.submit(lambda: time.sleep(0.1))
    assert worker.drain(0.8)
    hang = threading.Event()

    def wait() -> None:
        hang.wait()

    worker.submit(wait)
    assert not worker.drain(0.05)
    begun = time.monotonic()
    for _ in range(5):  # a stop has as many things to wait for, all on the same disk
        assert not worker.drain(20)
    assert not worker.stop(20)
    assert time.monotonic() - begun < 20
    hang.set()
    deadline = time.monotonic() + 30
    while not worker.stop(5):  # it has not gone on yet
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_thread_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that would take hours is left, and its records are found at the next start."""
    monkeypatch.setattr("cowrie_sessionstats.worker.DRAIN_SECONDS", 0.2)
    worker = Worker()
    for _ in range(1000):
        worker.submit(lambda: time.sleep(0.05))
    for _ in range(5):  # all together
        assert not worker.drain(5)
    assert worker._waited < 20
