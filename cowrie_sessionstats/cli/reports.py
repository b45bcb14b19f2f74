"""Commands over many records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from cowrie_sessionstats.cli._options import JOBS, options, processors
from cowrie_sessionstats.extras import install_command

if TYPE_CHECKING:
    from types import ModuleType

    from cowrie_sessionstats.replay.counting import Settings
    from cowrie_sessionstats.report.command import Source


_PATHS: Final = click.argument("paths", nargs=-1, metavar="[PATH]...")
_ENGINE: Final = click.option(
    "--engine",
    metavar="ADDRESS",
    default="duckdb",
    show_default=True,
    help="What computes: duckdb, in this process; spark://HOST:PORT, yarn, k8s://... or sc://...; "
    "postgres://USER@HOST/DATABASE; or another address that Ibis knows. Without PATHs it is asked "
    "for its own table or view `sessions`.",
)


@click.command()
@_PATHS
@_ENGINE
@click.option(
    "--count",
    type=click.Choice(["events", "inputs"]),
    default="events",
    show_default=True,
    help="What counts as a command: every cowrie.command.* event, as in the study, or every "
    "command line.",
)
@click.option("--all-sessions", is_flag=True, help="Also sessions that never logged in.")
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    help="Rows of a table. [default: 10; in files and JSON 100, but for figure 4]",
)
@click.option(
    "--new-days",
    type=click.IntRange(1, 36_500),
    default=7,
    show_default=True,
    help="A script is new if it was first seen within so many days before the last session.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all figures.")
@click.option(
    "--csv",
    "csv_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a CSV file for each table into this folder.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one page with plots, tables and records: it opens from the disk, without network.",
)
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each plot as PNG and SVG into this folder.",
)
@click.option("--strict", is_flag=True, help="Stop at the first line or file that cannot be read.")
@click.option(
    "--jobs",
    type=JOBS,
    help="Processes or threads that share the work. [default: one for each processor]",
)
@click.option(
    "--vocabulary",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="For raw logs: a vocabulary of your own, as the option of that name in cowrie.cfg.",
)
def report(  # noqa: PLR0913 - one for each option
    paths: tuple[str, ...],
    *,
    engine: str,
    count: Literal["events", "inputs"],
    all_sessions: bool,
    top: int | None,
    new_days: int,
    as_json: bool,
    csv_folder: Path | None,
    html: Path | None,
    plots: Path | None,
    strict: bool,
    jobs: int | None,
    vocabulary: Path | None,
) -> None:
    """Report on many sessions: the tables and pictures of the SANS ISC study, and more.

    Each PATH is a file, a folder or a glob: summaries (JSON lines, Parquet, msgpack) or raw logs
    of Cowrie, which are summarized first, or both. A session counts once however often it is there.

    The exit status is 0 if there was something to report on, 1 if not, 2 for wrong usage.
    """
    command = _reports()
    if html is not None and not html.resolve().parent.is_dir():
        raise click.BadParameter(
            f"there is no folder {html.parent}. Make it, or name another", param_hint="--html"
        )
    to_files = as_json or csv_folder is not None or html is not None
    choice = command.choice(count, top, new_days, all_sessions=all_sessions, to_files=to_files)
    sys.exit(
        command.run(
            command.Request(
                _source(paths, engine, jobs, vocabulary, strict=strict),
                choice,
                json=as_json,
                csv=csv_folder,
                html=html,
                plots=plots,
            )
        )
    )


_FORMS: Final = (
    _ENGINE,
    click.option("--json", "form", flag_value="json", help="Print a JSON object a row."),
    click.option("--table", "form", flag_value="table", default="table", hidden=True),
    click.option("--jobs", type=JOBS, help="Threads and processes. [default: the processors]"),
)


class _Text(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since 8.2
    """A text that is one: bytes of another encoding are in no record."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is."""
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("is not in UTF-8", param, ctx)
        return value


