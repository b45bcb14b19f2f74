"""One page with everything: opens from the disk, asks no network, runs nothing but its own script.

What attackers sent is in it as text: Jinja escapes it, control characters are written as escapes,
and a Content-Security-Policy lets only the scripts and the style run whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import IO, Any, Final

import jinja2
import vl_convert
from attrs import define, field
from markupsafe import Markup

from cowrie_sessionstats import __version__
from cowrie_sessionstats.report import plots
from cowrie_sessionstats.report.cells import is_number, shown
from cowrie_sessionstats.report.engine import Row
from cowrie_sessionstats.report.tables import Column, Report, Table
from cowrie_sessionstats.summary import printable

CELL: Final = 160
"""Characters of a text in a table; the record behind the row has all of it."""
_EMBED: Final = "window.vegaEmbed = vegaEmbed;"


def examples(report: Report) -> set[str]:
    """Return the ids of the sessions that stand behind rows."""
    return {
        str(row[key])
        for table in report.tables
        for row in table.rows
        for key in ("example", "session")
        if row.get(key) is not None
    }


def write(report: Report, records: Iterable[Row], out: IO[bytes]) -> None:
    """Write the page; ``records`` are those of the sessions that ``examples`` names."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source), autoescape=True, undefined=jinja2.StrictUndefined
    )
    script, style = _source("page.js"), _source("page.css")
    vega = vl_convert.javascript_bundle(_EMBED).replace("</script", "<\\/script")
    made = {plot.name: plot for plot in plots.plots(report, "container")}
    charts = {name: plots.specification(plot) for name, plot in made.items()}
    known = _Records([_record(row) for row in records])
    figures = [
        {
            "name": table.name,
            "title": table.title,
            "note": table.note,
            "more": table.more,
            "plot": table.name in charts,
            "columns": [_heading(column) for column in _columns(table)],
            "rows": [_row(table, row, known) for row in table.rows],
        }
        for table in report.tables
        if table.rows
    ]
    if "tree" in made:
        place = [figure["name"] for figure in figures].index("endings")
        figures.insert(place, _plot_only("tree", made["tree"].title, _TREE_NOTE))
    page = environment.get_template("page.html.jinja").render(
        version=__version__,
        report=report,
        when=[
            printable((text or "")[:10], 10)
            for text in (report.overview.start, report.overview.end)
        ],
        about=report.choice.said(),
        figures=figures,
        data=_json(
            {
                "charts": charts,
                "records": known.records,
                "light": plots.LIGHT,
                "dark": plots.DARK,
            }
        ),
        script=Markup(script),  # noqa: S704 - the package's own
        style=Markup(style),  # noqa: S704
        vega=Markup(vega),  # noqa: S704
        policy=_policy([vega, script], style),
    )
    out.write(page.encode("utf-8", "backslashreplace"))


_TREE_NOTE: Final = (
    "From top to bottom a script's commands, their widths the sessions that ran them; coloured by "
    "how many ended there."
)


def _plot_only(name: str, title: str, note: str) -> dict[str, Any]:
    return {
        "name": name, "title": title, "note": note, "more": False,
        "plot": True, "columns": [], "rows": [],
    }  # fmt: skip


def _source(name: str) -> str:
    return files("cowrie_sessionstats.report").joinpath(name).read_text("utf-8")


def _policy(scripts: Iterable[str], style: str) -> str:
    """Return the Content-Security-Policy: nothing is loaded, and nothing runs but these."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(known: Mapping[str, Any]) -> Markup:
    """Return JSON for a script element that is only data: nothing in it can end the element."""
    text = json.dumps(known).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(text)  # noqa: S704 - escaped in the line before


def _columns(table: Table) -> list[Column]:
    """Return the columns without those whose button stands at the head of the row."""
    return [column for column in table.columns if column.key not in ("example", "session")]


def _heading(column: Column) -> dict[str, Any]:
    return {"text": column.heading, "kind": _class(column)}


def _class(column: Column) -> str:
    """Return how a column is set: what is an id is not broken over lines, a long text is."""
    if is_number(column):
        return "number"
    if column.key in _IDS:
        return "id"
    return "long" if column.key in _LONG else "text"


_IDS: Final = ("fingerprint", "session", "hassh")
_LONG: Final = ("last", "last_command", "last_template", "template", "varies", "builds", "reasons")


def _row(table: Table, row: Row, known: _Records) -> dict[str, Any]:
    cells = []
    for column in _columns(table):
        value = row.get(column.key)
        cells.append(
            {
                "text": shown(value, column, CELL),
                "kind": _class(column),
                "value": value if is_number(column) and value is not None else None,
            }
        )
    name = row.get("example") or row.get("session")
    numbers = known.of(row) if name else []
    return {
        "cells": cells,
        "name": printable(str(name), _NAME) if numbers else None,
        "records": " ".join(map(str, numbers)),
    }


_NAME: Final = 40  # characters of a session's id on a button: Cowrie's have 12


@define(eq=False)
class _Records:
    """The records that stand behind rows, found by the number of their place."""

    records: list[Row]
    _by_session: dict[str, list[int]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        # Two sensors can have had a session of one name, and one sensor after years.
        for number, record in enumerate(self.records):
            self._by_session.setdefault(record["session"], []).append(number)

    def of(self, row: Row) -> list[int]:
        """Return the places of the records behind a row: one, unless it says less than that."""
        name = row.get("example") or row.get("session")
        numbers = self._by_session.get(_readable(name), [])
        if "session" not in row:
            return numbers
        exact = [
            number
            for number in numbers
            if all(_readable(row[key]) == self.records[number].get(key) for key in _PLACE)
        ]
        return exact or numbers


_PLACE: Final = ("sensor", "start")
"""What tells records of one session id apart."""


def _record(row: Row) -> dict[str, Any]:
    """Return a record as the page shows it: what is known, texts as they can be read."""
    return {key: _readable(value) for key, value in row.items() if value not in (None, [])}


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value, len(value))
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return value
