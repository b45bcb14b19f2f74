"""``cowrie-sessionstats summarize --follow``: logs that grow in, records at each close out."""

from __future__ import annotations

import errno
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

from attrs import define, field

from cowrie_sessionstats.replay.command import (
    DONE,
    FAILURES,
    INTERRUPTED,
    Request,
    UsageError,
    failed,
    give_up_stdout,
    say,
)
from cowrie_sessionstats.replay.counting import Values
from cowrie_sessionstats.replay.encoding import encode
from cowrie_sessionstats.replay.following import CURRENT, Follower, Place
from cowrie_sessionstats.replay.journal import Journal
from cowrie_sessionstats.replay.past import Historian
from cowrie_sessionstats.replay.progress import file_trouble, last_line
from cowrie_sessionstats.replay.running import Totals
from cowrie_sessionstats.summary import KEYS

HAND_ON: Final = 0.25
"""Seconds after which records are handed on while there is more to read."""
POLL: Final = 0.25
"""Seconds between two looks at whether a log has grown."""


def follow(request: Request, state: Path | None) -> int:
    """Write each record at its session's close, until a signal ends it; return the exit status."""
    stop = threading.Event()
    journal: Journal | None = None
    historian: Historian | None = None

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        if journal is not None and journal.is_writing:  # and whoever reads the pipe does not
            raise KeyboardInterrupt

    signals = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _check_files(request, state)
        journal = Journal(request.output, state)
        if request.settings.history is not None:
            historian = Historian(request.settings.history)
        following = _Following(request, journal, historian)
        following.run(stop)
    except KeyboardInterrupt:
        give_up_stdout()
        say("interrupted: the last records were not taken by who reads the standard output")
        return INTERRUPTED
    except FAILURES as error:
        return failed(error, request.output)
    else:
        following.totals.known = 0 if historian is None else historian.history.known
        say(last_line(following.totals))
        return DONE
    finally:
        if historian is not None:
            historian.close()
        for number, before in signals.items():
            signal.signal(number, before)


def _logs(request: Request) -> dict[str, bool]:
    """Return the paths of the logs to follow, each once; whether with those rotated before."""
    logs: dict[str, bool] = {}
    for name in request.paths:
        folder = Path(name).is_dir()
        path = Path(name, CURRENT) if folder else Path(name)
        path = path.parent.resolve() / path.name  # a link to a log is followed as it is
        logs[str(path)] = logs.get(str(path), False) or folder
    return logs


def _check_files(request: Request, state: Path | None) -> None:
    """Raise UsageError if what is written is also read, or no file."""
    logs = {str(Path(path).resolve()): "the log" for path in _logs(request)}
    for option, path in (("--state", state), ("--output", request.output)):
        if path is None:
            continue
        resolved = str(path.resolve())
        if resolved in logs:
            raise UsageError(f"{option} {path} is {logs[resolved]}, too. Name another file")
        if path.exists() and not path.is_file():
            raise UsageError(f"{option} {path} is no regular file. Name another")
        logs[resolved] = option


@define(eq=False)
class _Following:
    """The logs that are followed, and where their records go."""

    request: Request
    journal: Journal
    historian: Historian | None = None
    totals: Totals = field(factory=Totals, init=False)
    _followers: dict[str, Follower] = field(factory=dict, init=False)
    _handed_on: float = field(default=0.0, init=False)
    _places: list[Place] | None = field(default=None, init=False)
    _said: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.totals.problems.strict = self.request.strict
        for name, history in _logs(self.request).items():
            _look(Path(name))
            self._followers[name] = Follower(
                Path(name),
                self._emit,
                self.request.settings,
                self.totals.problems,
                self.journal.marks.get(name),
                history=history,
                tally=self.totals.tally,
            )
        self.totals.files = len(self._followers)

    def _emit(self, values: Values) -> None:
        self.totals.records += 1
        line = encode(values[: len(KEYS)])
        if self.historian is not None and values[-1] is not None:
            line = self.historian.complete(line, values[-1])
        self.journal.add(line)

    def run(self, stop: threading.Event) -> None:
        """Follow until ``stop`` is set."""
        self._hand_on()
        while True:
            for follower in self._followers.values():
                for _ in follower.read():
                    if time.monotonic() - self._handed_on >= HAND_ON:
                        self._hand_on()
                    if stop.is_set():
                        break
            if not stop.is_set():
                self.journal.caught_up()
            self._hand_on()
            if stop.wait(POLL):
                break
        for follower in self._followers.values():
            follower.close()

    def _hand_on(self) -> None:
        """Write the records, the state, and what is wrong with files."""
        if self.historian is not None:
            self.historian.commit()
        places = [follower.place for follower in self._followers.values()]
        if places != self._places or self.journal.is_waiting:
            self.journal.commit({path: each.marked() for path, each in self._followers.items()})
        self._handed_on, self._places = time.monotonic(), places
        for trouble in self.totals.problems.files[self._said :]:
            say(f"error: {file_trouble(trouble)}")
        self._said = len(self.totals.problems.files)


def _look(path: Path) -> None:
    """Say so if a log is not there yet; OSError if it cannot be read."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if not path.exists():
        say(f"waiting for {file_trouble(str(path))}, which is not there yet")
    elif path.is_file():
        path.open("rb").close()
