"""All files to all records: plans, deals the work out, and puts the results in order."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from typing import IO, Any, Final

from attrs import define, field

from cowrie_sessionstats.replay.counting import TABLES, Settings
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.past import Historian
from cowrie_sessionstats.replay.planning import Group, grouped, head_of, joined, without_repeats
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.reading import Tally
from cowrie_sessionstats.replay.spool import Run, Spool, merged
from cowrie_sessionstats.replay.tasks import Outcome, Task, perform

LOOK: Final = 0.1
"""Seconds between two looks at how far the processes are."""


class RunError(Exception):
    """The work cannot be done; its text says why and what to do."""


@define(eq=False)
class Totals:
    """What was read and made, of everything."""

    files: int = 0
    repeats: int = 0
    """Files that only repeat others."""
    tally: Tally = field(factory=Tally)
    problems: Problems = field(factory=Problems)
    records: int = 0
    left_open: int = 0
    dropped: int = 0
    known: int = 0
    """Sessions that the history had counted before."""


@define(eq=False)
class Moving:
    """How far the work is, for a person to see."""

    bytes: int = 0
    total: int = 0
    """Bytes that are to be read, as far as is known."""
    events: int = 0
    sessions: int = 0


@define(eq=False)
class Running:
    """Summarizes files with ``jobs`` processes; the records wait in ``folder`` for their order."""

    settings: Settings
    jobs: int
    folder: Path
    open_sessions: bool = False
    strict: bool = False
    show: Callable[[Moving], None] | None = None
    """Shown how far the work is, from time to time."""
    totals: Totals = field(factory=Totals, init=False)

    def records(self, files: Sequence[LogFile]) -> Iterator[bytes]:
        """Yield the records of all sessions as lines of JSON, in the order of their close.

        Raises RunError, HistoryError, and StrictError for the first problem if there must be none.
        """
        if self.settings.history is not None:
            Historian(self.settings.history).close()  # what is wrong with it is said at once
        heads, self.totals.repeats = without_repeats(map(head_of, files), self.totals.problems)
        self.totals.files = len(files)
        with ExitStack() as stack:
            spools: list[IO[bytes]] = [
                stack.enter_context(tempfile.TemporaryFile(dir=self.folder))
                for _ in range(self.jobs)
            ]
            groups = grouped(heads)
            crew = self._crew(spools, sum(group.size for group in groups))
            with closing(crew):
                outcomes = self._outcomes(groups, crew)
            runs: list[Run] = []
            for shares in outcomes:
                for share, outcome in enumerate(shares):
                    runs += outcome.runs
                    self.totals.records += outcome.records
                    self.totals.left_open += outcome.left_open
                    self.totals.dropped += outcome.dropped
                    if share == 0:
                        self.totals.problems.add(outcome.problems)
                        self.totals.tally.bytes += outcome.tally.bytes
                        self.totals.tally.lines += outcome.tally.lines
                        self.totals.tally.events += outcome.tally.events
            if runs and self.settings.history is None:
                yield from merged(spools, runs)
            elif runs and self.settings.history is not None:
                with closing(Historian(self.settings.history)) as historian:
                    yield from historian.completed(merged(spools, runs))
                    self.totals.known = historian.history.known

    def _crew(self, spools: list[IO[bytes]], total: int) -> _Crew:
        if self.jobs == 1:
            return _Alone(self.settings, spools, self.show, Moving(total=total))
        return _Processes(self.settings, spools, self.show, Moving(total=total))

    def _outcomes(self, groups: list[Group], crew: _Crew) -> list[list[Outcome]]:
        """Return what became of the shares of each group, once no two groups share a sensor."""
        done: dict[Group, list[Outcome]] = {}
        while True:
            new = [group for group in groups if group not in done]
            tasks = [task for group in new for task in self._tasks(group, groups)]
            outcomes = iter(crew.perform(tasks))
            for group in new:
                done[group] = [next(outcomes) for _ in range(self._shares(group, groups))]
            split = {group: done[group][0].parts for group in groups if done[group][0].parts}
            if split:
                groups = [group for group in groups if group not in split]
                groups += [Group(parts) for parts in split.values() if parts is not None]
            else:
                sensors = [set[str]().union(*(o.sensors for o in done[g])) for g in groups]
                united = joined(groups, sensors)
                if len(united) == len(groups):
                    return [done[group] for group in groups]
                groups = united

    def _shares(self, group: Group, groups: list[Group]) -> int:
        """Return in how many shares a group is dealt out: as many as keep all processes busy.

        Each share has to read all of the group, so that there are no more than that.
        """
        total = sum(each.size for each in groups) or 1
        return max(1, min(self.jobs, TABLES, round(2 * self.jobs * group.size / total)))

    def _tasks(self, group: Group, groups: list[Group]) -> list[Task]:
        shares = self._shares(group, groups)
        return [
            Task(group, share, shares, self.open_sessions, self.strict) for share in range(shares)
        ]


# ---------------------------------------------------------------- who does it


@define(eq=False)
class _Crew(ABC):
    """Does tasks and shows how far it is."""

    settings: Settings
    spools: list[IO[bytes]]
    show: Callable[[Moving], None] | None
    moving: Moving

    @abstractmethod
    def perform(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Return what became of each task."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the work needed."""


