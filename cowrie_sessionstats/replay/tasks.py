"""What is done with one group of files, in this process or another."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Final

from attrs import define, field

from cowrie_sessionstats.replay.counting import Counting, Settings, Values
from cowrie_sessionstats.replay.decoding import steady_depth
from cowrie_sessionstats.replay.encoding import encode
from cowrie_sessionstats.replay.ordering import in_order
from cowrie_sessionstats.replay.past import pack
from cowrie_sessionstats.replay.planning import Group
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.reading import Part, Reader, SeamError, Tally
from cowrie_sessionstats.replay.spool import Run, Spool, sort_key
from cowrie_sessionstats.summary import KEYS


@define(eq=False)
class Task:
    """A group, or one of several shares of its sessions."""

    group: Group
    share: int = 0
    shares: int = 1
    open_sessions: bool = False
    """Whether sessions whose end was not seen have a record."""
    strict: bool = False


@define(eq=False)
class Outcome:
    """What became of a task."""

    runs: list[Run] = field(factory=list)
    sensors: set[str] = field(factory=set)
    parts: tuple[Part, ...] | None = None
    """The group's logs, if some stand one behind the other in a file: then nothing else counts."""
    problems: Problems = field(factory=Problems)
    tally: Tally = field(factory=Tally)
    records: int = 0
    dropped: int = 0
    """Events that belong to no session that could be kept."""
    left_open: int = 0
    """Sessions whose end was not seen, and that have no record for that."""


@define(eq=False)
class Keeper:
    """Puts records into a spool, and counts them."""

    spool: Spool
    open_sessions: bool
    outcome: Outcome = field(factory=Outcome)

    def __call__(self, values: Values) -> None:
        """Take one record."""
        if values[_PARTIAL] == "open" and not self.open_sessions:
            self.outcome.left_open += 1
            return
        self.outcome.records += 1
        line = encode(values[: len(KEYS)])
        if len(values) > len(KEYS):
            line = pack(values[-1]) + line
        self.spool.add(sort_key(*_sorted_by(values)), line)


_PARTIAL: Final = KEYS.index("partial")
_sorted_by: Final = itemgetter(*map(KEYS.index, ("end", "sensor", "session", "start")))


def perform(
    task: Task,
    settings: Settings,
    spool: Spool,
    moved: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Summarize the sessions of a task into ``spool``.

    ``moved`` is called from time to time.
    """
    first = task.share == 0  # the shares read the same files: one of them says what is wrong
    outcome = Outcome(problems=Problems(task.strict and first))

    keeper = Keeper(spool, task.open_sessions, outcome)
    reader = Reader(
        outcome.problems, outcome.tally, None if moved is None else lambda: moved(outcome)
    )
    counting = Counting(keeper, settings, task.share, task.shares)
    before = len(spool.runs)
    with steady_depth():
        try:
            for batch in in_order(task.group.parts, reader.batches, reader.appetite.share):
                counting.feed(batch)
        except SeamError:
            if first:
                outcome.parts = tuple(
                    part for whole in task.group.parts for part in reader.split(whole)
                )
        else:
            counting.finish()
    spool.flush()
    outcome.dropped = counting.dropped
    outcome.runs = spool.runs[before:]
    outcome.sensors = counting.sensors
    return outcome
