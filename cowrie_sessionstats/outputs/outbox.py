"""The outbox: records go into the store, and from there to the destinations that promise.

With it open sessions are kept, so that a process that is killed leaves no session without a record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from cowrie_sessionstats.complaints import ERROR_LIMIT, Complaints
from cowrie_sessionstats.entries import Checkpoint, SessionKey, pack
from cowrie_sessionstats.outputs import STOP_SECONDS
from cowrie_sessionstats.outputs.delivery import Delivery
from cowrie_sessionstats.outputs.sending import TIME
from cowrie_sessionstats.recovery import COWRIE_LOG, OWN_LOG, Place, Recovery, end_of
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.store import Store, StoreError
from cowrie_sessionstats.summary import Draft, Summary, printable, record
from cowrie_sessionstats.worker import Worker

COMMIT_SECONDS: Final = 1.0
"""Seconds between two writes to the disk at least: an SD card has to live with it for years."""

CHECKPOINT_COMMITS: Final = 4
"""Every how many of those open sessions are kept: with the time it takes, every 5 s at most."""

AT_ONCE: Final = 100
"""Open sessions whose state is taken in one turn of the reactor: 2 ms; and recovered ones."""


def _timed(summary: Summary) -> dict[str, Any]:
    """Return the record with the time of the close."""
    made = record(summary)
    if summary.time is not None:
        made[TIME] = summary.time
    return made


@define(eq=False)
class Logs:
    """The logs from which sessions can be found again; None where there is none."""

    cowrie: Path | None
    own: Path | None
    cowrie_end: Place = field(init=False)
    own_end: Place = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.cowrie_end, self.own_end = end_of(self.cowrie), end_of(self.own)


@define(eq=False)
class Outbox:
    """Puts records into the store, and looks after it.

    ``emit`` takes what ``Recovery`` finds: it completes a record that was missing, and writes it to
    all destinations. ``clock`` is the reactor.
    """

    store: Store
    worker: Worker
    sessions: Sessions
    logs: Logs
    emit: Callable[[Draft | Summary], None]
    clock: Any
    complaints: Complaints
    lost: int = field(default=0, init=False)
    """Records that the worker thread could not take."""
    deliveries: Sequence[Delivery] = field(default=(), init=False)
    _ticks: int = field(default=0, init=False)
    _loop: LoopingCall | None = field(default=None, init=False)
    _since: Place = field(init=False)
    """How far Cowrie's log was at the last checkpoint: newer sessions began behind it."""
    _is_keeping: bool = field(default=True, init=False)
    """Whether a checkpoint is under way; at first, what was left behind is looked for."""
    _is_recovered: bool = field(default=False, init=False)
    """Whether all that was left behind is found, and has its record in the store or on the way."""
    _generation: int = field(default=0, init=False)
    _news: bool = field(default=False, init=False)
    """Whether records were added that the destinations were not told of."""

    def __attrs_post_init__(self) -> None:
        self._since = self.logs.cowrie_end

    # ------------------------------------------------------------ as a destination

    def write(self, summary: Summary) -> None:
        """Take one record."""
        self._news = True
        if not self.worker.submit(lambda: self._add(summary)):
            self.lost += 1
            self.complaints.complain(
                f"the disk of [output_sessionstats] store = {self.store.path} does not keep up, a "
                "record is not delivered: see whether it hangs"
            )

    def flush(self) -> None:
        """Do nothing: the worker is at it already."""

    def stop(self) -> None:
        """Write what is left, within ``STOP_SECONDS``; what is not delivered waits in the file."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        for delivery in self.deliveries:
            delivery.stop()
        self.worker.submit(self._close)
        if not self.worker.drain(STOP_SECONDS):
            self.complaints.complain(
                f"the disk of [output_sessionstats] store = {self.store.path} does not answer: "
                "see whether it hangs. The next start finds in Cowrie's log what is missing"
            )

    def _add(self, summary: Summary) -> None:
        try:
            self.store.add(_timed(summary))
        except Exception as error:  # noqa: BLE001 - the next record may fare better
            self._say(f"a record cannot be kept: {printable(str(error), ERROR_LIMIT)}")

    def _close(self) -> None:
        """Let go of the store; nothing is left to be found by the next process.

        Unless this one was still at it: then the next begins where this one did.
        """
        try:
            if self._is_recovered:
                place = self.store.next_place()
                self._remember(end_of(self.logs.cowrie), end_of(self.logs.own), place)
            self.store.close()
        except Exception as error:  # noqa: BLE001 - the next start finds what is missing
            self._say(f"the store could not be closed: {printable(str(error), ERROR_LIMIT)}")

    # ------------------------------------------------------------ time

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Look for what was left behind, then begin to deliver; in the running reactor."""
        self.deliveries = deliveries
        self.sessions.touched = {}
        self._loop = LoopingCall(self._tick)
        self._loop.clock = self.clock
        self._loop.start(COMMIT_SECONDS, now=False)
        self._recover()
        for delivery in deliveries:
            delivery.start()

    def clock_set_back(self) -> None:
        """Set all timers anew; in the reactor thread."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
            self._loop.start(COMMIT_SECONDS, now=True)
        for delivery in self.deliveries:
            delivery.clock_set_back()

    def settle(self) -> Deferred[Any]:
        """Begin nothing new; the result fires when what is being sent has been judged, or at once.

        Never later than after ``STOP_SECONDS``.
        """
        settled: Deferred[Any] = Deferred()
        late = self.clock.callLater(STOP_SECONDS, self._hurry, settled)

        def judged(_: object) -> None:
            if late.active():
                late.cancel()
                settled.callback(None)

        DeferredList([delivery.settle() for delivery in self.deliveries]).addBoth(judged)
        return settled

    def _hurry(self, settled: Deferred[Any]) -> None:
        """Drop what is being sent; and wait for nobody, as a disk that hangs never answers."""
        for delivery in self.deliveries:
            delivery.stop()
        settled.callback(None)

    def in_worker(self, task: Callable[[], Any]) -> Deferred[Any]:
        """Run a function in the worker thread."""
        answer: Deferred[Any] = Deferred()

        def run() -> None:
            try:
                result = task()
            except BaseException:  # noqa: BLE001 - whoever asked is told
                result = Failure()  # type: ignore[no-untyped-call]
            self.clock.callFromThread(answer.callback, result)

        if not self.worker.submit(run):
            answer.errback(OSError("the disk does not keep up: see whether it hangs"))
        return answer

    def _say(self, trouble: str) -> None:
        """Tell the operator; from the worker thread."""
        self.clock.callFromThread(self.complaints.complain, trouble)

    def _tick(self) -> None:
        """Have what came written; and from time to time, the open sessions."""
        self._ticks += 1
        self.worker.submit(self._commit)
        if self._news:
            self._news = False
            for delivery in self.deliveries:
                delivery.wake()
        if self._ticks % CHECKPOINT_COMMITS == 0 and not self._is_keeping:
            self._is_keeping = self.worker.submit(self._begin_checkpoint)

    def _commit(self) -> None:
        try:
            before = self.store.next_place()
            self.store.commit()
            if self.store.next_place() != before:  # records set aside have another chance
                self.clock.callFromThread(self._wake)
        except StoreError as error:
            self._say(f"[output_sessionstats] store: {error}")
        except Exception as error:  # noqa: BLE001 - tried again in a second
            self._say(f"the store cannot be written: {printable(str(error), ERROR_LIMIT)}")

    def _wake(self) -> None:
        for delivery in self.deliveries:
            delivery.wake()

    # ------------------------------------------------------------ open sessions

    def _begin_checkpoint(self) -> None:
        """Take note how far the logs are; in the worker thread.

        What stands in Cowrie's log now has been counted when the reactor has come round, and has
        its record behind ``place``, or did so before.
        """
        cowrie, own = end_of(self.logs.cowrie), end_of(self.logs.own)
        place, generation = self.store.next_place(), self.store.generation
        self.clock.callFromThread(self._take_open, cowrie, own, place, generation)

    def _take_open(self, cowrie: Place, own: Place, place: int, generation: int) -> None:
        """Take the state of the sessions of which something came; a few a turn."""
        touched = self.sessions.touched or {}
        if generation != self._generation:  # a new file knows of none
            self._generation = generation
            touched = dict.fromkeys(self.sessions.keys())
        keys = deque(touched)
        self.sessions.touched = {}
        self._take_some(keys, [], lambda taken: self._settle(taken, cowrie, own, place))

    def _take_some(
        self,
        keys: deque[SessionKey],
        taken: list[tuple[SessionKey, Summary]],
        then: Callable[[list[tuple[SessionKey, Summary]]], None],
    ) -> None:
        for _ in range(min(AT_ONCE, len(keys))):
            key = keys.popleft()
            summary = self.sessions.as_recovered(key)
            if summary is not None:
                taken.append((key, summary))
        if keys:
            self.clock.callFromThread(self._take_some, keys, taken, then)  # the next turn
        else:
            then(taken)

    def _settle(
        self, taken: list[tuple[SessionKey, Summary]], cowrie: Place, own: Place, place: int
    ) -> None:
        """Wait until all that was closed by now has its record on the way to the store.

        The worker may be completing some still, which it hands to the reactor first.
        """
        keep = partial(self.clock.callFromThread, self._keep, taken, cowrie, own, place)
        if not self.worker.submit(keep):
            self._kept()

    def _keep(
        self, taken: list[tuple[SessionKey, Summary]], cowrie: Place, own: Place, place: int
    ) -> None:
        since = self._since
        # Between a rotation and the first line after it there can be no log: the old place holds.
        is_there = cowrie.inode != 0 or self.logs.cowrie is None
        if is_there:
            self._since = cowrie
        # One that was closed meanwhile has its record on the way to the store already.
        taken = [each for each in taken if self.sessions.is_open(each[0])]

        def keep() -> None:
            try:
                self.store.keep_open(
                    Checkpoint(key, since.to_text(), pack(record(summary)))
                    for key, summary in taken
                )
                if is_there:
                    self._remember(cowrie, own, place)
            except Exception as error:  # noqa: BLE001 - the next one may succeed
                self._say(f"open sessions cannot be kept: {printable(str(error), ERROR_LIMIT)}")
            self.clock.callFromThread(self._kept)

        if not self.worker.submit(keep):
            self._kept()

    def _kept(self) -> None:
        self._is_keeping = False

    def _remember(self, cowrie: Place, own: Place, place: int) -> None:
        told: dict[str, str] = {}
        for name, log, end in (
            (COWRIE_LOG, self.logs.cowrie, cowrie),
            (OWN_LOG, self.logs.own, own),
        ):
            told |= {name: end.to_text(), f"{name}_path": str(log)}
        self.store.remember(told, place)

    # ------------------------------------------------------------ what was left behind

    def _recover(self) -> None:
        recovery = Recovery(
            self.store,
            self.logs.cowrie,
            self.logs.own,
            self.logs.cowrie_end,
            self.logs.own_end,
            self.sessions.templates,
            self.sessions.keep_passwords,
            self.sessions.judge,
        )

        def look() -> Iterator[Draft | Summary]:
            if not self.store.open():
                raise OSError
            if self.store.state(OWN_LOG) is None:  # a new file: sessions are looked for from here
                self._remember(self.logs.cowrie_end, self.logs.own_end, self.store.next_place())
                self.store.commit()
                return iter(())
            return recovery.run()

        self.in_worker(look).addCallbacks(
            lambda missing: self._write_some(recovery, missing), self._not_now
        )

    def _not_now(self, failure: Failure) -> None:
        """Try again when the store can be opened: until then nothing that was left is forgotten."""
        if not isinstance(failure.value, OSError):
            self.complaints.complain(
                "sessions that were open when Cowrie was killed cannot be found: "
                f"{printable(str(failure.value), ERROR_LIMIT)}"
            )
            self._is_recovered = True
            self._is_keeping = False
        else:
            self.clock.callLater(COMMIT_SECONDS, self._recover)

    def _write_some(
        self, recovery: Recovery, missing: Iterator[Draft | Summary], count: int = 0
    ) -> None:
        """Write the records that are missing, then begin to keep open sessions.

        A few a turn, and the next when the worker thread is done with those: there can be more
        than it has room for.
        """

        def write(some: Sequence[Draft | Summary]) -> None:
            for found in some:
                self.emit(found)
            if some:
                self._write_some(recovery, missing, count + len(some))
            else:
                self._recovered(recovery, count)

        self.in_worker(lambda: list(islice(missing, AT_ONCE))).addCallbacks(write, self._not_now)

    def _recovered(self, recovery: Recovery, count: int) -> None:
        if count:
            self.complaints.log.info(
                "sessionstats: Cowrie was killed; {count} sessions of then have their records now",
                count=count,
            )
        self.worker.submit(recovery.forget)
        self._is_recovered = True
        self._is_keeping = False
