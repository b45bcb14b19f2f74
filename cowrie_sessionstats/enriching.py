"""Between a session's close and the outputs: what has to be read from a disk, in the worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from threading import Lock
from typing import Final, TypeAlias

from attrs import define, field

from cowrie_sessionstats.complaints import ERROR_LIMIT, Complaints
from cowrie_sessionstats.findings.judging import Judge
from cowrie_sessionstats.findings.keys import Keys
from cowrie_sessionstats.history import Past, Way
from cowrie_sessionstats.summary import Draft, Summary, printable
from cowrie_sessionstats.worker import Worker

ReadKeys: TypeAlias = Callable[[Draft], Keys | None]
AskPast: TypeAlias = Callable[[Way], Past | None]


@define(eq=False)
class Enrichment:
    """Completes records in the worker thread, and hands them to ``deliver`` in the reactor's.

    In the order in which they came. ``later`` calls a function in the reactor's thread. A record
    that the worker cannot take, or does not bring back in time at the end, goes out without what
    would have had to be read.
    """

    judge: Judge
    worker: Worker
    read_keys: ReadKeys
    ask_past: AskPast
    deliver: Callable[[Summary], None]
    later: Callable[[Callable[[], None]], object]
    complaints: Complaints
    _numbers: count[int] = field(factory=count, init=False)
    _waiting: dict[int, Draft] = field(factory=dict, init=False)
    """What the worker was given; whoever takes a draft out of here makes its record."""
    _done: deque[Summary] = field(factory=deque, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    """Held while something goes from one of these to the other."""

    def write(self, draft: Draft, *, is_new: bool = True) -> None:
        """Take one session; in the reactor's thread. ``is_new``: it ended in this process."""
        number = next(self._numbers)
        self._waiting[number] = draft
        if not self.worker.submit(lambda: self._complete(number, is_new)):
            del self._waiting[number]
            self.deliver(self._without(draft))

    def flush(self) -> None:
        """Deliver what is complete; in the reactor's thread."""
        while self._done:
            self.deliver(self._done.popleft())

    def finish(self, seconds: float) -> None:
        """Deliver everything, within so many seconds."""
        self.worker.drain(seconds)
        with self._lock:
            late = list(self._waiting.values())
            self._waiting.clear()
        self.flush()
        for draft in late:
            self.deliver(self._without(draft))

    def _complete(self, number: int, is_new: bool) -> None:  # noqa: FBT001 - as write has it
        draft = self._waiting.get(number)
        if draft is None:
            return
        try:
            summary = self._completed(draft, draft.way(is_new=is_new))
        except Exception as error:  # noqa: BLE001 - the record goes out without it
            trouble = f"{type(error).__name__}: {printable(str(error), ERROR_LIMIT)}"
            self.later(lambda: self.complaints.complain(f"{_TROUBLE}: {trouble}; please report it"))
            summary = self._without(draft)
        with self._lock:
            if self._waiting.pop(number, None) is None:  # it went out meanwhile
                return
            self._done.append(summary)
        self.later(self.flush)

    def _completed(self, draft: Draft, way: Way | None) -> Summary:
        past = None if way is None else self.ask_past(way)
        seen_before = 0 if past is None else past.seen_before
        findings = self.judge.findings(draft.facts, self.read_keys(draft), seen_before)
        return draft.summary(findings, past)

    def _without(self, draft: Draft) -> Summary:
        return draft.summary(self.judge.findings(draft.facts))


_TROUBLE: Final = "a session's recording or its script's past could not be looked up"
