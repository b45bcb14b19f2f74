"""What the history says, added to records that come in the order of their close."""

from __future__ import annotations

import base64
import fcntl
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from cowrie_sessionstats import _database
from cowrie_sessionstats.commands.fingerprints import PLACE
from cowrie_sessionstats.findings.automation import Reason, is_seen_often, judged
from cowrie_sessionstats.history import History, Past
from cowrie_sessionstats.replay.encoding import encode, read_record
from cowrie_sessionstats.summary import KEYS, Trail, past_values, way_of

COMMIT: Final = 5_000
"""Sessions between two writes to the file."""

_FIXED: Final = struct.Struct("<8sIdd")
_PAST: Final = ("seen_before", "first_seen", "stopped_early", "usual_next")


class HistoryError(Exception):
    """The history cannot be used; its text says why and what to do."""


def pack(trail: Trail | None) -> bytes:
    """Return what the history needs of a session, as text without white space, and a space."""
    if trail is None:
        return b" "
    fixed = _FIXED.pack(trail.link, trail.length, trail.start, trail.end)
    return base64.b64encode(fixed + trail.path) + b" "


def unpack(line: bytes) -> tuple[Trail | None, bytes]:
    """Return what ``pack`` packed, and what is behind it."""
    packed, _, rest = line.partition(b" ")
    if not packed:
        return None, rest
    content = base64.b64decode(packed)
    link, length, start, end = _FIXED.unpack_from(content)
    path = content[_FIXED.size :]
    if len(path) % PLACE:
        raise ValueError(path)
    return Trail(path, link, length, start, end), rest


@define(eq=False)
class Historian:
    """A history in a file of its own, or in a store that no Cowrie uses now."""

    path: Path
    history: History = field(factory=History, init=False)
    sessions: int = field(default=0, init=False)
    """Sessions that were asked about."""
    _file: sqlite3.Connection = field(init=False)
    _lock: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Open the file or make it; HistoryError if that cannot be done."""
        try:
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as error:
            raise HistoryError(f"{self.path} cannot be made: {_reason(error)}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file = _database.connect(self.path)
        except BlockingIOError:
            os.close(self._lock)
            raise HistoryError(
                f"{self.path} is in use: stop the Cowrie that runs with it, or name another file"
            ) from None
        except _database.NewerError:
            os.close(self._lock)
            raise HistoryError(f"{self.path} is of a newer cowrie-sessionstats: use that") from None
        except (OSError, sqlite3.Error, _database.ForeignError) as error:
            os.close(self._lock)
            raise HistoryError(f"{self.path}: {_reason(error)}. Name another file") from None

    def completed(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield records with what the history says; each line has ``pack`` before it.

        Each session has one record, which may be its last revision.
        """
        for line in lines:
            trail, rest = unpack(line)
            yield rest if trail is None else self.complete(rest, trail, counts=True) + b"\n"

    def complete(self, line: bytes, trail: Trail, *, counts: bool | None = None) -> bytes:
        """Return a record with what the history says of it.

        ``counts``: whether its session is to be counted; None: if it is no revision.
        """
        record = read_record(line)
        past = self.ask(record, trail, record["revision"] == 0 if counts is None else counts)
        add_past(record, past)
        return encode(tuple(map(record.get, KEYS)))

    def ask(self, record: dict[str, Any], trail: Trail, counts: bool) -> Past:  # noqa: FBT001
        """Return what was before a session, and count it."""
        self.sessions += 1
        try:
            past = self.history.take(self._file, way_of(record, trail, counts=counts))
            if self.sessions % COMMIT == 0:
                self.commit()
        except sqlite3.Error as error:
            raise HistoryError(f"{self.path} cannot be used: {error}. Free the disk") from None
        return past

    def commit(self) -> None:
        """Write what is new."""
        if self.history.has_news():
            with _database.transaction(self._file):
                self.history.write(self._file)
            self.history.written()

    def totals(self) -> tuple[int, int]:
        """Return how many sessions and how many scripts it knows."""
        self.commit()
        return self.history.totals(self._file)

    def close(self) -> None:
        """Write what is new and let go of the file."""
        try:
            self.commit()
        except sqlite3.Error as error:
            raise HistoryError(f"{self.path} cannot be written: {error}. Free the disk") from None
        finally:
            self._file.close()
            os.close(self._lock)


def add_past(record: dict[str, Any], past: Past) -> None:
    """Add what the history says to a record; whether a script is well known is a reason, too."""
    record |= dict(zip(_PAST, past_values(past), strict=True))
    length = int(record["fingerprint"].split("_")[1])
    if is_seen_often(past.seen_before, length):
        reasons: list[Reason] = [*record["automation_reasons"], "seen_often"]
        verdict, score, found = judged(reasons)
        record |= {"automation": verdict, "automation_score": score, "automation_reasons": found}


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
