"""``report``, ``sql``, ``show`` and ``similar``: paths in, answers out, an exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import duckdb
from attrs import frozen

from cowrie_sessionstats.replay.command import (
    DONE,
    FAILURES,
    INTERRUPTED,
    NOTHING,
    WRONG,
    UsageError,
    failed,
    give_up_stdout,
    say,
    terminable,
)
from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.formats import replacing
from cowrie_sessionstats.replay.progress import file_trouble, last_line, progress, skipped_lines
from cowrie_sessionstats.replay.spool import spool_folder
from cowrie_sessionstats.report import files, terminal
from cowrie_sessionstats.report.computing import report
from cowrie_sessionstats.report.engine import Engine, embedded
from cowrie_sessionstats.report.figures import Count
from cowrie_sessionstats.report.interest import rules
from cowrie_sessionstats.report.query import ask, records_of
from cowrie_sessionstats.report.query import show as show_record
from cowrie_sessionstats.report.query import similar as kin
from cowrie_sessionstats.report.sources import TYPES, SourceError, Sources, opened
from cowrie_sessionstats.report.tables import TOP, TOP_OF_FILES, Choice, Report
from cowrie_sessionstats.summary import printable

Form: TypeAlias = Literal["table", "json", "csv"]

_SQL_ERROR: Final = 2000  # characters: DuckDB shows the line and points to the place


@frozen
class Source:
    """What is asked about."""

    paths: Sequence[str]
    settings: Settings
    jobs: int
    strict: bool = False


@frozen
class Request:
    """What the user asked for."""

    source: Source
    choice: Choice
    json: bool = False
    csv: Path | None = None
    html: Path | None = None
    plots: Path | None = None


def choice(
    count: Count, top: int | None, new_days: int, *, all_sessions: bool, to_files: bool
) -> Choice:
    """Return what was chosen; where no number of rows was, files have more than a terminal."""
    usual = TOP_OF_FILES if to_files else TOP
    return Choice(count, all_sessions, top or usual, top or TOP, new_days)


def run(request: Request) -> int:
    """Compute the figures and write them where they are wanted; return the exit status."""
    return _guarded(lambda: _run(request), request.html or request.csv or request.plots)


def _guarded(work: Callable[[], int], output: Path | None = None) -> int:
    """Return the exit status of ``work``; what can go wrong is said in a line."""
    try:
        with terminable():
            return work()
    except (KeyboardInterrupt, duckdb.InterruptException):
        return _interrupted()
    except RuntimeError as error:
        if str(error) != _STOPPED:
            raise
        return _interrupted()
    except (SourceError, duckdb.Error) as error:
        say(f"error: {file_trouble(str(error))}")
        return NOTHING
    except FAILURES as error:
        return failed(error, output)


_STOPPED: Final = "Query interrupted"
"""What DuckDB says of Ctrl-C while it computes."""


def _interrupted() -> int:
    give_up_stdout()
    say("interrupted")
    return INTERRUPTED


@contextmanager
def _sources(source: Source) -> Iterator[Sources]:
    """Give what there is to ask about; what was wrong with it is said."""
    with (
        progress(sys.stderr) as show,
        opened(
            source.paths,
            source.jobs,
            spool_folder(),
            source.settings,
            strict=source.strict,
            show=show,
        ) as sources,
    ):
        _tell(sources)
        sources.check()
        yield sources


def _run(request: Request) -> int:
    with _sources(request.source) as sources:
        _check_output(request.html, sources)
        engine = embedded(sources.connection, TYPES)
        made = report(engine, rules(), request.choice)
        if not made.overview.sessions:
            say("error: no session logged in; --all-sessions reports on those that did not")
            return NOTHING
        wrote = _write_files(request, made, engine)
        if request.json:
            terminal.stdout().write(files.as_json(made) + "\n")
        elif not wrote:
            terminal.write(made, terminal.stdout(), request.choice.top)
        sys.stdout.flush()
        for what in wrote:
            say(f"written: {file_trouble(what)}")
    return DONE


def sql(source: Source, query: str, form: Form) -> int:
    """Run a query over ``sessions`` and write what it gives; return the exit status."""

    def work() -> int:
        with _sources(source) as sources:
            out = terminal.stdout()
            try:
                result = ask(sources.connection, query)
            except duckdb.Error as error:
                for line in f"error in the SQL: {error}"[:_SQL_ERROR].splitlines():
                    say(printable(line, _SQL_ERROR))
                return WRONG
            if form == "json":
                result.write_json(out)
            elif form == "csv":
                result.write_csv(out)
            else:
                terminal.write_result(result.table(), out)
            out.flush()
        return DONE

    return _guarded(work)


def last_commands(source: Source, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query of ours; SourceError and others as ``_guarded`` says them."""
    with _sources(source) as sources:
        return sources.connection.execute(query).fetchall()


