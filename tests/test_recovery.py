"""A Cowrie that is killed at any moment: every session that its log knows of has a record."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import as_lines
from samples import START, closed, command, connect, event, login, records
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from cowrie_sessionstats.complaints import Complaints
from cowrie_sessionstats.enriching import Enrichment
from cowrie_sessionstats.findings.judging import default_judge
from cowrie_sessionstats.options import LEAST_OUTBOX
from cowrie_sessionstats.outputs import STOP_SECONDS
from cowrie_sessionstats.outputs.delivery import Delivery
from cowrie_sessionstats.outputs.log import LineFile, LogDestination
from cowrie_sessionstats.outputs.outbox import AT_ONCE, CHECKPOINT_COMMITS, Logs, Outbox
from cowrie_sessionstats.outputs.sending import Delivered, Limits, Record, Verdict, without_time
from cowrie_sessionstats.recovery import Place, end_of, place_from
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.store import Store
from cowrie_sessionstats.summary import Draft, Summary, draft_of, record, to_json

PAST = {"seen_before", "first_seen", "stopped_early", "usual_next"}
"""What no replay knows without a history."""
ALL = Limits(records=1_000_000, size=1 << 40)
Event = dict[str, Any]


class Thread(Clock):
    """A reactor that runs when it is told to, with a worker thread that does the same."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: deque[Callable[[], None]] = deque()

    def callFromThread(self, call: Callable[..., Any], *more: Any) -> None:  # noqa: N802
        """Call soon."""
        self.callLater(0, call, *more)

    def submit(self, task: Callable[[], None]) -> bool:
        """Take a task for the worker thread."""
        self.tasks.append(task)
        return True

    def drain(self, _: float) -> bool:
        """Run everything."""
        self.work(len(self.tasks))
        return True

    def work(self, most: int) -> None:
        """Let the worker thread come so far, and the reactor round."""
        for _ in range(min(most, len(self.tasks))):
            self.tasks.popleft()()
        self.advance(0)


LIVING: list[Process] = []


@pytest.fixture(autouse=True)
def none_lives_on() -> Iterator[None]:
    """Let every process of a test end with it."""
    yield
    while LIVING:
        LIVING.pop().kill()


@define(eq=False)
class Process:
    """The plugin in one process, beside Cowrie's own JSON log."""

    folder: Path
    has_cowrie_log: bool = True
    own_log: str = "sessionstats.json"
    thread: Any = field(factory=Thread)
    emitted: list[Summary] = field(factory=list)
    enrichment: Enrichment = field(init=False)
    sessions: Sessions = field(init=False)
    store: Store = field(init=False)
    outbox: Outbox = field(init=False)
    log: LogDestination = field(init=False)

    @property
    def cowrie_log(self) -> Path:
        """Return the path of Cowrie's log."""
        return self.folder / "cowrie.json"

    def __attrs_post_init__(self) -> None:
        self.cowrie_log.touch()  # Cowrie opens it before it loads us
        complaints = Complaints(Logger(), lambda: 0.0)
        own = self.folder / self.own_log
        self.log = LogDestination(
            LineFile(own, daily=False), self.thread, complaints, self.thread.callFromThread
        )
        self.store = Store(
            self.folder / "sessionstats.sqlite", ("siem",), lambda: START, pytest.fail
        )
        self.enrichment = Enrichment(
            default_judge(),
            self.thread,
            lambda _: None,
            self.store.past,
            self.emit,
            self.thread.callFromThread,
            complaints,
        )
        self.sessions = Sessions(self.enrichment.write, make=draft_of)
        logs = Logs(self.cowrie_log if self.has_cowrie_log else None, own)
        self.outbox = Outbox(
            self.store, self.thread, self.sessions, logs, self.found, self.thread, complaints
        )
        self.outbox.start([])
        LIVING.append(self)

    def found(self, found: Draft | Summary) -> None:
        """Take what the process before left without a record."""
        if isinstance(found, Summary):
            self.emit(found)
        else:
            self.enrichment.write(found)

    def emit(self, summary: Summary) -> None:
        """Hand out a record."""
        self.emitted.append(summary)
        self.log.write(summary)
        self.outbox.write(summary)

    def play(self, raw: Event) -> None:
        """Let an event happen: into Cowrie's log, then to the plugin."""
        with self.cowrie_log.open("ab") as file:
            file.write(as_lines([raw]))
        self.sessions.feed(raw)

    def rotate(self, number: int) -> None:
        """Move Cowrie's log away, as it does itself at midnight."""
        if self.cowrie_log.exists():
            self.cowrie_log.rename(self.folder / f"cowrie.json.2026-03-{number:02d}")

    def seconds(self, count: int) -> None:
        """Let time go by, with everything done that there is to do."""
        for _ in range(count):
            self.thread.advance(1)
            for _ in range(6):
                self.thread.work(1_000_000)

    def kill(self) -> None:
        """End without another word."""
        self.thread.tasks.clear()
        self.store._release()

    def outgoing(self) -> list[dict[str, Any]]:
        """Return the records that wait for the destination."""
        return [
            {key: value for key, value in without_time(entry.record()).items() if key not in PAST}
            for entry in self.store.batch("siem", ALL)[0]
        ]

    def logged(self) -> list[dict[str, Any]]:
        """Return the records in the log."""
        path = self.folder / "sessionstats.json"
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            {key: value for key, value in json.loads(line).items() if key not in PAST}
            for line in lines
        ]


