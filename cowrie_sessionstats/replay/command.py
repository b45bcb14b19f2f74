"""``cowrie-sessionstats summarize``: paths in, records out, an exit status."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Final

from attrs import frozen

from cowrie_sessionstats.replay.counting import Settings, Values
from cowrie_sessionstats.replay.encoding import encode
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.following import CURRENT, Follower
from cowrie_sessionstats.replay.formats import write_file
from cowrie_sessionstats.replay.journal import Journal, StateError
from cowrie_sessionstats.replay.problems import StrictError
from cowrie_sessionstats.replay.progress import file_trouble, last_line, progress
from cowrie_sessionstats.replay.running import RunError, Running, Totals
from cowrie_sessionstats.replay.spool import SpoolError, spool_folder

DONE: Final = 0
NOTHING: Final = 1
"""Nothing was summarized, or the work could not be done."""
WRONG: Final = 2
"""What was asked for cannot be meant."""
HAND_ON: Final = 0.25
"""Seconds after which records are handed on while there is more to read."""
POLL: Final = 0.25
"""Seconds between two looks at whether a log has grown."""
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
"""As a shell says it of programs that a signal ended."""


class UsageError(Exception):
    """What was asked for cannot be meant; its text says what to do."""


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
    except UsageError as error:
        _say(f"error: {file_trouble(str(error))}")
        return WRONG
    except (StrictError, RunError, SpoolError) as error:
        _say(f"error: {file_trouble(str(error))}")
        return NOTHING
    except BrokenPipeError:
        return _pipe_closed()
    except OSError as error:
        where = error.filename or request.output or "the standard output"
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
        if request.output is not None and request.output.exists():
            for file in files:
                if file.path.samefile(request.output):
                    raise UsageError(
                        f"--output {request.output} is one of the logs to read ({file.name}): "
                        "it would be replaced. Name another"
                    )
        records = running.records(files)
        if request.output is None:
            out = _stdout()
            for line in records:
                out.write(line)
            out.flush()
        else:
            write_file(request.output, records)
    for trouble in totals.problems.files:
        _say(f"error: {file_trouble(trouble)}")
    _say(last_line(totals))
    return DONE if totals.records else NOTHING


# ---------------------------------------------------------------- following


def follow(request: Request, state: Path | None) -> int:
    """Write each record at its session's close, until a signal ends it; return the exit status."""
    stop = threading.Event()
    signals = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return _follow(request, state, stop)
    except (StrictError, StateError) as error:
        _say(f"error: {file_trouble(str(error))}")
        return NOTHING
    except BrokenPipeError:
        return _pipe_closed()
    except OSError as error:
        where = error.filename or request.output or state or "the standard output"
        _say(f"error: {file_trouble(str(where))}: {error.strerror or error}")
        return NOTHING
    finally:
        for number, before in signals.items():
            signal.signal(number, before)


def _follow(request: Request, state: Path | None, stop: threading.Event) -> int:
    journal = Journal(request.output, state)
    totals = Totals()
    totals.problems.strict = request.strict

    def emit(values: Values) -> None:
        totals.records += 1
        journal.add(encode(values))

    followers: dict[str, Follower] = {}
    for name in request.paths:
        folder = Path(name).is_dir()
        path = Path(name, CURRENT).absolute() if folder else Path(name).absolute()
        _look(path)
        followers[str(path)] = Follower(
            path,
            emit,
            request.settings,
            totals.problems,
            journal.marks.get(str(path)),
            history=folder,
            tally=totals.tally,
        )

    def hand_on() -> float:
        journal.commit({path: follower.marked() for path, follower in followers.items()})
        return time.monotonic()

    said = 0
    handed_on = hand_on()
    while True:
        for follower in followers.values():
            for _ in follower.read():
                if time.monotonic() - handed_on >= HAND_ON:
                    handed_on = hand_on()
                if stop.is_set():
                    break
        handed_on = hand_on()
        said = _say_new(totals.problems.files, said)
        if stop.wait(POLL):
            break
    totals.files = len(followers)
    _say(last_line(totals))
    return DONE


def _say_new(troubles: list[str], said: int) -> int:
    """Say what is wrong with files, but for what was said; return how much is said now."""
    for trouble in troubles[said:]:
        _say(f"error: {file_trouble(trouble)}")
    return len(troubles)


def _look(path: Path) -> None:
    """Say so if a log is not there yet; OSError if it cannot be read."""
    try:
        path.open("rb").close()
    except FileNotFoundError:
        _say(f"waiting for {file_trouble(str(path))}, which is not there yet")


def _stdout() -> IO[bytes]:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed", "the standard output")
    return sys.stdout.buffer


def _say(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody listens
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def _pipe_closed() -> int:
    """Let Python not complain, at its end, of what it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


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
