"""The figures, each an Ibis expression over the record: what any engine that Ibis knows can run.

The first eight are those of the study "DShield Cowrie honeypot stats and when sessions disconnect"
(SANS ISC, March 2026), by their numbers there; the rest goes beyond it. Every function takes the
table that ``counted`` returns and gives a table back; nothing is computed here. Shares are in
percent, times in seconds, points in time texts (ISO 8601, UTC), which sort as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import ibis
from ibis import Table, _
from ibis.expr.types import Column, NumericColumn

from cowrie_sessionstats.report.interest import Rules

Count: TypeAlias = Literal["events", "inputs"]
COUNTS: Final[dict[Count, str]] = {"events": "command_events", "inputs": "commands"}
"""What may count as a command: every ``cowrie.command.*`` event, as in the study, or every
command line."""

LEAST: Final = 20
"""Sessions that must have run a template before its share means anything; as for the record's
``stopped_early``."""
CHUNKS: Final = 10
"""Repeats in a row from which on a script counts as one that builds something piece by piece."""
PIECE: Final = r"<bytes>|<base64>|>>"
"""What the template of a line has that writes a piece of something."""
KEPT_TEMPLATES: Final = 32
"""Templates of a session that its record lists."""
HASH_DIGITS: Final = 16
"""Hex digits that tell two exact hashes apart: 64 bits, of which a million have no two alike."""
AT_ONCE: Final = 1.0
"""Seconds after its last command within which a session that closes was closed at once."""
END: Final = " ;"
"""What a text gets behind it where a pattern looks for its end: ``$`` is not that everywhere, for
Java's stands before a newline, too."""
EXIT: Final = r"(^|[;&|] *)(exit|logout)( [0-9]+)? ;$"
"""A command line's template, with ``END`` behind it, that ends with leaving."""
STEPS: Final = r"^[^_]*_([0-9]{1,18})[_ ]"
"""The second part of a fingerprint, with ``END`` behind it: how many templates it is made of."""
QUIET: Final = 100.0
"""Seconds of silence that point to a timeout: Cowrie's shortest one for idle sessions is 180, and
DShield's sensors shorten it."""


_FALSE: Final = ibis.literal(value=False)


def counted(sessions: Table, count: Count = "events", *, all_sessions: bool = False) -> Table:
    """Return the sessions that the figures are about, with ``n``, the commands that count.

    Those that logged in, unless ``all_sessions``.
    """
    chosen = sessions if all_sessions else sessions.filter(_.logged_in)
    return chosen.mutate(n=chosen[COUNTS[count]])


# ---------------------------------------------------------------- the study's figures


def figure1(sessions: Table) -> Table:
    """Return one row: how many sessions, when, and the spread of commands and durations."""
    return sessions.aggregate(
        sessions=_.count(),
        start=_.start.min(),
        end=_.end.max(),
        **_spread("commands", sessions.n),
        **_spread("duration", sessions.duration),
    )


def _spread(name: str, of: NumericColumn) -> dict[str, Any]:
    return {
        f"{name}_min": of.min(),
        f"{name}_max": of.max(),
        f"{name}_median": of.median(),
        f"{name}_mean": _mean(of),
    }


def _mean(of: Any) -> Any:
    """Return a mean that is the same in whatever order an engine adds up: of exact decimals."""
    return of.cast("decimal(18, 6)").mean().cast("float64")


def by_count(sessions: Table) -> Table:
    """Return a row for each number of commands: figures 2, 3, 4 and 6.

    ``rate`` is commands a second as the study has it: the number over the mean duration.
    """
    rows = (
        sessions.filter(_.n.notnull())
        .group_by(commands=_.n)
        .aggregate(
            sessions=_.count(),
            min=_.duration.min(),
            max=_.duration.max(),
            mean=_mean(_.duration),
            example=_.session.min(),
        )
    )
    rows = _shares(rows, _.commands)
    return rows.mutate(
        range=_.max - _.min,
        rate=ibis.ifelse(_.mean > 0, _.commands / _.mean, ibis.null("float64")),
    ).order_by(ibis.desc("sessions"), "commands")


