"""Answers side by side, for reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, Final

from cowrie_sessionstats.compare.answers import Answer, ending
from cowrie_sessionstats.compare.comparing import Part, Row, Verdict, paired, shown_lines
from cowrie_sessionstats.report.terminal import console_on
from cowrie_sessionstats.summary import printable

WIDE: Final = 400
"""Characters of a line; a terminal breaks what is longer than itself."""

PLAIN: Final = 200
"""Columns where there is no terminal: two answers of an ordinary one, and what is between them."""

STYLES: Final[dict[Verdict, str]] = {
    "missing": "bold red",
    "differs": "red",
    "varies": "yellow",
    "same": "green",
    "unknown": "dim",
}


def write(rows: Sequence[Row], honeypot: str, reference: str, out: IO[str]) -> None:
    """Write all rows to ``out``: what differs, side by side."""
    from rich.table import Table  # noqa: PLC0415 - only for people, and slow to load
    from rich.text import Text  # noqa: PLC0415

    console = console_on(out, PLAIN)
    for row in rows:
        console.print(
            Text.assemble(
                (f"{row.verdict:8}", STYLES[row.verdict]),
                f"{row.sessions:>9,}  " if row.sessions else " " * 11,
                (printable(row.command, WIDE), "bold"),
                "" if row.check is None else f"  ({row.check})",
            )
        )
        if row.verdict in {"same", "unknown"} or row.honeypot is None or row.reference is None:
            continue
        table = Table(box=None, expand=True, padding=(0, 1))
        table.add_column(printable(honeypot, WIDE), ratio=1, overflow="fold")
        table.add_column(printable(reference, WIDE), ratio=1, overflow="fold")
        for pair in paired(shown_lines(row.honeypot, WIDE), shown_lines(row.reference, WIDE)):
            style = STYLES[pair.verdict] if pair.verdict != "same" else ""
            table.add_row(
                Text.assemble(*_shown(pair.ours, style)), Text.assemble(*_shown(pair.theirs, style))
            )
        _add_ends(table, row.honeypot, row.reference)
        console.print(table)


def _shown(parts: Sequence[Part] | None, style: str) -> list[tuple[str, str]]:
    """Return the words of a line: those that differ in the style of what came of it."""
    return [
        (printable(part.text, len(part.text)), style if part.differs else "")
        for part in parts or ()
    ]


def _add_ends(table: Any, honeypot: Answer, reference: Answer) -> None:
    ends = ending(honeypot), ending(reference)
    cut = (honeypot.is_cut or reference.is_cut) and honeypot.is_late is reference.is_late
    if ends[0] != ends[1] and not cut:
        table.add_row(*(f"[{end}]" for end in ends))