def visits(count: int, seed: int) -> list[Event]:
    """Return the events of sessions that overlap; one in five is not closed."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        name = f"{seed % 0xFFFF:04x}{number:08x}"
        begin, lines = chance.uniform(0, 20), chance.randint(0, 5)
        at = begin
        made.append(connect(begin, name))
        made.append(login(begin + 0.1, name))
        for line in range(lines):
            at += chance.uniform(0.1, 3)
            made.append(command(f"echo {chance.randint(0, 3)}; id {line}", at, name))
        if chance.random() < 0.8:
            end = closed(at + 1, name)
            end["duration_ms"] = round((at + 1 - begin) * 1000)
            made.append(end)
    return sorted(made, key=lambda raw: raw["timestamp"])


def expected(events: list[Event]) -> dict[str, dict[str, Any]]:
    """Return the record of each session, as a replay of the log has it."""
    return {made["session"]: made for made in records(events)}


def without_ending(made: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what says how it ended."""
    return {
        key: value for key, value in made.items() if key not in {"partial", "message", "ending"}
    }


steps = st.lists(
    st.sampled_from(["event"] * 6 + ["work", "some work", "second", "seconds", "rotate"]),
    max_size=120,
)


@settings(max_examples=150)
@given(steps, st.integers(0, 2**32))
def test_no_session_that_cowries_log_knows_is_without_a_record(todo: list[str], seed: int) -> None:
    """Whenever the process dies, whatever of its work was not done, across rotations and a start.

    Sessions that had ended have the very record; those that were open are ``recovered`` with
    everything up to the last event; none has two.
    """
    with tempfile.TemporaryDirectory() as folder:
        chance = random.Random(seed)
        process = Process(Path(folder))
        process.thread.work(1)
        events, played = deque(visits(6, seed)), []
        for number, step in enumerate(todo):
            if step == "event" and events:
                played.append(events.popleft())
                process.play(played[-1])
            elif step == "rotate":
                process.rotate(number)
            elif step == "second":
                process.thread.advance(1)
            elif step == "seconds":
                process.seconds(chance.randint(1, CHECKPOINT_COMMITS + 2))
            else:
                process.thread.work(1_000_000 if step == "work" else chance.randint(0, 5))
        process.kill()
        again = Process(Path(folder))
        later = visits(3, seed + 1)
        for raw in later:  # new sessions begin before the old ones are found
            again.play(raw)
        again.seconds(3)
        wanted = expected(played)
        made = [r for r in again.outgoing() if r["session"] in wanted]
        assert Counter(r["session"] for r in made) == dict.fromkeys(wanted, 1)
        for one in made:
            if "partial" in wanted[one["session"]]:
                assert one["partial"] == "recovered"
                assert without_ending(one) == without_ending(wanted[one["session"]])
            else:
                assert one == wanted[one["session"]]
        assert Counter(
            r["session"] for r in again.logged() if r["session"] in wanted
        ) == dict.fromkeys(wanted, 1), "once in the log"
        assert not [
            r for r in again.outgoing() if r.get("partial") == "recovered" and r not in made
        ]
        again.kill()
        third = Process(Path(folder))
        third.seconds(2)
        assert not [s for s in third.emitted if s.session in wanted], "nothing comes twice"
        third.kill()


