"""Delivery: every record reaches the receiver, whatever the receiver does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger

from cowrie_sessionstats.complaints import Complaints
from cowrie_sessionstats.entries import Entry, pack
from cowrie_sessionstats.outputs.delivery import (
    LONGEST_DELAY,
    LONGEST_WISH,
    REFUSED_IN_ROW,
    Delivery,
)
from cowrie_sessionstats.outputs.sending import (
    Delivered,
    Failed,
    Limits,
    Partly,
    Record,
    Refused,
    Verdict,
)

Answer = Callable[[list[int]], Verdict | None]


@define(eq=False)
class Shelf:
    """Records in memory, behind the interface of the store."""

    entries: list[Entry] = field(factory=list)
    cursor: int = 0
    count: int = 0
    aside: dict[int, str] = field(factory=dict)
    wrong: list[str] = field(factory=list)

    def add(self, number: int) -> None:
        """Add a record."""
        self.entries.append(Entry(number, 0.0, pack({"session": number})))

    def batch(self, _: str, limits: Limits) -> tuple[list[Entry], bool]:
        """Return the next records."""
        left = [entry for entry in self.entries if entry.seq > self.cursor][: limits.records]
        return left, len(left) == limits.records

    def newest(self, _: str) -> Entry | None:
        """Return the last record."""
        return self.entries[-1] if self.entries else None

    def delivered(self, _: str, count: int, cursor: int) -> None:
        """Go on."""
        assert cursor >= self.cursor
        self.cursor = cursor
        self.count += count

    def set_aside(self, _: str, entry: Entry, reason: str) -> None:
        """Keep what was refused."""
        self.aside[entry.seq] = reason

    def went_wrong(self, _: str, reason: str) -> None:
        """Keep what went wrong."""
        self.wrong.append(reason)


@define(eq=False)
class Receiver:
    """A sender whose receiver answers as a test says; None: not yet."""

    answer: Answer
    limits: Limits = field(factory=lambda: Limits(records=8, seconds=1.0))
    target: str = "test://"
    got: list[list[int]] = field(factory=list)
    open: Deferred[Verdict] | None = None
    stopped: bool = False

    def render(self, records: Sequence[Record]) -> list[int]:
        """Return the records' numbers; one in a thousand cannot be rendered."""
        numbers = [record["session"] for record in records]
        if any(number % 1000 == 999 for number in numbers):
            raise ValueError("no such thing")
        return numbers

    def send(self, batch: Any) -> Deferred[Verdict]:
        """Take a batch."""
        self.got.append(batch)
        verdict = self.answer(batch)
        if verdict is not None:
            return succeed(verdict)
        self.open = Deferred()
        return self.open

    def stop(self) -> None:
        """Take note."""
        self.stopped = True

    def received(self) -> list[int]:
        """Return all numbers that came, in order."""
        return [number for batch in self.got for number in batch]


@define(eq=False)
class Trial:
    """A delivery with its surroundings."""

    answer: Answer
    records: Iterable[int] = range(1, 9)
    clock: Clock = field(factory=Clock)
    shelf: Shelf = field(factory=Shelf)
    in_worker: Callable[[Callable[[], Any]], Deferred[Any]] = maybeDeferred
    receiver: Receiver = field(init=False)
    delivery: Delivery = field(init=False)

    def __attrs_post_init__(self) -> None:
        for number in self.records:
            self.shelf.add(number)
        self.clock.advance(0)
        self.receiver = Receiver(self.answer)
        self.delivery = Delivery(
            "siem",
            self.receiver,
            self.shelf,
            self.in_worker,
            self.clock,
            lambda: 1.0,
            Complaints(Logger(), self.clock.seconds),
        )
        self.delivery.start()

    def wait(self, seconds: float, step: float = 1.0) -> None:
        """Let time go by."""
        for _ in range(int(seconds / step)):
            self.clock.advance(step)


def take(_: list[int]) -> Verdict:
    """Take everything."""
    return Delivered()


def test_a_full_batch_goes_at_once_and_a_smaller_one_waits_for_others() -> None:
    """By the limits of the sender."""
    trial = Trial(take, range(1, 20))
    assert trial.receiver.got == [list(range(1, 9)), list(range(9, 17))]
    trial.shelf.add(20)
    trial.delivery.wake()
    trial.wait(2)
    assert trial.receiver.got[2:] == [[17, 18, 19, 20]]
    assert (trial.shelf.cursor, trial.shelf.count) == (20, 20)


def test_news_wake_an_idle_delivery() -> None:
    """And without news it asks for nothing."""
    trial = Trial(take, [])
    trial.wait(600)
    trial.shelf.add(1)
    trial.wait(600)
    assert trial.receiver.got == []
    trial.delivery.wake()
    trial.wait(1)
    assert trial.receiver.got == [[1]]


