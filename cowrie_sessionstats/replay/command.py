"""``cowrie-sessionstats summarize``: paths in, records out, an exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from attrs import frozen

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.formats import write_file
from cowrie_sessionstats.replay.problems import StrictError
from cowrie_sessionstats.replay.progress import file_trouble, last_line, progress
from cowrie_sessionstats.replay.running import RunError, Running
from cowrie_sessionstats.replay.spool import spool_folder

DONE: Final = 0
NOTHING: Final = 1
"""Nothing was summarized, or the work could not be done."""
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
"""As a shell says it of programs that a signal ended."""


@frozen
class Request:
    """What the user asked for."""

    paths: Sequence[str]
    settings: Settings
    jobs: int
    output: Path | None = None
    open_sessions: bool = False
    strict: bool = False


def summarize(request: Request) -> int:
    """Write the records of all sessions; return the exit status."""
    folder = spool_folder() if request.output is None else request.output.resolve().parent
    try:
        with _terminable():
            return _summarize(request, folder)
    except KeyboardInterrupt:
        _say("interrupted: nothing was written")
        return INTERRUPTED
    except (StrictError, RunError) as error:
        _say(f"error: {file_trouble(str(error))}")
        return NOTHING
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        where = error.filename or request.output or folder
        _say(f"error: {file_trouble(str(where))}: {error.strerror or error}")
        return NOTHING


def _summarize(request: Request, folder: Path) -> int:
    with progress(sys.stderr) as show:
        running = Running(
            request.settings,
            request.jobs,
            folder,
            open_sessions=request.open_sessions,
            strict=request.strict,
            show=show,
        )
        totals = running.totals
        totals.problems.strict = request.strict
        files = find(request.paths, folder, totals.problems.file)
        records = running.records(files)
        if request.output is None:
            for line in records:
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        else:
            write_file(request.output, records)
    for trouble in totals.problems.files:
        _say(f"error: {file_trouble(trouble)}")
    _say(last_line(totals))
    return DONE if totals.records else NOTHING


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: nothing half done stays behind."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
