"""Commands that make records of logs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cowrie_sessionstats.cli._options import IN_COWRIE, JOBS, RULES, processors, timeout


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, whole or not at all. Its ending says what: .jsonl, .jsonl.gz, "
    ".msgpack, .csv, .parquet.",
)
@click.option("--open", "open_sessions", is_flag=True, help="Write sessions without an end, too.")
@click.option(
    "--follow",
    is_flag=True,
    help="Go on reading as the logs grow, through their rotation, and write each record at its "
    "session's close. PATH is then the log that Cowrie writes, or its folder.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --follow: remember in this file what was read, so that a restart loses no record "
    "and repeats none.",
)
@click.option("--strict", is_flag=True, help="Stop at the first line or file that cannot be read.")
@click.option(
    "--jobs",
    type=JOBS,
    help="Processes that share the work; the records are the same with any number. "
    "[default: one for each processor]",
)
@click.option(
    "--passwords",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="Whether the record holds the password of the login.",
)
@click.option(
    "--vocabulary",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Add a vocabulary of your own, as the option of that name in cowrie.cfg does.",
)
@RULES
@click.option(
    "--ttylogs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder with Cowrie's recordings of terminals (its ttylog_path), to see who typed.",
)
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep in this file what scripts came before, and say of each session what it knows: "
    "seen_before, first_seen, stopped_early, usual_next.",
)
@timeout("idle", "without a key, and on Telnet since the login")
@timeout("authentication", "until the login")
@timeout("interactive", "on SSH since the login")
def summarize(  # noqa: PLR0913 - one for each option
    paths: tuple[str, ...],
    *,
    output: Path | None,
    open_sessions: bool,
    follow: bool,
    state: Path | None,
    strict: bool,
    jobs: int | None,
    passwords: str,
    vocabulary: Path | None,
    rules: Path | None,
    ttylogs: Path | None,
    history: Path | None,
    idle_timeout: float,
    authentication_timeout: float,
    interactive_timeout: float,
) -> None:
    """Write the record of every session in Cowrie's JSON logs, in the order of their close.

    Each PATH is a file, a folder, a glob or - for the standard input: logs of any year and any
    number of sensors, plain or compressed (gzip, bzip2, xz, zstd), rotated and copied as they may
    be. They are read in the order of time, and what several of them hold counts once.

    The exit status is 0 if any session was summarized, 1 if none was, 2 for wrong usage.
    """
    try:
        from cowrie_sessionstats.replay import command, formats  # noqa: PLC0415
        from cowrie_sessionstats.replay.counting import Settings  # noqa: PLC0415
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    from cowrie_sessionstats.commands import VocabularyError  # noqa: PLC0415
    from cowrie_sessionstats.findings.ending import Timeouts  # noqa: PLC0415
    from cowrie_sessionstats.findings.rules import RuleError  # noqa: PLC0415

    if follow:
        _check_follow(paths, output, open_sessions=open_sessions)
    elif state is not None:
        raise click.UsageError("--state belongs to --follow: a log that is read once has none")
    timeouts = Timeouts(idle_timeout, authentication_timeout, interactive_timeout)
    try:
        settings = Settings.of(vocabulary, passwords == "keep", rules, timeouts, ttylogs, history)
        if output is not None:
            formats.check(output)
    except VocabularyError as error:
        raise click.ClickException(str(error)) from None
    except RuleError as error:
        raise click.BadParameter(str(error), param_hint="--rules") from None
    except formats.FormatError as error:
        raise click.BadParameter(str(error), param_hint="--output") from None
    request = command.Request(
        paths,
        settings,
        jobs or processors(),
        output=output,
        open_sessions=open_sessions,
        strict=strict,
    )
    if follow:
        from cowrie_sessionstats.replay import follow_command  # noqa: PLC0415 - only this needs it

        sys.exit(follow_command.follow(request, state))
    sys.exit(command.summarize(request))


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of `summarize --history`. [default: the store of the Cowrie in --cowrie]",
)
@click.option("--jobs", type=JOBS, help="Processes. [default: one for each processor]")
@IN_COWRIE
def learn(paths: tuple[str, ...], *, history: Path | None, jobs: int | None, cowrie: Path) -> None:
    """Teach a sensor from Cowrie's old logs which scripts are known and how they usually go on.

    Each PATH is as for `summarize`. Cowrie has to be stopped while its store learns. A session
    counts once: what ended before the last one that is known of its sensor is known already.

    The exit status is 0 if there were sessions to learn from, 1 if not, 2 for wrong usage.
    """
    try:
        from cowrie_sessionstats.replay import learn_command  # noqa: PLC0415 - only this needs it
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(learn_command.learn(paths, history, cowrie, jobs or processors()))


def _check_follow(paths: tuple[str, ...], output: Path | None, *, open_sessions: bool) -> None:
    """Refuse what cannot be followed."""
    if "-" in paths:
        raise click.UsageError("--follow reads files: name the log that Cowrie writes")
    if open_sessions:
        raise click.UsageError("--open and --follow exclude each other: an open session goes on")
    if output is not None and not output.name.endswith(".jsonl"):
        raise click.UsageError("--follow appends lines: the name of --output has to end in .jsonl")


@click.command()
def schema() -> None:
    """Print the JSON Schema of the record."""
    from cowrie_sessionstats.summary import json_schema  # noqa: PLC0415 - only this needs it

    click.echo(json.dumps(json_schema(), indent=2))
