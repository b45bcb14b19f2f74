"""What outlives the process: records until every destination has them, and open sessions.

One SQLite file, used by one thread of one process; the command line looks into it beside that.
It is written when ``commit`` is called, and only then. What cannot be written, because the disk is
full or away, waits in memory up to a bound, and the destinations get it all the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field, frozen

from cowrie_sessionstats import _database
from cowrie_sessionstats.entries import (
    Backlog,
    Checkpoint,
    Entry,
    SessionKey,
    identity,
    known_by,
    pack,
    session_key,
    storable,
)
from cowrie_sessionstats.history import History, Past, Way
from cowrie_sessionstats.outputs.sending import REASON_LIMIT, Limits

OUTBOX_MAX: Final = 256 << 20
"""Bytes in use in the file: some 140,000 records, weeks of a usual sensor with a receiver away."""

PENDING_MAX: Final = 16 << 20
"""Bytes of records in memory while the file cannot be written: some 8,000."""

SHARE: Final = 4
"""Records set aside take at most a fourth of the file, and so do open sessions. Of those beyond it
is kept only that they are open, and since when."""

RATE_SECONDS: Final = 60.0
"""Time over which a destination's rate is taken."""

OLDEST: Final = 256
"""Records that go at once when there is no room; half a megabyte."""


class StoreError(Exception):
    """A store that must not be used; its text says why and what to do."""


@define
class Progress:
    """How a destination is getting on."""

    cursor: int
    """Everything up to this place is delivered, set aside or gone."""
    delivered: int = 0
    overflowed: int = 0
    """Records that had to go before it had them."""
    aside_overflowed: int = 0
    """Records that it refused and that had to go, too."""
    rate: float = 0.0
    """Records a second, over the ``RATE_SECONDS`` before it last took any."""
    delivered_at: float | None = None
    """When that was, in seconds since 1970."""
    error: str | None = None
    """What went wrong since."""
    error_at: float | None = None


_PROGRESS: Final = tuple(asdict(Progress(0)))


@frozen
class _Aside:
    """A record that a destination refused."""

    destination: str
    entry: Entry
    reason: str


@frozen
class _Waiting:
    """A record that is to be written."""

    entry: Entry
    identity: bytes
    revision: int
    only: str | None = None
    """The one destination that it is for; None: all."""


@define
class _Gone:
    """Records that had to go, by destination."""

    overflowed: dict[str, int]
    aside: dict[str, int]