def test_a_receiver_that_is_away_is_tried_ever_less_often() -> None:
    """Up to every five minutes; then everything arrives, in order."""
    away = True
    times: list[float] = []

    def answer(_: list[int]) -> Verdict:
        times.append(trial.clock.seconds() if times else 0.0)
        return Failed("away") if away else Delivered()

    trial = Trial(answer, range(1, 30))
    trial.wait(3600)
    gaps = [round(b - a) for a, b in itertools.pairwise(times)]
    assert gaps[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(gaps[9:]) == {int(LONGEST_DELAY)}
    assert trial.shelf.wrong == ["away"] * len(times)
    away = False
    trial.wait(LONGEST_DELAY + 2)
    assert trial.receiver.received()[-29:] == list(range(1, 30))
    assert trial.delivery.failures == 0


def test_what_a_receiver_asks_is_obeyed_within_reason() -> None:
    """``Retry-After`` of a minute is a minute; of a year, an hour."""
    wishes = [60.0, 1e9, 0.0]
    times: list[float] = []

    def answer(_: list[int]) -> Verdict:
        times.append(trial.clock.seconds() if times else 0.0)
        return Failed("busy", wishes.pop(0)) if wishes else Delivered()

    trial = Trial(answer)
    trial.wait(2 * LONGEST_WISH)
    assert [b - a for a, b in itertools.pairwise(times)] == [60.0, LONGEST_WISH, 4.0]


def test_a_poison_record_is_set_aside_and_no_other() -> None:
    """It is found by halving; the others arrive, each once, in order."""

    def answer(batch: list[int]) -> Verdict:
        return Refused("bad 5") if 5 in batch else Delivered()

    trial = Trial(answer, range(1, 17))
    assert trial.shelf.aside == {5: "bad 5"}
    taken = [n for batch in trial.receiver.got if 5 not in batch for n in batch]
    assert taken == [n for n in range(1, 17) if n != 5]
    assert (trial.shelf.cursor, trial.shelf.count) == (16, 15)


def test_a_record_that_cannot_be_rendered_is_set_aside() -> None:
    """As one that the receiver refuses."""
    trial = Trial(take, [1, 2, 999, 1000])
    trial.wait(1)
    assert trial.shelf.aside == {999: "cannot be rendered: no such thing"}
    assert trial.receiver.received() == [1, 2, 1000]


def test_records_judged_one_by_one_are_sent_again_alone_before_they_are_set_aside() -> None:
    """What the receiver has is not sent again."""

    def answer(batch: list[int]) -> Verdict:
        places = {number: place for place, number in enumerate(batch)}
        refused = {places[n]: "bad" for n in (3,) if n in places}
        again = {places[n]: "busy" for n in (6, 7) if n in places and len(batch) > 2}
        return Partly(refused, again)

    trial = Trial(answer)
    trial.wait(2)
    assert trial.receiver.got == [list(range(1, 9)), [3], [6, 7]]
    assert trial.shelf.aside == {3: "bad"}
    assert (trial.shelf.cursor, trial.shelf.count) == (8, 7)


def test_a_receiver_that_refuses_everything_is_what_is_wrong() -> None:
    """Then nothing more is set aside: the records wait until it has been put right."""
    mistaken = True

    def answer(_: list[int]) -> Verdict:
        return Refused("no such index") if mistaken else Delivered()

    trial = Trial(answer, range(1, 101))
    trial.wait(3000)
    assert len(trial.shelf.aside) == REFUSED_IN_ROW
    assert "refuses every record: no such index" in trial.shelf.wrong
    mistaken = False
    trial.wait(LONGEST_DELAY + 2)
    assert trial.shelf.cursor == 100
    assert trial.shelf.count == 100 - REFUSED_IN_ROW


def test_many_poison_records_in_a_row_do_not_hold_up_the_others() -> None:
    """An attacker makes as many as he likes; a record that was taken before tells."""

    def answer(batch: list[int]) -> Verdict:
        return Refused("bad") if any(10 <= n < 200 for n in batch) else Delivered()

    trial = Trial(answer, range(1, 300))
    trial.wait(2)
    assert sorted(trial.shelf.aside) == list(range(10, 200))
    assert trial.shelf.cursor == 299
    assert trial.shelf.wrong == []


def test_poison_from_the_first_record_on_does_not_hold_up_the_others() -> None:
    """Where the receiver took nothing yet, the newest record tells."""

    def answer(batch: list[int]) -> Verdict:
        return Refused("bad") if any(n < 60 for n in batch) else Delivered()

    trial = Trial(answer, range(1, 60))
    trial.wait(3000)
    assert len(trial.shelf.aside) == REFUSED_IN_ROW
    trial.shelf.add(60)
    trial.wait(LONGEST_DELAY)
    assert trial.shelf.cursor == 60
    assert sorted(trial.shelf.aside) == list(range(1, 60))


def test_a_sender_that_raises_is_a_failure() -> None:
    """A mistake of ours does not stop the delivery, let alone the honeypot."""
    calls: list[int] = []

    def answer(batch: list[int]) -> Verdict:
        calls.append(len(batch))
        if len(calls) == 1:
            raise KeyError("oops")
        return Delivered()

    trial = Trial(answer)
    trial.wait(2)
    assert trial.shelf.cursor == 8


def test_the_end_waits_for_the_verdict_on_what_is_being_sent() -> None:
    """And begins nothing new."""
    trial = Trial(lambda _: None, range(1, 17))
    settled: list[Any] = []
    trial.delivery.settle().addCallback(settled.append)
    assert settled == []
    assert trial.receiver.open is not None
    trial.receiver.open.callback(Delivered())
    assert settled == [None]
    assert trial.shelf.cursor == 8
    assert len(trial.receiver.got) == 1


def test_a_stop_drops_what_is_being_sent() -> None:
    """It counts as not delivered."""
    trial = Trial(lambda _: None)
    assert trial.receiver.open is not None
    trial.delivery.stop()
    assert trial.receiver.stopped
    assert trial.shelf.cursor == 0
    assert not trial.clock.getDelayedCalls()


def test_a_stop_while_it_waits_leaves_nothing_behind() -> None:
    """No timer keeps the process."""
    for seconds, answer in ((0, take), (0, lambda _: Failed("away")), (3, take)):
        trial = Trial(answer, range(1, 4))
        trial.wait(seconds)
        trial.delivery.stop()
        assert not trial.clock.getDelayedCalls()


verdicts = st.lists(st.integers(0, 5), max_size=40)


@given(verdicts, st.sets(st.integers(1, 40)), st.integers(0, 2**40))
def test_whatever_the_receiver_answers_nothing_is_lost(
    answers: list[int], poison: set[int], bits: int
) -> None:
    """Each record is delivered or set aside, and only poison is set aside."""
    taken: set[int] = set()

    def answer(batch: list[int]) -> Verdict:
        kind = answers.pop() if answers else 0
        bad = [place for place, n in enumerate(batch) if n in poison]
        if kind == 1:
            return Failed("away")
        if kind == 2:  # it has them, but its answer is lost
            taken.update(n for n in batch if n not in poison)
            return Failed("no answer")
        if kind == 3:
            busy = {place for place, n in enumerate(batch) if bits >> (n + len(answers)) % 40 & 1}
            again = dict.fromkeys(busy - set(bad), "busy")
            taken.update(n for i, n in enumerate(batch) if i not in again and n not in poison)
            return Partly(dict.fromkeys(bad, "bad"), again)
        if bad:
            return Refused("bad")
        taken.update(batch)
        return Delivered()

    trial = Trial(answer, range(1, 41))
    for _ in range(60):
        trial.delivery.wake()
        trial.wait(3600, 100)
    aside = set(trial.shelf.aside)
    assert trial.shelf.cursor == 40 or len(poison) > REFUSED_IN_ROW
    assert aside <= poison
    assert set(range(1, trial.shelf.cursor + 1)) <= taken | aside


@given(st.sets(st.integers(0, 40), max_size=8))
def test_a_worker_thread_without_room_is_no_records_fault(full: set[int]) -> None:
    """Whenever it refuses a task: nothing is lost, and only what was refused is set aside."""
    tasks = itertools.count()

    def in_worker(task: Callable[[], Any]) -> Deferred[Any]:
        return fail(OSError("no room")) if next(tasks) in full else maybeDeferred(task)

    trial = Trial(refuses_threes, in_worker=in_worker)
    trial.wait(3_000, step=10.0)
    trial.delivery.wake()
    trial.wait(3_000, step=10.0)
    assert {number for number in trial.receiver.received() if number % 3} == {1, 2, 4, 5, 7, 8}
    assert set(trial.shelf.aside) == {3, 6}
    assert trial.shelf.cursor == 8


def refuses_threes(batch: list[int]) -> Verdict:
    """Refuse a batch with such a number in it."""
    return Refused("three") if any(number % 3 == 0 for number in batch) else Delivered()


def test_a_clock_that_is_set_back_does_not_hold_up_a_receiver_that_is_back() -> None:
    """A timer of the reactor would wait until the old time has come round again."""
    away = True
    trial = Trial(lambda _: Failed("away") if away else Delivered())
    trial.wait(60)
    away = False
    trial.clock.rightNow -= 86_400
    trial.wait(1)
    assert trial.shelf.cursor == 0
    trial.delivery.clock_set_back()
    assert trial.shelf.cursor == 8
