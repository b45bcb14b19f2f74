"""The figures as plots: Vega-Lite by Altair, and from that PNG and SVG without a browser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import altair as alt
import vl_convert
from attrs import frozen

from cowrie_sessionstats.replay.formats import replacing
from cowrie_sessionstats.report.engine import Row
from cowrie_sessionstats.report.tables import Report
from cowrie_sessionstats.report.tree import Node
from cowrie_sessionstats.summary import printable

LABEL: Final = 60
"""Characters of a command beside a bar."""
BARS: Final = 15
"""Bars of a plot with a text at each: more cannot be read at once."""
POINTS: Final = 500
"""Points of a plot; the rarest go."""
WIDTH: Final = 860
"""Pixels of a picture; on the page, plots are as wide as it is."""
SCALE: Final = 2
"""Pixels of a PNG for each of those, for good screens and for print."""
_ROW: Final = 24  # pixels of a bar with a text
_LEVEL: Final = 22  # pixels of a level of the tree
_NAMED: Final = 0.08  # share of the sessions from which on a band of the tree has its text in it

LIGHT: Final[dict[str, Any]] = {
    "background": "#ffffff",
    "font": "DejaVu Sans, system-ui, sans-serif",
    "axis": {
        "labelColor": "#33404d",
        "titleColor": "#33404d",
        "titleFontWeight": "normal",
        "gridColor": "#e3e8ee",
        "domainColor": "#9aa7b4",
        "tickColor": "#9aa7b4",
        "labelLimit": 420,
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "legend": {"labelColor": "#33404d", "titleColor": "#33404d", "labelLimit": 420},
    "view": {"stroke": None},
    "range": {
        "category": ["#1f6fb2", "#d1662f", "#2d8a57", "#8a5bb5", "#b0902a", "#5a6b7b", "#a9b4bf"]
    },
    "mark": {"color": "#1f6fb2"},
    "rule": {"color": "#566573"},
    "text": {"color": "#1c2733"},
}
DARK: Final[dict[str, Any]] = {
    **LIGHT,
    "background": "#151b22",
    "axis": {
        **LIGHT["axis"],
        "labelColor": "#c3ced9",
        "titleColor": "#c3ced9",
        "gridColor": "#2a3440",
        "domainColor": "#5c6b7a",
        "tickColor": "#5c6b7a",
    },
    "legend": {**LIGHT["legend"], "labelColor": "#c3ced9", "titleColor": "#c3ced9"},
    "range": {
        "category": ["#5aa9e6", "#f0915c", "#5cc28c", "#b892e0", "#dcc05a", "#93a4b5", "#5c6b7a"]
    },
    "mark": {"color": "#5aa9e6"},
    "rule": {"color": "#a0afbd"},
    "text": {"color": "#e6edf3"},
}


@frozen
class Plot:
    """A plot of one figure."""

    name: str
    """The table's that it shows, or its own where there is none."""
    title: str
    chart: Any


def plots(report: Report, width: int | str = WIDTH) -> list[Plot]:
    """Return the plots for which there is anything to show.

    ``width`` is in pixels, or ``container`` for as wide as what is around it.
    """
    made = [
        _figure2(report),
        _figure4(report),
        _figure6(report),
        _figure8(report),
        _leaving(report),
        _tree(report.tree),
        _endings(report),
        _over_time(report),
        _scripts(report),
    ]
    return [
        Plot(plot.name, plot.title, plot.chart.properties(width=width, autosize=_FIT))
        for plot in made
        if plot
    ]


def specification(plot: Plot) -> dict[str, Any]:
    """Return the plot in Vega-Lite."""
    chart: dict[str, Any] = plot.chart.to_dict()
    return chart