def _shares(rows: Table, then: Any) -> Table:
    """Add each row's share of all sessions, and the sum of those up to it, the largest first."""
    rows = rows.mutate(percent=100.0 * _.sessions / _.sessions.sum())
    return rows.mutate(
        running=_.percent.sum().over(ibis.cumulative_window(order_by=[ibis.desc(_.sessions), then]))
    )


def scripts(sessions: Table) -> Table:
    """Return a row for each fingerprint: figure 5, and what other figures are made of.

    ``hashes`` are the exact ones that differ: where there are several, the sessions are alike only
    once the values that vary are taken out.
    """
    rows = (
        sessions.filter(_.fingerprint.notnull())
        .group_by("fingerprint")
        .aggregate(
            sessions=_.count(),
            hashes=_.commands_sha256.substr(0, HASH_DIGITS).nunique(),
            first_seen=_.start.min(),
            last_seen=_.start.max(),
            sensors=_.sensor.nunique(),
            commands_min=_.commands.min(),
            commands_max=_.commands.max(),
            duration_median=_.duration.median(),
            last_template=_.last_command_template.max(),
            templates=_.templates.max(),
            example=_.session.min(),
        )
    )
    return rows.mutate(
        percent=100.0 * _.sessions / _.sessions.sum(),
        steps=_.fingerprint.concat(END).re_extract(STEPS, 1).nullif("").cast("int64"),
    )


def figure5(of: Table) -> Table:
    """Return the scripts whose sessions have different exact hashes, the commonest first."""
    return of.filter(_.hashes > 1).order_by(ibis.desc("sessions"), "fingerprint")


def figure7(sessions: Table) -> Table:
    """Return the sessions with the highest command rates first; only those that took any time."""
    return (
        sessions.filter((_.duration > 0) & (_.n > 1))
        .select(
            "session",
            "sensor",
            "start",
            "src_ip",
            "duration",
            "fingerprint",
            "last_command",
            commands=_.n,
            rate=_.n / _.duration,
        )
        .order_by(ibis.desc("rate"), "session", "start", "sensor")
    )


def chunks(of: Table) -> Table:
    """Return the scripts that build something piece by piece: many lines, few templates."""
    pieces = _.templates.join("\n").re_search(PIECE)
    return of.filter((_.commands_max - _.steps >= CHUNKS) & pieces).order_by(
        ibis.desc("commands_max"), "fingerprint"
    )


def figure8(sessions: Table) -> Table:
    """Return a row for each last command, of the sessions that ran any.

    Last commands are alike if their templates are; ``last`` is one of them, ``different`` says how
    many there are.
    """
    rows = (
        sessions.filter((_.n > 0) & _.last_command.notnull())
        .mutate(template=ibis.coalesce(_.last_command_template, _.last_command))
        .group_by("template")
        .aggregate(
            sessions=_.count(),
            last=_.last_command.min(),
            different=_.last_command.nunique(),
            quiet=_.quiet_before_close.median(),
            example=_.session.min(),
        )
    )
    return _shares(rows, _.template).order_by(ibis.desc("sessions"), "template")


# ---------------------------------------------------------------- where sessions leave


