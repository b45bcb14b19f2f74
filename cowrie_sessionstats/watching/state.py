"""What the store says now: sessions that are open, and what waits for the destinations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from cowrie_sessionstats.entries import unpack
from cowrie_sessionstats.forwarding.box import BoxError, Standing, opened
from cowrie_sessionstats.watching.seen import Seen, seen_of

OPEN: Final = 200
"""Open sessions that are read at most, the newest: more than a terminal has rows."""


@frozen
class State:
    """What the store said when it was last written."""

    at: float | None = None
    """When that was, in seconds since 1970."""
    count: int = 0
    """Sessions that are open."""
    sessions: tuple[Seen, ...] = ()
    """The newest of these, those that logged in first. Their ``end`` is their last event."""
    standings: tuple[Standing, ...] = ()
    """How the destinations are getting on."""
    trouble: str | None = None
    """Why nothing is known; None: it is."""


@define(eq=False)
class StoreReader:
    """Reads a store that another process writes, and only when it was written."""

    path: Path | None
    without: str
    """Why nothing is known where there is none."""
    clock: Callable[[], float] = time.time
    _state: State = field(factory=State, init=False)
    _written: list[tuple[int, int, int]] | None = field(default=None, init=False)

    def read(self) -> State:
        """Return what the store says."""
        if self.path is None:
            return State(trouble=self.without)
        written, at = _written(self.path)
        if written != self._written or self._state.trouble is not None:
            self._state = _read(self.path, at, self.clock())
            self._written = written
        return self._state


def _read(path: Path, at: float | None, now: float) -> State:
    try:
        with opened(path) as box:
            (count,) = box.file.execute("SELECT count(*) FROM open_session").fetchone()
            rows = box.file.execute(
                "SELECT sensor, session, packed FROM open_session ORDER BY rowid DESC LIMIT ?",
                (OPEN,),
            ).fetchall()
            sessions = [_seen(*row) for row in rows]
            standings = box.standings(now)
    except BoxError as error:
        return State(trouble=str(error))
    sessions.sort(key=lambda seen: not seen.logged_in)
    return State(at, count, tuple(sessions), tuple(standings))


def _seen(sensor: str, session: str, packed: bytes) -> Seen:
    """Return an open session; of one for which the store had no room, who it is."""
    known: dict[str, Any] = {"sensor": sensor, "session": session}
    try:
        return seen_of({**unpack(packed), **known})
    except Exception:  # noqa: BLE001 - msgpack raises several
        return seen_of(known)


def _written(path: Path) -> tuple[list[tuple[int, int, int]], float | None]:
    """Return what changes with every write to the store, and when the last one was."""
    found = []
    times = []
    for name in (path, path.with_name(f"{path.name}-wal")):
        try:
            status = os.stat(name)  # noqa: PTH116 - both kinds of names
        except OSError:
            continue
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        times.append(status.st_mtime)
    return found, max(times, default=None)