def show(source: Source, session: str, form: Form) -> int:
    """Write the record of a session; return the exit status."""

    def work() -> int:
        with _sources(source) as sources:
            out = terminal.stdout()
            found = records_of(embedded(sources.connection, TYPES), session)
            for number, record in enumerate(found):
                if form == "json":
                    out.write(json.dumps({k: v for k, v in record.items() if v is not None}) + "\n")
                else:
                    out.write(("\n" if number else "") + show_record(record) + "\n")
            out.flush()
        return _found(session, found)

    return _guarded(work)


def similar(source: Source, session: str, form: Form, top: int) -> int:
    """Write what is like a session; return the exit status."""

    def work() -> int:
        with _sources(source) as sources:
            out = terminal.stdout()
            engine = embedded(sources.connection, TYPES)
            known = records_of(engine, session)
            found = [record for record in known if record["fingerprint"] is not None]
            if known and not found:
                say(f"error: session {printable(session, 100)} ran no command: nothing is like it")
                return NOTHING
            for record in found:
                table = kin(engine, record, top)
                if form == "json":
                    out.writelines(json.dumps(row) + "\n" for row in table.rows)
                else:
                    terminal.write_result(table, out)
            out.flush()
        return _found(session, found)

    return _guarded(work)


def _found(session: str, found: Sequence[object]) -> int:
    if found:
        return DONE
    say(f"error: no session {printable(session, 100)} in what was given")
    return NOTHING


def _check_output(output: Path | None, sources: Sources) -> None:
    """Refuse to write over what is read."""
    if output is not None and output.exists():
        for file in sources.files:
            if file.path.samefile(output):
                raise UsageError(
                    f"--html {output} is one of the files to read: it would be replaced. "
                    "Name another"
                )


def _write_files(request: Request, made: Report, engine: Engine) -> list[str]:
    """Write the files that were asked for; return what to say of them."""
    wrote = []
    if request.csv is not None:
        paths = files.write_csv(made, request.csv)
        wrote.append(f"{request.csv} ({len(paths)} files)")
    if request.plots is not None:
        from cowrie_sessionstats.report import plots  # noqa: PLC0415 - slow to load

        paths = plots.write(made, request.plots)
        wrote.append(f"{request.plots} ({len(paths)} files)")
    if request.html is not None:
        from cowrie_sessionstats.report import page  # noqa: PLC0415 - slow to load

        with replacing(request.html) as out:
            page.write(made, engine.records(page.examples(made)), out)
        wrote.append(str(request.html))
    return wrote


def _tell(sources: Sources) -> None:
    """Say what was wrong with the files, and what was read."""
    for trouble in sources.problems.files:
        say(f"error: {file_trouble(trouble)}")
    if sources.totals is not None:
        say(last_line(sources.totals))
    else:
        skipped = skipped_lines(sources.problems)
        if skipped:
            say(skipped)
    if sources.superseded:
        say(f"{sources.superseded:,} records that others repeat or replace are left out")
