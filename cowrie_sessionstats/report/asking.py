"""Asks an engine for the rows of a table; what columns several tables have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen
from ibis import Table as Expression

from cowrie_sessionstats.report.engine import Engine, Row
from cowrie_sessionstats.report.tables import Column

SESSIONS: Final = Column("sessions", "sessions")
PERCENT: Final = Column("percent", "%", "percent")
RUNNING: Final = Column("running", "running %", "percent")
EXAMPLE: Final = Column("example", "an example", "text")
FINGERPRINT: Final = Column("fingerprint", "fingerprint", "text")
FIRST: Final = Column("first_seen", "first seen", "time")
LAST: Final = Column("last_seen", "last seen", "time")


@frozen
class Ask:
    """Asks an engine for the first rows of a figure."""

    engine: Engine
    top: int

    def all(self, expression: Expression) -> list[Row]:
        """Return all rows."""
        return self.engine.rows(expression)

    def first(self, expression: Expression) -> tuple[list[Row], bool]:
        """Return the first rows, and whether there are more."""
        rows = self.engine.rows(expression.limit(self.top + 1))
        return rows[: self.top], len(rows) > self.top


def rounded(rows: Iterable[Row], digits: int = 2) -> list[Row]:
    """Round what is no whole number: to two digits, as the study prints them."""
    return [
        {
            key: round(value, digits) if isinstance(value, float) else value
            for key, value in row.items()
        }
        for row in rows
    ]
