"""The last hour of a sensor in figures, and the sessions that ended last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from attrs import define, field, frozen

from cowrie_sessionstats.entries import identity
from cowrie_sessionstats.watching.log import Past
from cowrie_sessionstats.watching.seen import Seen, decoded, seen_of

WINDOW: Final = 3600.0
"""Seconds that are counted."""

MOST: Final = 10_000
"""Sessions that are counted at most, some 10 MB: with more in an hour, the time is shorter."""

TEXT: Final = 400
"""Characters of a text that are kept: wider than a list."""

RECENT: Final = 100
"""Sessions that are kept to be listed, whenever they were: more than a terminal has rows."""

PAST: Final = 16 << 20
"""Bytes of the log that are read at the start: some 9,000 records, half a second of work."""

_OLDER: Final = 100
"""Records in a row that are older than the window: what is before them is older, too. A few can
stand among newer ones, such as those of sessions that were recovered."""

MINUTES: Final = (1, 5, 60)

_INTERACTIVE: Final = b'"interactive"'


@frozen
class Rate:
    """What came a minute."""

    minutes: float
    """Over which time."""
    sessions: float
    logins: float
    commands: float


@define
class ScriptNow:
    """A script of the last hour."""

    fingerprint: str
    sessions: int = 0
    is_new: bool = False
    """Whether its first session ever was among them."""
    sources: set[str] = field(factory=set)
    latest: Seen | None = None


@frozen
class Figures:
    """The last hour."""

    minutes: float
    """How much of it is known."""
    sessions: int
    rates: list[Rate]
    automation: list[tuple[str, int]]
    scripts: list[ScriptNow]
    """Those of the most sessions first."""


@define(eq=False)
class Hour:
    """Takes records as they come; times are in seconds since 1970."""

    since: float | None = field(default=None, init=False)
    """All sessions that ended from then on are known; None: from any time on."""
    sensors: dict[str, None] = field(factory=dict, init=False)
    """Their names, for as many as are shown."""
    _counted: dict[bytes, tuple[float, Seen]] = field(factory=dict, init=False)
    """By identity, in order: when it ended, as far as that can be true."""
    _recent: dict[bytes, Seen] = field(factory=dict, init=False)
    _interactive: dict[bytes, Seen] = field(factory=dict, init=False)

    def begin(self, past: Past, now: float) -> int:
        """Take what is in the log already; return how many of its lines were no records."""
        skipped = older = 0
        found: list[tuple[bytes, Seen]] = []
        for line in past.lines():
            is_past = older >= _OLDER or len(found) >= MOST
            if is_past and _INTERACTIVE not in line:
                continue  # only those are still looked for
            record = decoded(line)
            if record is None:
                skipped += bool(line.strip())
                continue
            known, seen = identity(record), seen_of(record, TEXT)
            end = seen.end
            older = older + 1 if end is not None and end < now - WINDOW else 0
            if is_past:
                older = max(older, _OLDER)
            found.append((known, seen))
            if len(found) >= 2 * MOST:
                break
        for known, seen in reversed(found):
            self._add(known, seen, now)
        if not past.is_whole and older < _OLDER and self.since is None:
            self.since = next((at for at, _ in self._counted.values()), now)
        return skipped

    def add(self, record: Mapping[str, Any], now: float) -> None:
        """Take a record, or a revision of one."""
        self._add(identity(record), seen_of(record, TEXT), now)

    def _add(self, known: bytes, seen: Seen, now: float) -> None:
        at = now if seen.end is None else min(seen.end, now)
        if len(self.sensors) < RECENT:
            self.sensors.setdefault(seen.sensor)
        self._counted[known] = at, seen
        if len(self._counted) > MOST:
            first = next(iter(self._counted))
            self.since = self._counted.pop(first)[0]
        _keep(self._recent, known, seen)
        if seen.automation == "interactive":
            _keep(self._interactive, known, seen)
        else:
            self._interactive.pop(known, None)  # a revision says otherwise

    def recent(self) -> list[Seen]:
        """Return the sessions that ended last, the last one first."""
        return list(reversed(self._recent.values()))

    def interactive(self) -> list[Seen]:
        """Return those in which somebody typed, the last one first."""
        return list(reversed(self._interactive.values()))

    def figures(self, now: float) -> Figures:
        """Return the figures of the hour before ``now``, and forget what was before it."""
        for known in list(islice(self._gone(now), len(self._counted))):
            del self._counted[known]
        begin = now - WINDOW
        if self.since is not None and self.since < begin:
            self.since = None
        known_for = WINDOW if self.since is None else max(now - self.since, 1.0)
        spans = [min(60.0 * minutes, known_for) for minutes in MINUTES]
        sums = [[0, 0, 0] for _ in spans]
        automation: Counter[str] = Counter()
        scripts: dict[str, ScriptNow] = {}
        sessions = 0
        for at, seen in self._counted.values():
            age = now - at
            if age > known_for:
                continue
            sessions += 1
            for span, counted in zip(spans, sums, strict=True):
                if age <= span:
                    counted[0] += 1
                    counted[1] += seen.logged_in
                    counted[2] += seen.commands
            automation[seen.automation or "undetermined"] += 1
            if seen.fingerprint is not None:
                _count(scripts, seen.fingerprint, seen)
        rates = [
            Rate(span / 60, *(each / (span / 60) for each in counted))
            for span, counted in zip(spans, sums, strict=True)
        ]
        ordered = sorted(scripts.values(), key=lambda each: -each.sessions)
        return Figures(known_for / 60, sessions, rates, automation.most_common(), ordered)

    def _gone(self, now: float) -> Iterable[bytes]:
        for known, (at, _) in self._counted.items():
            if at >= now - WINDOW:
                return
            yield known


def _count(scripts: dict[str, ScriptNow], fingerprint: str, seen: Seen) -> None:
    script = scripts.get(fingerprint)
    if script is None:
        script = scripts[fingerprint] = ScriptNow(fingerprint)
    script.sessions += 1
    script.is_new |= seen.is_new
    script.sources.add(seen.src_ip or "")
    script.latest = seen


def _keep(kept: dict[bytes, Seen], known: bytes, seen: Seen) -> None:
    kept[known] = seen
    if len(kept) > RECENT:
        del kept[next(iter(kept))]