def test_without_cowries_log_the_last_checkpoint_tells(tmp_path: Path) -> None:
    """With what was counted up to it; at most 5 s are missing."""
    process = Process(tmp_path, has_cowrie_log=False)
    process.seconds(1)
    for raw in (connect(), login(), command("id", 2.0)):
        process.play(raw)
    process.seconds(5)
    process.play(command("uname", 9.0))
    process.kill()
    again = Process(tmp_path, has_cowrie_log=False)
    again.seconds(2)
    (one,) = again.outgoing()
    assert (one["partial"], one["commands"], one["last_command"]) == ("recovered", 1, "id")
    assert again.logged() == [one]


def test_a_record_that_was_in_the_log_only_goes_out_as_it_is(tmp_path: Path) -> None:
    """Killed between the two: it is not made a second time under another identity."""
    process = Process(tmp_path, has_cowrie_log=False)
    process.seconds(1)
    for raw in (connect(), login(), command("id", 2.0)):
        process.play(raw)
    process.seconds(5)
    process.play(closed(7.0))
    for _ in range(2):  # completed, then logged
        process.thread.work(1)
    (logged,) = process.logged()
    process.kill()
    again = Process(tmp_path, has_cowrie_log=False)
    again.seconds(2)
    assert again.outgoing() == [logged]
    assert again.logged() == [logged]


def test_a_clean_stop_leaves_nothing_to_be_found(tmp_path: Path) -> None:
    """Sessions that it ended have their records, ``open``; the next start adds none."""
    process = Process(tmp_path)
    process.seconds(1)
    for raw in visits(5, 7):
        process.play(raw)
    process.seconds(5)
    process.sessions.finish()
    process.outbox.stop()
    again = Process(tmp_path)
    again.seconds(2)
    assert again.emitted == []
    assert len(again.outgoing()) == 5


def test_sessions_are_kept_again_when_the_store_had_to_be_replaced(tmp_path: Path) -> None:
    """Also those of which nothing came since."""
    process = Process(tmp_path, has_cowrie_log=False)
    process.store.trouble = lambda _: None
    process.seconds(1)
    for raw in (connect(), login(), command("id", 2.0)):
        process.play(raw)
    process.seconds(5)
    process.store._file.close()  # type: ignore[union-attr]
    process.store._file = None
    for path in tmp_path.glob("sessionstats.sqlite*"):
        path.write_bytes(b"rubbish" * 1000)
    process.store.generation += 1
    process.seconds(6)
    process.kill()
    again = Process(tmp_path, has_cowrie_log=False)
    again.seconds(2)
    (one,) = again.outgoing()
    assert (one["partial"], one["commands"]) == ("recovered", 1)


def test_hostile_lines_in_the_logs_hinder_nothing(tmp_path: Path) -> None:
    """Broken ones, other programs', enormous ones."""
    process = Process(tmp_path)
    process.seconds(1)
    hostile = [
        b"\0\0\0",
        b"[" * 100_000,
        b'{"eventid": "cowrie.sessionstats.summary"}',
        b'{"eventid": "cowrie.command.input", "session": {"a": 1}, "input": [1]}',
        b'{"session": "x", "eventid": 7}',
        *(
            b'{"eventid": "cowrie.sessionstats.summary", "session": "x", %s}' % wrong
            for wrong in (
                b'"revision": "a"',
                b'"revision": 1e999',
                b'"revision": %d' % 2**63,
                b'"login_attempts": %d' % 10**30,
                b'"start": ' + b"[" * 900 + b"]" * 900,
            )
        ),
        b'"' + b"x" * 5_000_000 + b'"',
    ]
    process.play(connect())
    for name in ("cowrie.json", "sessionstats.json"):
        with (tmp_path / name).open("ab") as file:
            file.write(b"\n".join(hostile) + b"\n")
    process.play(command("id", 2.0))
    process.kill()
    again = Process(tmp_path)
    again.seconds(2)
    found = [one for one in again.outgoing() if one.get("partial") == "recovered"]
    assert [one["commands"] for one in found] == [1]


