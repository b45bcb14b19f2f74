"""``cowrie-sessionstats report``: paths in, figures out, an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
from attrs import evolve, frozen

from cowrie_sessionstats.replay.command import (
    DONE,
    FAILURES,
    INTERRUPTED,
    NOTHING,
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
from cowrie_sessionstats.report.engine import Engine, embedded
from cowrie_sessionstats.report.interest import rules
from cowrie_sessionstats.report.sources import SourceError, Sources, opened
from cowrie_sessionstats.report.tables import PAGE_ROWS, Choice, Report, report


@frozen
class Request:
    """What the user asked for."""

    paths: Sequence[str]
    settings: Settings
    jobs: int
    choice: Choice
    json: bool = False
    csv: Path | None = None
    html: Path | None = None
    plots: Path | None = None
    strict: bool = False

    @property
    def rows(self) -> int:
        """Rows of a table that are computed: a page has more."""
        return self.choice.top if self.html is None else max(PAGE_ROWS, self.choice.top)


def run(request: Request) -> int:
    """Compute the figures and write them where they are wanted; return the exit status."""
    try:
        with terminable():
            return _run(request)
    except KeyboardInterrupt:
        give_up_stdout()
        say("interrupted")
        return INTERRUPTED
    except SourceError as error:
        say(f"error: {file_trouble(str(error))}")
        return NOTHING
    except duckdb.Error as error:
        say(f"error: {file_trouble(str(error))}")
        return NOTHING
    except FAILURES as error:
        return failed(error, request.html or request.csv or request.plots)


def _run(request: Request) -> int:
    with (
        progress(sys.stderr) as show,
        opened(
            request.paths,
            request.jobs,
            spool_folder(),
            request.settings,
            strict=request.strict,
            show=show,
        ) as sources,
    ):
        tell(sources)
        engine = embedded(sources.connection)
        made = report(engine, rules(), evolve(request.choice, top=request.rows))
        if not made.overview.sessions:
            say("error: no session logged in; --all-sessions reports on those that did not")
            return NOTHING
        wrote = _write_files(request, made, engine)
        made = made.cut(request.choice.top)
        if request.json:
            terminal.stdout().write(files.as_json(made) + "\n")
        elif not wrote:
            terminal.write(made, terminal.stdout())
        sys.stdout.flush()
        for path in wrote:
            say(f"written: {file_trouble(str(path))}")
    return DONE


def _write_files(request: Request, made: Report, engine: Engine) -> list[Path]:
    """Write the files that were asked for; return their paths."""
    wrote: list[Path] = []
    if request.csv is not None:
        wrote += files.write_csv(made.cut(request.choice.top), request.csv)
    if request.plots is not None:
        from cowrie_sessionstats.report import plots  # noqa: PLC0415 - slow to load

        wrote += plots.write(made, request.plots)
    if request.html is not None:
        from cowrie_sessionstats.report import page  # noqa: PLC0415 - slow to load

        with replacing(request.html) as out:
            page.write(made, engine.records(page.examples(made)), out)
        wrote.append(request.html)
    return wrote


def tell(sources: Sources) -> None:
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
