"""Tables for reading: with lines and colours on a terminal, plain in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import IO, Final

from cowrie_sessionstats.report.cells import is_number, shown
from cowrie_sessionstats.report.engine import Row
from cowrie_sessionstats.report.tables import Column, Overview, Report, Table

_WIDE: Final = 100
"""Characters of a text in a pipe, where no width is known."""
_PLAIN: Final = 400
"""Characters of a line in a pipe: more than any table has."""
_ROWS: Final = 40
"""Rows of a table that are shown at most; ``--json`` and ``--csv`` have all."""


def write(report: Report, out: IO[str]) -> None:
    """Write all tables to ``out``."""
    from rich.console import Console  # noqa: PLC0415 - only for people, and slow to load
    from rich.text import Text  # noqa: PLC0415

    terminal = out.isatty()
    console = Console(file=out, width=None if terminal else _PLAIN, highlight=False, markup=False)
    console.print(Text(_heading(report)), soft_wrap=not terminal)
    for table in report.tables:
        if not table.rows:
            continue
        console.print()
        console.print(Text(table.title, "bold"))
        note = " ".join(filter(None, (table.note, _left_out(table))))
        if note:
            console.print(Text(note, "dim"), soft_wrap=not terminal)
        write_table(console, table.columns, table.rows[:_ROWS], terminal=terminal)


def write_table(
    console: object, columns: Sequence[Column], rows: Iterable[Row], *, terminal: bool
) -> None:
    """Write one table to a console of rich's."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = RichTable(
        box=box.SIMPLE_HEAD if terminal else None,
        header_style="bold" if terminal else "",
        pad_edge=False,
        show_edge=False,
    )
    for column in columns:
        grid.add_column(
            Text(column.heading),
            justify="right" if is_number(column) else "left",
            no_wrap=not terminal or is_number(column),
            overflow="fold",
        )
    for row in rows:
        grid.add_row(
            *(Text(shown(row.get(column.key), column, _WIDE)) for column in columns),
        )
    console.print(grid)  # type: ignore[attr-defined]


def _left_out(table: Table) -> str:
    rows = min(len(table.rows), _ROWS)
    if table.more or rows < len(table.rows):
        return f"The first {rows}."
    return ""


def _heading(report: Report) -> str:
    overview = report.overview
    when = ""
    if overview.start and overview.end:
        start, end = (text[:19].replace("T", " ") for text in (overview.start, overview.end))
        when = f", {start} to {end} UTC"
    lines = [
        f"{overview.sessions:,} sessions{when}",
        f"About {report.choice.said()}.",
        _spread("commands", overview),
        _spread("duration", overview),
    ]
    return "\n".join(lines)


def _spread(name: str, overview: Overview) -> str:
    of: dict[str, float | None] = getattr(overview, name)
    unit = " s" if name == "duration" else ""
    known = (
        f"{what} {value:,}{unit}"
        for what, value in (
            ("minimum", of["min"]),
            ("maximum", of["max"]),
            ("range", of["range"]),
            ("median", of["median"]),
            ("mean", of["mean"]),
        )
        if value is not None
    )
    return f"{name}: {', '.join(known)}"


def stdout() -> IO[str]:
    """Return the standard output, which takes whatever its encoding has no letter for."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return sys.stdout
