"""The table of open sessions: events go in, one record a session comes out."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field

from cowrie_sessionstats import activity, events, timestamps
from cowrie_sessionstats.commands import Templates
from cowrie_sessionstats.findings.judging import Judge, default_judge, default_templates
from cowrie_sessionstats.session import SHARED_LENGTH, Partial, Session, shared
from cowrie_sessionstats.summary import Summary, summary_of

MAX_SESSIONS: Final = 20_000
"""Open sessions at once: far more than a Cowrie process bears, and at most 80 MB of counters."""

RECENT_SECONDS: Final = 300.0
"""Seconds for which a closed session takes late events: a download's own timeouts are shorter."""

RECENT_SESSIONS: Final = 2_048
"""Closed sessions kept for that at most: 400 closes a minute for the five minutes."""

RECENT_WEIGHT: Final = 8_192
"""Characters in the lists of a session that is kept for that. A usual one has some hundreds; one
made to be large must not stay: with this and 4 KiB each, those kept take at most 75 MB."""

Ends: TypeAlias = Callable[[Any], events.Endpoints]


@define(eq=False)
class Counters:
    """What the table did since it was made."""

    opened: int = 0
    written: int = 0
    """Records, revisions not included."""
    revised: int = 0
    evicted: int = 0
    late: int = 0
    dropped: int = 0
    """Events that could be attributed to no session, or came too late for theirs."""


