"""Cowrie's recordings of terminals, found and read; in threads that may wait for a disk.

Cowrie names a finished recording by the SHA-256 of what the client sent, and deletes it if there is
one of that name already: then the file is another session's, who sent the same at another pace. So
a live session's own recording is opened while it is running, and read when it is closed, whether or
not it has a name by then.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Final

from attrs import define, field

from cowrie_sessionstats.findings.facts import Facts
from cowrie_sessionstats.findings.keys import (
    HEADER_SIZE,
    RECORDING_LIMIT,
    Keys,
    Recording,
    Rhythm,
    keys_of,
    read_recording,
)

OPEN_MAX: Final = 128
"""Recordings that are open at once; and never more than a quarter of the files that the process
may have open. A sensor has some dozens of shells; of those beyond it the named file is read."""

CHANNELS: Final = 8
"""Shells of one SSH connection that are looked for, and recordings of a session that are read."""

FOLDER_MAX: Final = 20_000
"""Files of a folder that are looked through for a Telnet session's recording, of which the name
cannot be guessed: 10 ms of the worker thread."""

SCAN_SHARE: Final = 0.05
"""Of its time, the thread spends at most so much with looking through the folder: in a flood of
Telnet sessions, some go without their recording."""

_BEGINS_WITHIN: Final = 0.25
"""Seconds from the beginning of a Telnet session's recording to the event that tells of its shell;
of those that begin so near to one another, the nearest is taken. It is a millisecond, as a rule."""

_SLACK: Final = 1.0
"""Seconds that a recording may seem to begin before its session or after it, by rounding."""

_QUARTER_HOUR: Final = 900
_FARTHEST: Final = 14 * 3600
"""A Cowrie outside UTC can write local time into its log (``events.tick``): whole quarters of an
hour, 14 hours at most."""


@define(eq=False)
class Running:
    """Recordings of sessions that are open, in ``folder``.

    They are opened in one thread and read in another: a store that is being written must not hold
    up what Cowrie deletes a second later.
    """

    folder: Path
    limit: int = field(factory=lambda: min(OPEN_MAX, _files_allowed() // 4))
    steady: Callable[[], float] = time.monotonic
    _open: OrderedDict[str, list[int]] = field(factory=OrderedDict, init=False)
    """File descriptors by session, in the order of their beginning."""
    _lock: Lock = field(factory=Lock, init=False)
    _scan_after: float = field(default=0.0, init=False)
    """When the folder may be looked through again, by ``steady``."""

    def begin(self, session: str, when: float, *, is_telnet: bool) -> None:
        """Open the recording of a shell that began at ``when`` (seconds since 1970)."""
        with self._lock:
            known = self._open.get(session, [])
            if len(known) >= CHANNELS or not _is_name(session):
                return
            opened = self._of_telnet(when) if is_telnet else self._of_ssh(session, when, known)
            if opened is None:
                return
            self._open.setdefault(session, known).append(opened)
            while sum(map(len, self._open.values())) > self.limit:
                _, oldest = self._open.popitem(last=False)
                _close(oldest)

    def take(self, session: str) -> list[bytes]:
        """Return what the session's recordings hold, and let go of them."""
        with self._lock:
            opened = self._open.pop(session, [])
        try:
            return [_read(each) for each in opened]
        except OSError:
            return []
        finally:
            _close(opened)

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            for opened in self._open.values():
                _close(opened)
            self._open.clear()

    def _of_ssh(self, session: str, when: float, known: list[int]) -> int | None:
        """Open the newest recording of a session, whose name is in the file's.

        As ``insults/insults.py`` of 3.1.4 makes it: the second, the session, the channel.
        """
        inodes = {os.fstat(each).st_ino for each in known}
        for channel in range(CHANNELS):
            for second in (when, when - 1):
                opened = _opened(self.folder / f"{_stamp(second)}-{session}-{channel}i.log")
                if opened is None:
                    continue
                if os.fstat(opened).st_ino not in inodes:
                    return opened
                os.close(opened)
        return None

    def _of_telnet(self, when: float) -> int | None:
        """Open the recording that began just before ``when``: no session is in the file's name."""
        begun = self.steady()
        if begun < self._scan_after:
            return None
        opened = self._nearest(when)
        ended = self.steady()
        self._scan_after = ended + (ended - begun) / SCAN_SHARE
        return opened

    def _nearest(self, when: float) -> int | None:
        inodes = {os.fstat(each).st_ino for opened in self._open.values() for each in opened}
        found: list[tuple[float, int]] = []
        for path in self._listed((_stamp(when), _stamp(when - 1))):
            opened = _opened(path)
            if opened is None:
                continue
            begin = read_recording(os.pread(opened, HEADER_SIZE, 0)).begin
            is_it = begin is not None and -_SLACK / 10 <= when - begin <= _BEGINS_WITHIN
            if begin is None or not is_it or os.fstat(opened).st_ino in inodes:
                os.close(opened)
            else:
                found.append((abs(when - begin), opened))
        found.sort()
        _close(opened for _, opened in found[1:])
        return found[0][1] if found else None

    def _listed(self, beginnings: tuple[str, ...]) -> Iterator[Path]:
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for _, entry in zip(range(FOLDER_MAX), entries, strict=False):
                if entry.name.startswith(beginnings) and entry.name.endswith("i.log"):
                    yield Path(entry.path)


def _stamp(when: float) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(when))


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None


def _files_allowed() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _is_name(session: str) -> bool:
    """Return whether a session's name can be a part of a file's: Cowrie's are hexadecimal."""
    return session.isascii() and session.isalnum()


def _close(opened: Iterable[int]) -> None:
    for each in opened:
        with contextlib.suppress(OSError):
            os.close(each)


def _read(opened: int) -> bytes:
    parts = []
    at = 0
    while at < RECORDING_LIMIT:
        part = os.pread(opened, RECORDING_LIMIT - at, at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def keys_live(
    session: str, facts: Facts, ttylogs: Iterable[str], running: Running, rhythm: Rhythm
) -> Keys | None:
    """Return how a session's keys came: of its own recordings, else of those that Cowrie named."""
    contents = running.take(session)
    if contents:
        return keys_of([read_recording(content) for content in contents], rhythm)
    return keys_named(facts, [Path(path) for path in ttylogs], rhythm)


def keys_named(facts: Facts, paths: Iterable[Path], rhythm: Rhythm) -> Keys | None:
    """Return how a session's keys came, of finished recordings; None without any.

    Recordings that are absent, no files, or broken say nothing, and are no error.
    """
    found: list[Recording] = []
    for _, path in zip(range(CHANNELS), paths, strict=False):
        with contextlib.suppress(OSError, ValueError):
            # A named pipe would wait for somebody to write.
            opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                recording = read_recording(_read(opened))
            finally:
                os.close(opened)
            if recording.begin is not None:
                found.append(recording)
    if not found:
        return None
    own = [recording for recording in found if _is_own(recording, facts)]
    return keys_of(own, rhythm) if own else keys_of(found, rhythm, timed=False)


def _is_own(recording: Recording, facts: Facts) -> bool:
    """Return whether a recording began within the session, and so is no other's."""
    if recording.begin is None or facts.close is None or facts.duration is None:
        return False
    after = recording.begin - (facts.close - facts.duration)
    ahead = round((after - facts.duration / 2) / _QUARTER_HOUR) * _QUARTER_HOUR
    shifts = {0, ahead} if abs(ahead) <= _FARTHEST else {0}
    return any(-_SLACK <= after - shift <= facts.duration + _SLACK for shift in shifts)
