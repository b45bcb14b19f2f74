"""What a process that was killed left behind: sessions to records, from Cowrie's log and ours."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import define, frozen

from cowrie_sessionstats import events, timestamps
from cowrie_sessionstats.commands import Templates
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.store import Checkpoint, Store, identity, unpack
from cowrie_sessionstats.summary import Summary, record, summary_from, summary_of

READ_MAX: Final = 256 << 20
"""Bytes of a log that are read again at most: days of a usual sensor, some seconds of work."""

LINE_MAX: Final = 4 << 20
"""Bytes of a line; Cowrie's longest, of a command of 1 MB, has less."""

_SESSION: Final = re.compile(rb'"session": ?"([^"\\]{1,64})"')
_CHUNK: Final = 1 << 18


@frozen
class Place:
    """A place in a log that is rotated by renaming it."""

    device: int = 0
    inode: int = 0
    offset: int = 0
    """Bytes of the file before it."""

    def to_text(self) -> str:
        """Return it for the store."""
        return json.dumps([self.device, self.inode, self.offset])


def place_from(text: str | None) -> Place:
    """Return the place that ``Place.to_text`` wrote; that of no file for anything else."""
    try:
        numbers = json.loads(text or "")
        if isinstance(numbers, list) and all(type(number) is int for number in numbers):
            return Place(*numbers)
    except (ValueError, TypeError, RecursionError):
        pass
    return Place()


def end_of(log: Path | None) -> Place:
    """Return the end of a log as it is now; that of no file if there is none."""
    try:
        status = os.stat(log or "")  # noqa: PTH116 - None has no Path
    except (OSError, ValueError):
        return Place()
    return Place(status.st_dev, status.st_ino, status.st_size)


@frozen
class _Piece:
    """A part of a file."""

    path: Path
    begin: int
    end: int


def _pieces(log: Path, since: Place, until: Place) -> list[_Piece]:
    """Return what a log gained between two places, through its rotations, the oldest first.

    If the file of ``since`` is gone, that is all that the one of ``until`` holds.
    """
    files = []
    paths = [*log.parent.glob(f"{_globbed(log.name)}.*")]
    if until.inode:
        paths.append(log)
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        files.append((path == log, status.st_mtime_ns, path, status))
    files.sort(key=lambda file: file[:2])
    known = [(status.st_dev, status.st_ino) for _, _, _, status in files]
    last = _index(known, until, len(files) - 1)
    first = _index(known, since, last)
    pieces = []
    for number, (_, _, path, status) in enumerate(files[first : last + 1], first):
        begin = since.offset if known[number] == (since.device, since.inode) else 0
        end = until.offset if known[number] == (until.device, until.inode) else status.st_size
        # A log that was emptied in its place is shorter than it was.
        pieces.append(_Piece(path, begin if begin <= end else 0, end))
    return _newest(pieces)


def _index(known: Sequence[tuple[int, int]], place: Place, otherwise: int) -> int:
    wanted = (place.device, place.inode)
    return known.index(wanted) if wanted in known else max(otherwise, 0)


