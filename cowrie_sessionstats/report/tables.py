"""What a report is made of: tables with headings, for whatever shows them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from cowrie_sessionstats.report.engine import Row
from cowrie_sessionstats.report.figures import COUNTS, Count
from cowrie_sessionstats.report.tree import Node

Kind: TypeAlias = Literal["text", "int", "seconds", "percent", "rate", "time", "texts"]

TOP: Final = 10
"""Rows of a table unless more are asked for: as many as the study shows."""
TOP_OF_FILES: Final = 100
"""The same for the page, JSON and CSV: enough to sort and to filter."""
NEW_DAYS: Final = 7
"""Days before the last session within which a script counts as new: what came since last week."""


@frozen
class Choice:
    """What the figures are about."""

    count: Count = "events"
    all_sessions: bool = False
    top: int = TOP
    """Rows of a table that has no end of its own."""
    frequent: int = TOP
    """Rows of figure 4, whose other rows figure 6 has."""
    new_days: int = NEW_DAYS

    def said(self) -> str:
        """Return the choice in words."""
        whose = "all sessions" if self.all_sessions else "sessions that logged in"
        what = {
            "events": "every cowrie.command.* event counts as a command",
            "inputs": "every command line (cowrie.command.input) counts as a command",
        }[self.count]
        return f"{whose}; {what} (`{COUNTS[self.count]}` of the record)"


@frozen
class Column:
    """A column of a table: the key in its rows, the heading, and what is in it."""

    key: str
    heading: str
    kind: Kind = "int"


@frozen
class Table:
    """One figure."""

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: list[Row]
    more: bool = False
    """Whether there are rows besides."""


@frozen
class Overview:
    """Figure 1."""

    sessions: int
    start: str | None
    end: str | None
    commands: dict[str, float | None]
    duration: dict[str, float | None]


@frozen
class Report:
    """Everything that is shown."""

    choice: Choice
    overview: Overview
    tables: list[Table]
    """In the order in which they are read."""
    tree: list[Node]
    series: dict[str, list[Row]] = field(factory=dict)
    """What only plots show: by time and sensor, by time and script."""
    span: str = "day"
    """What the plots over time go by: ``hour``, ``day`` or ``month``."""

    def table(self, name: str) -> Table:
        """Return the table of that name."""
        return next(table for table in self.tables if table.name == name)
