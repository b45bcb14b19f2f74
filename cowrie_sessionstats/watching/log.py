"""The log of summaries as lines: the last ones first, and each that is added, through rotations."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import define, field

from cowrie_sessionstats import regular
from cowrie_sessionstats.recovery import LINE_MAX

TOO_LONG: Final = b"\0"
"""Stands for a line of more than ``LINE_MAX`` bytes: no JSON."""

_BLOCK: Final = 1 << 16
"""Bytes that are read at once backwards: some 35 records."""
_CHUNK: Final = 1 << 20
"""Bytes that are read at once forwards."""
_HEAD: Final = 256
"""Bytes by which a log is known that another was written over: a record's session is in them."""
_ROTATED: Final = re.compile(r"[.-][0-9][0-9.-]*")
"""What stands behind a log's name when it was rotated, by Cowrie (``.2026-11-25``) or logrotate
(``.1``, ``-20261125``), and not packed."""


class LogError(Exception):
    """A log that cannot be read; its text says why and what to do."""


@define(eq=False)
class Follower:
    """Reads the lines of ``path``, whatever it is rotated to: renamed, copied and cut, replaced.

    It begins with the first line, or where ``skip`` leads.
    """

    path: Path
    _file: io.FileIO | None = field(default=None, init=False)
    _head: bytes = field(default=b"", init=False)
    """What the file began with, as far as it was read."""
    _at: int = field(default=0, init=False)
    """Bytes of the file that were read."""
    _rest: bytes = field(default=b"", init=False)
    """Those of them that are of a line whose end is not written yet."""
    _skipping: bool = field(default=False, init=False)
    """Whether that line is too long, and thrown away until its end."""
    _ahead: list[Path] = field(factory=list, init=False)
    """Rotated files that come before the log, the next one last."""

    def read(self) -> list[bytes]:
        """Return some of the lines that were added; none if there is nothing more for now.

        LogError if the log is there and cannot be read.
        """
        while True:
            if self._file is None and not self._begin():
                return []
            lines = self._read_on()
            if lines:
                return lines
            if not self._is_moved():
                return []
            last = self._read_on()  # what was written before the other one began
            if self._rest or self._skipping:
                last.append(TOO_LONG if self._skipping else self._rest)
            self._leave()
            if last:
                return last

    def is_there(self) -> bool:
        """Return whether there is a log, or one that is read to its end; LogError as ``read``."""
        return self._file is not None or self._begin()

    def skip(self) -> None:
        """Go to the end of the log: behind its last whole line."""
        if not self.is_there() or self._file is None:
            return
        handle = self._file.fileno()
        size = at = os.fstat(handle).st_size
        while at > max(0, size - LINE_MAX):
            begin = max(0, at - _BLOCK)
            newline = os.pread(handle, at - begin, begin).rfind(b"\n")
            if newline >= 0:
                self._at = begin + newline + 1
                break
            at = begin
        else:
            self._at, self._skipping = (0, False) if at == 0 else (size, True)
        self._head = os.pread(handle, min(_HEAD, self._at), 0)

    def past(self, most: int) -> Past:
        """Return what is before, at most so many bytes of it."""
        return Past(self.path, self._file, self._at, most)

    def close(self) -> None:
        """Let go of the log."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> bool:
        path = self._ahead.pop() if self._ahead else self.path
        opened = _opened(path)
        if opened is None:
            return False
        self._file, self._at, self._rest, self._skipping = opened, 0, b"", False
        self._head = b""
        return True

    def _read_on(self) -> list[bytes]:
        file = self._file
        if file is None:
            return []
        self._see_whether_cut(file)
        while piece := os.pread(file.fileno(), _CHUNK, self._at):
            if self._at < _HEAD:
                self._head = (self._head + piece)[:_HEAD]
            self._at += len(piece)
            lines = (self._rest + piece).split(b"\n")
            self._rest = lines.pop()
            if lines and self._skipping:
                lines[0], self._skipping = TOO_LONG, False
            if len(self._rest) > LINE_MAX:
                self._rest, self._skipping = b"", True
            if self._skipping:
                self._rest = b""
            if lines:
                return [line if len(line) <= LINE_MAX else TOO_LONG for line in lines]
        return []

    def _see_whether_cut(self, file: io.FileIO) -> None:
        """Go back where the file is shorter than what was read, or another is written over it."""
        begun = self._at - len(self._rest)  # half a line that the disk had no room for goes again
        now = os.pread(file.fileno(), _HEAD, 0)
        size = os.fstat(file.fileno()).st_size
        if not now.startswith(self._head[:begun]):
            self._at, self._rest, self._skipping = 0, b"", False
        elif size < self._at:  # what comes behind the cut is new
            self._at, self._rest = size, self._rest[: max(0, size - begun)]
        self._head = self._head[: self._at]

    def _is_moved(self) -> bool:
        """Return whether Cowrie writes to another file by now, and has written something."""
        if self._file is None:
            return False
        if self._ahead:
            return True
        try:
            found = self.path.stat()
        except OSError:
            return False
        status = os.fstat(self._file.fileno())
        return not os.path.samestat(found, status) and found.st_size > 0

    def _leave(self) -> None:
        """Let go of a file that was read to its end, for those that came after it."""
        if self._file is None:
            return
        if not self._ahead:
            # While this process was stopped, for days perhaps, others may have come and gone.
            left = os.fstat(self._file.fileno())
            self._ahead = [
                path
                for path, status in rotated(self.path)
                if status.st_mtime_ns > left.st_mtime_ns and not os.path.samestat(status, left)
            ]
        self.close()


@define(eq=False)
class Past:
    """The lines of a log that are there already, the last one first, also of what was rotated."""

    path: Path
    _file: io.FileIO | None
    _end: int
    """Where to begin, going back."""
    most: int
    """Bytes that are read at most."""
    is_whole: bool = field(default=False, init=False)
    """Whether all there was has been read."""
    _read: int = field(default=0, init=False)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines."""
        begun = None
        if self._file is not None:
            begun = os.fstat(self._file.fileno())
            yield from self._backwards(self._file.fileno(), self._end)
        for path, status in rotated(self.path):
            if self._read >= self.most:
                return
            if begun is not None and os.path.samestat(status, begun):
                continue  # it was renamed a moment ago
            try:
                opened = _opened(path)
            except LogError:
                continue
            if opened is not None:
                with opened:
                    yield from self._backwards(opened.fileno(), status.st_size)
        self.is_whole = self._read < self.most

    def _backwards(self, handle: int, end: int) -> Iterator[bytes]:
        pieces: list[bytes] = []  # of one line, the last one first
        length = 0
        while end > 0 and self._read < self.most:
            begin = max(0, end - _BLOCK)
            block = os.pread(handle, end - begin, begin)
            self._read += end - begin
            end = begin
            first, *others = block.split(b"\n")
            if others:
                whole = b"".join((others.pop(), *reversed(pieces)))
                yield TOO_LONG if length > LINE_MAX else whole
                yield from reversed(others)
                pieces, length = [], 0
            length += len(first)
            if length <= LINE_MAX:
                pieces.append(first)
        if end == 0 and length:
            yield TOO_LONG if length > LINE_MAX else b"".join(reversed(pieces))


def rotated(path: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the files that a log was rotated to and that are not packed, the newest first."""
    found = []
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names are all that is needed
    except OSError:
        return []
    for name in names:
        if name.startswith(path.name) and _ROTATED.fullmatch(name, len(path.name)):
            try:
                status = (path.parent / name).stat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((path.parent / name, status))
    return sorted(found, key=lambda each: each[1].st_mtime_ns, reverse=True)


def _opened(path: Path) -> io.FileIO | None:
    """Return an open file; None if it is not there, LogError if it cannot be read."""
    try:
        return regular.opened(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise LogError(
                f"{path} is no regular file. Name the log that the plugin writes"
            ) from None
        raise LogError(
            f"{path} cannot be read: {error.strerror}. Run this as a user who may read it"
        ) from None
