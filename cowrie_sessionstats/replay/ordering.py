"""Several files to one stream of events in the order of their time, each event once."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Final

from attrs import define, field

from cowrie_sessionstats.replay.decoding import LogEvent
from cowrie_sessionstats.replay.reading import Batch, Part


@define(eq=False)
class _Cursor:
    """Where one part has been read to."""

    batches: Iterator[Batch]
    batch: Batch | None = field(default=None, init=False)
    at: int = field(default=0, init=False)

    def advance(self) -> bool:
        """Go to the next batch; False at the end."""
        self.batch, self.at = next(self.batches, None), 0
        return self.batch is not None

    @property
    def last(self) -> float:
        """The latest time in the batch."""
        assert self.batch is not None  # noqa: S101 - only asked between advances
        return self.batch.keys[-1]

    def take(self, until: float) -> Batch:
        """Return what the batch has left up to that time, and go behind it."""
        batch, begin = self.batch, self.at
        assert batch is not None  # noqa: S101 - only asked between advances
        self.at = end = bisect_right(batch.keys, until, begin)
        if begin == 0 and end == len(batch.keys):
            return batch
        return Batch(batch.events[begin:end], batch.ticks[begin:end], batch.keys[begin:end])


def in_order(parts: Iterable[Part], read: Callable[[Part], Iterator[Batch]]) -> Iterator[Batch]:
    """Yield the events of all parts in the order of their time.

    Within a part they keep their order. Where parts overlap in time, an event that is in several
    of them is yielded as often as the one has it that has it most often: a copy of a log adds
    nothing, and what a log says twice stays. Only parts that overlap are open at once.
    """
    waiting = deque(sorted(parts, key=lambda part: (part.head, part.file.name, part.start)))
    cursors: list[_Cursor] = []
    while waiting or cursors:
        if not cursors and not _opened(cursors, waiting, read):
            continue
        until = min(cursor.last for cursor in cursors)
        while waiting and waiting[0].head <= until:
            if _opened(cursors, waiting, read):
                until = min(until, cursors[-1].last)
        taken = [cursor.take(until) for cursor in cursors]
        yield taken[0] if len(taken) == 1 else _merged(taken)
        cursors = [
            cursor
            for cursor in cursors
            if cursor.batch is not None and (cursor.at < len(cursor.batch.keys) or cursor.advance())
        ]


def _opened(
    cursors: list[_Cursor], waiting: deque[Part], read: Callable[[Part], Iterator[Batch]]
) -> bool:
    """Open the next part; False if there is nothing in it."""
    cursor = _Cursor(read(waiting.popleft()))
    if not cursor.advance():
        return False
    cursors.append(cursor)
    return True


_key: Final = itemgetter(0)


def _merged(batches: list[Batch]) -> Batch:
    """Return the events of several parts in order, each as often as one part has it."""
    entries: list[tuple[float, int, LogEvent, float | None]] = [
        (key, source, event, tick)
        for source, batch in enumerate(batches)
        for event, tick, key in zip(batch.events, batch.ticks, batch.keys, strict=True)
    ]
    entries.sort(key=_key)
    kept: list[tuple[float, int, LogEvent, float | None]] = []
    begin = 0
    for end in range(1, len(entries) + 1):
        if end == len(entries) or entries[end][0] != entries[begin][0]:
            same = entries[begin:end]
            kept += same if same[0][1] == same[-1][1] else _each_once(same)
            begin = end
    return Batch([e[2] for e in kept], [e[3] for e in kept], [e[0] for e in kept])


def _each_once(
    entries: list[tuple[float, int, LogEvent, float | None]],
) -> list[tuple[float, int, LogEvent, float | None]]:
    """Return events of one time without those that another part had already."""
    most: dict[str, int] = {}
    seen: dict[tuple[int, str], int] = {}
    kept = []
    for entry in entries:
        same = repr(entry[2])
        count = seen[entry[1], same] = seen.get((entry[1], same), 0) + 1
        if count > most.get(same, 0):
            most[same] = count
            kept.append(entry)
    return kept
