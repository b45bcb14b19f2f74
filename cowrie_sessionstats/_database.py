"""The store's file as SQLite sees it: opened, made, brought to the newest version."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BUSY_SECONDS: Final = 1.0
"""How long to wait for another process to let go of the file."""

APPLICATION: Final = 0x43535331
"""SQLite's ``application_id``, by which the file is known ("CSS1")."""

MIGRATIONS: Final = (
    """
    CREATE TABLE record (
        seq INTEGER PRIMARY KEY,
        identity BLOB NOT NULL,
        revision INTEGER NOT NULL,
        only TEXT,
        added REAL NOT NULL,
        packed BLOB NOT NULL
    );
    CREATE INDEX record_identity ON record (identity);
    CREATE TABLE destination (
        name TEXT PRIMARY KEY,
        cursor INTEGER NOT NULL,
        delivered INTEGER NOT NULL,
        overflowed INTEGER NOT NULL,
        aside_overflowed INTEGER NOT NULL,
        rate REAL NOT NULL,
        delivered_at REAL,
        error TEXT,
        error_at REAL
    );
    CREATE TABLE aside (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        destination TEXT NOT NULL,
        added REAL NOT NULL,
        reason TEXT NOT NULL,
        again INTEGER NOT NULL DEFAULT 0,
        packed BLOB NOT NULL
    );
    CREATE TABLE open_session (
        sensor TEXT NOT NULL,
        session TEXT NOT NULL,
        since TEXT NOT NULL,
        packed BLOB NOT NULL,
        PRIMARY KEY (sensor, session)
    );
    CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
    """
    CREATE TABLE node (
        key INTEGER PRIMARY KEY,
        depth INTEGER NOT NULL,
        through INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        first REAL NOT NULL,
        last REAL NOT NULL,
        first_end REAL,
        text TEXT NOT NULL,
        next INTEGER,
        next_through INTEGER NOT NULL
    );
    CREATE TABLE learned (sensor TEXT PRIMARY KEY, until REAL NOT NULL);
    """,
    """
    CREATE TABLE counted (
        sensor TEXT NOT NULL,
        since REAL NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (sensor, since)
    ) WITHOUT ROWID;
    INSERT INTO counted SELECT sensor, 0.0, until FROM learned;
    DROP TABLE learned;
    """,
    "CREATE INDEX record_only ON record (only) WHERE only IS NOT NULL",
)
"""What takes a file from each version to the next; the first makes it."""

VERSION: Final = len(MIGRATIONS)
"""SQLite's ``user_version`` of a file that this program writes."""

_DAMAGED: Final = frozenset({11, 26})
"""SQLITE_CORRUPT and SQLITE_NOTADB (https://www.sqlite.org/rescode.html)."""
_BUSY: Final = frozenset({5, 6})
"""SQLITE_BUSY and SQLITE_LOCKED."""
_WORDS: Final = ("malformed", "not a database", "corrupt")
"""What SQLite says of those; Python 3.10 does not pass the code on."""


class ForeignError(Exception):
    """A file that is damaged or another program's; its text goes on with "it"."""


class NewerError(Exception):
    """A file of a newer version of this program."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, make it, or bring it to this program's version.

    ForeignError, NewerError, or sqlite3.Error if that cannot be done now.
    """
    file = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _check(file)
        file.execute("PRAGMA journal_mode = WAL")
        # Each commit reaches the disk: there is one a second at most.
        file.execute("PRAGMA synchronous = FULL")
        file.execute("PRAGMA journal_size_limit = 8388608")
        _migrate(file)
    except sqlite3.DatabaseError as error:
        file.close()
        if is_damage(error):
            raise ForeignError(f"is no database or damaged ({error})") from None
        raise
    except BaseException:
        file.close()
        raise
    return file


READING_SECONDS: Final = 120.0
"""Longest look into a store: an old SD card needs a minute for all of a large one. A file that
somebody crafted could keep SQLite for ever."""
_STEPS: Final = 100_000  # of SQLite's machine, some milliseconds


def reading(path: Path) -> sqlite3.Connection:
    """Open a file that is there to look into it: nothing is written, not even beside it.

    SQLite would make the files of the write-ahead log anew where they are not, as whoever this is,
    and keep its place in them for other readers. Without anything in that log no other process has
    to be minded: whoever writes there meanwhile makes this one fail, and it looks again. (Only for
    a copy that has the log without its index, SQLite makes one.)
    """
    log, index = (path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))
    how = "&immutable=1" if not _size(log) else "&readonly_shm=1" if _size(index) else ""
    uri = f"{path.absolute().as_uri()}?mode=ro{how}"
    file = sqlite3.connect(uri, BUSY_SECONDS, isolation_level=None, uri=True)
    deadline = time.monotonic() + READING_SECONDS
    file.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    return file


def _size(path: Path) -> int:
    """Return the size of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def version(path: Path) -> int:
    """Return the version of a file that is there; 0 if it is not one of this program's."""
    with contextlib.suppress(sqlite3.Error):
        file = reading(path)
        try:
            (application,) = file.execute("PRAGMA application_id").fetchone()
            (found,) = file.execute("PRAGMA user_version").fetchone()
        finally:
            file.close()
        if application == APPLICATION:
            return int(found)
    return 0


def _check(file: sqlite3.Connection) -> None:
    (application,) = file.execute("PRAGMA application_id").fetchone()
    (version,) = file.execute("PRAGMA user_version").fetchone()
    (tables,) = file.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION:
        if tables or application:
            raise ForeignError("is another program's database")
        return
    if version > VERSION:
        raise NewerError
    (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise ForeignError(f"is damaged ({found})")


def _migrate(file: sqlite3.Connection) -> None:
    (version,) = file.execute("PRAGMA user_version").fetchone()
    for number in range(version, VERSION):
        with transaction(file):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                file.execute(statement)
            file.execute(f"PRAGMA application_id = {APPLICATION}")
            file.execute(f"PRAGMA user_version = {number + 1}")


@contextlib.contextmanager
def transaction(file: sqlite3.Connection) -> Iterator[None]:
    """Do something whole or not at all."""
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
        file.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            file.execute("ROLLBACK")
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged, not merely that it cannot be used."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _DAMAGED
    return any(word in str(error) for word in _WORDS)


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another process holds the file."""
    code = getattr(error, "sqlite_errorcode", None)
    return "locked" in str(error) if code is None else code & 0xFF in _BUSY


def waiting(file: sqlite3.Connection, name: str, cursor: int) -> tuple[int, float | None]:
    """Return how many records behind ``cursor`` a destination has to get, and when the oldest came.

    Without a look at the records themselves, of which there can be gigabytes.
    """
    ((count,),) = file.execute(
        "SELECT count(*) FROM record INDEXED BY record_identity WHERE seq > ?", (cursor,)
    )
    ((others,),) = file.execute(
        "SELECT count(*) FROM record INDEXED BY record_only "
        "WHERE only IS NOT NULL AND only != ? AND seq > ?",
        (name, cursor),
    )
    oldest = file.execute(
        "SELECT added FROM record WHERE seq > ? AND (only IS NULL OR only = ?) "
        "ORDER BY seq LIMIT 1",
        (cursor, name),
    ).fetchone()
    return count - others, None if oldest is None else oldest[0]


def used(file: sqlite3.Connection) -> int:
    """Return how many bytes of the file are in use."""
    numbers = [
        file.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    ]
    return int((numbers[0] - numbers[1]) * numbers[2])
