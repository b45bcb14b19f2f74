"""The one thread in which everything happens that may have to wait for a disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from attrs import define, field

QUEUE_LIMIT: Final = 10_000
"""Tasks that may wait: some 20 MB of records, an hour of a busy sensor with its disk away. Besides
them, as many as there can be open sessions, which may all close in one turn of the reactor."""


WATCH_SECONDS: Final = 1.0
"""Seconds between two looks at the clock, and those that it has to be set back to matter."""


DRAIN_SECONDS: Final = 20.0
"""Longest wait for a thread that gets on, all waits together: there are several at a stop, and
systemd kills what does not stop within 90 s."""


@define(eq=False)
class Worker:
    """Runs tasks one after the other in a thread of its own, which starts with the first.

    Not before: Cowrie loads its outputs, then forks into the background, and threads do not
    survive a fork. The thread never keeps the process alive.
    """

    limit: int = QUEUE_LIMIT
    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    set_back: Callable[[], object] | None = None
    """Called in the thread when the clock was set back: a reactor's timers then wait until the old
    time comes round again, which can be hours."""
    _queue: SimpleQueue[Callable[[], None] | None] = field(factory=SimpleQueue, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)
    """Tasks that ran."""
    _hung: int | None = field(default=None, init=False)
    """How many those were when it was found to hang."""
    _waited: float = field(default=0.0, init=False)
    """Seconds that were spent waiting for it."""

    def submit(self, task: Callable[[], None]) -> bool:
        """Let ``task``, which must not raise, run soon.

        False if too many wait already, or if the system has no thread to spare now.
        """
        if self._queue.qsize() >= self.limit:
            return False
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="cowrie-sessionstats", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        self._queue.put(task)
        return True

    def drain(self, seconds: float) -> bool:
        """Wait until every task submitted so far has run.

        False if for so many seconds none was done, or after ``DRAIN_SECONDS``: a disk that hangs
        is told from one that is slow. One that hung at the last wait, and did nothing since, is
        not waited for again.
        """
        if self._thread is None:
            return True
        done = threading.Event()
        self._queue.put(done.set)
        return self._wait(done.wait, done.is_set, seconds)

    def stop(self, seconds: float) -> bool:
        """Let the submitted tasks run and end the thread; False as ``drain``."""
        thread = self._thread
        if thread is None:
            return True
        self._queue.put(None)
        return self._wait(thread.join, lambda: not thread.is_alive(), seconds)

    def _wait(
        self, wait: Callable[[float], object], is_done: Callable[[], bool], seconds: float
    ) -> bool:
        while self._done != self._hung and self._waited < DRAIN_SECONDS:
            before, begun = self._done, self.steady()
            wait(min(seconds, DRAIN_SECONDS - self._waited))
            self._waited += self.steady() - begun
            if is_done():
                return True
            if self._done == before:
                self._hung = before
        return is_done()

    def _run(self) -> None:
        ahead = self.wall() - self.steady()
        while True:
            try:
                task = self._queue.get(timeout=WATCH_SECONDS)
            except Empty:
                task = _nothing
            before, ahead = ahead, self.wall() - self.steady()
            if ahead < before - WATCH_SECONDS and self.set_back is not None:
                self.set_back()
            if task is None:
                return
            task()
            self._done += 1
            # The reactor may wait for the interpreter: by itself, Python would let it in only when
            # this thread has had 5 ms.
            time.sleep(0)


def _nothing() -> None:
    pass
