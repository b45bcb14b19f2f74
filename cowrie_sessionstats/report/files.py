"""The figures as files and for other programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from cowrie_sessionstats import __version__
from cowrie_sessionstats.replay.formats import replacing, spreadsheet_text
from cowrie_sessionstats.report.cells import TEXT, shown
from cowrie_sessionstats.report.engine import Row
from cowrie_sessionstats.report.figures import COUNTS
from cowrie_sessionstats.report.tables import Report
from cowrie_sessionstats.summary import printable

SHAPE: Final = 1
"""Version of the JSON object: keys may be added without a new one, never change their meaning."""

_FIGURES: Final[Mapping[str, tuple[str, ...]]] = {
    "figure4": ("commands", "sessions", "percent", "running"),
    "figure6": ("commands", "sessions", "min", "max", "range", "mean", "rate"),
}
"""Keys of the rows that have the shape of the study's tables, and nothing else."""


def as_json(report: Report) -> str:
    """Return everything as one JSON object, ASCII only: no text steers a terminal."""
    overview = report.overview
    known: dict[str, Any] = {
        "report": SHAPE,
        "version": __version__,
        "count": COUNTS[report.choice.count],
        "all_sessions": report.choice.all_sessions,
        "figure1": {
            "sessions": overview.sessions,
            "timeframe": {"start": overview.start, "end": overview.end},
            "commands": overview.commands,
            "duration": overview.duration,
        },
    }
    for table in report.tables:
        keys = _FIGURES.get(table.name)
        known[table.name] = (
            table.rows if keys is None else [{key: row[key] for key in keys} for row in table.rows]
        )
    known["tree"] = [attrs.asdict(node) for node in report.tree]
    known["over_time_by_sensor"] = report.series["sensors"]
    known["over_time_by_script"] = report.series["scripts"]
    return json.dumps(known)


def write_csv(report: Report, folder: Path) -> list[Path]:
    """Write a file for each table into ``folder``, which is made; return their paths.

    A text that a spreadsheet would take for a formula has an apostrophe before it; control
    characters are written as escapes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    overview = report.overview
    figure1: list[Row] = [
        {"of": name, "sessions": overview.sessions, "start": overview.start, "end": overview.end}
        | getattr(overview, name)
        for name in ("commands", "duration")
    ]
    written = [_write(folder / "figure1.csv", figure1, list(figure1[0]))]
    for table in report.tables:
        columns = {column.key: column for column in table.columns}
        rows = [
            {
                key: shown(value, columns[key]) if columns[key].kind in ("text", "texts") else value
                for key, value in row.items()
                if key in columns
            }
            for row in table.rows
        ]
        written.append(_write(folder / f"{table.name}.csv", rows, list(columns)))
    nodes = [attrs.asdict(node) for node in report.tree]
    if nodes:
        written.append(_write(folder / "tree.csv", nodes, list(nodes[0])))
    return written


def _write(path: Path, rows: list[Row], keys: list[str]) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, keys, extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: spreadsheet_text(printable(value, TEXT)) if isinstance(value, str) else value
                for key, value in row.items()
            }
        )
    with replacing(path) as out:
        out.write(text.getvalue().encode("utf-8", "backslashreplace"))
    return path
