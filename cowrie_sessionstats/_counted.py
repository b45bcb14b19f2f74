"""Which time of each sensor a history has counted, so that no session counts twice."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import Final, TypeAlias

from attrs import define, field

SENSORS_MAX: Final = 1_000
"""Sensors of which that is known; of others, a log that is read twice counts twice."""

SPANS_MAX: Final = 16
"""Spans of a sensor: of more, the two with the least time between them become one. Each start of a
sensor makes one, and so does each reading of old logs."""

Span: TypeAlias = tuple[float, float]
"""The first and the last close that was counted, in seconds since 1970."""


@define(eq=False)
class Counted:
    """Spans of time, by sensor: those of the file when it was opened, and one that grows."""

    _known: dict[str, list[Span]] = field(factory=dict, init=False)
    _new: dict[str, Span] = field(factory=dict, init=False)
    _changed: set[str] = field(factory=set, init=False)
    """Sensors of which the file does not know all."""

    def load(self, file: sqlite3.Connection) -> None:
        """Begin with what the file knows."""
        self._known.clear()
        self._new.clear()
        self._changed.clear()
        for sensor, *span in file.execute("SELECT sensor, since, until FROM counted"):
            self._known.setdefault(sensor, []).append((span[0], span[1]))

    def is_known(self, sensor: str, end: float) -> bool:
        """Return whether a session that ended then was counted before the file was opened."""
        return any(since <= end <= until for since, until in self._known.get(sensor, ()))

    def add(self, sensor: str, end: float) -> None:
        """Take note that a session that ended then was counted."""
        since, until = self._new.get(sensor, (end, end))
        is_strange = sensor not in self._new and sensor not in self._known
        if is_strange and len(self._new.keys() | self._known.keys()) >= SENSORS_MAX:
            return
        self._new[sensor] = min(since, end), max(until, end)
        self._changed.add(sensor)

    def write(self, file: sqlite3.Connection) -> None:
        """Write what is new, in the transaction that is under way; ``written`` says it is done."""
        for sensor in self._changed:
            spans = _merged([*self._known.get(sensor, ()), self._new[sensor]])
            file.execute("DELETE FROM counted WHERE sensor = ?", (sensor,))
            rows = [(sensor, *span) for span in spans]
            file.executemany("INSERT INTO counted VALUES (?, ?, ?)", rows)

    def written(self) -> None:
        """Take note that the transaction succeeded."""
        self._changed.clear()


def _merged(spans: list[Span]) -> list[Span]:
    """Return the same time in as few spans as can be, and no more than may be."""
    merged: list[Span] = []
    for since, until in sorted(spans):
        if merged and since <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], until)
        else:
            merged.append((since, until))
    while len(merged) > SPANS_MAX:
        gaps = [after[0] - before[1] for before, after in pairwise(merged)]
        at = gaps.index(min(gaps))
        merged[at : at + 2] = [(merged[at][0], merged[at + 1][1])]
    return merged
