"""Several files to one stream of events in the order of their time, each event once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from operator import itemgetter
from typing import Final, TypeAlias

from attrs import define, field

from cowrie_sessionstats.replay.decoding import LogEvent
from cowrie_sessionstats.replay.reading import Batch, Part

EQUAL: Final = 100_000
"""Events of one and the same time that are held at once: Cowrie's times have microseconds, so that
only a log that was damaged or made up has more."""

COMPARED: Final = 200_000
"""Events of files that overlap that the next ones are compared with: some 50 MB, and more than an
hour of a busy sensor, which is what copies of a log can be apart where a clock was set back."""

Read: TypeAlias = Callable[[Part], Iterator[Batch]]
Entry: TypeAlias = "tuple[float, int, LogEvent, float | None]"


@define(eq=False)
class _Cursor:
    """Where one part has been read to."""

    number: int
    batches: Iterator[Batch]
    batch: Batch = field(init=False)
    at: int = field(default=0, init=False)
    _next: Batch | None = field(default=None, init=False)
    """The batch behind ``batch``, once it was looked at."""
    _looked: bool = field(default=False, init=False)

    def advance(self) -> bool:
        """Go to the next batch; False at the end."""
        batch = self._next if self._looked else next(self.batches, None)
        self._next, self._looked, self.at = None, False, 0
        if batch is None:
            return False
        self.batch = batch
        return True

    @property
    def is_done(self) -> bool:
        """Whether the batch was taken whole."""
        return self.at == len(self.batch.keys)

    @property
    def last(self) -> float:
        """The latest time in the batch."""
        return self.batch.keys[-1]

    def horizon(self) -> float:
        """Return a time in the batch of which nothing comes behind the batch."""
        self._look_ahead()
        keys, last = self.batch.keys, self.last
        if self._next is None or self._next.keys[0] > last:
            return last
        before = bisect_left(keys, last, self.at)
        return keys[before - 1] if before > self.at else last

    def _look_ahead(self) -> None:
        """See the next batch; let it be a part of this one if that has only one time."""
        if not self._looked:
            self._next, self._looked = next(self.batches, None), True
        batch = self.batch
        while (
            self._next is not None
            and batch.keys[self.at] == batch.keys[-1] == self._next.keys[0]
            and len(batch.keys) < EQUAL
        ):
            self.batch = batch = Batch(
                batch.all_whole() + self._next.all_whole(),
                batch.ticks + self._next.ticks,
                batch.keys + self._next.keys,
            )
            self._next = next(self.batches, None)

    def take(self, until: float) -> Batch:
        """Return what the batch has left up to that time, and go behind it."""
        batch, begin = self.batch, self.at
        self.at = end = bisect_right(batch.keys, until, begin)
        if begin == 0 and end == len(batch.keys):
            return batch
        events = list(map(batch.whole, batch.events[begin:end]))
        return Batch(events, batch.ticks[begin:end], batch.keys[begin:end])


def in_order(
    parts: Iterable[Part], read: Read, crowd: Callable[[int], None] | None = None
) -> Iterator[Batch]:
    """Yield the events of all parts in the order of their time.

    Within a part they keep their order. Where parts overlap in time, an event that is in several
    of them is yielded as often as the one has it that has it most often: a copy of a log adds
    nothing, and what a log says twice stays. Only parts that overlap are open at once; ``crowd``
    is told how many before each is opened.
    """
    waiting = deque(sorted(parts, key=lambda part: (part.head, part.file.name, part.start)))
    cursors: list[_Cursor] = []
    opened = 0
    once = Once()

    def open_next() -> _Cursor | None:
        nonlocal opened
        if crowd is not None:
            crowd(len(cursors) + 1)
        opened += 1
        cursor = _Cursor(opened, read(waiting.popleft()))
        if not cursor.advance():
            return None
        cursors.append(cursor)
        return cursor

    while waiting or cursors:
        if not cursors and open_next() is None:
            continue
        if len(cursors) == 1 and not (waiting and waiting[0].head <= cursors[0].last):
            yield cursors[0].take(cursors[0].last)
        else:
            until = min(cursor.horizon() for cursor in cursors)
            while waiting and waiting[0].head <= until:
                cursor = open_next()
                if cursor is not None:
                    until = min(until, cursor.horizon())
            batch = _merged(cursors, until, once)
            if batch.keys:
                yield batch
        cursors = [cursor for cursor in cursors if not cursor.is_done or cursor.advance()]


_key: Final = itemgetter(0)


def _merged(cursors: list[_Cursor], until: float, once: Once) -> Batch:
    """Return the events of several parts in order, each as often as one part has it."""
    entries: list[Entry] = []
    for cursor in cursors:
        batch = cursor.take(until)
        entries += (
            (key, cursor.number, event, tick)
            for event, tick, key in zip(batch.all_whole(), batch.ticks, batch.keys, strict=True)
        )
    entries.sort(key=_key)
    kept = [entry for entry in entries if once.admits(entry[1], entry[2])]
    return Batch([e[2] for e in kept], [e[3] for e in kept], [e[0] for e in kept])


@define(eq=False)
class Once:
    """Lets an event through as often as the one part has it that has it most often."""

    _most: dict[int, int] = field(factory=dict, init=False)
    _counts: dict[tuple[Hashable, int], int] = field(factory=dict, init=False)
    """How often each part had each event so far, by its hash."""
    _order: deque[tuple[Hashable, int]] = field(factory=deque, init=False)

    def admits(self, part: Hashable, event: LogEvent) -> bool:
        """Return whether this one is more than all other parts had."""
        known = hash(repr(event))
        place = (part, known)
        count = self._counts[place] = self._counts.get(place, 0) + 1
        self._order.append(place)
        if len(self._order) > COMPARED:
            self._forget(*self._order.popleft())
        if count <= self._most.get(known, 0):
            return False
        self._most[known] = count
        return True

    def _forget(self, part: Hashable, known: int) -> None:
        count = self._counts[part, known] - 1
        if count:
            self._counts[part, known] = count
        else:
            del self._counts[part, known]
            self._most.pop(known, None)
