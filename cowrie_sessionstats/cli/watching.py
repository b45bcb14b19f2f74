"""Commands that watch a sensor while it works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, get_args

import click

from cowrie_sessionstats.cli._options import IN_COWRIE, RULES
from cowrie_sessionstats.summary import printable

if TYPE_CHECKING:
    from cowrie_sessionstats.watching.where import Watched

_Value = TypeVar("_Value")
_SHOWN: Final = 80  # characters of a value that cannot be used

_LOG: Final = click.argument(
    "log", metavar="[LOG]", required=False, type=click.Path(path_type=Path, dir_okay=False)
)


def _choices(which: str) -> click.Choice:  # type: ignore[type-arg,unused-ignore]  # since 8.2
    """Return the values that a record's key can have."""
    from cowrie_sessionstats.findings.automation import Verdict  # noqa: PLC0415 - slow to load
    from cowrie_sessionstats.findings.ending import Ending  # noqa: PLC0415

    return click.Choice(get_args({"automation": Verdict, "ending": Ending}[which]))


@click.command()
@_LOG
@IN_COWRIE
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    default=10,
    show_default=True,
    help="How many of the summaries to show that are there already.",
)
@click.option(
    "-f",
    "--follow/--no-follow",
    default=True,
    help="Whether to go on with each summary as it is written. [default: follow]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the records as they are in the log.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colours by automation. [default: on a terminal, unless NO_COLOR is set]",
)
@click.option(
    "--automation",
    multiple=True,
    type=_choices("automation"),
    help="Only what it says of who typed.",
)
@click.option(
    "--ending", multiple=True, type=_choices("ending"), help="Only sessions that ended so."
)
@click.option(
    "--protocol", multiple=True, type=click.Choice(["ssh", "telnet"]), help="Only over it."
)
@click.option(
    "--src-ip", multiple=True, metavar="ADDRESS", help="Only from there; or a CIDR block."
)
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Only with this label.")
@click.option("--check", "checks", multiple=True, metavar="CHECK", help="Only with this check.")
@click.option(
    "--fingerprint",
    "fingerprints",
    multiple=True,
    metavar="TEXT",
    help="Only scripts whose fingerprint begins so, or has this as its middle part.",
)
@click.option(
    "--min-commands", type=click.IntRange(0), default=0, help="Only with so many commands."
)
@click.option("--uploads", is_flag=True, help="Only sessions that sent or fetched something.")
@click.option("--new", "is_new", is_flag=True, help="Only scripts that were never seen before.")
@click.option("--logged-in", is_flag=True, help="Only sessions that logged in.")
@RULES
def tail(  # noqa: PLR0913 - one for each option
    log: Path | None,
    *,
    cowrie: Path,
    lines: int,
    follow: bool,
    as_json: bool,
    color: str,
    automation: tuple[str, ...],
    ending: tuple[str, ...],
    protocol: tuple[str, ...],
    src_ip: tuple[str, ...],
    labels: tuple[str, ...],
    checks: tuple[str, ...],
    fingerprints: tuple[str, ...],
    min_commands: int,
    uploads: bool,
    is_new: bool,
    logged_in: bool,
    rules: Path | None,
) -> None:
    """Show the last summaries, and then each as it is written, one a line.

    LOG is the plugin's log; without it, that of the Cowrie in --cowrie is found. A session has to
    pass all filters that are given; of one that is given several times, one will do.

    The exit status is 0; 1 if there is no log, or it cannot be read; 130 after Ctrl-C.
    """
    from cowrie_sessionstats.watching import filters, tail_command  # noqa: PLC0415 - only this

    where = _watched(log, cowrie, rules)
    wanted = filters.Filters(
        automation=automation,
        ending=ending,
        protocol=protocol,
        networks=_each("--src-ip", src_ip, filters.network, "an address or a CIDR block"),
        labels=_known("--label", labels, [rule.id for rule in where.rules.labels]),
        checks=_known("--check", checks, [rule.id for rule in where.rules.checks]),
        fingerprints=_each(
            "--fingerprint",
            fingerprints,
            filters.fingerprint,
            "the beginning of a fingerprint (csf1_15_08fbea6a2d40_...), nor the 12 digits in its "
            "middle",
        ),
        min_commands=min_commands,
        files=uploads,
        is_new=is_new,
        logged_in=logged_in,
    )
    colour = {"always": True, "never": False}.get(color)
    sys.exit(
        tail_command.tail(tail_command.Request(where.log, lines, follow, as_json, colour, wanted))
    )


def _watched(log: Path | None, cowrie: Path, rules: Path | None) -> Watched:
    from cowrie_sessionstats.findings.rules import RuleError, read_rules  # noqa: PLC0415 - slow
    from cowrie_sessionstats.forwarding.configuration import ConfigurationError  # noqa: PLC0415
    from cowrie_sessionstats.watching.where import watched  # noqa: PLC0415

    try:
        return watched(log, cowrie, None if rules is None else read_rules(rules))
    except (ConfigurationError, RuleError) as error:
        raise click.ClickException(str(error)) from None


def _each(
    option: str, values: Sequence[str], read: Callable[[str], _Value], what: str
) -> list[_Value]:
    """Return what an option's values mean; a usage error if one means nothing."""
    value = ""
    try:
        return [read(value := each) for each in values]
    except ValueError:
        raise click.BadParameter(
            f"{printable(value, _SHOWN)} is not {what}", param_hint=option
        ) from None


def _known(option: str, values: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    """Return values that can stand in a record; a usage error for any other."""
    for value in values:
        if value not in known:
            raise click.BadParameter(
                f"there is no {printable(value, _SHOWN)}; there are "
                f"{', '.join(sorted(set(known)))}",
                param_hint=option,
            )
    return values


@click.command()
@_LOG
@IN_COWRIE
@click.option("--once", is_flag=True, help="Print one page and end, as in a pipe.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to show it anew.",
)
def top(log: Path | None, *, cowrie: Path, once: bool, interval: float) -> None:
    """Show what happens now: open sessions, rates, the hour's scripts, who left last. q leaves.

    LOG is the plugin's log; without it, that of the Cowrie in --cowrie is found, and its store,
    which has the open sessions. Both are only read.

    The exit status is 0; 1 if a page in a pipe has no log to tell of; 130 after Ctrl-C.
    """
    try:
        from cowrie_sessionstats.watching import top_command  # noqa: PLC0415 - only this
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    where = _watched(log, cowrie, None)
    name = cowrie.absolute() if log is None else log
    sys.exit(top_command.top(top_command.Request(where, str(name), once, interval)))
