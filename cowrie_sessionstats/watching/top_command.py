"""``cowrie-sessionstats top``: a page of what a sensor sees now."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Final, NoReturn

from attrs import define, field, frozen

from cowrie_sessionstats.replay._extra import EXTRA
from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.watching import screen
from cowrie_sessionstats.watching.ending import (
    DONE,
    INTERRUPTED,
    NOTHING,
    PIPE_CLOSED,
    give_up_stdout,
    say,
)
from cowrie_sessionstats.watching.hour import PAST, Hour
from cowrie_sessionstats.watching.log import Follower, LogError
from cowrie_sessionstats.watching.seen import decoded
from cowrie_sessionstats.watching.state import StoreReader
from cowrie_sessionstats.watching.where import Watched

try:
    from rich.console import Console

    from cowrie_sessionstats.watching.facts import Facts
    from cowrie_sessionstats.watching.page import page
except ImportError:
    raise ImportError(f"the package rich is missing. {EXTRA}") from None

READING: Final = 0.5
"""Seconds that the log is read before the page is shown again: as much can come as likes to."""

_NAME: Final = 300  # characters of what is wrong with a file


@frozen
class Request:
    """What the user asked for."""

    watched: Watched
    where: str
    """What that is, for people."""
    once: bool
    interval: float
    """Seconds between two pages."""


class _Console(Console):
    """Leaves a closed pipe to us: rich would end the program, with status 1."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def top(request: Request) -> int:
    """Show what was asked for; return the exit status."""
    if sys.stdout is None:
        say("error: the standard output is closed")
        return NOTHING
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    is_live = not request.once and sys.stdout.isatty()
    follower = Follower(request.watched.log)
    store = StoreReader(request.watched.store, request.watched.without)
    watching = Watching(request, follower, store, hint="q leaves" if is_live else "")
    console = _Console(highlight=False, markup=False, emoji=False)
    try:
        return _live(watching, console) if is_live else _once(watching, console)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        give_up_stdout()
        return PIPE_CLOSED
    except OSError as error:
        give_up_stdout()
        say(f"error: {printable(f'the terminal: {error.strerror or error}', _NAME)}")
        return NOTHING
    finally:
        follower.close()


def _live(watching: Watching, console: Console) -> int:
    """Show the page until somebody leaves it, or a signal ends it."""
    if console.is_dumb_terminal:
        say("error: this terminal cannot show a page that changes. Use --once")
        return NOTHING
    interval = watching.request.interval
    ended = screen.show(console, lambda: watching.page(*console.size), interval, time.monotonic)
    return DONE if ended is None else 128 + signal.Signals(ended)


def _once(watching: Watching, console: Console) -> int:
    """Print one page; the exit status says whether there is a log."""
    height = console.height if console.is_terminal else None
    console.print(watching.page(console.width, height))
    if watching.trouble is not None:
        say(f"error: {printable(watching.trouble, _NAME)}")
    return DONE if watching.trouble is None else NOTHING


@define(eq=False)
class Watching:
    """What is watched, and what is known of it."""

    request: Request
    follower: Follower
    store: StoreReader
    hint: str
    """What a person can do."""
    hour: Hour = field(factory=Hour, init=False)
    skipped: int = field(default=0, init=False)
    trouble: str | None = field(default=None, init=False)
    """Why the log is not read."""
    _began: float | None = field(default=None, init=False)

    def page(self, width: int, height: int | None) -> Any:
        """Return the page as of now."""
        now = time.time()
        if self._began is None:
            self._begin(now)
        self._read(now)
        return page(self._facts(now), width, height)

    def _begin(self, now: float) -> None:
        self._began = now
        try:
            self.follower.skip()
        except LogError:
            return  # reading says it again
        self.skipped += self.hour.begin(self.follower.past(PAST), now)

    def _read(self, now: float) -> None:
        until = time.monotonic() + READING
        try:
            while lines := self.follower.read():
                for line in lines:
                    record = decoded(line)
                    if record is not None:
                        self.hour.add(record, now)
                    else:
                        self.skipped += bool(line.strip())
                if time.monotonic() > until:
                    break
            there = self.follower.is_there()
            self.trouble = None if there else f"there is no {self.request.watched.log} yet"
        except LogError as error:
            self.trouble = str(error)

    def _facts(self, now: float) -> Facts:
        try:
            written: float | None = os.stat(self.request.watched.log).st_mtime  # noqa: PTH116 - as it is
        except OSError:
            written = None
        return Facts(
            now=now,
            began=self._began or now,
            where=self.request.where,
            sensors=list(self.hour.sensors),
            written=written,
            skipped=self.skipped,
            trouble=self.trouble,
            figures=self.hour.figures(now),
            recent=self.hour.recent(),
            interactive=self.hour.interactive(),
            state=self.store.read(),
            hint=self.hint,
        )