@click.command()
@click.argument("query", type=_Text())
@_PATHS
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@options(*_FORMS)
def sql(
    query: str,
    paths: tuple[str, ...],
    engine: str,
    form: Literal["table", "json", "csv"],
    jobs: int | None,
) -> None:
    """Put a question in SQL to the table ``sessions``: a row a session, a column a key.

    QUERY is DuckDB's SQL, which is translated for other engines; PATHs are as for `report`. For
    example the study's last commands:

    cowrie-sessionstats sql "SELECT last_command, count(*) AS sessions FROM sessions
    WHERE logged_in GROUP BY ALL ORDER BY sessions DESC LIMIT 10" sessions.parquet
    """
    sys.exit(_reports().sql(_source(paths, engine, jobs), query, form))


@click.command()
@click.argument("session", type=_Text())
@_PATHS
@options(*_FORMS)
def show(
    session: str,
    paths: tuple[str, ...],
    engine: str,
    form: Literal["table", "json"],
    jobs: int | None,
) -> None:
    """Show the record of SESSION, an id of Cowrie's, out of the summaries or logs in PATHs."""
    sys.exit(_reports().show(_source(paths, engine, jobs), session, form))


@click.command()
@click.argument("session", type=_Text())
@_PATHS
@click.option("--top", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows.")
@options(*_FORMS)
def similar(  # noqa: PLR0913, PLR0917 - one for each option
    session: str,
    paths: tuple[str, ...],
    engine: str,
    top: int,
    form: Literal["table", "json"],
    jobs: int | None,
) -> None:
    """Show which scripts are like that of SESSION: the same, kin, or with the same beginning."""
    sys.exit(_reports().similar(_source(paths, engine, jobs), session, form, top))


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--engine",
    metavar="ADDRESS",
    required=True,
    help="postgres://USER@HOST/DATABASE (a password is best left to ~/.pgpass), or a cluster of "
    "Spark, as for `report`.",
)
@click.option(
    "--output",
    "--out",
    metavar="FOLDER.parquet",
    help="On Spark: the folder, here or in what Spark reaches (hdfs://, s3a://). It can be one of "
    "the PATHs, too: then what is new is added.",
)
@click.option("--strict", is_flag=True, help="Stop at the first line or file that cannot be read.")
@click.option("--jobs", type=JOBS, help="Threads and processes. [default: the processors]")
def load(
    paths: tuple[str, ...], engine: str, output: str | None, jobs: int | None, *, strict: bool
) -> None:
    """Load sessions into a database's table `sessions`, or into a folder of Parquet by the day.

    PATHs are as for `report` on that engine; for PostgreSQL, files and folders of this machine. A
    session is there once, however often it is loaded; its last record counts.

    The exit status is 0 if they were loaded, 1 if not, 2 for wrong usage.
    """
    sys.exit(_reports().load(_source(paths, engine, jobs, strict=strict), output))


def _reports() -> ModuleType:
    """Return what carries out these commands; says what to install where packages are missing."""
    try:
        from cowrie_sessionstats.report import command  # noqa: PLC0415 - slow to load
    except ImportError as error:
        raise click.ClickException(
            f"{error.msg}. This command needs more packages. "
            f"Install them with: {install_command('report')}"
        ) from None
    return command


def _source(
    paths: tuple[str, ...],
    engine: str,
    jobs: int | None,
    vocabulary: Path | None = None,
    *,
    strict: bool = False,
) -> Source:
    command = _reports()
    if not paths and engine == command.EMBEDDED:
        raise click.UsageError("Missing argument 'PATH...': name files or folders to read.")
    made: Source = command.Source(
        paths, _settings(vocabulary), jobs or processors(), strict, engine
    )
    return made


def _settings(vocabulary: Path | None) -> Settings:
    """Return how raw logs are summarized."""
    from cowrie_sessionstats.commands import VocabularyError  # noqa: PLC0415 - only with logs
    from cowrie_sessionstats.replay.counting import Settings  # noqa: PLC0415

    try:
        return Settings.of(vocabulary, keep_passwords=True)
    except VocabularyError as error:
        raise click.ClickException(str(error)) from None
