"""``cowrie-sessionstats summarize``: paths in, records out, an exit status."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import IO, Final

from attrs import frozen

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.formats import write_file
from cowrie_sessionstats.replay.past import HistoryError
from cowrie_sessionstats.replay.problems import StateError, StrictError
from cowrie_sessionstats.replay.progress import file_trouble, last_line, progress
from cowrie_sessionstats.replay.running import RunError, Running
from cowrie_sessionstats.replay.spool import SpoolError, spool_folder

DONE: Final = 0
NOTHING: Final = 1
"""Nothing was summarized, or the work could not be done."""
WRONG: Final = 2
"""What was asked for cannot be meant."""
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
"""As a shell says it of programs that a signal ended."""


class UsageError(Exception):
    """What was asked for cannot be meant; its text says what to do."""


FAILURES: Final = (
    *(UsageError, StrictError, StateError, RunError, SpoolError, HistoryError, OSError),
)
"""What can go wrong that is no mistake of ours."""


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
        with terminable():
            return _summarize(request, folder)
    except KeyboardInterrupt:
        give_up_stdout()
        say("interrupted: nothing was written")
        return INTERRUPTED
    except FAILURES as error:
        return failed(error, request.output)


def failed(error: Exception, output: Path | None) -> int:
    """Say what went wrong, in one line; return the exit status."""
    if isinstance(error, OSError):
        give_up_stdout()
        if isinstance(error, BrokenPipeError):
            return PIPE_CLOSED
        where = error.filename or output or "the standard output"
        said = f"{where}: {error.strerror or error}"
    else:
        said = str(error)
    say(f"error: {file_trouble(said)}")
    return WRONG if isinstance(error, UsageError) else NOTHING


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
        if request.output is not None and request.output.exists():
            there = request.output.stat()
            for file in files:
                if os.path.samestat(os.stat(file.path), there):  # noqa: PTH116 - there are thousands
                    raise UsageError(
                        f"--output {request.output} is one of the logs to read ({file.name}): "
                        "it would be replaced. Name another"
                    )
        records = running.records(files)
        first = next(records, None)
        if first is not None:  # else what was written another time is better than nothing
            _write(request.output, chain((first,), records))
    for trouble in totals.problems.files:
        say(f"error: {file_trouble(trouble)}")
    say(last_line(totals))
    return DONE if totals.records else NOTHING


def stdout() -> IO[bytes]:
    """Return the standard output; OSError if it is closed."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed", "the standard output")
    return sys.stdout.buffer


def say(text: str) -> None:
    """Tell a person, if one listens."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody listens
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def _write(output: Path | None, records: Iterable[bytes]) -> None:
    """Write records to a file, or to the standard output."""
    if output is not None:
        write_file(output, records)
        return
    out = stdout()
    out.writelines(records)
    out.flush()


def give_up_stdout() -> None:
    """Let go what could not be written: Python would try again at its end, and complain or wait."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM, and a terminal that goes, end the work as Ctrl-C does: nothing stays behind."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Under nohup the terminal may go.
    signals = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    before = [signal.signal(each, end) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)
