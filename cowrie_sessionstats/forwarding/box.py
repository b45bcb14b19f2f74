"""What is in the store, seen and changed from another process than Cowrie's."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen
from attrs.converters import optional

from cowrie_sessionstats import _database
from cowrie_sessionstats.entries import unpack
from cowrie_sessionstats.store import RATE_SECONDS


class BoxError(Exception):
    """The store cannot be used; the text says why and what to do."""


@frozen
class Standing:
    """How a destination is getting on; times are seconds since 1970."""

    name: str = field(converter=str)
    waiting: int = field(converter=int)
    oldest: float | None = field(converter=optional(float))
    """When the oldest record that waits was added."""
    delivered: int = field(converter=int)
    delivered_at: float | None = field(converter=optional(float))
    rate: float = field(converter=float)
    """Records a second of late; 0 if none was delivered within ``store.RATE_SECONDS``."""
    overflowed: int = field(converter=int)
    aside_overflowed: int = field(converter=int)
    error: str | None = field(converter=optional(str))
    error_at: float | None = field(converter=optional(float))


@frozen
class SetAside:
    """A record that a destination refused."""

    number: int
    destination: str
    added: float
    reason: str
    again: bool
    """Whether it is to be tried again."""
    packed: bytes

    def record(self) -> dict[str, Any]:
        """Return the record."""
        return unpack(self.packed)


@frozen
class Box:
    """The store's file, open."""

    file: sqlite3.Connection

    def standings(self, now: float) -> list[Standing]:
        """Return how each destination is getting on, by name."""
        rows = self.file.execute(
            "SELECT name, cursor, delivered, delivered_at, rate, overflowed, aside_overflowed, "
            "error, error_at FROM destination ORDER BY name"
        ).fetchall()
        standings = []
        for name, cursor, delivered, delivered_at, rate, *rest in rows:
            waiting, oldest = _database.waiting(self.file, name, cursor)
            is_late = delivered_at is None or delivered_at < now - RATE_SECONDS
            standings.append(
                Standing(
                    name, waiting, oldest, delivered, delivered_at, 0.0 if is_late else rate, *rest
                )
            )
        return standings

    def reasons(self) -> list[tuple[str, str, int, int]]:
        """Return why records are set aside: destination, reason, how many, and again of those."""
        return self.file.execute(
            "SELECT destination, reason, count(*), sum(again) FROM aside "
            "GROUP BY destination, reason ORDER BY destination, count(*) DESC, reason"
        ).fetchall()

    def set_aside(self, names: Sequence[str]) -> Iterator[SetAside]:
        """Yield the records that these destinations refused, the oldest first."""
        rows = self.file.execute(
            "SELECT number, destination, added, reason, again, packed FROM aside ORDER BY number"
        )
        for number, name, added, reason, again, packed in rows:
            if name in names:
                yield SetAside(number, name, added, reason, bool(again), packed)

    def retry(self, names: Sequence[str]) -> int:
        """Have Cowrie try those again, now or when it runs; return how many."""
        with _database.transaction(self.file):
            return sum(
                self.file.execute(
                    "UPDATE aside SET again = 1 WHERE destination = ?", (name,)
                ).rowcount
                for name in names
            )

    def drop(self, numbers: Sequence[int]) -> int:
        """Delete records that were set aside; return how many there were still."""
        with _database.transaction(self.file):
            return sum(
                self.file.execute("DELETE FROM aside WHERE number = ?", (number,)).rowcount
                for number in numbers
            )


@contextmanager
def opened(path: Path, *, write: bool = False) -> Iterator[Box]:
    """Give what is in the store ``path``; BoxError if that cannot be."""
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        raise BoxError(
            f"there is no store {path} yet: Cowrie makes it when it runs with the plugin"
        ) from None
    except OSError as error:
        raise BoxError(
            f"{path} cannot be used: {error.strerror}. Run this as Cowrie's user"
        ) from None
    if not stat.S_ISREG(kind):  # SQLite would wait for who writes into a pipe
        raise BoxError(f"{path} is no file: see `store` in [output_sessionstats]")
    found = _database.version(path)
    if found > _database.VERSION:
        raise BoxError(f"{path} is of a newer cowrie-sessionstats: use that one")
    try:
        with closing(_writing(path) if write else _database.reading(path)) as file:
            if found < _database.VERSION:
                file.execute("SELECT 1 FROM sqlite_master").fetchone()  # says why, if it can
                raise BoxError(
                    f"{path} is no store, or of an older cowrie-sessionstats. Cowrie brings it up "
                    "to date when it starts"
                )
            yield Box(file)
    except (TypeError, ValueError, OverflowError):
        # Whoever broke into Cowrie's user can write there, too.
        raise BoxError(f"{path} holds what no cowrie-sessionstats wrote: move it away") from None
    except sqlite3.Error as error:
        raise BoxError(
            f"{path} cannot be used: {error}. Run this as Cowrie's user; if Cowrie holds it, again"
        ) from None


def _writing(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        _database.BUSY_SECONDS,
        isolation_level=None,
        uri=True,
    )
