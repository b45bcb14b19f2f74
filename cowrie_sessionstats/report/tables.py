"""All figures computed: tables with headings, for whatever shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, Literal, TypeAlias

from attrs import field, frozen
from ibis import Table as Expression
from ibis import _, desc

from cowrie_sessionstats.report import figures
from cowrie_sessionstats.report.engine import Engine, Row
from cowrie_sessionstats.report.figures import COUNTS, REASONS, Count
from cowrie_sessionstats.report.interest import Rules
from cowrie_sessionstats.report.tree import Node, tree

Kind: TypeAlias = Literal["text", "int", "seconds", "percent", "rate", "time", "texts"]

TOP: Final = 10
"""Rows of a table unless more are asked for: as many as the study shows."""
TOP_OF_FILES: Final = 100
"""The same for the page, JSON and CSV: enough to sort and to filter."""
NEW_DAYS: Final = 7
"""Days before the last session within which a script counts as new: what came since last week."""
CHARTED: Final = 6
"""Scripts and sensors that a plot over time tells apart; more colours cannot be told apart."""
SINGLES: Final = 32
"""Commands a session up to which every number has a bar of its own in the histogram."""
_HOURS: Final = timedelta(days=3)
_DAYS: Final = timedelta(days=400)
"""Time spans up to which plots go by the hour and by the day; over them by the month."""
_PLACEHOLDER: Final = re.compile(r"(?<!\\)<[a-z]+[0-9]*>")
_PIECE: Final = re.compile(figures.PIECE)


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


def report(engine: Engine, rules: Rules, choice: Choice) -> Report:
    """Compute everything about the sessions that ``engine`` has."""
    ask = _Ask(engine, choice.top)
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
    sensors = _sensors(ask, chosen)
    groups = engine.rows(
        common.limit(_TREE).mutate(templates=_.templates.map(lambda text: text.substr(0, _SHOWN)))
    )
    charted = [row["fingerprint"] for row in groups[:CHARTED]]
    new = _since(overview.end, choice.new_days)
    named = [row["sensor"] for row in sensors.rows[:CHARTED]]
    tables = engine.together(
        [
            lambda: _worth(ask, chosen, everything, scripts, rules),
            lambda: _figure7(ask, chosen),
            lambda: _endings(ask, chosen),
            lambda: _over_time(ask, chosen, digits, span),
            lambda: _clients(ask, chosen),
            lambda: _leaving(ask, scripts, last),
            lambda: _figure5(ask, scripts),
            lambda: _chunks(ask, scripts),
            lambda: _figure8(ask, last),
            lambda: _scripts(ask, common),
            lambda: _new_scripts(ask, scripts, new, choice.new_days),
        ]
    )
    by_sensor, by_script = engine.together(
        [
            lambda: engine.rows(figures.sensors_over_time(chosen, digits, named)),
            lambda: engine.rows(figures.scripts_over_time(chosen, digits, charted)),
        ]
    )
    tables += [_figure2(counts), _figure4(counts, choice.frequent), _figure6(counts), sensors]
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
    "endings", "over_time", "sensors", "scripts", "new_scripts", "clients", "worth_a_look",
)  # fmt: skip
"""In which the tables are read."""
_TREE: Final = 10_000
"""Scripts that the tree is made of, the commonest; with more, what the others share is missing in
its branches, and the room at its right side is theirs."""


_SHOWN: Final = 240  # characters of a template by which branches of the tree are told apart


def _ran(engine: Engine, scripts: Expression) -> int:
    """Return how many sessions have a script."""
    return int(engine.rows(scripts.aggregate(sessions=scripts.sessions.sum()))[0]["sessions"] or 0)


@frozen
class _Ask:
    """Asks an engine for the first rows of a figure."""

    engine: Engine
    top: int

    def all(self, expression: Expression) -> list[Row]:
        return self.engine.rows(expression)

    def first(self, expression: Expression) -> tuple[list[Row], bool]:
        """Return the first rows, and whether there are more."""
        rows = self.engine.rows(expression.limit(self.top + 1))
        return rows[: self.top], len(rows) > self.top


def _rounded(rows: Iterable[Row], digits: int = 2) -> list[Row]:
    """Round what is no whole number: to two digits, as the study prints them."""
    return [
        {
            key: round(value, digits) if isinstance(value, float) else value
            for key, value in row.items()
        }
        for row in rows
    ]


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
        return _rounded([known], 3 if name == "duration" else 2)[0]

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


# ---------------------------------------------------------------- the study's figures

_SESSIONS: Final = Column("sessions", "sessions")
_PERCENT: Final = Column("percent", "%", "percent")
_RUNNING: Final = Column("running", "running %", "percent")
_EXAMPLE: Final = Column("example", "an example", "text")
_FINGERPRINT: Final = Column("fingerprint", "fingerprint", "text")
_FIRST: Final = Column("first_seen", "first seen", "time")
_LAST: Final = Column("last_seen", "last seen", "time")


def _figure2(counts: Sequence[Row]) -> Table:
    known = [row for row in counts if row["commands"] is not None]
    rows: list[Row] = []
    for low, high in _bins(max((row["commands"] for row in known), default=0)):
        there = [row for row in known if low <= row["commands"] <= high]
        rows.append(
            {
                "from": low,
                "to": high,
                "sessions": sum(row["sessions"] for row in there),
                "example": there[0]["example"] if there else None,
            }
        )
    return Table(
        "figure2",
        "Commands a session",
        f"Up to {SINGLES} every number for itself, then twice as many with every row.",
        (Column("from", "from"), Column("to", "to"), _SESSIONS, _EXAMPLE),
        rows,
    )


def _bins(most: int) -> list[tuple[int, int]]:
    bins = [(number, number) for number in range(min(most, SINGLES) + 1)]
    low = SINGLES + 1
    while low <= most:
        bins.append((low, 2 * (low - 1)))
        low = 2 * (low - 1) + 1
    return bins


def _figure4(counts: Sequence[Row], top: int) -> Table:
    return Table(
        "figure4",
        "The most frequent numbers of commands",
        "Figures 3 and 4 of the study.",
        (Column("commands", "commands"), _SESSIONS, _PERCENT, _RUNNING, _EXAMPLE),
        _rounded(counts[:top]),
        len(counts) > top,
    )


def _figure5(ask: _Ask, scripts: Expression) -> Table:
    rows, more = ask.first(figures.figure5(scripts))
    for row in rows:
        row["varies"] = _varies(row)
    return Table(
        "figure5",
        "Alike, though their exact hashes differ",
        "Sessions of one fingerprint; what can vary is what its templates leave out. Shares are of "
        "the sessions that ran a command line.",
        (
            _FINGERPRINT,
            _SESSIONS,
            _PERCENT,
            Column("hashes", "exact hashes"),
            Column("commands_min", "fewest commands"),
            Column("commands_max", "most commands"),
            Column("varies", "what can vary", "texts"),
            Column("last_template", "ends with", "text"),
            _EXAMPLE,
        ),
        _rounded(rows),
        more,
    )


def _varies(script: Row) -> list[str]:
    """Return what a script's sessions may differ in: what its templates leave out."""
    found: dict[str, int] = {}
    for template in script["templates"] or ():
        for placeholder in set(_PLACEHOLDER.findall(template)):
            found[placeholder] = found.get(placeholder, 0) + 1
    said = [
        f"{placeholder} in {count} command{'s' if count > 1 else ''}"
        for placeholder, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    if script["commands_min"] != script["commands_max"]:
        said.append("how often commands are repeated")
    return said


def _figure6(counts: Sequence[Row]) -> Table:
    several = [row for row in counts if row["sessions"] > 1]
    return Table(
        "figure6",
        "Durations by the number of commands",
        "Numbers that at least two sessions have. Commands a second: number / mean duration.",
        (
            Column("commands", "commands"),
            _SESSIONS,
            Column("min", "shortest", "seconds"),
            Column("max", "longest", "seconds"),
            Column("range", "range", "seconds"),
            Column("mean", "mean", "seconds"),
            Column("rate", "commands a second", "rate"),
            _EXAMPLE,
        ),
        _rounded(several),
    )


def _figure7(ask: _Ask, chosen: Expression) -> Table:
    rows, more = ask.first(figures.figure7(chosen))
    return Table(
        "figure7",
        "The highest command rates",
        "Sessions with more than one command; commands / duration.",
        (
            Column("session", "session", "text"),
            Column("sensor", "sensor", "text"),
            Column("start", "start", "time"),
            Column("src_ip", "from", "text"),
            Column("commands", "commands"),
            Column("duration", "duration", "seconds"),
            Column("rate", "commands a second", "rate"),
            Column("last_command", "last command", "text"),
            _FINGERPRINT,
        ),
        _rounded(rows),
        more,
    )


_PIECES: Final = 3  # templates of pieces that a row shows


def _chunks(ask: _Ask, scripts: Expression) -> Table:
    rows, more = ask.first(figures.chunks(scripts))
    for row in rows:
        row["builds"] = [text for text in row["templates"] if _PIECE.search(text)][:_PIECES]
    return Table(
        "chunks",
        "Built piece by piece",
        f"Scripts that write pieces of something and repeat templates at least {figures.CHUNKS} "
        "times: one fingerprint, whatever the number of pieces.",
        (
            _FINGERPRINT,
            _SESSIONS,
            Column("steps", "different steps"),
            Column("commands_min", "fewest commands"),
            Column("commands_max", "most commands"),
            Column("builds", "pieces", "texts"),
            Column("last_template", "ends with", "text"),
            _EXAMPLE,
        ),
        _rounded(rows),
        more,
    )


def _figure8(ask: _Ask, last: Expression) -> Table:
    rows, more = ask.first(last)
    return Table(
        "figure8",
        "Last commands",
        "Of the sessions that ran any. Commands with the same template are one row; the text is "
        "one of them.",
        (
            Column("last", "last command", "text"),
            _SESSIONS,
            _PERCENT,
            _RUNNING,
            Column("different", "different texts"),
            _EXAMPLE,
        ),
        _rounded(rows),
        more,
    )


# ---------------------------------------------------------------- beyond the study


def _leaving(ask: _Ask, scripts: Expression, last: Expression) -> Table:
    rows, more = ask.first(figures.leaving(scripts, last))
    return Table(
        "leaving",
        "Where sessions leave their script",
        "How often a template was run and how often it was the last; times: how much oftener it "
        "ends a session than others do at its place in their script (empty: none does); quiet: "
        "median seconds to the close. Templates that are always the last come behind the others.",
        (
            Column("template", "template", "text"),
            Column("seen", "seen"),
            Column("ended", "last"),
            Column("share", "last, %", "percent"),
            Column("expected", "expected", "rate"),
            Column("times", "times", "rate"),
            Column("quiet", "quiet", "seconds"),
            Column("scripts", "scripts"),
            _EXAMPLE,
        ),
        _rounded(rows),
        more,
    )


def _endings(ask: _Ask, chosen: Expression) -> Table:
    return Table(
        "endings",
        "How sessions end",
        "What the record says of it, no more.",
        (
            Column("ending", "ending", "text"),
            _SESSIONS,
            _PERCENT,
            Column("duration", "median duration", "seconds"),
            Column("quiet", "median quiet before", "seconds"),
            _EXAMPLE,
        ),
        _rounded(ask.all(figures.endings(chosen))),
    )


def _over_time(ask: _Ask, chosen: Expression, digits: int, span: str) -> Table:
    return Table(
        "over_time",
        f"Sessions and scripts by {span}",
        "By the start of the session, UTC.",
        (
            Column("time", span, "text"),
            _SESSIONS,
            Column("commands", "commands"),
            Column("scripts", "scripts"),
            _EXAMPLE,
        ),
        ask.all(figures.over_time(chosen, digits)),
    )


def _sensors(ask: _Ask, chosen: Expression) -> Table:
    rows, more = ask.first(figures.by_sensor(chosen))
    return Table(
        "sensors",
        "Sensors",
        "",
        (
            Column("sensor", "sensor", "text"),
            _SESSIONS,
            _PERCENT,
            _FIRST,
            _LAST,
            Column("scripts", "scripts"),
            Column("commands_median", "median commands", "rate"),
            Column("duration_median", "median duration", "seconds"),
            _EXAMPLE,
        ),
        _rounded(rows),
        more,
    )


_SCRIPT: Final = (
    _FINGERPRINT,
    _SESSIONS,
    _PERCENT,
    _FIRST,
    _LAST,
    Column("sensors", "sensors"),
    Column("duration_median", "median duration", "seconds"),
    Column("last_template", "ends with", "text"),
    _EXAMPLE,
)


def _scripts(ask: _Ask, scripts: Expression) -> Table:
    rows, more = ask.first(scripts)
    return Table(
        "scripts",
        "Scripts",
        "By fingerprint; shares are of the sessions that ran a command line.",
        _SCRIPT,
        _rounded(rows),
        more,
    )


def _new_scripts(ask: _Ask, scripts: Expression, since: str, days: int) -> Table:
    rows, more = ask.first(figures.new_scripts(scripts, since)) if since else ([], False)
    return Table(
        "new_scripts",
        "New scripts",
        f"First seen within the last {days} days, since {since[:19].replace('T', ' ')}.",
        _SCRIPT,
        _rounded(rows),
        more,
    )


def _clients(ask: _Ask, chosen: Expression) -> Table:
    rows, more = ask.first(figures.clients(chosen))
    return Table(
        "clients",
        "Clients by script",
        "What the client called itself, and the HASSH of its key exchange.",
        (
            _FINGERPRINT,
            Column("protocol", "protocol", "text"),
            Column("client_version", "client", "text"),
            Column("hassh", "HASSH", "text"),
            _SESSIONS,
            Column("of_script", "of the script, %", "percent"),
            _FIRST,
            _LAST,
            Column("last_template", "ends with", "text"),
            _EXAMPLE,
        ),
        _rounded(rows),
        more,
    )


def _worth(
    ask: _Ask, chosen: Expression, everything: Expression, scripts: Expression, rules: Rules
) -> Table:
    rows, more = ask.first(figures.worth_a_look(chosen, everything, scripts, rules))
    for row in rows:
        row["reasons"] = [name for name in REASONS if row.pop(f"why_{name}")]
    return Table(
        "worth_a_look",
        "Most worth a person's time",
        "Ranked by what was seen of them; the README says what each reason takes and is worth.",
        (
            Column("session", "session", "text"),
            Column("score", "score"),
            Column("reasons", "reasons", "texts"),
            Column("sensor", "sensor", "text"),
            Column("start", "start", "time"),
            Column("src_ip", "from", "text"),
            Column("commands", "commands"),
            Column("duration", "duration", "seconds"),
            Column("last_command", "last command", "text"),
            _FINGERPRINT,
        ),
        _rounded(rows),
        more,
    )
