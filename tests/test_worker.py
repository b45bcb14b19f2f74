"""The one thread for what may wait."""

from __future__ import annotations

import os
import threading

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