def leaving(of: Table, last: Table) -> Table:
    """Return a row for each template: how often sessions end with it, and how often they would.

    ``of`` is what ``scripts`` returns and ``last`` what ``figure8`` does, of the same sessions.

    - ``seen``: sessions that ran it; ``ended``: those of which it was the last; ``share``: of
      ``seen``, in percent.
    - ``expected``: ends that its place explains. Of the sessions that ran another template as their
      k-th, h(k) ended there (the discrete hazard of a life table, over all scripts, without those
      that the template is compared with); a session that runs it as its k-th adds h(k).
    - ``times``: ``ended`` / ``expected``, the ratio of observed to expected ends; null where no
      other template ends a session at its places.
    - ``quiet``: median seconds between it and the close, where it was last.

    Of sessions with more templates than the record lists, those listed and the last one count.
    First come those that end sessions oftener than expected, but not all that run them.
    """
    listed = of.filter(_.steps > 0).select(
        "fingerprint", "sessions", "steps", "last_template", template=_.templates
    )
    steps = listed.unnest("template", offset="place").select(
        "fingerprint",
        "template",
        "sessions",
        "place",
        is_last=_.place == _.steps - 1,
    )
    beyond = listed.filter(_.steps > KEPT_TEMPLATES).select(
        "fingerprint",
        "sessions",
        template=_.last_template,
        place=_.steps - 1,
        is_last=ibis.literal(value=True),
    )
    every = steps.union(beyond.select(*steps.columns))
    ends = (
        of.filter(_.steps > 0).group_by(place=_.steps - 1).aggregate(ends=_.sessions.sum())
    ).mutate(there=_.ends.sum().over(ibis.cumulative_window(order_by=ibis.desc("place"))))
    placed = (
        every.group_by("template", "place")
        .aggregate(ran=_.sessions.sum(), last=ibis.ifelse(_.is_last, _.sessions, 0).sum())
        .join(ends, "place")
        .group_by("template")
        .aggregate(expected=(_.ran * (_.ends - _.last) / (_.there - _.ran).nullif(0)).sum())
    )
    rows = (
        every.group_by("fingerprint", "template")
        .aggregate(seen=_.sessions.max(), ended=ibis.ifelse(_.is_last, _.sessions, 0).max())
        .group_by("template")
        .aggregate(seen=_.seen.sum(), ended=_.ended.sum(), scripts=_.count())
        .left_join(placed, "template")
        .drop("template_right")
        .mutate(expected=ibis.coalesce(_.expected, 0.0).round(6))
    )
    quiet = last.select("template", "quiet", "example")
    return (
        rows.filter((_.seen >= LEAST) & (_.ended > 0))
        .left_join(quiet, "template")
        .select(
            "template",
            "seen",
            "ended",
            "expected",
            "scripts",
            "quiet",
            "example",
            share=100.0 * _.ended / _.seen,
            times=_.ended / _.expected.nullif(0),
        )
        .order_by(
            ibis.desc((_.ended > _.expected) & (_.ended < _.seen)),
            ibis.desc(_.ended - _.expected),
            "template",
        )
    )


def endings(sessions: Table) -> Table:
    """Return how sessions end, as far as the record says: in words that say what was seen."""
    inside = ibis.coalesce(_.logged_in, _FALSE)
    left = ibis.cases(
        (_.partial == "evicted", "not seen: too many sessions were open (evicted)"),
        (_.partial == "joined_late", "seen, but not the beginning (joined_late)"),
        (_.partial.notnull(), "not seen: still open at the end of the log"),
        (~inside & (_.commands > 0), "no login seen, yet commands"),
        (~inside, "never logged in"),
        ((_.commands == 0) & (_.forwards > 0), "no command line: connections through it"),
        ((_.commands == 0) & ((_.uploads > 0) | (_.downloads > 0)), "no command line: files sent"),
        (_.commands == 0, "logged in, no command line"),
        (_.last_command_template.concat(END).re_search(EXIT), "exit or logout"),
        (_.quiet_before_close.isnull(), "time of the last command unknown"),
        (_.quiet_before_close < AT_ONCE, "closed within a second of the last command"),
        (_.quiet_before_close < QUIET, "closed later, before a timeout"),
        else_="after a long silence, as at a timeout",
    )
    rows = sessions.group_by(ending=left).aggregate(
        sessions=_.count(),
        duration=_.duration.median(),
        quiet=_.quiet_before_close.median(),
        example=_.session.min(),
    )
    return _shares(rows, _.ending).order_by(ibis.desc("sessions"), "ending")


def automation(sessions: Table) -> Table:
    """Return who was at the other end, as far as the records say."""
    rows = sessions.group_by(
        automation=ibis.coalesce(_.automation, "not said"),
        ending=ibis.coalesce(_.ending, "not said"),
    ).aggregate(
        sessions=_.count(),
        commands=_.commands.median(),
        duration=_.duration.median(),
        example=_.session.min(),
    )
    return _shares(rows, _.automation.concat(_.ending)).order_by(
        ibis.desc("sessions"), "automation", "ending"
    )


