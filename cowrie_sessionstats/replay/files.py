"""Which files are meant: paths, folders, globs and the standard input."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from attrs import define, field, frozen

STDIN: Final = "-"
_COPIED: Final = 1 << 20  # bytes at once
_LOG_NAME: Final = re.compile(r"\.jsonl?(?:[._-]|\Z)")


@frozen
class LogFile:
    """A file of events."""

    path: Path
    name: str
    """What to call it: as it was given, or found."""
    size: int
    """Bytes on the disk."""


Trouble = Callable[[str, str], None]
"""Told a path, and what is wrong with it."""


def find(
    given: Iterable[str | os.PathLike[str]],
    folder: Path,
    trouble: Trouble,
    also: Sequence[str] = (),
) -> list[LogFile]:
    """Return the files that ``given`` names, each once: files, folders, globs, ``-``.

    ``trouble`` is told of what is not there or cannot be looked into. Of a folder every file below
    it is taken whose name has ``.json`` (or ``.jsonl``) in it: so Cowrie names its logs, rotated
    and compressed ones too; and whose name ends as one of ``also`` says. What comes through a pipe
    is copied into a file in ``folder``.
    """
    search = _Search(folder, trouble, tuple(also))
    for each in given:
        search.look(os.fspath(each))
    return list(search.found.values())


@define(eq=False)
class _Search:
    folder: Path
    trouble: Trouble
    also: tuple[str, ...]
    found: dict[tuple[int, int], LogFile] = field(factory=dict, init=False)

    def look(self, name: str) -> None:
        """Take what one argument names."""
        if name == STDIN:
            if sys.stdin is None:
                self.trouble("<stdin>", "is closed")
            else:
                self._copy(sys.stdin.buffer, "<stdin>")
        elif not name or "\0" in name:
            self.trouble(repr(name), "names no file")
        elif glob.has_magic(name) and not os.path.lexists(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - of any root
            if not matches:
                self.trouble(name, "matches no file")
            for match in matches:
                self._take(Path(match), match)
        else:
            self._take(Path(name), name)

    def _take(self, path: Path, name: str, *, pipes: bool = True) -> None:
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                for below in self._below(path):
                    self._take(below, str(below), pipes=False)
            elif stat.S_ISREG(status.st_mode):
                place = (status.st_dev, status.st_ino)
                self.found.setdefault(place, LogFile(path, name, status.st_size))
            elif stat.S_ISFIFO(status.st_mode) and pipes:
                with path.open("rb") as pipe:
                    self._copy(pipe, name)
            elif not stat.S_ISFIFO(status.st_mode):
                self.trouble(name, "is no file. Name files or folders, or - for the standard input")
        except OSError as error:
            self.trouble(name, said(error))

    def _below(self, folder: Path) -> Iterator[Path]:
        def unreadable(error: OSError) -> None:
            self.trouble(str(error.filename), said(error))

        for root, folders, names in os.walk(folder, onerror=unreadable):
            folders.sort()
            for name in sorted(names):
                if is_log_name(name) or name.endswith(self.also):
                    yield Path(root, name)

    def _copy(self, source: IO[bytes], name: str) -> None:
        """Take what comes through a pipe, as a file without a name.

        A file, because the events can come in another order than that of their time.
        """
        with tempfile.TemporaryFile(dir=self.folder) as copy:
            shutil.copyfileobj(source, copy, _COPIED)
            copy.flush()
            handle = os.dup(copy.fileno())  # open to the end: the work's processes inherit it
        status = os.fstat(handle)
        place = (status.st_dev, status.st_ino)
        self.found[place] = LogFile(Path(f"/dev/fd/{handle}"), name, status.st_size)


def is_log_name(name: str) -> bool:
    """Return whether a file of that name in a folder is taken for a log."""
    return _LOG_NAME.search(name) is not None


def said(error: OSError) -> str:
    """Return what went wrong with a file, for people."""
    return error.strerror or str(error)