def write(report: Report, folder: Path) -> list[Path]:
    """Write each plot as PNG and SVG into ``folder``, which is made; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for plot in plots(report):
        known = specification(plot)
        png, svg = folder / f"{plot.name}.png", folder / f"{plot.name}.svg"
        with replacing(png) as out:
            out.write(vl_convert.vegalite_to_png(known, scale=SCALE, config=LIGHT))
        with replacing(svg) as out:
            out.write(vl_convert.vegalite_to_svg(known, config=LIGHT).encode())
        written += [png, svg]
    return written


def _chart(rows: Sequence[Row]) -> Any:
    return alt.Chart(alt.InlineData(values=list(rows)))


def _label(text: str | None) -> str:
    return printable(text or "", LABEL)


def _numbered(rows: Iterable[Row], key: str) -> list[Row]:
    """Return the rows with a ``label`` that is theirs alone: two texts can be cut to the same."""
    return [{**row, "label": f"{number}. {_label(row[key])}"} for number, row in enumerate(rows, 1)]


_FIT: Final = alt.AutoSizeParams(type="fit-x", contains="padding")
_SESSIONS: Final = alt.Tooltip("sessions:Q", format=",", title="sessions")
_SYMLOG: Final = alt.Scale(type="symlog")
_DECADES: Final = alt.Axis(values=[0, *(10**power for power in range(8))], format="~s")


def _figure2(report: Report) -> Plot | None:
    table = report.table("figure2")
    rows = [
        {
            "label": str(row["from"]) if row["from"] == row["to"] else f"{row['from']}-{row['to']}",
            "order": row["from"],
            "sessions": row["sessions"],
        }
        for row in table.rows
    ]
    chart = (
        _chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("label:N", sort=alt.SortField("order"), title="commands a session"),
            y=alt.Y("sessions:Q", scale=_SYMLOG, axis=_DECADES, title="sessions (logarithmic)"),
            tooltip=[alt.Tooltip("label:N", title="commands"), _SESSIONS],
        )
    )
    return Plot(table.name, table.title, chart.properties(height=260))


def _figure4(report: Report) -> Plot | None:
    table = report.table("figure4")
    rows = table.rows[:BARS]
    base = _chart(rows).encode(
        x=alt.X("commands:N", sort=[row["commands"] for row in rows], title="commands a session"),
        tooltip=[
            alt.Tooltip("commands:Q"),
            _SESSIONS,
            alt.Tooltip("percent:Q", title="%"),
            alt.Tooltip("running:Q", title="running %"),
        ],
    )
    bars = base.mark_bar().encode(y=alt.Y("percent:Q", title="% of sessions, and running"))
    line = base.mark_line(point=True, strokeDash=[4, 3]).encode(y="running:Q")
    return Plot(table.name, table.title, alt.layer(bars, line).properties(height=240))


def _figure6(report: Report) -> Plot | None:
    table = report.table("figure6")
    rows = [row for row in table.rows[:POINTS] if row["mean"] is not None]
    if not rows:
        return None
    x = alt.X("commands:Q", scale=_SYMLOG, axis=_DECADES, title="commands a session (logarithmic)")
    base = _chart(rows).encode(
        x=x,
        tooltip=[
            alt.Tooltip("commands:Q", format=","),
            _SESSIONS,
            alt.Tooltip("min:Q", format=",.2f", title="shortest, s"),
            alt.Tooltip("max:Q", format=",.2f", title="longest, s"),
            alt.Tooltip("mean:Q", format=",.2f", title="mean, s"),
            alt.Tooltip("rate:Q", format=",.2f", title="commands a second"),
        ],
    )
    seconds = alt.Y("min:Q", scale=_SYMLOG, axis=_DECADES, title="seconds (logarithmic)")
    spread = base.mark_rule(opacity=0.4).encode(y=seconds, y2="max:Q")
    mean = base.mark_circle(opacity=0.85).encode(
        y="mean:Q",
        size=alt.Size("sessions:Q", scale=alt.Scale(type="log", range=[20, 500]), title="sessions"),
    )
    return Plot(table.name, table.title, alt.layer(spread, mean).properties(height=320))


def _bars(rows: list[Row], of: str, tooltip: list[Any]) -> Any:
    return (
        _chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("label:N", sort=None, title=None),
            x=alt.X("percent:Q", title=f"% of {of}"),
            tooltip=tooltip,
        )
        .properties(height=_ROW * len(rows))
    )


def _figure8(report: Report) -> Plot | None:
    table = report.table("figure8")
    if not table.rows:
        return None
    rows = _numbered(table.rows[:BARS], "last")
    shown = [{**row, "text": printable(row["last"], 4 * LABEL)} for row in rows]
    chart = _bars(
        [_only(row, "label", "text", "sessions", "percent") for row in shown],
        "sessions that ran a command",
        [alt.Tooltip("text:N", title="last"), _SESSIONS, alt.Tooltip("percent:Q", title="%")],
    )
    return Plot(table.name, table.title, chart)


def _only(row: Row, *keys: str) -> Row:
    return {key: row[key] for key in keys}


def _leaving(report: Report) -> Plot | None:
    table = report.table("leaving")
    if not table.rows:
        return None
    rows = [
        _only(row, "label", "ended", "expected", "times", "seen", "share")
        for row in _numbered(table.rows[:BARS], "template")
    ]
    label = alt.Y("label:N", sort=None, title=None)
    base = _chart(rows).encode(
        y=label,
        tooltip=[
            alt.Tooltip("label:N", title="template"),
            alt.Tooltip("seen:Q", format=","),
            alt.Tooltip("ended:Q", format=",", title="last"),
            alt.Tooltip("expected:Q", format=",.1f"),
            alt.Tooltip("times:Q", format=",.2f"),
        ],
    )
    x = alt.X("expected:Q", scale=_SYMLOG, axis=_DECADES, title="sessions (logarithmic)")
    rule = base.mark_rule(opacity=0.5).encode(x=x, x2="ended:Q")
    both = (
        base.transform_fold(["expected", "ended"], as_=["which", "sessions"])
        .mark_circle(size=90)
        .encode(
            x="sessions:Q",
            color=alt.Color(
                "which:N",
                title=None,
                scale=alt.Scale(domain=["expected", "ended"]),
                legend=alt.Legend(orient="top"),
            ),
        )
    )
    return Plot(table.name, table.title, alt.layer(rule, both).properties(height=_ROW * len(rows)))


def _tree(nodes: Sequence[Node]) -> Plot | None:
    rows: list[Row] = [
        {
            "left": node.left,
            "right": node.left + node.width,
            "top": node.depth - 1,
            "bottom": node.depth,
            "text": printable(node.template, 4 * LABEL),
            "sessions": node.sessions,
            "ended": node.ended,
            "share": node.ended / node.sessions,
        }
        for node in nodes
        if node.depth
    ]
    if not rows:
        return None
    depth = max(node.depth for node in nodes)
    base = _chart(rows).encode(
        x=alt.X(
            "left:Q",
            title="share of the sessions that ran a command",
            axis=alt.Axis(format="%", grid=False),
            scale=alt.Scale(domain=[0, 1]),
        ),
        y=alt.Y(
            "top:Q",
            title="command",
            scale=alt.Scale(domain=[0, depth], reverse=True, nice=False),
            axis=alt.Axis(grid=False, tickMinStep=1),
        ),
        tooltip=[
            alt.Tooltip("text:N", title="template"),
            alt.Tooltip("bottom:Q", title="command no."),
            _SESSIONS,
            alt.Tooltip("ended:Q", format=",", title="ended here"),
            alt.Tooltip("share:Q", format=".1%", title="share"),
        ],
    )
    bands = base.mark_rect(stroke="#ffffff", strokeWidth=0.5).encode(
        x2="right:Q",
        y2="bottom:Q",
        color=alt.Color(
            "share:Q",
            title="of these, ended here",
            scale=alt.Scale(domain=[0, 1], range=["#bcd6ec", "#e08a52"]),
            legend=alt.Legend(format="%", orient="top"),
        ),
    )
    texts = (
        base.transform_filter(f"datum.right - datum.left > {_NAMED}")
        .mark_text(
            align="left",
            baseline="top",
            dx=4,
            dy=6,
            fontSize=10,
            color="#1c2733",
            limit=alt.expr("(datum.right - datum.left) * width - 8"),
        )
        .encode(text="text:N")
    )
    chart = alt.layer(bands, texts).properties(height=max(120, depth * _LEVEL))
    return Plot("tree", "Whole scripts as a tree", chart)


def _endings(report: Report) -> Plot | None:
    table = report.table("endings")
    rows = [
        {"label": row["ending"], "sessions": row["sessions"], "percent": row["percent"]}
        for row in table.rows
    ]
    chart = _bars(rows, "sessions", [alt.Tooltip("label:N", title="ending"), _SESSIONS])
    return Plot(table.name, table.title, chart)


def _over_time(report: Report) -> Plot | None:
    rows = report.series["sensors"]
    if not rows:
        return None
    chart = (
        _chart(
            [
                {
                    "time": _moment(row["time"]),
                    "sensor": _label(row["sensor"]) if row["sensor"] else "others",
                    "sessions": row["sessions"],
                }
                for row in rows
            ]
        )
        .mark_bar()
        .encode(
            x=_time(report.span),
            y=alt.Y("sum(sessions):Q", title=f"sessions by {report.span}"),
            color=alt.Color("sensor:N", legend=alt.Legend(orient="top", columns=3)),
            tooltip=[
                alt.Tooltip("time:T", timeUnit=_UNITS[report.span], title=report.span),
                "sensor:N",
                alt.Tooltip("sum(sessions):Q", format=",", title="sessions"),
            ],
        )
    )
    table = report.table("over_time")
    return Plot(table.name, table.title, chart.properties(height=240))


def _scripts(report: Report) -> Plot | None:
    rows = report.series["scripts"]
    table = report.table("scripts")
    if not rows:
        return None
    names = {
        row["fingerprint"]: f"{number}. {_label(row['last_template'])}"
        for number, row in enumerate(table.rows, 1)
    }
    chart = (
        _chart(
            [
                {
                    "time": _moment(row["time"]),
                    "script": names.get(row["fingerprint"], row["fingerprint"]),
                    "sessions": row["sessions"],
                }
                for row in rows
            ]
        )
        .mark_rect()
        .encode(
            x=_time(report.span),
            y=alt.Y("script:N", sort=list(names.values()), title=None),
            color=alt.Color(
                "sessions:Q",
                scale=alt.Scale(type="log", range=["#bcd6ec", "#1f6fb2"]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[
                alt.Tooltip("time:T", timeUnit=_UNITS[report.span], title=report.span),
                "script:N",
                _SESSIONS,
            ],
        )
    )
    return Plot(
        table.name,
        "The commonest scripts over time",
        chart.properties(height=_ROW * len({row["fingerprint"] for row in rows})),
    )


_UNITS: Final[dict[str, Any]] = {
    "hour": "utcyearmonthdatehours",
    "day": "utcyearmonthdate",
    "month": "utcyearmonth",
}


def _time(span: str) -> Any:
    return alt.X("time:T", timeUnit=_UNITS[span], title=None)


def _moment(text: str) -> str:
    """Return a span's text, e.g. ``2026-03``, as a time that means the same everywhere."""
    return f"{text}{'-01T00:00Z'[len(text) - 7 :]}" if len(text) <= 10 else f"{text}:00Z"  # noqa: PLR2004
