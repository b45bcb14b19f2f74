"""The log: one line of JSON a record, in a file that is rotated as Cowrie's own are."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import define, field

from cowrie_sessionstats.complaints import Complaints
from cowrie_sessionstats.outputs import STOP_SECONDS
from cowrie_sessionstats.summary import Summary, to_json
from cowrie_sessionstats.worker import Worker

MODE: Final = 0o664
"""As Cowrie creates its JSON log: forwarders read it as members of its group."""


def check_writable(path: Path) -> None:
    """Raise OSError unless lines can be appended to ``path``; makes the file if there is none."""
    # Without waiting: opening a pipe that nobody reads would hold Cowrie's start for ever.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, MODE)
    os.close(handle)


@define(eq=False)
class LineFile:
    """Appends lines to a file, each whole or not at all, and opens it anew after any trouble.

    With ``daily``, the first line of a new day moves the file to its name with the date of its
    last line behind, as Cowrie's ``CowrieDailyLogFile`` does; a file of that name is not replaced.
    ``localtime`` tells the date of a time in seconds, or of now.
    """

    path: Path
    daily: bool
    localtime: Callable[[float | None], time.struct_time] = time.localtime
    _handle: int | None = field(default=None, init=False)
    _date: tuple[int, int, int] | None = field(default=None, init=False)
    _torn: bool = field(default=False, init=False)

    def append(self, line: bytes) -> None:
        """Append ``line``, which ends in a newline; OSError if that failed and nothing is left."""
        self._look_again()
        handle = self._open() if self._handle is None else self._handle
        if self.daily and self._date is not None and self._today() != self._date:
            handle = self._rotate(self._date)
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(handle, line)
        except OSError:
            self.close()
            raise
        if written == len(line):
            self._torn = False
            return
        self._take_back(handle, written)
        self.close()
        msg = f"only {written} of {len(line)} bytes fitted on the disk"
        raise OSError(msg)

    def close(self) -> None:
        """Let go of the file; the next line opens it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _look_again(self) -> None:
        """Close the file if its path names another by now.

        Then logrotate moved it, or somebody deleted it to make room.
        """
        if self._handle is None:
            return
        opened = os.fstat(self._handle)
        try:
            found = self.path.stat()
        except OSError:
            self.close()
        else:
            if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
                self.close()

    def _take_back(self, handle: int, written: int) -> None:
        """Remove the part of a line that fitted; where that fails, the next opening ends it."""
        with contextlib.suppress(OSError):
            os.ftruncate(handle, os.fstat(handle).st_size - written)

    def _open(self) -> int:
        """Open the file; one of another day is rotated first."""
        handle, found = self._take()
        if self.daily and self._date is not None and found.st_size:
            date = self._day(found.st_mtime)
            if date != self._date:
                return self._rotate(date)
        return handle

    def _take(self) -> tuple[int, os.stat_result]:
        """Open the file as it is; a new one gets Cowrie's mode, whatever the umask."""
        # A pipe that nobody reads is an error, not a reason to wait: the store needs the thread.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        self._handle = handle = os.open(self.path, flags, MODE)
        os.set_blocking(handle, True)
        found = os.fstat(handle)
        regular = stat.S_ISREG(found.st_mode)
        if regular and not found.st_size:
            with contextlib.suppress(OSError):  # it may be another user's
                os.fchmod(handle, MODE)
        self._torn = regular and found.st_size > 0 and not self._ends_whole()
        self._date = self._today() if regular else None
        return handle, found

    def _ends_whole(self) -> bool:
        """Return whether the file ends with a line; so far as we may read it."""
        try:
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) == b"\n"
        except OSError:
            return True

    def _rotate(self, date: tuple[int, int, int]) -> int:
        """Move the file to its name with ``date`` and open a new one.

        Where it cannot be moved (the name is taken, the folder is not ours) lines go on in it.
        """
        self.close()
        year, month, day = date
        old = self.path.with_name(f"{self.path.name}.{year:02d}-{month:02d}-{day:02d}")
        if not old.exists():
            with contextlib.suppress(OSError):
                self.path.rename(old)
        return self._take()[0]

    def _today(self) -> tuple[int, int, int]:
        return self._day(None)

    def _day(self, seconds: float | None) -> tuple[int, int, int]:
        return self.localtime(seconds)[:3]


@define(eq=False)
class LogDestination:
    """Writes records to the log in the worker thread.

    A disk that is full or failing costs the records of that time, which are counted; the reactor
    notices nothing, and the next record is tried again.
    """

    file: LineFile
    worker: Worker
    complaints: Complaints
    in_reactor: Callable[[Callable[[], None]], object]
    """Runs a function in the reactor thread, soon."""
    _refused: int = field(default=0, init=False)  # counted in the reactor thread
    _failed: int = field(default=0, init=False)  # counted in the worker thread
    _failing: bool = field(default=False, init=False)

    @property
    def lost(self) -> int:
        """Records that are missing in the log."""
        return self._refused + self._failed

    def write(self, summary: Summary) -> None:
        """Take one record."""
        if not self.worker.submit(lambda: self._append(summary)):
            self._refused += 1
            self.complaints.complain(
                f"the disk of [output_sessionstats] logfile = {self.file.path} does not keep up, "
                "a record is not in the log: see whether it hangs"
            )

    def flush(self) -> None:
        """Do nothing: the worker is at it already."""

    def stop(self) -> None:
        """Write what is left."""
        if not self.worker.drain(STOP_SECONDS):
            self.complaints.complain(
                f"the disk of [output_sessionstats] logfile = {self.file.path} does not answer, "
                "the last records are not in the log: see whether it hangs"
            )

    def _append(self, summary: Summary) -> None:
        """Write one record; in the worker thread."""
        try:
            self.file.append(to_json(summary).encode("ascii") + b"\n")
        except Exception as error:  # noqa: BLE001 - whatever it is, the next record is tried again
            self._failed += 1
            self._failing = True
            trouble = (
                f"[output_sessionstats] logfile = {self.file.path} cannot be written: {error}; "
                "records go on to the other outputs. Free the disk, make the folder or mend its "
                "rights; writing then goes on by itself"
            )
            self.in_reactor(lambda: self.complaints.complain(trouble))
        else:
            if self._failing:
                self._failing = False
                self.in_reactor(self._say_recovered)

    def _say_recovered(self) -> None:
        self.complaints.log.info(
            "sessionstats: {path} can be written again; records missing in it: {lost}",
            path=str(self.file.path),
            lost=self.lost,
        )
