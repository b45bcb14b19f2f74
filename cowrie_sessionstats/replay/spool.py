"""Records in order of close, more than fit into the memory: sorted runs in a file, then merged."""

from __future__ import annotations

import json
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from attrs import define, field, frozen

RUN: Final = 8 << 20
"""Bytes of records that are sorted in the memory: some 6,000 records."""
_BUFFER: Final = 1 << 16  # bytes that are read ahead of each run
_TOGETHER: Final = 1_000  # records that are written by one call of the system, for that is dear
_LARGE: Final = Path("/var/tmp")  # noqa: S108 - the files made there have no name
_quoted: Final = json.encoder.encode_basestring_ascii


def sort_key(end: str | None, sensor: str | None, session: str, start: str | None) -> bytes:
    """Return what records are sorted by: the close, then what tells records of one time apart."""
    names = f"{_quoted(sensor or '')}{_quoted(session)}"
    return f"{end or ''}{names}{start or ''}\t".encode("ascii")


def spool_folder() -> Path:
    """Return where large temporary files belong: not /tmp, which can be memory."""
    given = os.environ.get("TMPDIR")
    if given or not os.access(_LARGE, os.W_OK | os.X_OK):
        return Path(tempfile.gettempdir())
    return _LARGE


class SpoolError(Exception):
    """The records cannot be kept; its text says why and what to do."""


@frozen
class Run:
    """Where one sorted run is in a file."""

    file: int
    """Which file."""
    begin: int
    end: int


@define(eq=False)
class Spool:
    """Takes records in any order and writes them to ``out`` as sorted runs."""

    out: IO[bytes]
    number: int = 0
    """Which of several spools it is."""
    runs: list[Run] = field(factory=list, init=False)
    _lines: list[bytes] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)

    def add(self, key: bytes, line: bytes) -> None:
        """Take a record: ``key`` by ``sort_key``, ``line`` without newline."""
        entry = b"".join((key, line, b"\n"))
        self._lines.append(entry)
        self._size += len(entry)
        if self._size >= RUN:
            self.flush()

    def flush(self) -> None:
        """Write what is in the memory as a run."""
        if not self._lines:
            return
        self._lines.sort()
        begin = self.out.tell()
        try:
            for at in range(0, len(self._lines), _TOGETHER):
                self.out.write(b"".join(self._lines[at : at + _TOGETHER]))
            self.out.flush()
        except OSError as error:
            raise SpoolError(
                f"the temporary file for the records cannot be written ({error.strerror}). Free "
                "the disk, or name a folder that has room: TMPDIR, or that of --output"
            ) from None
        self.runs.append(Run(self.number, begin, self.out.tell()))
        self._lines.clear()
        self._size = 0


def merged(files: list[IO[bytes]], runs: Iterable[Run]) -> Iterator[bytes]:
    """Yield the lines of all runs in order, each with its newline, without its key."""
    each = [_pieces(files[run.file], run) for run in runs]
    pieces = [next(run) for run in each]
    while pieces:
        # What is not behind the end of any piece; to sort it at once is faster than a heap.
        until = min(piece[-1] for piece in pieces)
        entries: list[bytes] = []
        for number, piece in enumerate(pieces):
            end = bisect_right(piece, until)
            entries += piece[:end]
            pieces[number] = piece[end:] or next(each[number], [])
        entries.sort()
        for entry in entries:
            yield entry[entry.index(b"\t") + 1 :]
        each = [run for run, piece in zip(each, pieces, strict=True) if piece]
        pieces = [piece for piece in pieces if piece]


def _pieces(file: IO[bytes], run: Run) -> Iterator[list[bytes]]:
    """Yield the entries of a run, some at a time."""
    at, rest = run.begin, b""
    while at < run.end:
        piece = os.pread(file.fileno(), min(_BUFFER, run.end - at), at)
        at += len(piece)
        entries = (rest + piece).splitlines(keepends=True)
        rest = entries.pop() if not entries[-1].endswith(b"\n") else b""
        if entries:
            yield entries
