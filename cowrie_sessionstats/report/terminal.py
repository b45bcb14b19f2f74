"""Tables for reading: with lines and colours on a terminal, plain in a pipe."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, Final, NoReturn

from cowrie_sessionstats.report.cells import TEXT, is_number, shown
from cowrie_sessionstats.report.engine import Row
from cowrie_sessionstats.report.tables import Column, Overview, Report, Table
from cowrie_sessionstats.summary import printable

_WIDE: Final = 100
"""Characters of a text in a table of the report."""
_PLAIN: Final = 20_000
"""Characters of a line in a pipe, where no width is known: more than any table needs."""
_ROWS: Final = 40
"""Rows of a table that are shown at most; ``--json`` and ``--csv`` have all."""


def write(report: Report, out: IO[str], top: int) -> None:
    """Write all tables to ``out``; of those that have more rows, ``top`` or some more."""
    console = console_on(out)
    _print(console, _heading(report))
    for table in report.tables:
        if table.rows:
            console.print()
            _write_table(console, table, max(_ROWS, top), _WIDE)


def write_result(table: Table, out: IO[str]) -> None:
    """Write one table to ``out``, with all its rows."""
    _write_table(console_on(out), table, len(table.rows), TEXT)


def console_on(out: IO[str], plain: int = _PLAIN) -> Any:
    """Return a console that writes to ``out``: ``plain`` columns wide where that is no terminal.

    It raises BrokenPipeError where nobody reads any more.
    """
    from rich.console import Console  # noqa: PLC0415 - only for people, and slow to load

    class Tables(Console):
        """Leaves a closed pipe to us: rich would end the program, with status 1."""

        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError

    width = None if out.isatty() else plain
    return Tables(file=out, width=width, highlight=False, markup=False)


def _print(console: Any, text: str, style: str = "") -> None:
    from rich.text import Text  # noqa: PLC0415

    console.print(Text(text, style), soft_wrap=not console.is_terminal)


def _write_table(console: Any, table: Table, most: int, limit: int) -> None:
    if table.title:
        _print(console, printable(table.title, _PLAIN), "bold")
    newest = table.name == "over_time"
    note = " ".join(
        filter(None, (table.note, _left_out(table, most, "last" if newest else "first")))
    )
    if note:
        _print(console, note, "dim")
    rows = table.rows[-most:] if newest else table.rows[:most]
    _write_grid(console, table.columns, rows, limit)


def _write_grid(console: Any, columns: Sequence[Column], rows: Iterable[Row], limit: int) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table as Grid  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    terminal = console.is_terminal
    grid = Grid(
        box=box.SIMPLE_HEAD if terminal else None,
        header_style="bold" if terminal else "",
        pad_edge=False,
        show_edge=False,
    )
    for column in columns:
        grid.add_column(
            Text(printable(column.heading, _WIDE)),
            justify="right" if is_number(column) else "left",
            no_wrap=not terminal or is_number(column),
            overflow="fold",
        )
    for row in rows:
        grid.add_row(
            *(Text(shown(row.get(column.key), column, limit)) for column in columns),
        )
    console.print(grid)


def _left_out(table: Table, most: int, which: str) -> str:
    rows = min(len(table.rows), most)
    if table.more or rows < len(table.rows):
        return f"The {which} {rows}."
    return ""


def _heading(report: Report) -> str:
    overview = report.overview
    when = ""
    if overview.start and overview.end:
        start, end = (
            printable(text[:19].replace("T", " "), 19) for text in (overview.start, overview.end)
        )
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
    """Return the standard output, which takes whatever its encoding has no letter for.

    Raises OSError if it is closed.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed", "the standard output")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return sys.stdout
