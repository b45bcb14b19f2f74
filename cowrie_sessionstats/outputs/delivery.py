"""Takes records from the outbox to one receiver, for as long as it takes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Protocol, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks

from cowrie_sessionstats.complaints import ERROR_LIMIT, Complaints
from cowrie_sessionstats.entries import Entry
from cowrie_sessionstats.outputs.sending import (
    REASON_LIMIT,
    Failed,
    Limits,
    Mapped,
    Partly,
    Refused,
    Sender,
    Verdict,
)
from cowrie_sessionstats.summary import printable

FIRST_DELAY: Final = 1.0
"""Seconds after the first failure; each further one doubles them."""

LONGEST_DELAY: Final = 300.0
"""Seconds between two tries at most: a receiver that is back is noticed within five minutes."""

LONGEST_WISH: Final = 3600.0
"""Seconds for which a receiver can ask to be left alone."""

REFUSED_IN_ROW: Final = 10
"""Records set aside one after the other before the receiver has to take one that it took before:
if it does not, the records are not what is wrong."""

_T = TypeVar("_T")
_Steps = Generator[Deferred[Any], Any, None]


class Source(Protocol):
    """Where records come from; asked in the worker thread. ``store.Store`` is one."""

    def batch(self, destination: str, limits: Limits) -> tuple[list[Entry], bool]:
        """Return the next records, and whether they fill a batch."""

    def newest(self, destination: str) -> Entry | None:
        """Return the record that came last, delivered or not; None if there is none."""

    def delivered(self, destination: str, count: int, cursor: int) -> None:
        """Take note of ``count`` more delivered; everything up to ``cursor`` is done."""

    def set_aside(self, destination: str, entry: Entry, reason: str) -> None:
        """Take a record that the receiver refused."""

    def went_wrong(self, destination: str, reason: str) -> None:
        """Take note of a failure."""


@define(eq=False)
class Delivery:
    """Delivers to one destination, in order, at least once; in the reactor thread.

    ``in_worker`` runs a function in the worker thread and returns its result; ``random`` returns
    numbers from 0 to 1. A batch that failed is sent again after a time that doubles up to
    ``LONGEST_DELAY``, between the half and the whole of it by chance, so that many honeypots do
    not come back at once. One that was refused is halved until a single record is refused, which
    is set aside.
    """

    name: str
    sender: Sender
    source: Source
    in_worker: Callable[[Callable[[], Any]], Deferred[Any]]
    clock: Any
    """The reactor, or another ``IReactorTime``."""
    random: Callable[[], float]
    complaints: Complaints
    failures: int = field(default=0, init=False)
    """In a row."""
    is_sending: bool = field(default=False, init=False)
    _stopping: bool = field(default=False, init=False)
    _news: bool = field(default=True, init=False)
    """Whether there may be records that it has not looked for."""
    _sleeping: tuple[Deferred[None], Any] | None = field(default=None, init=False)
    _sending: Deferred[Verdict] | None = field(default=None, init=False)
    _idle: Deferred[None] | None = field(default=None, init=False)
    """Fires when the source knows what became of what is being sent."""
    _good: Entry | None = field(default=None, init=False)
    """A record that the receiver took."""
    _refused: int = field(default=0, init=False)
    """Records set aside since it took one."""

    def start(self) -> None:
        """Begin to deliver."""
        self._run()

    def wake(self) -> None:
        """Take note that there are new records."""
        self._news = True
        if self._sleeping is not None and self._sleeping[1] is None:
            self._awake()

    def clock_set_back(self) -> None:
        """Go on at once, if it waits for a time: that may be hours away now."""
        self._awake()

    def settle(self) -> Deferred[None]:
        """Start nothing new; the result fires when the source knows of what was being sent."""
        self._stopping = True
        self._awake()
        settled: Deferred[None] = Deferred()
        if self.is_sending:
            self._idle = settled
        else:
            settled.callback(None)
        return settled

    def stop(self) -> None:
        """Let go of the receiver; what has no verdict is sent again after the next start."""
        self._stopping = True
        self._awake()
        if self._sending is not None:
            self._sending.cancel()
        self.sender.stop()

    # ------------------------------------------------------------ one step after the other

    @inlineCallbacks
    def _run(self) -> _Steps:
        limits = self.sender.limits
        while not self._stopping:
            if not self._news:
                yield self._sleep(None)
                continue
            self._news = False
            entries, full = yield self._ask(
                lambda: self.source.batch(self.name, limits), ([], False)
            )
            if entries and not full and not self._stopping:
                yield self._sleep(limits.seconds)  # others may come
                entries, full = yield self._ask(
                    lambda: self.source.batch(self.name, limits), ([], False)
                )
            if entries and not self._stopping:
                self._news = True
                self.is_sending = True
                yield self._deliver(entries)
                self._sent()

    @inlineCallbacks
    def _ask(self, task: Callable[[], _T], otherwise: _T) -> Generator[Deferred[Any], Any, _T]:
        """Return what a task says in the worker thread; ``otherwise`` if it cannot run now."""
        try:
            answer: _T = yield self.in_worker(task)
        except Exception as error:  # noqa: BLE001 - the next time it may run
            self.complaints.complain(f"{self.name}: {printable(str(error), ERROR_LIMIT)}")
            self._news = True
            yield self._sleep(FIRST_DELAY)
            return otherwise
        return answer

    @inlineCallbacks
    def _deliver(self, entries: Sequence[Entry]) -> _Steps:
        """Deliver a batch; returns when it is done, or when it has to be asked for anew."""
        groups = [list(entries)]  # what is still to be sent, the first of it last
        while groups and not self._stopping:
            group = groups.pop()
            verdict = yield self._send(group)
            if isinstance(verdict, Failed):
                groups.append(group)
                if not self._stopping:
                    yield self._failed(verdict.reason, verdict.retry_after)
                continue
            if isinstance(verdict, Refused) and len(group) > 1:
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]]
                continue
            judged = _as_partly(verdict)
            done = [
                e for i, e in enumerate(group) if i not in judged.refused and i not in judged.again
            ]
            if done:
                self._took(done[-1])
            if judged.refused and len(group) == 1:
                if not (yield self._is_to_blame(group[0])):
                    yield self._failed(f"refuses every record: {judged.refused[0]}", None)
                    return
                if not (yield self._set_aside(group[0], judged.refused[0])):
                    return
            else:
                alone = [[group[place]] for place in judged.refused]
                again = [group[place] for place in sorted(judged.again)]
                rest = [*alone, again] if again else alone
                groups += sorted(rest, key=lambda group: group[0].seq, reverse=True)
            open_from = min((group[0].seq for group in groups), default=entries[-1].seq + 1)
            yield self._note(len(done), open_from - 1)
            if judged.again:
                yield self._failed(next(iter(judged.again.values())), judged.retry_after)

    @inlineCallbacks
    def _is_to_blame(self, entry: Entry) -> Generator[Deferred[Any], Any, bool]:
        """Return whether a record is what its receiver will not take, and not just any record.

        After some in a row the receiver has to take one that it took before; if it never took any,
        the newest there is.
        """
        if self._refused < REFUSED_IN_ROW:
            return True
        probe = self._good
        if probe is None:
            probe = yield self._ask(lambda: self.source.newest(self.name), None)
        if probe is None or probe.seq == entry.seq:
            return False
        judged = _as_partly((yield self._send([probe])))
        if judged.refused or judged.again:
            return False
        self._took(probe)
        return True

    def _took(self, entry: Entry) -> None:
        """Take note that the receiver took a record."""
        if self.failures:
            self.complaints.log.info(
                "sessionstats: {name} takes records again ({target})",
                name=self.name,
                target=self.sender.target,
            )
        self._refused = self.failures = 0
        if not entry.record().get("revision"):  # a sender can pass over revisions, unsent
            self._good = entry

    @inlineCallbacks
    def _set_aside(self, entry: Entry, reason: str) -> Generator[Deferred[Any], Any, bool]:
        """Have a record kept out of the way; False if that could not be before the end."""
        self._refused += 1
        self.complaints.complain(
            f"{self.name} ({self.sender.target}) refused a record, which is set aside: "
            f"{printable(reason, REASON_LIMIT)}"
        )

        def keep() -> bool:
            self.source.set_aside(self.name, entry, reason)
            return True

        is_kept = yield self._ask(keep, otherwise=False)
        while not is_kept and not self._stopping:
            is_kept = yield self._ask(keep, otherwise=False)
        return bool(is_kept)

    @inlineCallbacks
    def _failed(self, reason: str, retry_after: float | None) -> _Steps:
        """Say what went wrong and wait before the next try."""
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self.failures, _DOUBLINGS))
        delay *= 0.5 + self.random() / 2
        if retry_after is not None:
            delay = max(delay, min(retry_after, LONGEST_WISH))
        self.failures += 1
        self.complaints.complain(
            f"{self.name} ({self.sender.target}) has no records now: "
            f"{printable(reason, REASON_LIMIT)}. Next try in {delay:.0f} s; records wait"
        )
        yield self._ask(lambda: self.source.went_wrong(self.name, reason), None)
        yield self._sleep(delay)

    @inlineCallbacks
    def _note(self, count: int, cursor: int) -> _Steps:
        yield self._ask(lambda: self.source.delivered(self.name, count, cursor), None)

    @inlineCallbacks
    def _send(self, group: Sequence[Entry]) -> Generator[Deferred[Any], Any, Verdict]:
        """Send records and return what became of them."""
        try:
            batch = yield self.in_worker(lambda: self._rendered(group))
        except Exception as error:  # noqa: BLE001 - the thread has no room: no record is to blame
            return Failed(printable(str(error), ERROR_LIMIT))
        if isinstance(batch, Refused):
            return batch
        if self._stopping:
            return Failed("stopping")
        try:
            self._sending = self.sender.send(batch)
            verdict: Verdict = yield self._sending
        except CancelledError:
            verdict = Failed("stopping")
        except Exception as error:  # noqa: BLE001 - a mistake of ours; the honeypot goes on
            verdict = Failed(f"{type(error).__name__}: {printable(str(error), ERROR_LIMIT)}")
        self._sending = None
        return verdict

    def _rendered(self, group: Sequence[Entry]) -> Any:
        try:
            return self.sender.render(Mapped(group, Entry.record))
        except Exception as error:  # noqa: BLE001 - one of these records is to blame
            return Refused(f"cannot be rendered: {printable(str(error), ERROR_LIMIT)}")

    def _sent(self) -> None:
        """Take note that a batch is over, and what became of it is known to the source."""
        self.is_sending = False
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    # ------------------------------------------------------------ waiting

    def _sleep(self, seconds: float | None) -> Deferred[None]:
        """Wait; without a time, for news."""
        awake: Deferred[None] = Deferred()
        call = None if seconds is None else self.clock.callLater(seconds, self._awake)
        self._sleeping = awake, call
        if self._stopping:
            self._awake()
        return awake

    def _awake(self) -> None:
        sleeping, self._sleeping = self._sleeping, None
        if sleeping is not None:
            awake, call = sleeping
            if call is not None and call.active():
                call.cancel()
            awake.callback(None)


_DOUBLINGS: Final = 16  # more than lead to the longest delay


def _as_partly(verdict: Verdict) -> Partly:
    """Return the verdict on a batch as verdicts on its records."""
    if isinstance(verdict, Partly):
        return verdict
    if isinstance(verdict, Refused):
        return Partly(refused={0: verdict.reason})
    if isinstance(verdict, Failed):
        return Partly(again={0: verdict.reason}, retry_after=verdict.retry_after)
    return Partly()
