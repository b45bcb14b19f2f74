"""``cowrie-sessionstats tail``: the last summaries, and each further one as it is written."""

from __future__ import annotations

import errno
import json
import os
import select
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TextIO

from attrs import define, field, frozen

from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.watching.ending import (
    DONE,
    INTERRUPTED,
    NOTHING,
    PIPE_CLOSED,
    give_up_stdout,
    say,
)
from cowrie_sessionstats.watching.filters import Filters
from cowrie_sessionstats.watching.line import Lines
from cowrie_sessionstats.watching.log import Follower, LogError
from cowrie_sessionstats.watching.seen import decoded, seen_of

POLL: Final = 0.25
"""Seconds between two looks at whether the log has grown."""

BACK: Final = 256 << 20
"""Bytes in which the last summaries are looked for that pass the filters: 140,000 records, some
seconds of work. Who looks for older ones asks ``sql``."""

_NAME: Final = 300  # characters of what is wrong with a file
_COLUMNS: Final = 80  # of a terminal that does not tell


@frozen
class Request:
    """What the user asked for."""

    log: Path
    lines: int
    """Summaries that are shown of those that are there."""
    follow: bool
    json: bool
    colour: bool | None
    """None: on a terminal."""
    filters: Filters


def tail(request: Request) -> int:
    """Show what was asked for; return the exit status."""
    try:
        out = _stdout()
        tailing = _Tailing(request, out, Follower(request.log))
        try:
            return tailing.run()
        finally:
            tailing.follower.close()
            tailing.say_skipped()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        give_up_stdout()
        return PIPE_CLOSED
    except LogError as error:
        say(f"error: {printable(str(error), _NAME)}")
    except OSError as error:
        give_up_stdout()
        where = error.filename or "the standard output"
        say(f"error: {printable(f'{where}: {error.strerror or error}', _NAME)}")
    return NOTHING


def _stdout() -> TextIO:
    """Return the standard output, which takes whatever its encoding has no letter for."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed", "the standard output")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return sys.stdout


@define(eq=False)
class _Tailing:
    """The command at work."""

    request: Request
    out: TextIO
    follower: Follower
    skipped: int = 0
    """Lines that are no summary."""
    _lines: Lines = field(init=False)
    _is_terminal: bool = field(init=False)
    _said: str | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._is_terminal = self.out.isatty()
        colour = self.request.colour
        if colour is None:
            plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
            colour = self._is_terminal and not plain
        self._lines = Lines(colour=colour)

    def run(self) -> int:
        request = self.request
        if not self.follower.is_there():
            if not request.follow:
                self._show_last()
                if request.lines:
                    say(f"there is no {printable(str(request.log), _NAME)}")
                return NOTHING
            say(f"waiting for {printable(str(request.log), _NAME)}, which is not there yet")
        self.follower.skip()
        self._show_last()
        if request.follow:
            self._follow()
        return DONE

    def say_skipped(self) -> None:
        """Say how many lines were no summaries."""
        if self.skipped:
            lines = "1 line" if self.skipped == 1 else f"{self.skipped:,} lines"
            say(f"{lines} skipped: no summary of a session")

    def _show_last(self) -> None:
        """Show the last of the summaries that are there."""
        found: list[tuple[bytes, dict[str, Any]]] = []
        past = self.follower.past(BACK)
        for line in past.lines() if self.request.lines else ():
            record = self._wanted(line)
            if record is not None:
                found.append((line, record))
                if len(found) == self.request.lines:
                    break
        else:
            if self.request.lines and not past.is_whole:
                say(f"looked through the last {BACK >> 20} MiB only; `sql` finds older ones")
        self._show(reversed(found))

    def _follow(self) -> None:
        while True:
            try:
                lines = self.follower.read()
            except LogError as error:  # rotated to one that we may not read; that can be mended
                if str(error) != self._said:
                    self._said = str(error)
                    say(f"error: {printable(str(error), _NAME)}")
                lines = []
            wanted = ((line, self._wanted(line)) for line in lines)
            self._show((line, record) for line, record in wanted if record is not None)
            if not lines:
                self._wait()

    def _wanted(self, line: bytes) -> dict[str, Any] | None:
        """Return the record on a line, if it is to be shown."""
        record = decoded(line)
        if record is None:
            self.skipped += bool(line.strip())
            return None
        return record if self.request.filters.match(record) else None

    def _show(self, found: Iterable[tuple[bytes, dict[str, Any]]]) -> None:
        width = self._width()
        for line, record in found:
            if self.request.json:
                self.out.write(f"{_as_json(line, record)}\n")
            else:
                self.out.write(f"{self._lines.line(seen_of(record), width, time.time())}\n")
        self.out.flush()

    def _width(self) -> int | None:
        """Return the columns of the terminal, which change when its window does."""
        if not self._is_terminal:
            return None
        try:
            return os.get_terminal_size(self.out.fileno()).columns or _COLUMNS
        except OSError:
            return _COLUMNS

    def _wait(self) -> None:
        """Wait a moment; BrokenPipeError if nobody reads any more."""
        poll = select.poll()
        poll.register(self.out.fileno(), 0)  # tells of errors alone
        if poll.poll(POLL * 1000):
            raise BrokenPipeError


def _as_json(line: bytes, record: dict[str, Any]) -> str:
    """Return a record's line as it is; one that the plugin did not write, in its way."""
    if line.isascii() and (text := line.decode("ascii")).isprintable():
        return text
    return json.dumps(record, separators=(",", ":"))