@define(eq=False)
class Sessions:
    """Counts the events of many sessions and emits the record of each when it closes.

    ``emit`` is called once for every session: at its close; when more than ``max_sessions`` are
    open, for the one idle longest (``partial: "evicted"``); at ``finish``. An event that comes
    after that, while the session is among the ``RECENT_SESSIONS`` closed within the last
    ``RECENT_SECONDS``, is counted into it and the record is emitted again as a ``revision``: at
    the first such event, at the second, the fourth, the eighth and so on, at the close of an
    evicted session, and at last when the session leaves that memory, so that whoever sends many
    makes few records of them. Of a later one nothing is known but what Cowrie says: if it is late,
    it is dropped and counted, else it begins a session that is ``joined_late``. Dropped is also
    an event of a session that was never seen to begin while the table is full: it must push out
    none that was.
    """

    emit: Callable[[Any], None]
    max_sessions: int = MAX_SESSIONS
    keep_passwords: bool = True
    templates: Templates = field(factory=default_templates)
    max_recent: int = RECENT_SESSIONS
    make: Callable[[Session], Any] = summary_of
    """Makes what is emitted of a session: the ``Summary``, or something quicker to make."""
    final_only: bool = False
    """Whether a record is emitted once, with its last revision, when nothing can change it."""
    give_up_after: float = math.inf
    """Seconds without an event after which a session that has to make room for another counts as
    one whose end was not seen: it is ``open``, not ``evicted``."""
    unfinished: Partial = "open"
    """What a session is whose end is not seen."""
    judge: Judge = field(factory=default_judge)
    """Makes the findings of what an open session would be."""
    stopping: bool = False
    """Whether Cowrie is being stopped: whatever ends now ends because of that."""
    touched: dict[events.SessionKey, None] | None = None
    """Where to note the sessions of which something came; None: nowhere."""
    counters: Counters = field(factory=Counters, init=False)
    # In order of their last event, and of their close with its time; the oldest first.
    _open: OrderedDict[events.SessionKey, Session] = field(factory=OrderedDict, init=False)
    _recent: OrderedDict[events.SessionKey, tuple[Session, float | None]] = field(
        factory=OrderedDict, init=False
    )

    def __len__(self) -> int:
        """Return how many sessions are open."""
        return len(self._open)

    def is_open(self, key: events.SessionKey) -> bool:
        """Return whether a session is open."""
        return key in self._open

    def keys(self) -> Iterator[events.SessionKey]:
        """Yield the sessions of which something can still come: open, or lately closed."""
        yield from self._open
        yield from self._recent

    def feed(self, raw: events.RawEvent) -> None:
        """Count one event."""
        event = events.read(raw)
        if event is None:
            return
        try:
            sensor, name, stamp = events.envelope(raw)
            key = (sensor, name)
            session = self._open.get(key)
        except (KeyError, TypeError):  # absent, or of a type that cannot be a key
            stamp, session = events.stamp(raw), None
        if session is None or event.__class__ is activity.Connect:
            checked = events.session_key(raw)
            if checked is None:
                self.counters.dropped += 1
                return
            key = checked
            session = self._enter(key, raw, event)
            if session is None:
                return
        session.last_stamp = stamp
        session.count(event)
        if event.__class__ is activity.Closed:
            del self._open[key]
            self._close(key, session, None)
            return
        self._open.move_to_end(key)
        if self.touched is not None:
            self.touched[key] = None
        if not session.connected:
            session.identify(events.endpoints(raw))

    def feed_session(
        self,
        key: events.SessionKey,
        logged: Sequence[Any],
        whole: Callable[[Any], Any] = lambda event: event,
    ) -> None:
        """Count events of one session that follow one another, as ``feed`` does one by one.

        ``key`` is the session's, ``logged`` are events of a log (``events.LogEvent``), each with
        its ``time``. ``whole`` returns an event with all its fields, which are read where the
        session's beginning was not seen.
        """
        session = self._open.get(key)
        rest = iter(logged)
        while True:
            if session is not None and session.connected:
                event = session.count_logged(rest)
            else:
                event = next(rest, None)
                if event is not None and event.eventid != events.CONNECT:
                    event = whole(event)
            if event is None:
                break
            session = self._feed_logged(key, event, session)
        if session is not None:
            self._open.move_to_end(key)

    def _feed_logged(
        self, key: events.SessionKey, event: Any, session: Session | None
    ) -> Session | None:
        """Count one event of a log; return the session that is open under ``key`` after it."""
        read = events.read_log(event)
        if read is None:
            return session
        if read.__class__ is activity.Told:
            if key in self._recent:
                self._recent[key][0].stopped = read.stopped
            return session
        if session is None or read.__class__ is activity.Connect:
            session = self._enter(key, event, read, events.log_endpoints)
            if session is None:
                return self._open.get(key)
        session.last_stamp = event.timestamp
        session.count(read)
        if read.__class__ is activity.Closed:
            del self._open[key]
            self._close(key, session, None)
            return None
        if not session.connected:
            session.identify(events.log_endpoints(event))
        return session

    def _enter(
        self,
        key: events.SessionKey,
        raw: events.RawEvent,
        event: activity.Event,
        ends: Ends = events.endpoints,
    ) -> Session | None:
        """Return the open session that an event belongs to; None if the event is done with.

        ``ends`` reads the addresses of ``raw``.
        """
        session = self._open.get(key)
        if isinstance(event, activity.Connect):
            return self._connect(key, raw, event, session, ends)
        if session is not None:
            return session
        now = timestamps.parse_timestamp(events.stamp(raw))
        if key in self._recent:
            closed, end = self._recent[key]
            if not (closed.closed and _is_past(end, now)):
                self._late(key, raw, event)
                return None
            self._retire(key)
        if events.is_late(raw) or (
            len(self._open) >= self.max_sessions and not self._is_given_up(self._oldest(), now)
        ):
            self.counters.dropped += 1
            return None
        return self._begin(key, raw, ends)

    def _connect(
        self,
        key: events.SessionKey,
        raw: events.RawEvent,
        event: activity.Connect,
        session: Session | None,
        ends: Ends,
    ) -> Session | None:
        """Return the session that begins; ``session`` is open under its key already."""
        if session is not None:
            if not session.connected:  # the beginning comes after other events of it
                session.identify(ends(raw))
                return session
            if session.first_stamp == event.stamp:  # the same beginning twice
                return None
            del self._open[key]  # its end was not seen
            self._close(key, session, "open")
        if key in self._recent:
            closed, end = self._recent[key]
            begun = timestamps.parse_timestamp(event.stamp)
            if end is not None and begun is not None and begun <= end:  # out of order
                if not closed.connected:
                    closed.identify(ends(raw))
                self._late(key, raw, event)
                return None
            self._retire(key)
        return self._begin(key, raw, ends)

    def _begin(self, key: events.SessionKey, raw: events.RawEvent, ends: Ends) -> Session:
        if len(self._open) >= self.max_sessions:
            oldest, idle = self._open.popitem(last=False)
            self.counters.evicted += 1
            now = timestamps.parse_timestamp(events.stamp(raw))
            self._close(oldest, idle, "open" if self._is_given_up(idle, now) else "evicted")
        if len(key[0]) <= SHARED_LENGTH:
            key = shared(key[0]), key[1]
        session = Session(key[0], key[1], self.templates, keep_passwords=self.keep_passwords)
        session.first_stamp = events.stamp(raw)
        session.identify(ends(raw))
        self._open[key] = session
        self.counters.opened += 1
        return session

    def _oldest(self) -> Session:
        """Return the session that is idle longest."""
        return next(iter(self._open.values()))

    def _is_given_up(self, session: Session, now: float | None) -> bool:
        return _is_past(session.end()[0], now, self.give_up_after)

    def _close(self, key: events.SessionKey, session: Session, partial: Partial | None) -> None:
        """Emit the record and keep the session a while for late events."""
        if partial is None and not session.connected:
            partial = "joined_late"
        session.partial = partial
        session.stopped = self.stopping
        if self.touched is not None:
            self.touched.pop(key, None)
        self.counters.written += 1
        end = session.end()[0]
        if session.weight() <= RECENT_WEIGHT:
            self._recent[key] = (session, end)
            if self.final_only:
                return
            self.forget(end)
        self.emit(self.make(session))

    def _late(self, key: events.SessionKey, raw: events.RawEvent, event: activity.Event) -> None:
        """Count an event of a session whose record is written."""
        session, end = self._recent[key]
        now = timestamps.parse_timestamp(events.stamp(raw))
        if not session.closed:  # it was evicted and goes on
            session.last_stamp = events.stamp(raw) or session.last_stamp
            self._recent[key] = (session, end if now is None else now)
            self._recent.move_to_end(key)
        ends = event.__class__ is activity.Closed and not session.closed
        self.counters.late += 1
        session.late_events += 1
        session.count(event)
        if ends or session.late_events & (session.late_events - 1) == 0:
            self._revise(session)

    def _revise(self, session: Session) -> None:
        session.revision += 1
        session.revised_at = session.late_events
        self.counters.revised += 1
        if not self.final_only:
            self.emit(self.make(session))

    def as_recovered(self, key: events.SessionKey) -> Summary | None:
        """Return the record that an open session would have if the process were killed now."""
        session = self._open.get(key)
        if session is None:
            return None
        session.partial = "recovered"
        try:
            return summary_of(session, self.judge)
        finally:
            session.partial = None
            session.forget_start()

    def forget(self, now: float | None) -> None:
        """Let go of closed sessions that are too old or too many at ``now`` (seconds).

        With ``final_only`` the caller has to say so, from time to time.
        """
        over = len(self._recent) - self.max_recent
        gone: list[events.SessionKey] = []
        for key, (_, end) in self._recent.items():
            if len(gone) >= over and not _is_past(end, now):
                break
            gone.append(key)
        for key in gone:
            self._retire(key)

    def _retire(self, key: events.SessionKey) -> None:
        """Forget a closed session, with a last revision if it has news."""
        if key in self._recent:
            session, _ = self._recent.pop(key)
            if session.late_events != session.revised_at:
                self._revise(session)
            if self.final_only:
                self.emit(self.make(session))

    def finish(self) -> None:
        """Emit what is left: open sessions (``unfinished``), and revisions not yet out.

        If ``emit`` raises, the session at hand is lost and another call goes on with the next.
        """
        while self._open:
            key, session = self._open.popitem(last=False)
            self._close(key, session, self.unfinished)
        for key in list(self._recent):
            self._retire(key)


def _is_past(end: float | None, now: float | None, seconds: float = RECENT_SECONDS) -> bool:
    """Return whether a session that ended at ``end`` takes no events at ``now`` (seconds)."""
    return end is not None and now is not None and now - end > seconds