def checks(sessions: Table) -> Table:
    """Return which honeypot checks were seen, and after which sessions left."""
    seen = sessions.select("session", "fingerprint", "check_last", check=_.checks.unnest()).filter(
        _.check.notnull()
    )
    return (
        seen.group_by("check")
        .aggregate(
            sessions=_.count(),
            last=(_.check_last == _.check).sum(),
            scripts=_.fingerprint.nunique(),
            example=_.session.min(),
        )
        .mutate(last=ibis.coalesce(_.last, 0))
        .order_by(ibis.desc("last"), ibis.desc("sessions"), "check")
    )


def among(column: Any, texts: Collection[str]) -> Any:
    """Return whether a column is one of ``texts``, whatever attackers wrote into them.

    No text with a NUL goes into the query: older DuckDBs end it there.
    """
    if any("\0" in text for text in texts):
        column = column.re_replace(r"\x00", _NUL)
    return column.isin([text.replace("\0", _NUL) for text in texts])


_NUL: Final = "\ufffd"  # in the place of one


# ---------------------------------------------------------------- over time, by sensor and client


def over_time(sessions: Table, digits: int) -> Table:
    """Return sessions and scripts by time: ``digits`` of the ISO 8601 text make a span."""
    return (
        sessions.filter(_.start.notnull())
        .group_by(time=_.start.substr(0, digits))
        .aggregate(
            sessions=_.count(),
            commands=_.n.sum(),
            scripts=_.fingerprint.nunique(),
            example=_.session.min(),
        )
        .order_by("time")
    )


def sensors_over_time(sessions: Table, digits: int, named: list[str | None]) -> Table:
    """Return sessions by time and sensor; those that are not ``named`` are null, together."""
    known = [name for name in named if name is not None]
    return (
        sessions.filter(_.start.notnull())
        .mutate(sensor=ibis.ifelse(among(_.sensor, known), _.sensor, ibis.null("string")))
        .group_by("sensor", time=_.start.substr(0, digits))
        .aggregate(sessions=_.count())
        .order_by("time", "sensor")
    )


def scripts_over_time(sessions: Table, digits: int, chosen: list[str]) -> Table:
    """Return sessions by time of the scripts with these fingerprints."""
    return (
        sessions.filter(_.start.notnull() & among(_.fingerprint, chosen))
        .group_by("fingerprint", time=_.start.substr(0, digits))
        .aggregate(sessions=_.count())
        .order_by("time", "fingerprint")
    )


def by_sensor(sessions: Table) -> Table:
    """Return a row for each sensor."""
    rows = sessions.group_by("sensor").aggregate(
        sessions=_.count(),
        first_seen=_.start.min(),
        last_seen=_.start.max(),
        scripts=_.fingerprint.nunique(),
        commands_median=_.n.median(),
        duration_median=_.duration.median(),
        example=_.session.min(),
    )
    return _shares(rows, _.sensor).order_by(ibis.desc("sessions"), "sensor")


def clients(sessions: Table) -> Table:
    """Return a row for each script and client: HASSH and version, and its share of the script."""
    rows = (
        sessions.filter(_.fingerprint.notnull())
        .group_by("fingerprint", "protocol", "hassh", "client_version")
        .aggregate(
            sessions=_.count(),
            first_seen=_.start.min(),
            last_seen=_.start.max(),
            last_template=_.last_command_template.max(),
            example=_.session.min(),
        )
    )
    whole = _.sessions.sum().over(ibis.window(group_by="fingerprint"))
    return rows.mutate(of_script=100.0 * _.sessions / whole).order_by(
        ibis.desc("sessions"), "fingerprint", "hassh", "client_version", "protocol"
    )


def new_scripts(of: Table, since: str) -> Table:
    """Return the scripts first seen at ``since`` or later, the commonest first."""
    return of.filter(_.first_seen >= since).order_by(
        ibis.desc("sessions"), "first_seen", "fingerprint"
    )