@given(st.one_of(st.none(), st.text(), st.lists(st.integers() | st.none()).map(json.dumps)))
def test_any_text_gives_a_place(text: str | None) -> None:
    """One that no place was written as stands for none."""
    assert isinstance(place_from(text), Place)


def test_a_place_is_what_was_written(tmp_path: Path) -> None:
    """Of a file that is not there, that of none."""
    path = tmp_path / "log"
    assert end_of(path) == end_of(None) == Place()
    path.write_bytes(b"12345")
    assert place_from(end_of(path).to_text()) == end_of(path)
    assert end_of(path).offset == 5
    path.write_bytes(b"12345" * 100)
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes() + b"more")
    assert end_of(path).is_in(end_of(copy)), "the same log, moved to another disk"
    os.mkfifo(tmp_path / "fifo")
    assert end_of(tmp_path / "fifo") == Place(), "and nobody waits for a writer"


def test_a_log_of_another_name_is_not_read(tmp_path: Path) -> None:
    """What stands in it was delivered long ago, or by another Cowrie."""
    process = Process(tmp_path)
    process.seconds(1)
    process.kill()
    other = tmp_path / "other.json"
    old = records([connect(), login(), closed(2.0)])
    other.write_bytes(as_lines(old))
    again = Process(tmp_path, own_log=other.name)
    again.seconds(3)
    assert again.outgoing() == []


def test_logs_that_were_copied_to_another_disk_are_known_again(tmp_path: Path) -> None:
    """As a container's are when it is made anew: nothing is delivered a second time."""
    process = Process(tmp_path)
    process.seconds(1)
    for raw in visits(8, 3):
        process.play(raw)
    process.seconds(6)
    delivered = process.outgoing()
    process.store.delivered("siem", len(delivered), process.store.next_place() - 1)
    process.seconds(6)
    process.kill()
    for path in [process.cowrie_log, tmp_path / "sessionstats.json"]:
        copy = path.with_name("copy")
        copy.write_bytes(path.read_bytes())
        copy.replace(path)
    again = Process(tmp_path)
    again.seconds(3)
    sent = {made["session"] for made in delivered}
    assert not [made for made in again.outgoing() if made["session"] in sent]


def test_late_events_of_a_session_make_no_session(tmp_path: Path) -> None:
    """What comes behind the last checkpoint of a session that had its record is no session."""
    process = Process(tmp_path)
    process.seconds(1)
    for raw in (connect(), login(), closed(3.0)):
        process.play(raw)
    process.seconds(6)
    process.play(event("session.file_download", 9.0, url="http://a/", shasum="0" * 64, late=True))
    process.kill()
    again = Process(tmp_path)
    again.seconds(2)
    assert again.emitted == []


def test_the_line_of_a_recovered_session_says_so() -> None:
    """For people, and as any record for machines."""
    made: list[Summary] = []
    sessions = Sessions(made.append)
    for raw in (connect(), login(), command("id", 2.0)):
        sessions.feed(raw)
    summary = sessions.as_recovered(("svr04", "5ca1ab1e0001"))
    assert summary is not None
    assert "recovered" in summary.message
    assert json.loads(to_json(summary)) == record(summary)
    sessions.feed(closed(3.0))
    assert made[0].partial is None


def test_the_end_does_not_wait_for_a_disk_that_hangs(tmp_path: Path) -> None:
    """Not even where a batch is under way whose verdict cannot be noted."""
    process = Process(tmp_path)
    process.seconds(2)
    outbox, receiver = process.outbox, Slow()
    outbox.deliveries = [
        Delivery(
            "siem",
            receiver,
            process.store,
            outbox.in_worker,
            process.thread,
            lambda: 1.0,
            outbox.complaints,
        )
    ]
    outbox.deliveries[0].start()
    process.play(connect())
    process.play(closed(1.0))
    process.seconds(5)
    assert outbox.deliveries[0].is_sending
    receiver.answer.callback(Delivered())
    fired: list[object] = []
    outbox.settle().addBoth(fired.append)
    process.thread.advance(STOP_SECONDS)  # no task of the worker thread ends any more
    assert fired == [None]


