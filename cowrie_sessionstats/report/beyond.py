"""The tables that go beyond the study."""

from __future__ import annotations

from typing import Final

from ibis import Table as Expression

from cowrie_sessionstats.report import figures
from cowrie_sessionstats.report.asking import (
    EXAMPLE,
    FINGERPRINT,
    FIRST,
    LAST,
    PERCENT,
    SESSIONS,
    Ask,
    rounded,
)
from cowrie_sessionstats.report.figures import REASONS
from cowrie_sessionstats.report.interest import Rules
from cowrie_sessionstats.report.tables import Column, Table


def leaving(ask: Ask, scripts: Expression, last: Expression) -> Table:
    """Return where sessions leave their script."""
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
            EXAMPLE,
        ),
        rounded(rows),
        more,
    )


def endings(ask: Ask, chosen: Expression) -> Table:
    """Return how sessions end."""
    return Table(
        "endings",
        "How sessions end",
        "What the record says of it, no more.",
        (
            Column("ending", "ending", "text"),
            SESSIONS,
            PERCENT,
            Column("duration", "median duration", "seconds"),
            Column("quiet", "median quiet before", "seconds"),
            EXAMPLE,
        ),
        rounded(ask.all(figures.endings(chosen))),
    )


def automation(ask: Ask, chosen: Expression) -> Table:
    """Return who was there, and how it ended."""
    return Table(
        "automation",
        "Programs and people",
        "What the records conclude (`automation`, `ending`); older ones do not say.",
        (
            Column("automation", "automation", "text"),
            Column("ending", "ending", "text"),
            SESSIONS,
            PERCENT,
            Column("commands", "median commands", "rate"),
            Column("duration", "median duration", "seconds"),
            EXAMPLE,
        ),
        rounded(ask.all(figures.automation(chosen))),
    )


def checks(ask: Ask, chosen: Expression) -> Table:
    """Return the honeypot checks that were seen."""
    rows, more = ask.first(figures.checks(chosen))
    return Table(
        "checks",
        "Honeypot checks",
        "Sessions in which a check was seen, and those that it was the last command of.",
        (
            Column("check", "check", "text"),
            SESSIONS,
            Column("last", "last"),
            Column("scripts", "scripts"),
            EXAMPLE,
        ),
        rows,
        more,
    )


def over_time(ask: Ask, chosen: Expression, digits: int, span: str) -> Table:
    """Return sessions and scripts over time."""
    return Table(
        "over_time",
        f"Sessions and scripts by {span}",
        "By the start of the session, UTC.",
        (
            Column("time", span, "text"),
            SESSIONS,
            Column("commands", "commands"),
            Column("scripts", "scripts"),
            EXAMPLE,
        ),
        ask.all(figures.over_time(chosen, digits)),
    )


def sensors(ask: Ask, chosen: Expression) -> Table:
    """Return the sensors."""
    rows, more = ask.first(figures.by_sensor(chosen))
    return Table(
        "sensors",
        "Sensors",
        "",
        (
            Column("sensor", "sensor", "text"),
            SESSIONS,
            PERCENT,
            FIRST,
            LAST,
            Column("scripts", "scripts"),
            Column("commands_median", "median commands", "rate"),
            Column("duration_median", "median duration", "seconds"),
            EXAMPLE,
        ),
        rounded(rows),
        more,
    )


_SCRIPT: Final = (
    FINGERPRINT,
    SESSIONS,
    PERCENT,
    FIRST,
    LAST,
    Column("sensors", "sensors"),
    Column("duration_median", "median duration", "seconds"),
    Column("last_template", "ends with", "text"),
    EXAMPLE,
)


def scripts(ask: Ask, scripts: Expression) -> Table:
    """Return the scripts, the commonest first."""
    rows, more = ask.first(scripts)
    return Table(
        "scripts",
        "Scripts",
        "By fingerprint; shares are of the sessions that ran a command line.",
        _SCRIPT,
        rounded(rows),
        more,
    )


def new_scripts(ask: Ask, scripts: Expression, since: str, days: int) -> Table:
    """Return the scripts that were first seen so many days before the last session."""
    rows, more = ask.first(figures.new_scripts(scripts, since)) if since else ([], False)
    return Table(
        "new_scripts",
        "New scripts",
        f"First seen within the last {days} days, since {since[:19].replace('T', ' ')}.",
        _SCRIPT,
        rounded(rows),
        more,
    )


def clients(ask: Ask, chosen: Expression) -> Table:
    """Return the clients of each script."""
    rows, more = ask.first(figures.clients(chosen))
    return Table(
        "clients",
        "Clients by script",
        "What the client called itself, and the HASSH of its key exchange.",
        (
            FINGERPRINT,
            Column("protocol", "protocol", "text"),
            Column("client_version", "client", "text"),
            Column("hassh", "HASSH", "text"),
            SESSIONS,
            Column("of_script", "of the script, %", "percent"),
            FIRST,
            LAST,
            Column("last_template", "ends with", "text"),
            EXAMPLE,
        ),
        rounded(rows),
        more,
    )


def worth(
    ask: Ask, chosen: Expression, everything: Expression, scripts: Expression, rules: Rules
) -> Table:
    """Return the sessions most worth a person's time, each with its reasons."""
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
            FINGERPRINT,
        ),
        rounded(rows),
        more,
    )