# ---------------------------------------------------------------- what deserves a look


def worth_a_look(sessions: Table, everything: Table, of: Table, rules: Rules) -> Table:
    """Return sessions ranked by how much they deserve a person's time, with a column a reason.

    ``everything`` is all sessions, also those that the report is not about: what one of them
    brought is not new. ``rules`` says what each reason takes and is worth (``interest.toml``);
    ``score`` is the sum. A session without any reason is left out.
    """
    points = {name: getattr(rules, name).points for name in REASONS}
    unusual = (
        sessions.group_by("n")
        .aggregate(alike=_.count())
        .filter(_.alike <= rules.unusual_count.most)
    )
    rare = of.filter(_.sessions <= rules.rare_script.most)
    rows = (
        sessions.filter((_.command_events > 0) | (_.uploads > 0) | (_.downloads > 0))
        .left_join(rare.select("fingerprint", script_sessions="sessions"), "fingerprint")
        .drop("fingerprint_right")
        .left_join(unusual, "n")
        .drop("n_right")
    )
    deviation = _.gap_cv * _.commands / (_.commands - 1).nullif(0) / _.command_rate_active
    rows = rows.mutate(
        why_rare_script=_.script_sessions.notnull(),
        why_unusual_count=_.alike.notnull(),
        why_long_pauses=_holds(
            (_.gap_median >= rules.long_pauses.least) | (deviation >= rules.long_pauses.least)
        ),
        # Records of before there were findings do not say.
        why_as_if_typed=_holds(_.automation == "interactive")
        | _holds(
            _.automation.isnull()
            & (_.terminal.notnull() | (_.protocol == "telnet"))
            & (_.commands >= rules.as_if_typed.commands)
            & (_.gap_median >= rules.as_if_typed.gap_least)
            & (_.gap_median <= rules.as_if_typed.gap_most)
            & (_.gap_cv >= rules.as_if_typed.uneven)
        ),
        why_uploads=_holds(_.uploads >= rules.uploads.least),
        where=ibis.coalesce(_.sensor, ""),
    )
    # Before the files are looked up, which few sessions have.
    rows = rows.mutate(score=_score(rows, points, REASONS[:-1]))
    rows = rows.filter((_.score > 0) | (_.downloads > 0) | (_.uploads > 0)).left_join(
        _new_files(everything), ["session", "start", "where"]
    )
    rows = rows.mutate(why_new_files=_holds(_.new_files >= rules.new_files.least))
    return (
        rows.mutate(score=_score(rows, points, REASONS))
        .filter(_.score > 0)
        .select(
            "session",
            "sensor",
            "start",
            "src_ip",
            "score",
            *(f"why_{name}" for name in REASONS),
            "script_sessions",
            "new_files",
            "uploads",
            "duration",
            "fingerprint",
            "last_command",
            commands=_.n,
        )
        .order_by(ibis.desc("score"), ibis.desc("start"), "session", "sensor")
    )


def _holds(reason: Any) -> Any:
    return ibis.coalesce(reason, _FALSE)


def _score(rows: Table, points: Mapping[str, int], reasons: Iterable[str]) -> Column:
    """Return the points of all reasons that hold."""
    each = (ibis.ifelse(rows[f"why_{name}"], points[name], 0) for name in reasons)
    return sum(each, start=ibis.literal(0))


REASONS: Final = (
    "rare_script", "unusual_count", "long_pauses", "as_if_typed", "uploads", "new_files",
)  # fmt: skip


def _new_files(sessions: Table) -> Table:
    """Return how many files a session brought that none had brought before it."""
    brought = (
        sessions.filter((_.downloads > 0) | (_.uploads > 0))
        .select("session", "start", where=ibis.coalesce(_.sensor, ""), file=_.files)
        .unnest("file")
    )
    first = brought.group_by("file").aggregate(first_seen=_.start.min())
    return (
        brought.join(first, "file")
        .filter(_.start == _.first_seen)
        .group_by("session", "start", "where")
        .aggregate(new_files=_.count())
    )
