"""How far the work is, for a person at a terminal, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

from cowrie_sessionstats.replay._extra import EXTRA
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.running import Moving, Totals
from cowrie_sessionstats.summary import printable

_NAME: Final = 300  # characters of a file's name, or what is wrong with it, in a line for people


@contextmanager
def progress(stderr: TextIO | None) -> Iterator[Callable[[Moving], None] | None]:
    """Give what shows how far the work is; None where nobody looks."""
    if stderr is None or not stderr.isatty():
        yield None
        return
    try:
        from rich.console import Console  # noqa: PLC0415 - only for people
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        stderr.write(f"No progress is shown: the package rich is missing. {EXTRA}\n")
        yield None
        return
    bar = Progress(
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[events]:,} events"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TextColumn("{task.fields[sessions]:,} sessions"),
        TimeRemainingColumn(),
        console=Console(file=stderr),
        transient=True,
    )
    shown: Any = None

    def show(moving: Moving) -> None:
        nonlocal shown
        if shown is None:  # not before: the processes are forked before a thread is started
            bar.start()
            shown = bar.add_task("", total=moving.total, events=0, rate=0.0, sessions=0)
        elapsed = bar.tasks[0].elapsed or 0.0
        bar.update(
            shown,
            completed=moving.bytes,
            total=max(moving.total, moving.bytes),
            events=moving.events,
            rate=moving.events / elapsed if elapsed else 0.0,
            sessions=moving.sessions,
        )

    try:
        yield show
    finally:
        bar.stop()


def last_line(totals: Totals) -> str:
    """Return what was read, made and skipped, in one line."""
    tally = totals.tally
    parts = [
        ", ".join(
            (
                _counted(totals.files, "file"),
                _counted(tally.lines, "line"),
                _counted(tally.events, "event"),
                _counted(totals.records, "session"),
            )
        )
    ]
    if totals.left_open:
        one = totals.left_open == 1
        parts.append(
            f"{_counted(totals.left_open, 'session')} whose end was not seen "
            f"{'is' if one else 'are'} left out (--open writes {'it' if one else 'them'})"
        )
    if totals.dropped:
        parts.append(f"{_counted(totals.dropped, 'event')} came too late for a session to count it")
    if totals.known:
        one = totals.known == 1
        parts.append(
            f"{_counted(totals.known, 'session')} {'is' if one else 'are'} of a time that the "
            f"history has counted, and {'is' if one else 'are'} not counted again"
        )
    if totals.repeats:
        one = totals.repeats == 1
        parts.append(
            f"{_counted(totals.repeats, 'file')} only {'repeats' if one else 'repeat'} "
            "what others hold"
        )
    skipped = skipped_lines(totals.problems)
    if skipped:
        parts.append(skipped)
    return "; ".join(parts)


def skipped_lines(problems: Problems) -> str:
    """Return how many lines were skipped, why, and where the first of each is; empty: none."""
    skipped = problems.lines
    if not skipped:
        return ""
    reasons = ", ".join(
        f"{each.count:,} {reason} (first: {printable(each.first, _NAME)})"
        for reason, each in sorted(skipped.items(), key=lambda item: -item[1].count)
    )
    return f"{_counted(sum(each.count for each in skipped.values()), 'line')} skipped: {reasons}"


def file_trouble(trouble: str) -> str:
    """Return what is wrong with a file, on one line."""
    return printable(trouble, _NAME)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