@define(eq=False)
class Store:
    """The outbox and the open sessions, in the file ``path``; for ``destinations``, by name.

    ``clock`` returns seconds since 1970. ``trouble`` is told in a sentence what an operator should
    know, in the thread that uses the store. Nothing is raised because of the disk: what did not
    work is tried again at the next ``commit``.
    """

    path: Path
    destinations: Sequence[str]
    clock: Callable[[], float]
    trouble: Callable[[str], object]
    outbox_max: int = OUTBOX_MAX
    history: History = field(factory=History, init=False)
    """The script tree, in the same file."""
    lost: int = field(default=0, init=False)
    """Records that fitted neither in the file nor in memory."""
    generation: int = field(default=0, init=False)
    """Goes up when a new file takes the place of a damaged one."""
    progress: dict[str, Progress] = field(factory=dict, init=False)
    """By destination; empty before the file was open."""
    _file: sqlite3.Connection | None = field(default=None, init=False)
    _lock: int | None = field(default=None, init=False)
    _inode: tuple[int, int] | None = field(default=None, init=False)
    """Which file is open."""
    _next: int | None = field(default=None, init=False)
    """The place of the next record; None before the file was open."""
    _early: deque[tuple[bytes, Mapping[str, Any]]] = field(factory=deque, init=False)
    """Records that came before that."""
    _waiting: dict[int, _Waiting] = field(factory=dict, init=False)
    """Records that are to be written, by place and in that order."""
    _revisions: dict[bytes, int] = field(factory=dict, init=False)
    """The latest of those, by identity."""
    _size: int = field(default=0, init=False)
    """Bytes of both."""
    _is_writable: bool = field(default=True, init=False)
    """Whether the last ``commit`` succeeded."""
    _aside: deque[_Aside] = field(factory=deque, init=False)
    _aside_size: int = field(default=0, init=False)
    _taken: set[int] = field(factory=set, init=False)
    """Records set aside that are on their way again, and are to be deleted there."""
    _checkpoints: dict[SessionKey, Checkpoint | None] = field(factory=dict, init=False)
    """None: the session is open no more."""
    _open_sizes: dict[SessionKey, int] = field(factory=dict, init=False)
    """Bytes of the open sessions in the file."""
    _open_size: int = field(default=0, init=False)
    _state: dict[str, str] = field(factory=dict, init=False)
    _told: dict[str, str] = field(factory=dict, init=False)
    """What of that the file has."""
    _changed: set[str] = field(factory=set, init=False)
    """Destinations of which something is to be written."""
    _recent: dict[str, deque[tuple[float, int]]] = field(factory=dict, init=False)
    """When each took how many, within ``RATE_SECONDS``."""
    _remembered: int = field(default=0, init=False)
    """What was delivered needs not be known any more up to this place."""
    _seen: int = field(default=-1, init=False)
    """SQLite's ``data_version``: a new one tells that another process changed the file."""

    # ------------------------------------------------------------ opening and closing

    def open(self) -> bool:
        """Open the file, or make it; False if that cannot be done now.

        A file that is damaged or another program's is moved aside. StoreError if it is of a newer
        program. May be called again: nothing that was added meanwhile is forgotten.
        """
        if self._file is not None:
            return True
        try:
            self._take_lock()
            try:
                self._file = _database.connect(self.path)
            except _database.ForeignError as error:
                self._move_aside(str(error))
                self._file = _database.connect(self.path)
            self._load(self._file)
            self._inode = _inode(self.path.stat())
        except BlockingIOError:
            self._release()
            self._complain("is used by another process: stop that, two Cowries cannot share one")
            return False
        except _database.NewerError:
            self._release()
            raise StoreError(f"{self.path} {_NEWER}") from None
        except (OSError, sqlite3.Error) as error:
            self._release()
            self._complain(f"cannot be opened: {error}. Free the disk, make the folder or mend it")
            return False
        while self._early:
            packed, record = self._early.popleft()
            self._size -= len(packed)
            self._place(packed, record)
        return True

    def close(self) -> None:
        """Write what is left and let go of the file."""
        with contextlib.suppress(StoreError):
            self.commit()
        self._release()

    def _take_lock(self) -> None:
        # A file of its own: SQLite's locks come and go, and the file itself can be moved.
        if self._lock is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock = os.open(f"{self.path}.lock", flags, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(sqlite3.Error):
                file.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _load(self, file: sqlite3.Connection) -> None:
        """Read how the destinations are getting on, and where to go on counting."""
        told = dict(file.execute("SELECT name, value FROM state"))
        oldest, newest = file.execute("SELECT min(seq), max(seq) FROM record").fetchone()
        columns = ", ".join(_PROGRESS)
        rows = file.execute(f"SELECT name, {columns} FROM destination")  # noqa: S608 - ours
        known = {name: Progress(*values) for name, *values in rows}
        ends = [progress.cursor + 1 for progress in known.values()]
        self._next = max(self._next or 1, int(told.get("next", 1)), (newest or 0) + 1, *ends)
        for name in self.destinations:
            self._recent.setdefault(name, deque())
            if name not in self.progress and name in known:
                progress = self.progress[name] = known[name]
                # What it did not have when it was last asked for may have gone since.
                progress.cursor = max(progress.cursor, (oldest or self._next) - 1)
            elif name not in self.progress:
                # What is there was for others: a new destination begins with what comes now.
                self.progress[name] = Progress(self._next - 1)
            self._changed.add(name)
        self._say_who_is_gone(file, known)
        self.history.forget()
        self._told = told
        sizes = file.execute("SELECT sensor, session, length(packed) FROM open_session")
        self._open_sizes = {(sensor, session): size for sensor, session, size in sizes}
        self._open_size = sum(self._open_sizes.values())

    def _say_who_is_gone(self, file: sqlite3.Connection, known: Mapping[str, Progress]) -> None:
        for name in known.keys() - set(self.destinations):
            count, _ = _database.waiting(file, name, known[name].cursor)
            if count:
                self.trouble(
                    f"[output_sessionstats] forward names {name} no more, and {count} records that "
                    "waited for it are kept no longer than others need them. They are in the log "
                    "still: see `forward`"
                )

    def _connected(self) -> sqlite3.Connection:
        if self._file is None:
            raise sqlite3.OperationalError("the file is not open")
        return self._file

    def _move_aside(self, why: str) -> None:
        """Give the file another name and say so."""
        stamp = datetime.fromtimestamp(self.clock(), timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        aside, number = self.path.with_name(f"{self.path.name}.damaged-{stamp}"), 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}-{number}")
        self.path.rename(aside)
        for end in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{end}").rename(f"{aside}{end}")
        self.trouble(
            f"[output_sessionstats] store = {self.path} {why}: it was moved to {aside.name}, and a "
            "new one is begun. What was in it and not delivered is in the log still: see `forward`"
        )

    def _look_again(self) -> None:
        """Make the file anew if it is not in its place any more: somebody moved or deleted it.

        All that it holds can still be read, but the next process would not find it.
        """
        try:
            found = _inode(self.path.stat())
        except FileNotFoundError:
            found = None
        except OSError:  # nobody can tell
            return
        if found == self._inode:
            return
        copy = self.path.with_name(f"{self.path.name}.new")
        if found is None:
            try:
                copy.unlink(missing_ok=True)
                self._connected().execute("VACUUM INTO ?", (str(copy),))
            except (OSError, sqlite3.Error) as error:
                self._complain(f"was moved or deleted, and cannot be made anew: {error}")
                return
        self._release()
        self._seen = -1
        if found is None:
            for end in ("-wal", "-shm"):  # of the other file
                Path(f"{self.path}{end}").unlink(missing_ok=True)
            copy.rename(self.path)
            done = "is made anew with what was in it"
        else:
            self.generation += 1
            done = "another is in its place, which is used from now on"
        self.trouble(
            f"[output_sessionstats] store = {self.path} was moved or deleted while Cowrie runs: "
            f"{done}. Stop Cowrie before you touch it"
        )

    def _complain(self, what: str) -> None:
        self.trouble(
            f"[output_sessionstats] store = {self.path} {what}; {self._size >> 10} KiB of records "
            "wait in memory"
        )

    # ------------------------------------------------------------ what comes in

    def add(self, record: Mapping[str, Any]) -> None:
        """Take a record; its session counts as open no more."""
        packed = pack(record)
        if self._next is None:
            self._early.append((packed, record))
            self._size += len(packed)
        else:
            self._place(packed, record)
        if self._size > PENDING_MAX and self._is_writable:
            self.commit()  # many came at once
        while self._size > PENDING_MAX:
            self._drop_oldest()

    def _place(self, packed: bytes, record: Mapping[str, Any]) -> None:
        self.forget((record.get("sensor", ""), record.get("session", "")))
        self._put(packed, identity(record), int(record.get("revision", 0)))

    def _put(self, packed: bytes, known: bytes, revision: int, only: str | None = None) -> None:
        entry = Entry(self.next_place(), self.clock(), packed)
        self._waiting[entry.seq] = _Waiting(entry, known, revision, only)
        self._revisions[known] = revision
        self._size += len(packed)
        self._next = entry.seq + 1

    def _drop_oldest(self) -> None:
        if self._early:
            self._size -= len(self._early.popleft()[0])
        else:
            gone = self._waiting.pop(next(iter(self._waiting)))
            self._revisions.pop(gone.identity, None)
            entry = gone.entry
            self._size -= len(entry.packed)
            if all(progress.cursor >= entry.seq for progress in self.progress.values()):
                return
        self.lost += 1
        self._complain("cannot be written for too long, and the oldest record in memory went")

    def keep_open(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Take open sessions as they are now."""
        for checkpoint in checkpoints:
            self._checkpoints[session_key(*checkpoint.key)] = checkpoint

    def forget(self, key: SessionKey) -> None:
        """Take note that a session is open no more, though it has no record of now."""
        known = session_key(*key)
        if known in self._open_sizes:
            self._checkpoints[known] = None
        else:  # the file has nothing of it: without a disk, these would be ever more
            self._checkpoints.pop(known, None)

    def remember(self, state: Mapping[str, str], since: int) -> None:
        """Keep texts by name; and what was added from the place ``since`` on stays known.

        So whoever begins again where the texts say can ask for those records (``revision``).
        """
        # Nothing is written where nothing happens: an SD card has to live with it.
        known = self._told | self._state
        self._state |= {name: text for name, text in state.items() if known.get(name) != text}
        self._remembered = since - 1

    def next_place(self) -> int:
        """Return the place that the next record gets."""
        return self._next or 1

    # ------------------------------------------------------------ the file

    def commit(self) -> bool:
        """Write what came since the last time; False if that has to wait."""
        self._is_writable = False
        self._is_writable = self._commit()
        return self._is_writable

    def _commit(self) -> bool:
        if not self.open():
            return False
        self._look_again()
        if not self.open():
            return False
        try:
            self._take_back()
            if any(map(len, self._unwritten())):
                self._write(self._connected())
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return False
        return True

    def _unwritten(self) -> tuple[Collection[Any], ...]:
        news = (self.history,) if self.history.has_news() else ()
        return self._waiting, self._aside, self._checkpoints, self._state, self._changed, news

    def _failed(self, error: sqlite3.Error) -> None:
        """Say what is wrong with the file; one that is damaged makes room for another."""
        if _database.is_busy(error):
            return  # the command line is at it
        if not _database.is_damage(error):
            self._complain(f"cannot be written or read: {error}. Free the disk, or mend its rights")
            return
        with contextlib.suppress(sqlite3.Error):
            self._connected().close()
        self._file = None
        self.generation += 1
        try:
            self._move_aside(f"is damaged ({error})")
        except OSError as trouble:
            self._complain(f"is damaged and cannot be moved: {trouble}. Move it")

    def _write(self, file: sqlite3.Connection) -> None:
        sizes, size = dict(self._open_sizes), self._open_size
        try:
            with _database.transaction(file):
                file.executemany(
                    "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        (w.entry.seq, w.identity, w.revision, w.only, w.entry.added, w.entry.packed)
                        for w in self._waiting.values()
                    ),
                )
                file.executemany(
                    "INSERT INTO aside (destination, added, reason, packed) VALUES (?, ?, ?, ?)",
                    ((a.destination, a.entry.added, a.reason, a.entry.packed) for a in self._aside),
                )
                file.executemany(
                    "DELETE FROM aside WHERE number = ?", ((number,) for number in self._taken)
                )
                self._write_open(file)
                self.history.write(file)
                gone = self._make_room(file)
                self._write_progress(file, gone)
        except BaseException:
            self._open_sizes, self._open_size = sizes, size
            raise
        self.history.written()
        self._waiting.clear()
        self._revisions.clear()
        self._size = 0
        self._aside.clear()
        self._aside_size = 0
        self._taken.clear()
        self._checkpoints.clear()
        self._told |= self._state
        self._state.clear()
        self._changed.clear()
        self._count(gone)

    def _write_open(self, file: sqlite3.Connection) -> None:
        sizes, most = self._open_sizes, self.outbox_max // SHARE
        for key, checkpoint in self._checkpoints.items():
            before = sizes.pop(key, None)
            self._open_size -= before or 0
            if checkpoint is not None:
                packed = checkpoint.packed
                if self._open_size + len(packed) > most:
                    packed = b""  # what can be found in Cowrie's log is there still
                sizes[key] = len(packed)
                self._open_size += len(packed)
                # Where its events begin stays what it was when the session was first kept.
                file.execute(
                    "INSERT INTO open_session VALUES (?, ?, ?, ?) ON CONFLICT (sensor, session) "
                    "DO UPDATE SET packed = excluded.packed",
                    (*key, checkpoint.since, packed),
                )
            elif before is not None:
                file.execute("DELETE FROM open_session WHERE (sensor, session) = (?, ?)", key)

    def _make_room(self, file: sqlite3.Connection) -> _Gone:
        """Delete what nobody needs, then the oldest until the rest has room."""
        gone = _Gone(dict.fromkeys(self.progress, 0), dict.fromkeys(self.progress, 0))
        done = min((p.cursor for p in self.progress.values()), default=self.next_place() - 1)
        file.execute("DELETE FROM record WHERE seq <= ?", (min(done, self._remembered),))
        if self._aside:
            self._trim_aside(file, gone.aside)
        most = self.outbox_max + self.history.size(file)
        while _database.used(file) > most:
            rows = file.execute(
                "SELECT seq, only FROM record ORDER BY seq LIMIT ?", (OLDEST,)
            ).fetchall()
            if not rows:
                break
            file.execute("DELETE FROM record WHERE seq <= ?", (rows[-1][0],))
            for name, progress in self.progress.items():
                gone.overflowed[name] += sum(
                    seq > progress.cursor and only in (None, name) for seq, only in rows
                )
        return gone

    def _trim_aside(self, file: sqlite3.Connection, gone: dict[str, int]) -> None:
        """Delete the oldest of the records set aside until the others keep to their share."""
        rows = file.execute(
            "SELECT number, destination, length(packed) FROM aside ORDER BY number"
        ).fetchall()
        excess = sum(size for _, _, size in rows) - self.outbox_max // SHARE
        for number, name, size in rows:
            if excess <= 0:
                break
            file.execute("DELETE FROM aside WHERE number = ?", (number,))
            excess -= size
            gone[name] = gone.get(name, 0) + 1

    def _write_progress(self, file: sqlite3.Connection, gone: _Gone) -> None:
        file.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?)",
            [*self._state.items(), ("next", str(self.next_place()))],
        )
        marks = ", ".join("?" * (len(_PROGRESS) + 1))
        for name, progress in self.progress.items():
            overflowed, aside = gone.overflowed[name], gone.aside[name]
            if name in self._changed or overflowed or aside:
                values = asdict(progress)
                values["overflowed"] += overflowed
                values["aside_overflowed"] += aside
                file.execute(
                    f"INSERT OR REPLACE INTO destination VALUES ({marks})",  # noqa: S608 - ours
                    (name, *values.values()),
                )

    def _count(self, gone: _Gone) -> None:
        """Take note of what went, and say so."""
        for name, progress in self.progress.items():
            progress.overflowed += gone.overflowed[name]
            progress.aside_overflowed += gone.aside[name]
        lost = {name: count for name, count in gone.overflowed.items() if count}
        if lost:
            told = ", ".join(f"{name} {self.progress[name].overflowed}" for name in lost)
            self.trouble(
                f"[output_sessionstats] outbox_max = {self.outbox_max} is reached, and the oldest "
                f"records go before they are delivered (so far: {told}). See what holds up the "
                "receiver, or make it larger; the records are in the log still"
            )

    # ------------------------------------------------------------ what goes out

    def batch(self, destination: str, limits: Limits) -> tuple[list[Entry], bool]:
        """Return the next records for a destination, and whether they fill a batch."""
        progress = self.progress.get(destination)
        if progress is None:
            return [], False
        entries: list[Entry] = []
        size, after = 0, progress.cursor
        try:
            rows = (
                ()
                if self._file is None
                else self._file.execute(
                    "SELECT seq, added, packed FROM record "
                    "WHERE seq > ? AND (only IS NULL OR only = ?) ORDER BY seq LIMIT ?",
                    (after, destination, limits.records),
                )
            )
            for row in rows:
                size += len(row[2])
                if entries and size > limits.size:
                    return entries, True
                entries.append(Entry(*row))
        except sqlite3.Error as error:
            self._failed(error)
            return [], False
        for waiting in self._waiting.values():
            entry = waiting.entry
            if entry.seq <= after or waiting.only not in (None, destination):
                continue
            size += len(entry.packed)
            if len(entries) >= limits.records or (entries and size > limits.size):
                return entries, True
            entries.append(entry)
        return entries, len(entries) >= limits.records

    def newest(self, destination: str) -> Entry | None:
        """Return the record that came last, delivered or not; None if there is none."""
        for waiting in reversed(self._waiting.values()):
            if waiting.only in (None, destination):
                return waiting.entry
        row = None
        if self._file is not None:
            row = self._file.execute(
                "SELECT seq, added, packed FROM record WHERE only IS NULL OR only = ? "
                "ORDER BY seq DESC LIMIT 1",
                (destination,),
            ).fetchone()
        return None if row is None else Entry(*row)

    def delivered(self, destination: str, count: int, cursor: int) -> None:
        """Take note that a destination has ``count`` more records and is done up to ``cursor``."""
        progress = self.progress[destination]
        progress.cursor = max(progress.cursor, cursor)
        self._changed.add(destination)
        if not count:
            return
        now = self.clock()
        recent = self._recent[destination]
        recent.append((now, count))
        while recent[0][0] < now - RATE_SECONDS or len(recent) > _RECENT:
            recent.popleft()
        first, before = recent[0][0], sum(count for _, count in recent)
        progress.rate = round(before / max(now - first, 1.0), 2)
        progress.delivered += count
        progress.delivered_at = now
        progress.error = progress.error_at = None

    def set_aside(self, destination: str, entry: Entry, reason: str) -> None:
        """Take a record out of a destination's way, and keep it with the reason."""
        self._aside.append(_Aside(destination, entry, storable(reason[:REASON_LIMIT])))
        self._aside_size += len(entry.packed)
        while self._aside_size > PENDING_MAX:  # they cannot be written for too long
            gone = self._aside.popleft()
            self._aside_size -= len(gone.entry.packed)
            self.progress[gone.destination].aside_overflowed += 1

    def went_wrong(self, destination: str, reason: str) -> None:
        """Take note of what a destination's last trouble was."""
        progress = self.progress.get(destination)
        if progress is not None:
            progress.error, progress.error_at = storable(reason[:REASON_LIMIT]), self.clock()
            self._changed.add(destination)

    def backlogs(self) -> dict[str, Backlog]:
        """Return how far each destination is behind, those records included that are in memory."""
        found = {}
        for name, progress in self.progress.items():
            count, oldest, aside = 0, None, 0
            try:
                if self._file is not None:
                    count, oldest = _database.waiting(self._file, name, progress.cursor)
                    (aside,) = self._file.execute(
                        "SELECT count(*) FROM aside WHERE destination = ?", (name,)
                    ).fetchone()
            except sqlite3.Error as error:
                self._failed(error)
            for waiting in self._waiting.values():
                if waiting.entry.seq > progress.cursor and waiting.only in (None, name):
                    count += 1
                    oldest = waiting.entry.added if oldest is None else oldest
            found[name] = Backlog(
                count,
                oldest,
                progress.delivered,
                aside + sum(each.destination == name for each in self._aside),
                progress.overflowed + progress.aside_overflowed,
            )
        return found

    def _take_back(self) -> None:
        """Give records set aside another chance that the command line asked for."""
        file = self._connected()
        (version,) = file.execute("PRAGMA data_version").fetchone()
        if version == self._seen:
            return
        # Those of a destination that is no more wait for its return.
        names = ", ".join("?" * len(self.progress))
        rows = file.execute(
            "SELECT number, destination, packed FROM aside "  # noqa: S608 - question marks
            f"WHERE again AND destination IN ({names}) ORDER BY number LIMIT ?",
            (*self.progress, OLDEST),
        ).fetchall()
        for number, name, packed in rows:
            if number not in self._taken:
                self._taken.add(number)
                self._put(packed, *known_by(packed), name)
        if len(rows) < OLDEST:
            self._seen = version

    def past(self, way: Way) -> Past | None:
        """Return what was before a session, and count it; None if the file is no use now."""
        if self._file is None:
            return None
        try:
            return self.history.take(self._file, way)
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return None

    # ------------------------------------------------------------ what was left behind

    def state(self, name: str) -> str | None:
        """Return a text that was kept by ``remember``."""
        row = self._ask("SELECT value FROM state WHERE name = ?", name)
        return None if row is None else str(row[0])

    def revision(self, record: Mapping[str, Any]) -> int | None:
        """Return the latest revision of a session's record that is known; None if none is."""
        known = identity(record)
        row = self._ask("SELECT max(revision) FROM record WHERE identity = ?", known)
        found = [self._revisions[known]] if known in self._revisions else []
        if row is not None and row[0] is not None:
            found.append(row[0])
        return max(found, default=None)

    def left_open(self) -> list[Checkpoint]:
        """Return the sessions that were open when the file was last used."""
        if self._file is None:
            return []
        rows = self._file.execute("SELECT sensor, session, since, packed FROM open_session")
        return [Checkpoint((row[0], row[1]), row[2], row[3]) for row in rows]

    def _ask(self, question: str, value: Any) -> Any:
        return None if self._file is None else self._file.execute(question, (value,)).fetchone()


def check_usable(path: Path) -> None:
    """Raise OSError or StoreError unless a store can be made at ``path``, or is there.

    A file that is damaged or another program's is no hindrance: ``open`` sees to it.
    """
    if not path.exists():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StoreError(
                "cannot be made: it has to be a file in a folder that exists and that Cowrie's "
                "user may write to"
            )
        return
    if not path.is_file():
        raise StoreError("is no file. Name another")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError("cannot be written: Cowrie's user may not. Mend its rights")
    if _database.version(path) > _database.VERSION:
        raise StoreError(_NEWER)


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


_NEWER: Final = "is of a newer cowrie-sessionstats: use that one, or name another file"
_RECENT: Final = 4096  # batches in a minute
