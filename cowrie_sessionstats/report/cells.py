"""What stands in a cell of a table, as text that nothing takes for more than text."""

from __future__ import annotations

from typing import Any, Final

from cowrie_sessionstats.report.tables import Column
from cowrie_sessionstats.summary import printable

TEXT: Final = 2000
"""Characters of a text that a page or a CSV shows; a record's longest have 1,024, escapes more."""


def shown(value: Any, column: Column, limit: int = TEXT) -> str:
    """Return ``value`` for people: one line, without anything that steers a terminal."""
    if value is None:
        return ""
    kind = column.kind
    if kind == "int":
        return f"{value:,}"
    if kind in ("seconds", "percent", "rate"):
        return f"{value:,.2f}"
    if kind == "time":
        return printable(str(value)[:19].replace("T", " "), limit)
    if kind == "texts":
        return printable("; ".join(map(str, value)), limit)
    return printable(str(value), limit)


def is_number(column: Column) -> bool:
    """Whether a column is aligned to the right, and sorts by value."""
    return column.kind in ("int", "seconds", "percent", "rate")
