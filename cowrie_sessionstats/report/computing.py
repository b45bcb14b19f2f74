"""All figures computed: an engine's sessions to a report."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from ibis import Table as Expression
from ibis import _, desc

from cowrie_sessionstats.report import beyond, figures, study
from cowrie_sessionstats.report.asking import Ask, rounded
from cowrie_sessionstats.report.engine import Engine, Row
from cowrie_sessionstats.report.interest import Rules
from cowrie_sessionstats.report.tables import Choice, Overview, Report
from cowrie_sessionstats.report.tree import tree

CHARTED: Final = 6
"""Scripts and sensors that a plot over time tells apart; more colours cannot be told apart."""
_HOURS: Final = timedelta(days=3)
_DAYS: Final = timedelta(days=400)
"""Time spans up to which plots go by the hour and by the day; over them by the month."""


def report(engine: Engine, rules: Rules, choice: Choice) -> Report:
    """Compute everything about the sessions that ``engine`` has."""
    ask = Ask(engine, choice.top)
    everything = engine.sessions
    chosen = figures.counted(everything, choice.count, all_sessions=choice.all_sessions)
    (first,), counts = engine.together(
        [
            lambda: engine.rows(figures.figure1(chosen)),
            lambda: engine.rows(figures.by_count(chosen)),
        ]
    )
    overview = _overview(first)
    scripts, last = engine.together(
        [
            lambda: engine.keep(figures.scripts(chosen)),
            lambda: engine.keep(figures.figure8(chosen)),
        ]
    )
    digits, span = _span(overview)
    common = scripts.order_by(desc("sessions"), "fingerprint")
    sensors = beyond.sensors(ask, chosen)
    groups = engine.rows(
        common.limit(_TREE).mutate(templates=_.templates.map(lambda text: text.substr(0, _SHOWN)))
    )
    charted = [row["fingerprint"] for row in groups[:CHARTED]]
    new = _since(overview.end, choice.new_days)
    named = [row["sensor"] for row in sensors.rows[:CHARTED]]
    tables = engine.together(
        [
            lambda: beyond.worth(ask, chosen, everything, scripts, rules),
            lambda: study.figure7(ask, chosen),
            lambda: beyond.endings(ask, chosen),
            lambda: beyond.automation(ask, chosen),
            lambda: beyond.checks(ask, chosen),
            lambda: beyond.over_time(ask, chosen, digits, span),
            lambda: beyond.clients(ask, chosen),
            lambda: beyond.leaving(ask, scripts, last),
            lambda: study.figure5(ask, scripts),
            lambda: study.chunks(ask, scripts),
            lambda: study.figure8(ask, last),
            lambda: beyond.scripts(ask, common),
            lambda: beyond.new_scripts(ask, scripts, new, choice.new_days),
        ]
    )
    by_sensor, by_script = engine.together(
        [
            lambda: engine.rows(figures.sensors_over_time(chosen, digits, named)),
            lambda: engine.rows(figures.scripts_over_time(chosen, digits, charted)),
        ]
    )
    tables += [
        study.figure2(counts),
        study.figure4(counts, choice.frequent),
        study.figure6(counts),
        sensors,
    ]
    return Report(
        choice,
        overview,
        sorted(tables, key=lambda table: _ORDER.index(table.name)),
        tree(groups, _ran(engine, scripts)),
        {"sensors": by_sensor, "scripts": by_script},
        span,
    )


_ORDER: Final = (
    "figure2", "figure4", "figure5", "figure6", "figure7", "chunks", "figure8", "leaving",
    "endings", "automation", "checks", "over_time", "sensors", "scripts", "new_scripts", "clients",
    "worth_a_look",
)  # fmt: skip
"""In which the tables are read."""
_TREE: Final = 10_000
"""Scripts that the tree is made of, the commonest; with more, what the others share is missing in
its branches, and the room at its right side is theirs."""


_SHOWN: Final = 240  # characters of a template by which branches of the tree are told apart


def _ran(engine: Engine, scripts: Expression) -> int:
    """Return how many sessions have a script."""
    return int(engine.rows(scripts.aggregate(sessions=scripts.sessions.sum()))[0]["sessions"] or 0)


def _overview(row: Row) -> Overview:
    def spread(name: str) -> dict[str, float | None]:
        low, high = row[f"{name}_min"], row[f"{name}_max"]
        known: dict[str, float | None] = {
            "min": low,
            "max": high,
            "range": None if low is None else high - low,
            "median": row[f"{name}_median"],
            "mean": row[f"{name}_mean"],
        }
        # Durations to the millisecond, which is what Cowrie measures.
        return rounded([known], 3 if name == "duration" else 2)[0]

    return Overview(
        row["sessions"], row["start"], row["end"], spread("commands"), spread("duration")
    )


def _span(overview: Overview) -> tuple[int, str]:
    """Return how many digits of a time make a span, and what it is called."""
    start, end = _moment(overview.start), _moment(overview.end)
    length = end - start if start and end else timedelta()
    if length <= _HOURS:
        return 13, "hour"
    return (10, "day") if length <= _DAYS else (7, "month")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc) if moment and moment.tzinfo is None else moment


def _since(end: str | None, days: int) -> str:
    """Return the time so many days before ``end``, as records have it."""
    moment = _moment(end)
    try:
        since = None if moment is None else moment - timedelta(days=days)
    except OverflowError:  # in a year that nobody had
        since = None
    return "" if since is None else since.isoformat(timespec="microseconds")[:26] + "Z"
