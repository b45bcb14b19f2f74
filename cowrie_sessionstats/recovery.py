"""What a process that was killed left behind: sessions to records, from Cowrie's log and ours."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
from attrs import define, field, frozen

from cowrie_sessionstats import events, timestamps
from cowrie_sessionstats.commands import Templates
from cowrie_sessionstats.entries import Checkpoint, identity, pack, unpack
from cowrie_sessionstats.findings.judging import Judge, default_judge
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.store import Store
from cowrie_sessionstats.summary import Draft, Summary, draft_of, record, summary_from

READ_MAX: Final = 256 << 20
"""Bytes of a log that are read again at most: days of a usual sensor, some seconds of work."""

LINE_MAX: Final = 4 << 20
"""Bytes of a line; Cowrie's longest, of a command of 1 MB, has less."""

_SESSION: Final = re.compile(rb'"session": ?"([^"\\]{1,64})"')
_CHUNK: Final = 1 << 18


@frozen
class Place:
    """A place in a log that is rotated by renaming it."""

    inode: int = 0
    offset: int = 0
    """Bytes of the file before it."""
    head: str = ""
    """What the file begins with, as a hash: in a container, or after a file was copied, the same
    log has another inode. Empty as long as the file is shorter than that."""

    def to_text(self) -> str:
        """Return it for the store."""
        return json.dumps([self.inode, self.offset, self.head])

    def is_in(self, file: Place) -> bool:
        """Return whether it is in the file of another place."""
        return self.head == file.head if self.head else self.inode == file.inode


def place_from(text: str | None) -> Place:
    """Return the place that ``Place.to_text`` wrote; that of no file for anything else."""
    try:
        inode, offset, head = json.loads(text or "")
    except (ValueError, TypeError, RecursionError):
        return Place()
    if type(inode) is int and type(offset) is int and isinstance(head, str):
        return Place(inode, offset, head)
    return Place()


def end_of(log: Path | None) -> Place:
    """Return the end of a log as it is now; that of no file if there is none."""
    try:
        if log is None or not log.is_file():
            return Place()
        with log.open("rb") as file:
            head = file.read(_HEAD)
            status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return Place()
    known = sha256(head).hexdigest()[:_DIGITS] if len(head) == _HEAD else ""
    return Place(status.st_ino, status.st_size, known)


_HEAD: Final = 256  # bytes: a first event's time and session are among them
_DIGITS: Final = 16


@frozen
class _Piece:
    """A part of a file."""

    path: Path
    begin: int
    end: int


_File: TypeAlias = tuple[Path, Place]
"""A part of a log, and its end."""


def _files(log: Path, until: Place, *since: Place) -> list[_File]:
    """Return a log that ends with ``until``, with what was rotated of it, the oldest first.

    ``since`` are places that are looked for there.
    """
    paths = [*log.parent.glob(f"{_globbed(log.name)}.*")]
    if until.inode:
        paths.append(log)
    found = [(path, end_of(path)) for path in paths]
    inodes = {place.inode for place in (until, *since)}
    files = _uncopied([(path, end) for path, end in found if end.inode], inodes)
    return sorted(files, key=lambda file: (file[0] == log, _written(file[0])))


def _pieces(files: Sequence[_File], since: Place, until: Place) -> list[_Piece]:
    """Return what a log gained between two places, through its rotations, the oldest first.

    If the file of ``since`` is gone, that is all that the one of ``until`` holds.
    """
    ends = [end for _, end in files]
    last = _index(ends, until, len(files) - 1)
    first = _index(ends, since, last)
    pieces = []
    for path, end in files[first : last + 1]:
        begin = since.offset if since.is_in(end) else 0
        stop = until.offset if until.is_in(end) else end.offset
        # A log that was emptied in its place is shorter than it was.
        pieces.append(_Piece(path, begin if begin <= stop else 0, stop))
    return _newest(pieces)


def _uncopied(files: Sequence[_File], inodes: Container[int]) -> list[_File]:
    """Return the files without those that are copies of another, whole or up to a time.

    ``inodes`` tells the original; else it is the longest.
    """
    originals: dict[object, _File] = {}
    for path, end in files:
        known = end.head or end.inode
        _, other = originals.get(known, (None, None))
        if other is None or _rank(end, inodes) >= _rank(other, inodes):
            originals[known] = path, end
    return list(originals.values())


def _rank(end: Place, inodes: Container[int]) -> tuple[bool, int]:
    return end.inode in inodes, end.offset


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _index(ends: Sequence[Place], place: Place, otherwise: int) -> int:
    found = (number for number, end in enumerate(ends) if place.is_in(end))
    return next(found, max(otherwise, 0))


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
    for _, _, line in _lines(_pieces(_files(log, until, since), since, until)):
        found = _decoded(line)
        if found is not None and _is_record(found):
            yield found


def _is_record(found: Mapping[str, Any]) -> bool:
    """Return whether a line can be a record: it is known by texts, and can be packed."""
    texts = ("eventid", "uuid", "sensor", "session", "start")
    revision = found.get("revision", 0)
    if not all(isinstance(found.get(key, ""), str) for key in texts) or type(revision) is not int:
        return False
    if found.get("eventid") != events.SUMMARY_EVENTID or not 0 <= revision < _LARGEST:
        return False
    try:
        pack(found)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


