"""``cowrie-sessionstats forward``: old records to one destination, for as long as it takes."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from attrs import define, field, frozen
from twisted.internet import task, threads
from twisted.logger import Logger, formatEvent

from cowrie_sessionstats.complaints import Complaints
from cowrie_sessionstats.forwarding.configuration import ConfigurationError, cowrie_in
from cowrie_sessionstats.forwarding.old_records import OldRecords
from cowrie_sessionstats.outputs.delivery import Delivery
from cowrie_sessionstats.outputs.destinations import read_destinations
from cowrie_sessionstats.outputs.sending import REASON_LIMIT, Sender
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.summary import printable

DONE: Final = 0
NOT_ALL: Final = 1
"""There was no record, or one that was not delivered, or something could not be read."""
INTERRUPTED: Final = 130

SHOW_SECONDS: Final = 0.25
"""Seconds between two looks at how far it is."""


@frozen
class Request:
    """What the user asked for."""

    paths: Sequence[str]
    to: str
    cowrie: Path


def run(request: Request) -> int:
    """Send the records in the files to the destination; return the exit status."""
    from twisted.internet import reactor  # noqa: PLC0415 - importing it chooses one

    try:
        with cowrie_in(request.cowrie, os.environ) as config:
            sender = read_destinations(config, [request.to], os.environ)[request.to]
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    forwarding = _Forwarding(request, sender, reactor)
    return forwarding.run()


@define(eq=False)
class _Forwarding:
    """The work, in a reactor of its own."""

    request: Request
    sender: Sender
    reactor: Any
    records: OldRecords = field(init=False)
    _done: bool = field(default=False, init=False)
    _shows: bool = field(default=False, init=False)
    """Whether there is a bar."""

    def __attrs_post_init__(self) -> None:
        problems = Problems()
        files = find(self.request.paths, Path.cwd(), problems.file)
        self.records = OldRecords(files, problems, lambda: self.reactor.callFromThread(self._end))

    def run(self) -> int:
        """Deliver until all is done or a signal ends it."""
        observer: Any = lambda event: self._trouble(formatEvent(event))  # noqa: E731
        delivery = Delivery(
            self.request.to,
            self.sender,
            self.records,
            threads.deferToThread,
            self.reactor,
            random.random,
            Complaints(Logger(observer=observer), time.monotonic),
        )
        self.reactor.callWhenRunning(delivery.start)
        self.reactor.addSystemEventTrigger("before", "shutdown", delivery.stop)
        with _bar(sum(file.size for file in self.records.files)) as bar:
            if bar is not None:
                self._shows = True
                task.LoopingCall(self._show, bar).start(SHOW_SECONDS)
            self.reactor.run()
        return self._tell()

    def _end(self) -> None:
        self._done = True
        self.reactor.stop()

    def _show(self, bar: Any) -> None:
        bar.label = f"{self.records.count:,} delivered"
        bar.update(self.records.done - bar.pos)

    def _trouble(self, text: str) -> None:
        if self._shows:
            click.echo(err=True)
        _say(text)

    def _tell(self) -> int:
        """Say what came of it; return the exit status."""
        records = self.records
        for trouble in records.problems.files:
            _say(f"error: {trouble}")
        where = f"{self.request.to} ({self.sender.target})"
        parts = [f"{records.count:,} {_noun(records.count)} delivered to {where}"]
        if records.repeats:
            parts.append(f"{records.repeats:,} left out that were there twice")
        parts += _reasons("refused", records.refused) + _reasons("skipped", records.problems)
        if not self._done:
            reached = f"; all up to {records.reached} are done" if records.reached else ""
            error = f"; last error: {records.error}" if records.error else ""
            _say(f"interrupted: {'; '.join(parts)}{reached}{error}")
            return INTERRUPTED
        if records.broken is not None:
            parts.append(f"stopped by {type(records.broken).__name__}: please report it")
        _say("; ".join(parts))
        whole = not (records.refused.lines or records.problems.files or records.broken)
        return DONE if whole and records.count else NOT_ALL


def _bar(length: int) -> Any:
    """Return a bar for a person at a terminal, as a context; None where nobody looks."""
    if not sys.stderr.isatty() or not length:
        return _Nothing()
    return click.progressbar(length=length, file=sys.stderr)


@frozen
class _Nothing:
    """In the place of a bar."""

    def __enter__(self) -> None:
        """Show nothing."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def _reasons(what: str, problems: Problems) -> list[str]:
    """Return why how many records or lines were not sent, and where the first of each is."""
    return [
        f"{each.count:,} {what}: {reason} (first: {each.first})"
        for reason, each in sorted(problems.lines.items(), key=lambda item: -item[1].count)
    ]


def _noun(count: int) -> str:
    return "record" if count == 1 else "records"


def _say(text: str) -> None:
    click.echo(printable(text, _LINE), err=True)


_LINE: Final = 10 * REASON_LIMIT  # characters: several reasons, and names of files