@define(eq=False)
class _Alone(_Crew):
    """This process."""

    def perform(self, tasks: Sequence[Task]) -> list[Outcome]:
        spool = Spool(self.spools[0])
        with _fewer_collections():
            return [self._perform(task, spool) for task in tasks]

    def close(self) -> None:
        """Let go of nothing: there is nothing to end."""

    def _perform(self, task: Task, spool: Spool) -> Outcome:
        if self.show is None:
            return perform(task, self.settings, spool)
        show, moving = self.show, self.moving
        before = (moving.bytes, moving.events, moving.sessions)

        def moved(outcome: Outcome) -> None:
            moving.bytes = before[0] + outcome.tally.bytes
            moving.events = before[1] + outcome.tally.events
            moving.sessions = before[2] + outcome.records
            show(moving)

        return perform(task, self.settings, spool, moved)


@define(eq=False)
class _Processes(_Crew):
    """As many processes as there are spools."""

    _pool: ProcessPoolExecutor = field(init=False)
    _slots: Any = field(init=False)
    """For each process the bytes, events and sessions so far."""
    _stop: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        try:
            self._start()
        except OSError as error:  # /dev/shm is not there, is full, or nobody may write to it
            raise RunError(
                f"{error.filename or 'shared memory'}: {error.strerror}; several processes need "
                "it. Try again with one: --jobs 1"
            ) from None

    def _start(self) -> None:
        context = get_context("fork")  # the spools have no name, so they must be inherited
        self._slots = RawArray("q", _SLOT * len(self.spools))
        self._stop = RawValue("b", 0)
        # The processes are forked at the first task, before the pool starts a thread.
        self._pool = ProcessPoolExecutor(
            len(self.spools),
            context,
            initializer=_begin,
            initargs=(
                self.settings,
                self.spools,
                self._slots,
                context.Value("i", 0),
                self._stop,
                os.getpid(),
            ),
        )

    def perform(self, tasks: Sequence[Task]) -> list[Outcome]:
        order = sorted(
            range(len(tasks)), key=lambda n: tasks[n].group.size / tasks[n].shares, reverse=True
        )
        futures: dict[int, Future[Outcome]] = {}
        try:
            for number in order:
                futures[number] = self._pool.submit(_work, tasks[number])
            waiting: set[Future[Outcome]] = set(futures.values())
            while waiting:
                ended, waiting = wait(waiting, LOOK, FIRST_COMPLETED)
                for future in ended:
                    future.result()  # raises what went wrong, without waiting for the others
                if self.show is not None:
                    self.moving.bytes = sum(self._slots[0::_SLOT])
                    self.moving.events = sum(self._slots[1::_SLOT])
                    self.moving.sessions = sum(self._slots[2::_SLOT])
                    self.show(self.moving)
        except BrokenProcessPool:
            raise RunError(
                "a process that did a part of the work was killed, perhaps because the memory ran "
                "out. Try again with fewer: --jobs 1"
            ) from None
        return [futures[number].result() for number in range(len(tasks))]

    def close(self) -> None:
        self._stop.value = 1
        self._pool.shutdown(wait=True, cancel_futures=True)


_SLOT: Final = 3


@define(eq=False)
class _Worker:
    """What one of the processes has."""

    settings: Settings
    spool: Spool
    slots: Any
    at: int
    stop: Any

    def moved(self, before: tuple[int, ...], outcome: Outcome, *, counts: bool) -> None:
        if self.stop.value:
            raise _StoppedError
        if counts:
            self.slots[self.at] = before[0] + outcome.tally.bytes
            self.slots[self.at + 1] = before[1] + outcome.tally.events
        self.slots[self.at + 2] = before[2] + outcome.records


class _StoppedError(Exception):
    """Nobody wants the result any more."""


_worker: _Worker | None = None


def _begin(  # noqa: PLR0913, PLR0917  all that a process is born with
    settings: Settings, spools: list[IO[bytes]], slots: Any, counter: Any, stop: Any, parent: int
) -> None:
    """Get a process ready: it has a spool of its own."""
    global _worker  # noqa: PLW0603 - the pool offers no other place
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, too, and ends the work
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    _worker = _Worker(settings, Spool(spools[number], number), slots, number * _SLOT, stop)


def _end_with(parent: int) -> None:
    """End this process when its parent was killed: nothing else would."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work(task: Task) -> Outcome:
    worker = _worker
    if worker is None:
        raise RuntimeError("no spool")  # the pool calls the initializer first
    before = tuple(worker.slots[worker.at : worker.at + _SLOT])
    counts = task.share == 0
    return perform(
        task,
        worker.settings,
        worker.spool,
        lambda outcome: worker.moved(before, outcome, counts=counts),
    )


_THRESHOLDS: Final = (200_000, 50, 1_000)


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """Let Python look for cycles seldom: many small objects live here, and none is in one."""
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
