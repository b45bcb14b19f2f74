"""Commands that make records of logs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cowrie_sessionstats.cli._options import IN_COWRIE, JOBS, RULES, processors, timeout

if TYPE_CHECKING:
    from cowrie_sessionstats.findings.ending import Timeouts


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "-o",
    "--output",
    "--out",
    help="Write to this file, whole or not at all. Its ending says what: .jsonl, .jsonl.gz, "
    ".msgpack, .csv, .parquet. With --engine, a folder of Parquet.",
)
@click.option(
    "--engine",
    metavar="ADDRESS",
    help="Give the work to a cluster of Apache Spark: spark://HOST:PORT, yarn, k8s://..., "
    "local[N]. Settings of Spark's may follow: spark://HOST:PORT?spark.executor.memory=4g",
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
    output: str | None,
    engine: str | None,
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
    be. They are read in the order of time, and what several of them hold counts once. With
    --engine they may be hdfs://, s3a:// and whatever else Spark reads, or kafka://BROKER/TOPIC.

    The exit status is 0 if any session was summarized, 1 if none was, 2 for wrong usage.
    """
    try:
        from cowrie_sessionstats.replay import command, formats  # noqa: PLC0415
        from cowrie_sessionstats.replay.counting import Settings  # noqa: PLC0415
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    from cowrie_sessionstats.findings.ending import Timeouts  # noqa: PLC0415

    file = None if output is None else Path(output)
    if engine is not None:
        _check_excluded(follow, state, jobs, ttylogs, history)
        _check_engine(paths, engine, output)
    else:
        _check_file(paths, file)
    _check_follow(paths, file, state, follow=follow, open_sessions=open_sessions)
    timeouts = Timeouts(idle_timeout, authentication_timeout, interactive_timeout)
    with _said():
        settings = Settings.of(vocabulary, passwords == "keep", rules, timeouts, ttylogs, history)
        if file is not None and engine is None:
            formats.check(file)
    if engine is not None and output is not None:
        chosen = (vocabulary, rules, timeouts, passwords == "keep")
        sys.exit(_on_spark(paths, engine, output, chosen, (open_sessions, strict)))
    request = command.Request(
        paths,
        settings,
        jobs or processors(),
        output=file,
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


def _on_spark(
    paths: tuple[str, ...],
    engine: str,
    output: str,
    chosen: tuple[Path | None, Path | None, Timeouts, bool],
    flags: tuple[bool, bool],
) -> int:
    """Let a cluster do it; return the exit status."""
    try:
        from cowrie_sessionstats.replay.spark import command  # noqa: PLC0415 - only this needs it
        from cowrie_sessionstats.replay.spark.settings import Chosen  # noqa: PLC0415
    except ImportError as error:
        from cowrie_sessionstats.extras import install_command  # noqa: PLC0415

        raise click.ClickException(f"{error.msg}. {install_command('spark')}") from None
    return command.summarize(command.Request(paths, engine, output, Chosen.of(*chosen), *flags))


@contextmanager
def _said() -> Iterator[None]:
    """Say of mistakes in what was given what they are."""
    from cowrie_sessionstats.commands import VocabularyError  # noqa: PLC0415
    from cowrie_sessionstats.findings.rules import RuleError  # noqa: PLC0415
    from cowrie_sessionstats.replay.formats import FormatError  # noqa: PLC0415

    try:
        yield
    except VocabularyError as error:
        raise click.ClickException(str(error)) from None
    except RuleError as error:
        raise click.BadParameter(str(error), param_hint="--rules") from None
    except FormatError as error:
        raise click.BadParameter(str(error), param_hint="--output") from None


_WHY: Final = {
    "--follow": "a cluster reads what is there and ends",
    "--state": "a cluster reads what is there and ends",
    "--jobs": "the cluster has its own number of tasks (spark.executor.cores, spark.cores.max)",
    "--ttylogs": "workers do not see the recordings",
    "--history": "what was seen before is known in one place only",
}


def _check_excluded(*given: object) -> None:
    """Refuse what --engine has no use for."""
    for value, (option, why) in zip(given, _WHY.items(), strict=True):
        if value:
            raise click.UsageError(f"{option} and --engine exclude each other: {why}")


def _check_engine(paths: tuple[str, ...], engine: str, output: str | None) -> None:
    """Refuse what a cluster cannot do."""
    from cowrie_sessionstats.replay.spark.folder import FolderError, check_name  # noqa: PLC0415
    from cowrie_sessionstats.spark_session import is_spark  # noqa: PLC0415

    if not is_spark(engine):
        raise click.BadParameter(
            f"{engine.partition('?')[0]} is no address of Spark's. Write spark://HOST:PORT, yarn, "
            "k8s://ADDRESS or local[N]",
            param_hint="--engine",
        )
    if engine.startswith("sc://"):
        raise click.BadParameter(
            "Spark Connect does not say what became of broken lines. Give the cluster's own "
            "address: spark://HOST:PORT, yarn or k8s://ADDRESS",
            param_hint="--engine",
        )
    if "-" in paths:
        raise click.UsageError("--engine reads files that workers see: name them, not -")
    if any(path.startswith("kafka://") for path in paths) and len(paths) > 1:
        raise click.UsageError("a topic of Kafka's is read by itself: name no other PATH beside it")
    if output is None:
        raise click.UsageError("--engine writes a folder: name it with --output FOLDER.parquet")
    try:
        check_name(output)
    except FolderError as error:
        raise click.BadParameter(str(error), param_hint="--output") from None


def _check_file(paths: tuple[str, ...], file: Path | None) -> None:
    """Refuse what only a cluster can do."""
    for path in paths:
        if "://" in path and not Path(path).exists():
            raise click.UsageError(f"{path} is read by a cluster of Spark: add --engine ADDRESS")
    if file is not None and file.is_dir():
        hint = (
            ". A folder of Parquet is written by a cluster of Spark: add --engine ADDRESS"
            if file.name.endswith(".parquet")
            else ""
        )
        raise click.BadParameter(f"File '{file}' is a directory.{hint}", param_hint="--output")


def _check_follow(
    paths: tuple[str, ...],
    output: Path | None,
    state: Path | None,
    *,
    follow: bool,
    open_sessions: bool,
) -> None:
    """Refuse what cannot be followed."""
    if not follow and state is not None:
        raise click.UsageError("--state belongs to --follow: a log that is read once has none")
    if not follow:
        return
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
