"""Summaries for Python programs."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from cowrie_sessionstats.replay.counting import Counting, Settings
from cowrie_sessionstats.replay.encoding import read_record
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.running import Running
from cowrie_sessionstats.replay.spool import Spool, merged, spool_folder
from cowrie_sessionstats.replay.tasks import Keeper
from cowrie_sessionstats.summary import Summary, summary_from

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]

_log = logging.getLogger("cowrie_sessionstats")


def summarize(
    *sources: Source | Iterable[Source],
    open_sessions: bool = False,
    keep_passwords: bool = True,
    vocabulary: str | os.PathLike[str] | None = None,
    strict: bool = False,
) -> Iterator[Summary]:
    """Yield the summary of every session in logs or events, in the order of their close.

    ``sources`` are either paths (files, folders, globs; plain or compressed, of several sensors,
    rotated and copied as they may be) or events (dictionaries as Cowrie logs them, in the order
    in which they came), each by itself or in an iterable:

        for summary in summarize("/srv/cowrie/var/log/cowrie"):
            print(summary.start, summary.src_ip, summary.fingerprint)

    One summary a session, with what came late counted in. Sessions whose end was not seen have
    none but with ``open_sessions``; then their ``partial`` is ``open``. Without
    ``keep_passwords`` the password of the login is left out. ``vocabulary`` names a file that adds
    to what is known of command lines.

    A line or a file that cannot be read is skipped, and what was skipped is logged as a warning
    at the end (logger ``cowrie_sessionstats``); with ``strict`` the first raises StrictError.
    A temporary file holds the records until their order is known: the memory does not grow with
    the logs. Raises TypeError for a source of another type, VocabularyError for a vocabulary.
    """
    paths, events = _sorted_out(sources)
    settings = Settings.of(None if vocabulary is None else Path(vocabulary), keep_passwords)
    if events is None:
        lines = _of_paths(paths, settings, open_sessions=open_sessions, strict=strict)
    else:
        lines = _of_events(events, settings, open_sessions=open_sessions)
    return (summary_from(read_record(line)) for line in lines)


def _sorted_out(
    sources: Sequence[Any],
) -> tuple[list[str], Iterable[Mapping[str, Any]] | None]:
    """Return the paths, or else the events."""
    if len(sources) == 1 and not isinstance(sources[0], str | os.PathLike | Mapping):
        if not isinstance(sources[0], Iterable):
            raise TypeError(f"{type(sources[0]).__name__} is neither a path nor an event")
        inside = iter(sources[0])
        first = next(inside, None)
        if isinstance(first, str | os.PathLike):
            return [os.fspath(path) for path in (first, *inside)], None
        return [], () if first is None else chain((first,), inside)
    each: list[Any] = []
    for source in sources:
        if isinstance(source, str | os.PathLike | Mapping) or not isinstance(source, Iterable):
            each.append(source)
        else:
            each += source
    if any(isinstance(source, Mapping) for source in each):
        return [], each
    return [os.fspath(source) for source in each], None


def _of_paths(
    paths: list[str], settings: Settings, *, open_sessions: bool, strict: bool
) -> Iterator[bytes]:
    folder = spool_folder()
    running = Running(settings, 1, folder, open_sessions=open_sessions, strict=strict)
    problems = running.totals.problems
    problems.strict = strict
    yield from running.records(find(paths, folder, problems.file))
    for trouble in problems.files:
        _log.warning("%s", trouble)
    for reason, skipped in problems.lines.items():
        _log.warning("%d lines skipped: %s (first: %s)", skipped.count, reason, skipped.first)


def _of_events(
    events: Iterable[Mapping[str, Any]], settings: Settings, *, open_sessions: bool
) -> Iterator[bytes]:
    with tempfile.TemporaryFile(dir=spool_folder()) as out:
        spool = Spool(out)
        keeper = Keeper(spool, open_sessions=open_sessions)
        counting = Counting(keeper, settings)
        for event in events:
            if not isinstance(event, Mapping):
                raise TypeError(f"{type(event).__name__} is no event")
            counting.feed_one(event)
        counting.finish()
        spool.flush()
        yield from merged([out], spool.runs)