_LARGEST: Final = 1 << 63  # what SQLite takes


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

    def drafts(self) -> Iterator[Draft]:
        """Yield the records, but for the findings, of sessions whose beginning is there.

        They have ended, or were open at the end (``recovered``).
        """
        found: list[tuple[bool, Draft]] = []
        sessions = Sessions(
            found.append,
            make=lambda session: (session.connected, draft_of(session)),
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
        places = {place_from(checkpoint.since) for checkpoint in self.left} | {self.since}
        files = _files(self.log, self.until, *places)  # once: years of logs, hundreds of places
        news = _pieces(files, self.since, self.until)
        begin = (news[0].path, news[0].begin) if news else None
        is_new = False
        for path, at, line in _lines(self._longest(files, places)):
            is_new = is_new or (begin is not None and path == begin[0] and at >= begin[1])
            session = None if is_new else _SESSION.search(line)
            if is_new or (session is not None and session[1] in wanted):
                event = _decoded(line)
                if event is not None:
                    yield event

    def _longest(self, files: Sequence[_File], places: Collection[Place]) -> list[_Piece]:
        """Return what the log gained since the first of the sessions began."""
        gained = [_pieces(files, place, self.until) for place in places]
        return max(gained, key=lambda pieces: sum(piece.end - piece.begin for piece in pieces))


_FORGET_EVENTS: Final = 1_000


def _whole(found: list[tuple[bool, Draft]]) -> Iterator[Draft]:
    """Yield those of which everything was seen, and empty the list."""
    for connected, draft in found:
        if connected and draft.facts.partial in {None, "recovered"}:
            yield draft
    found.clear()


_COMMIT_RECORDS: Final = 1_000  # they wait in memory until then

COWRIE_LOG: Final = "cowrie_log"
OWN_LOG: Final = "own_log"
"""Names of the places in the store; with ``_path`` behind, of the logs that they are in."""


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
    judge: Judge = field(factory=default_judge)
    _left: Sequence[Checkpoint] = field(default=(), init=False)

    def run(self) -> Iterator[Draft | Summary]:
        """Yield the records that are missing; in the thread of the store, which is open.

        Of those that were found in Cowrie's log the findings are still to be made.

        Those that are in our log already are put into the store and not yielded: they are not to
        be written again. First comes what the logs say, which is exact; then, for sessions that
        they do not have, the last checkpoint.
        """
        left = self._left = self.store.left_open()
        kept = {}
        for checkpoint in left:
            summary = _kept(checkpoint)
            if summary is not None:
                kept[identity(record(summary))] = summary
        if self.own_log is not None and (told := self._told(OWN_LOG, self.own_log)) is not None:
            news = filter(self._is_news, logged_since(self.own_log, told, self.own_end))
            for number, logged in enumerate(news, 1):
                self.store.add(logged)
                if number % _COMMIT_RECORDS == 0:
                    self.store.commit()
        yield from self._logged(kept)
        for summary in kept.values():
            if self._is_news(record(summary)):
                yield attrs.evolve(summary, time=_close(summary))

    def _logged(self, kept: dict[bytes, Summary]) -> Iterator[Draft]:
        """Yield what Cowrie's log has; what it has is taken out of ``kept``."""
        told = self._told(COWRIE_LOG, self.cowrie_log)
        if self.cowrie_log is None or told is None:
            return
        left, end = self._left, self.cowrie_end
        replay = Replay(self.cowrie_log, told, end, left, self.templates, self.keep_passwords)
        for draft in replay.drafts():
            summary = draft.summary(self.judge.findings(draft.facts))
            before = kept.get(identity(record(summary)))
            if before is not None and before.command_events > summary.command_events:
                continue  # the disk was too full for Cowrie's log
            kept.pop(identity(record(summary)), None)
            if self._is_news(record(summary)):
                yield attrs.evolve(draft, time=_close(summary))

    def forget(self) -> None:
        """Take note that all that ``run`` yields has its record; in the thread of the store.

        Not before: a process that ends meanwhile leaves it to the next to find them again.
        """
        for checkpoint in self._left:
            self.store.forget(checkpoint.key)

    def _told(self, name: str, log: Path | None) -> Place | None:
        """Return how far a log had been read; None if that was another log, or nobody knows."""
        if self.store.state(f"{name}_path") != str(log):
            return None
        return place_from(self.store.state(name))

    def _is_news(self, made: Mapping[str, Any]) -> bool:
        known = self.store.revision(made)
        revision = made.get("revision", 0)
        return known is None or (isinstance(revision, int) and known < revision)


def _close(summary: Summary) -> float | None:
    return timestamps.parse_timestamp(summary.timestamp)


def _kept(checkpoint: Checkpoint) -> Summary | None:
    """Return the session's summary; None if it is of another version, or damaged."""
    try:
        return summary_from(unpack(checkpoint.packed))
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