def _newest(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Return the last ``READ_MAX`` bytes."""
    kept: list[_Piece] = []
    room = READ_MAX
    for piece in reversed(pieces):
        size = min(piece.end - piece.begin, room)
        room -= size
        if size:
            kept.append(attrs.evolve(piece, begin=piece.end - size))
    return kept[::-1]


def _globbed(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _lines(pieces: Sequence[_Piece]) -> Iterator[tuple[Path, int, bytes]]:
    """Yield whole lines, each with its file and where it begins there."""
    for piece in pieces:
        try:
            with piece.path.open("rb") as file:
                file.seek(piece.begin)
                at = piece.begin
                while at < piece.end:
                    line = file.readline(min(LINE_MAX, piece.end - at))
                    if not line:
                        break
                    if line.endswith(b"\n"):
                        yield piece.path, at, line
                    at += len(line)
        except OSError:
            continue


def logged_since(log: Path, since: Place, until: Place) -> Iterator[dict[str, Any]]:
    """Yield the records that our own log gained between two places."""
    for _, _, line in _lines(_pieces(log, since, until)):
        found = _decoded(line)
        if found is not None and found.get("eventid") == events.SUMMARY_EVENTID:
            yield found


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@define(eq=False)
class Replay:
    """Cowrie's log read again, by the code that counts live.

    ``since`` is how far the log was at the last checkpoint, ``until`` how far it was when this
    process began. Of what is before, only the events of sessions in ``left`` are read, which were
    open then.
    """

    log: Path
    since: Place
    until: Place
    left: Sequence[Checkpoint]
    templates: Templates
    keep_passwords: bool = True

    def summaries(self) -> Iterator[Summary]:
        """Yield a summary for each session that ended, or was open at the end (``recovered``).

        Only of those whose beginning is there.
        """
        found: list[tuple[bool, Summary]] = []
        sessions = Sessions(
            found.append,
            make=lambda session: (session.connected, summary_of(session)),
            keep_passwords=self.keep_passwords,
            templates=self.templates,
            final_only=True,
            unfinished="recovered",
        )
        for number, event in enumerate(self._events()):
            sessions.feed(event)
            if number % _FORGET_EVENTS == 0:
                sessions.forget(timestamps.parse_timestamp(event.get("timestamp")))
            yield from _whole(found)
        sessions.finish()
        yield from _whole(found)

    def _events(self) -> Iterator[dict[str, Any]]:
        wanted = {checkpoint.key[1].encode() for checkpoint in self.left}
        news = _pieces(self.log, self.since, self.until)
        begin = (news[0].path, news[0].begin) if news else None
        is_new = False
        for path, at, line in _lines(self._longest()):
            is_new = is_new or (begin is not None and path == begin[0] and at >= begin[1])
            session = None if is_new else _SESSION.search(line)
            if is_new or (session is not None and session[1] in wanted):
                event = _decoded(line)
                if event is not None:
                    yield event

    def _longest(self) -> list[_Piece]:
        """Return what the log gained since the first of the sessions began."""
        places = {place_from(checkpoint.since) for checkpoint in self.left} | {self.since}
        gained = [_pieces(self.log, place, self.until) for place in places]
        return max(gained, key=lambda pieces: sum(piece.end - piece.begin for piece in pieces))


_FORGET_EVENTS: Final = 1_000


def _whole(found: list[tuple[bool, Summary]]) -> Iterator[Summary]:
    """Yield those of which everything was seen, and empty the list."""
    for connected, summary in found:
        if connected and summary.partial in {None, "recovered"}:
            yield summary
    found.clear()


COWRIE_LOG: Final = "cowrie_log"
OWN_LOG: Final = "own_log"
"""Names of the places in the store."""


@define(eq=False)
class Recovery:
    """Finds the sessions that have no record because the process was killed.

    ``cowrie_log`` is Cowrie's JSON log and ``own_log`` ours, None where there is none; the two
    ``ends`` are how far they were when this process began.
    """

    store: Store
    cowrie_log: Path | None
    own_log: Path | None
    cowrie_end: Place
    own_end: Place
    templates: Templates
    keep_passwords: bool = True

    def run(self) -> Iterator[Summary]:
        """Yield the records that are missing; in the thread of the store, which is open.

        Those that are in our log already are put into the store and not yielded: they are not to
        be written again. First comes what the logs say, which is exact; then, for sessions that
        they do not have, the last checkpoint.
        """
        left = self.store.left_open()
        kept = {}
        for checkpoint in left:
            summary = _kept(checkpoint)
            if summary is None:
                self.store.forget(checkpoint.key)
            else:
                kept[identity(record(summary))] = (checkpoint, summary)
        if self.own_log is not None and (told := self.store.state(OWN_LOG)) is not None:
            for logged in logged_since(self.own_log, place_from(told), self.own_end):
                if self._is_news(logged):
                    self.store.add(logged)
        if self.cowrie_log is not None and (told := self.store.state(COWRIE_LOG)) is not None:
            replay = Replay(
                self.cowrie_log,
                place_from(told),
                self.cowrie_end,
                left,
                self.templates,
                self.keep_passwords,
            )
            for summary in replay.summaries():
                _, before = kept.get(identity(record(summary)), (None, None))
                if before is not None and before.command_events > summary.command_events:
                    continue  # the disk was too full for Cowrie's log
                kept.pop(identity(record(summary)), None)
                yield from self._missing(summary)
        for checkpoint, summary in kept.values():
            self.store.forget(checkpoint.key)
            yield from self._missing(summary)

    def _missing(self, summary: Summary) -> Iterator[Summary]:
        """Yield a summary if there is no record of it."""
        if self._is_news(record(summary)):
            yield attrs.evolve(summary, time=timestamps.parse_timestamp(summary.timestamp))

    def _is_news(self, made: Mapping[str, Any]) -> bool:
        known = self.store.revision(made)
        revision = made.get("revision", 0)
        return known is None or (isinstance(revision, int) and known < revision)


def _kept(checkpoint: Checkpoint) -> Summary | None:
    """Return the session's summary; None if it is of another version, or damaged."""
    try:
        return summary_from(unpack(checkpoint.packed))
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
