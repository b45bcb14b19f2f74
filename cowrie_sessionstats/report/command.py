"""``report``, ``sql``, ``show`` and ``similar``: paths in, answers out, an exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.formats import replacing
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.progress import file_trouble, last_line, progress, skipped_lines
from cowrie_sessionstats.replay.running import Totals
from cowrie_sessionstats.replay.spool import spool_folder
from cowrie_sessionstats.report import files, terminal
from cowrie_sessionstats.report.computing import report
from cowrie_sessionstats.report.embedded import embedded
from cowrie_sessionstats.report.engine import NO_SESSION, Engine, EngineError, QueryError
from cowrie_sessionstats.report.figures import Count
from cowrie_sessionstats.report.interest import rules
from cowrie_sessionstats.report.query import records_of
from cowrie_sessionstats.report.query import result as result_of
from cowrie_sessionstats.report.query import show as show_record
from cowrie_sessionstats.report.query import similar as kin
from cowrie_sessionstats.report.remote import Remote
from cowrie_sessionstats.report.sources import SourceError, Sources, opened
from cowrie_sessionstats.report.tables import TOP, TOP_OF_FILES, Choice, Report
from cowrie_sessionstats.spark_session import is_spark
from cowrie_sessionstats.summary import SCHEMA, printable

Form: TypeAlias = Literal["table", "json", "csv"]

EMBEDDED: Final = "duckdb"
_SQL_ERROR: Final = 2000  # characters: DuckDB shows the line and points to the place


@frozen
class Source:
    """What is asked about."""

    paths: Sequence[str]
    settings: Settings
    jobs: int
    strict: bool = False
    engine: str = EMBEDDED
    """DuckDB in this process, or the address of another engine."""


@frozen
class Asked:
    """An engine that has the sessions."""

    engine: Engine
    files: Sequence[LogFile] = ()
    """What it reads on this machine."""


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
    except (SourceError, EngineError, duckdb.Error) as error:
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
def _opened(source: Source) -> Iterator[Sources]:
    """Give the sessions in files of this machine; what was wrong with those is said."""
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
        _tell(sources.problems, sources, sources.totals)
        sources.check()
        yield sources


@contextmanager
def _asked(source: Source) -> Iterator[Asked]:
    """Give what there is to ask about; what was wrong with it is said."""
    if source.engine != EMBEDDED:
        with _elsewhere(source) as engine:
            yield Asked(engine)
        return
    with _opened(source) as sources:
        yield Asked(embedded(sources.connection), sources.files)


@contextmanager
def _elsewhere(source: Source) -> Iterator[Remote]:
    from cowrie_sessionstats.report.places import elsewhere  # noqa: PLC0415 - slow to load

    problems = Problems(strict=source.strict)
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(elsewhere(source.engine, source.paths, problems))
        except EngineError:
            _tell(problems)
            raise
        _tell(problems, engine)
        if not engine.count:
            raise EngineError(NO_SESSION)
        yield engine


def _run(request: Request) -> int:
    with _asked(request.source) as asked:
        _check_output(request.html, asked.files)
        engine = asked.engine
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
        with _asked(source) as asked:
            out = terminal.stdout()
            try:
                result = result_of(asked.engine.ask(query))
            except QueryError as error:
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
    with _asked(source) as asked:
        return [tuple(row) for batch in asked.engine.ask(query).batches for row in batch]


def show(source: Source, session: str, form: Form) -> int:
    """Write the record of a session; return the exit status."""

    def work() -> int:
        with _asked(source) as asked:
            out = terminal.stdout()
            found = records_of(asked.engine, session)
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
        with _asked(source) as asked:
            out = terminal.stdout()
            known = records_of(asked.engine, session)
            found = [record for record in known if record["fingerprint"] is not None]
            if known and not found:
                say(f"error: session {printable(session, 100)} ran no command: nothing is like it")
                return NOTHING
            for record in found:
                table = kin(asked.engine, record, top)
                if form == "json":
                    out.writelines(json.dumps(row) + "\n" for row in table.rows)
                else:
                    terminal.write_result(table, out)
            out.flush()
        return _found(session, found)

    return _guarded(work)


def load(source: Source, output: str | None = None) -> int:
    """Load the sessions in files into a table, or on Spark a folder; return the exit status."""
    if is_spark(source.engine):
        return _guarded(lambda: _load_on_spark(source, output))
    from cowrie_sessionstats.report import loading  # noqa: PLC0415 - slow to load

    def work() -> int:
        loading.check(source.engine)
        if output is not None:
            raise UsageError("--output is for Spark: a database has the table sessions")
        with _opened(source) as sources:
            new, newer = loading.load(sources.connection, source.engine)
        say(
            f"{new:,} sessions are new, {newer:,} took the place of an earlier record, "
            f"{sources.sessions - new - newer:,} were there"
        )
        return DONE

    return _guarded(work)


def _load_on_spark(source: Source, output: str | None) -> int:
    if output is None:
        raise UsageError("on Spark, --output FOLDER.parquet says where the sessions go")
    if source.engine.startswith("sc://"):
        raise UsageError(
            f"{source.engine.partition('/;')[0]}: Spark Connect puts no folder in another's place"
        )
    from cowrie_sessionstats.replay.spark.folder import FolderError, check_name  # noqa: PLC0415
    from cowrie_sessionstats.report import lake  # noqa: PLC0415 - slow to load

    try:
        check_name(output)
        with _elsewhere(source) as engine:
            lake.write(engine, output)
            say(f"{engine.count:,} sessions are in {output}")
    except FolderError as error:
        raise UsageError(str(error)) from None
    return DONE


def _found(session: str, found: Sequence[object]) -> int:
    if found:
        return DONE
    say(f"error: no session {printable(session, 100)} in what was given")
    return NOTHING


def _check_output(output: Path | None, files: Sequence[LogFile]) -> None:
    """Refuse to write over what is read."""
    if output is not None and output.exists():
        for file in files:
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


def _tell(
    problems: Problems, left_out: Sources | Remote | None = None, totals: Totals | None = None
) -> None:
    """Say what was wrong with the files, and what was read."""
    for trouble in problems.files:
        say(f"error: {file_trouble(trouble)}")
    if totals is not None:
        say(last_line(totals))
    else:
        skipped = skipped_lines(problems)
        if skipped:
            say(skipped)
    if left_out is not None and left_out.newer:
        say(
            f"{left_out.newer:,} records are left out: their schema is newer than {SCHEMA}, which "
            "is all that this version knows. Update cowrie-sessionstats here"
        )
    if left_out is not None and left_out.superseded:
        say(f"{left_out.superseded:,} records that others repeat or replace are left out")
