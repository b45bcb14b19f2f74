"""Events in the order of time to records: the tables that count live, fed in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias
from zlib import crc32

from attrs import define, field

from cowrie_sessionstats import events
from cowrie_sessionstats.commands import Templates, default_vocabulary, read_vocabulary
from cowrie_sessionstats.findings.automation import rules
from cowrie_sessionstats.findings.ending import Timeouts
from cowrie_sessionstats.findings.judging import Judge, default_judge, default_templates
from cowrie_sessionstats.findings.rules import default_rules, read_rules
from cowrie_sessionstats.recordings import keys_named
from cowrie_sessionstats.replay.decoding import LogEvent
from cowrie_sessionstats.replay.reading import Batch
from cowrie_sessionstats.session import Session
from cowrie_sessionstats.sessions import MAX_SESSIONS, Sessions
from cowrie_sessionstats.summary import draft_of
from cowrie_sessionstats.timestamps import parse_timestamp

TABLES: Final = 16
"""Tables that the sessions are dealt out to, whoever counts them: so the bounds of each, and with
them the records, do not depend on how many processes share the work."""

GIVE_UP: Final = 86_400.0
"""Seconds: Cowrie's own timeouts are minutes, so a session that was silent for a day has ended
without a word (the process was killed, say), should its place in the table be needed."""

RECENT: Final = MAX_SESSIONS
"""Closed sessions kept for late events: so many that the five minutes decide, not their number."""

_LOOK: Final = 1_000
"""Events after which closed sessions are let go if they can be."""

Values: TypeAlias = tuple[Any, ...]


@define(eq=False)
class Settings:
    """What the user chose of how sessions are counted."""

    keep_passwords: bool = True
    templates: Templates = field(factory=default_templates)
    judge: Judge = field(factory=default_judge)
    ttylogs: Path | None = None
    """Where Cowrie's recordings of terminals are; None: they are not looked at."""
    history: Path | None = None
    """Where the script tree is kept; None: nothing is known of other sessions."""

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - one for each option
        cls,
        vocabulary: Path | None,
        keep_passwords: bool,  # noqa: FBT001 - as the options have it
        rules: Path | None = None,
        timeouts: Timeouts | None = None,
        ttylogs: Path | None = None,
        history: Path | None = None,
    ) -> Settings:
        """Return the settings, with the vocabulary and the rules of files.

        VocabularyError or RuleError if those have mistakes.
        """
        known = default_vocabulary() if vocabulary is None else read_vocabulary(vocabulary)
        judge = Judge(
            default_rules() if rules is None else read_rules(rules), timeouts or Timeouts()
        )
        return cls(
            keep_passwords, Templates(known, marks=judge.rules.marks), judge, ttylogs, history
        )

    def values(self, session: Session) -> Values:
        """Return what the record of a session holds.

        If there is a history, what that needs of the session stands behind it.
        """
        draft = draft_of(session)
        keys = None
        if self.ttylogs is not None and draft.ttylogs:
            # A name out of a log is not to lead anywhere else.
            paths = [self.ttylogs / Path(path).name for path in draft.ttylogs]
            keys = keys_named(draft.facts, paths, rules().rhythm)
        values = draft.values(self.judge.findings(draft.facts, keys))
        return values if self.history is None else (*values, draft.trail)


@define(eq=False)
class Counting:
    """Counts the sessions of one or several tables; each record is emitted once."""

    emit: Callable[[Values], None]
    """Takes what ``Settings.values`` returns."""
    settings: Settings
    share: int = 0
    shares: int = 1
    """It counts the tables of which the number modulo ``shares`` is ``share``."""
    sensors: set[str] = field(factory=set, init=False)
    """The sensors whose events have come, also of sessions that are another's share."""
    _tables: list[Sessions | None] = field(init=False)
    _fed: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._tables = [
            self._table() if number % self.shares == self.share else None
            for number in range(TABLES)
        ]

    def _table(self) -> Sessions:
        return Sessions(
            self.emit,
            max_sessions=MAX_SESSIONS // TABLES,
            keep_passwords=self.settings.keep_passwords,
            templates=self.settings.templates,
            max_recent=RECENT // TABLES,
            make=self.settings.values,
            judge=self.settings.judge,
            final_only=True,
            give_up_after=GIVE_UP,
        )

    def feed(self, batch: Batch) -> None:
        """Count the events of a batch."""
        for key, logged in _by_session(batch).items():
            self.sensors.add(key[0])
            table = self._tables[_number(key)]
            if table is not None:
                table.feed_session(key, logged, batch.whole)
        if self._is_time(len(batch.events)):
            self._forget(batch.keys[-1])

    def feed_one(self, raw: events.RawEvent) -> None:
        """Count one event, as Cowrie hands it to its outputs."""
        key = events.session_key(raw)
        if key is None:
            return
        table = self._tables[_number(key)]
        if table is not None:
            table.feed(raw)
            if self._is_time(1):
                self._forget(parse_timestamp(events.stamp(raw)))

    def _is_time(self, count: int) -> bool:
        """Return whether with so many more events it is time to let closed sessions go."""
        self._fed += count
        if self._fed < _LOOK:
            return False
        self._fed = 0
        return True

    def _forget(self, now: float | None) -> None:
        for table in self._tables:
            if table is not None:
                table.forget(now)

    @property
    def dropped(self) -> int:
        """Events that belong to no session that could be kept."""
        return sum(table.counters.dropped for table in self._tables if table is not None)

    def finish(self) -> None:
        """Emit what is left."""
        for table in self._tables:
            if table is not None:
                table.finish()


def _number(key: events.SessionKey) -> int:
    """Return the number of the table that a session is in."""
    return crc32(key[1].encode("utf-8", "surrogatepass")) % TABLES


def _by_session(batch: Batch) -> dict[events.SessionKey, list[LogEvent]]:
    """Return the batch's events by session, in their order."""
    found: dict[Any, list[LogEvent]] = defaultdict(list)
    try:
        sensors = {event.sensor for event in batch.events}
        if len(sensors) == 1:
            for event in batch.events:
                found[event.session].append(event)
            (sensor,) = sensors
            found = {(sensor, session): of for session, of in found.items()}
        else:
            for event in batch.events:
                found[event.sensor, event.session].append(event)
        if all(events.session_key(of[0]) == key for key, of in found.items()):
            return found
    except TypeError:  # a name of a type that cannot be a key
        pass
    found = {}
    for event in batch.events:
        known = events.session_key(event)
        if known is not None:
            found.setdefault(known, []).append(event)
    return found
