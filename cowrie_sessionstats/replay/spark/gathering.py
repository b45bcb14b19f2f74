"""The rows of sessions, each session's in order, to records: by the table that counts live."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, TypeAlias

from attrs import define, field

from cowrie_sessionstats import events
from cowrie_sessionstats.replay.counting import Settings, Values
from cowrie_sessionstats.replay.decoding import LogEvent, decode_block, decode_line
from cowrie_sessionstats.replay.encoding import encode
from cowrie_sessionstats.replay.ordering import COMPARED, Once
from cowrie_sessionstats.replay.reading import Batch, timed
from cowrie_sessionstats.replay.spark.pieces import Gathered
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.summary import KEYS

HELD: Final = 32 << 20
"""Bytes of a session's lines that are kept in case that another log has them, too: more than an
hour of anything that a person or a script types."""

Rows: TypeAlias = "tuple[Sequence[bytes], Sequence[tuple[int, int]], Sequence[bytes]]"
"""Of rows that follow one another: whose each is, in which part of which log it stood, its line."""

_PARTIAL: Final = KEYS.index("partial")


@define(eq=False)
class Gathering:
    """Counts one session after the other."""

    settings: Settings
    open_sessions: bool
    outcome: Gathered = field(factory=Gathered)
    _table: Sessions = field(init=False)
    _records: list[bytes] = field(factory=list, init=False)
    _key: bytes | None = field(default=None, init=False)
    _held: deque[tuple[tuple[int, int], bytes]] = field(factory=deque, init=False)
    """The session's lines so far, while all are of one part."""
    _size: int = field(default=0, init=False)
    _parts: set[tuple[int, int]] = field(factory=set, init=False)
    _once: Once | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._table = Sessions(
            self._emit,
            keep_passwords=self.settings.keep_passwords,
            templates=self.settings.templates,
            make=self.settings.values,
            judge=self.settings.judge,
            final_only=True,
        )

    def records(self, batches: Iterable[Rows]) -> Iterator[bytes]:
        """Yield the records of all sessions, each as a line of JSON with its newline."""
        for keys, parts, lines in batches:
            self._feed(keys, parts, lines)
            yield from self._taken()
        self._finish()
        yield from self._taken()
        self.outcome.dropped = self._table.counters.dropped

    def _taken(self) -> list[bytes]:
        taken, self._records = self._records, []
        return taken

    def _emit(self, values: Values) -> None:
        if values[_PARTIAL] == "open" and not self.open_sessions:
            self.outcome.left_open += 1
            return
        self.outcome.records += 1
        self._records.append(encode(values[: len(KEYS)]) + b"\n")

    def _finish(self) -> None:
        """Emit all of the session whose rows have ended."""
        self._table.finish()
        self._held.clear()
        self._size = 0
        self._parts = set()
        self._once = None

    def _feed(
        self, keys: Sequence[bytes], parts: Sequence[tuple[int, int]], lines: Sequence[bytes]
    ) -> None:
        if not lines:
            return
        batch = _decoded(lines)
        begin = 0
        for key, run in groupby(keys):
            end = begin + sum(1 for _ in run)
            if key != self._key:
                self._finish()
                self._key = key
            found = batch.events[begin:end]
            self._parts.update(parts[begin:end])
            if len(self._parts) > 1:
                found = self._admitted(parts[begin:end], [batch.whole(event) for event in found])
            else:
                self._hold(parts[begin:end], lines[begin:end])
            if found:
                name = events.session_key(found[0])
                if name is not None:
                    self._table.feed_session(name, found, batch.whole)
            begin = end

    def _hold(self, parts: Sequence[tuple[int, int]], lines: Sequence[bytes]) -> None:
        self._held.extend(zip(parts, lines, strict=True))
        self._size += sum(map(len, lines))
        while len(self._held) > COMPARED or self._size > HELD:
            self._size -= len(self._held.popleft()[1])

    def _admitted(
        self, parts: Sequence[tuple[int, int]], found: Sequence[LogEvent]
    ) -> list[LogEvent]:
        """Return the events that the session's other parts have not had so often."""
        once = self._once
        if once is None:
            self._once = once = Once()
            if self._held:
                before = _decoded([line for _, line in self._held]).all_whole()
                for (part, _), event in zip(self._held, before, strict=True):
                    once.admits(part, event)
            self._held.clear()
        return [event for part, event in zip(parts, found, strict=True) if once.admits(part, event)]


def _decoded(lines: Sequence[bytes]) -> Batch:
    """Return the events of lines that all have one."""
    block = b"\n".join((*lines, b""))
    found: list[Any] | None = decode_block(block, len(lines), whole=False)
    if found is None:
        found = [event for event, _ in map(decode_line, lines) if event is not None]
    ticks = timed(found)
    return Batch(found, ticks, [], block)