class Slow:
    """A sender whose receiver answers when it is told to."""

    answer: Deferred[Verdict]
    limits = Limits()
    target = "test://"

    def render(self, records: Sequence[Record]) -> int:
        """Return nothing of interest."""
        return len(records)

    def send(self, _: object) -> Deferred[Verdict]:
        """Take a batch."""
        self.answer = Deferred()
        return self.answer

    def stop(self) -> None:
        """Do nothing."""


def test_a_stop_before_all_was_found_leaves_the_rest_to_the_next_start(tmp_path: Path) -> None:
    """At any moment of it: more sessions than have their records in one turn."""
    process = Process(tmp_path)
    process.seconds(6)
    names = {f"{number:012x}" for number in range(250)}
    for name in sorted(names)[:150]:
        process.play(connect(0.0, name))
    process.seconds(6)
    for name in sorted(names)[150:]:
        process.play(connect(0.0, name))
    process.kill()
    for turns in range(6):
        again = Process(tmp_path)
        for _ in range(turns):
            again.thread.work(1)
        again.outbox.stop()
        again.thread.tasks.clear()  # the reactor does not come round any more
    again = Process(tmp_path)
    again.seconds(3)
    assert Counter(one["session"] for one in again.outgoing()) == Counter(names)


def test_many_sessions_are_found_again_without_a_crowd_in_the_queue(tmp_path: Path) -> None:
    """After the plugin was off for days, say: the thread has room for some tens of thousands."""
    process = Process(tmp_path)
    process.seconds(6)
    process.kill()
    with process.cowrie_log.open("ab") as file:
        file.writelines(as_lines([connect(0.0, f"{number:012x}")]) for number in range(3_000))
    again = Process(tmp_path)
    most = 0
    while len(again.emitted) < 3_000:
        again.thread.work(1)
        again.thread.advance(0.01)
        most = max(most, len(again.thread.tasks))
    again.seconds(1)
    assert len(again.outgoing()) == 3_000
    assert most <= 4 * AT_ONCE


@pytest.mark.parametrize("where", ["cowrie.json.bak", "cowrie.json.2026-03-01"])
def test_a_copy_of_the_log_beside_it_is_not_taken_for_it(tmp_path: Path, where: str) -> None:
    """Somebody keeps one by hand: nothing is missing, and nothing is counted twice."""
    process = Process(tmp_path)
    process.seconds(6)
    process.play(connect())
    process.play(command("id", 1.0))
    process.seconds(6)
    process.play(connect(2.0, "0123456789ab"))
    process.play(command("uname", 3.0, "0123456789ab"))
    shutil.copy(process.cowrie_log, tmp_path / where)
    process.play(command("id", 4.0))
    process.rotate(2)
    process.play(connect(5.0, "ba9876543210"))
    process.kill()
    again = Process(tmp_path)
    again.seconds(2)
    assert sorted(one["commands"] for one in again.outgoing()) == [0, 1, 2]


def test_sessions_that_the_store_has_no_room_for_are_found_in_cowries_log(tmp_path: Path) -> None:
    """An attacker's fat ones must not push out the others."""
    process = Process(tmp_path)
    process.store.outbox_max = LEAST_OUTBOX
    process.seconds(6)
    names = [f"{number:012x}" for number in range(300)]
    for name in names:
        process.play(connect(0.0, name))
        process.play(command(name * 80, 1.0, name))
    process.seconds(6)
    process.kill()
    again = Process(tmp_path)
    again.seconds(3)
    assert sorted(one["session"] for one in again.outgoing()) == names


def test_records_are_written_on_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """The store's timer is set anew."""
    process = Process(tmp_path)
    process.seconds(5)
    process.thread.rightNow -= 86_400
    process.outbox.clock_set_back()
    for raw in (connect(), login(), closed(3.0)):
        process.play(raw)
    process.seconds(2)
    process.kill()
    again = Process(tmp_path)
    again.seconds(2)
    assert len(again.outgoing()) == 1
    assert again.emitted == [], "it was in the store"
