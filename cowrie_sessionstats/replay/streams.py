"""The content of a file, whatever it is compressed with."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Final, cast

from attrs import define

from cowrie_sessionstats.replay._extra import EXTRA
from cowrie_sessionstats.replay.files import LogFile, said

CHUNK: Final = 1 << 20
"""Bytes read at once: some 2,800 events."""
BLOCK: Final = 1 << 18
"""Bytes of a log that are read at once where it is read through: what is made of them, some 700
events, is still in the processor's cache when it is counted."""
CHUNK_LEAST: Final = 1 << 14
CHUNKS: Final = 1 << 22
"""Bytes of all files that are read side by side: as events they take some three times as much."""
HELD_FILES: Final = 100
"""Files that stay open while they are read: a process may have 1,024 as a rule."""

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_COMPARED: Final = 256  # bytes of a file's beginning: an event's time and session are among them
_GROWTH: Final = 1 << 12  # bytes that a log may have grown since it was found
PIECE: Final = 1 << 16
"""Bytes that are decompressed at once."""
_ZSTD_READ: Final = 1 << 11  # compressed bytes: hostile ones become 32,000 times as many
_ZSTD_WINDOW: Final = 1 << 31  # what `zstd --long=31` makes; only such a file takes that memory


class FileError(Exception):
    """A file that cannot be read, or not to its end; its text says why."""


def kind_of(head: bytes) -> str | None:
    """Return what a file is compressed with, by its first bytes: names can lie."""
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:  # noqa: PLR2004 - its RFC's numbers
        return "zstd"  # a frame to skip (RFC 8878, 3.1.2), as pzstd begins with
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


@define(eq=False)
class Appetite:
    """How much of files is in the memory, and how many are open, while several are read."""

    chunk: int = CHUNK
    """Bytes that are read at once."""
    holds: bool = True
    """Whether files stay open from one piece to the next."""
    alone: bool = True
    """Whether there is one file."""

    def share(self, files: int) -> None:
        """Be content with what remains where so many files are read side by side."""
        self.chunk = max(CHUNK_LEAST, min(BLOCK, CHUNKS // files))
        self.holds = files <= HELD_FILES
        self.alone = files == 1


def chunks(
    file: LogFile, count: Callable[[int], None] | None = None, appetite: Appetite | None = None
) -> Iterator[bytes]:
    """Yield the content of a file in pieces, decompressed.

    ``count`` is told how many bytes of it on the disk have been read. Raises FileError when the
    file cannot be read on; what could be read has been yielded by then.
    """
    appetite = appetite or Appetite()
    try:
        with _Reopened(file) if not appetite.holds else io.FileIO(str(file.path)) as raw:
            # Not more than there is: most logs are small, and room for more has to be made.
            piece = raw.read(min(appetite.chunk, file.size + _GROWTH))
            kind = kind_of(piece or b"")
            if kind is not None:
                raw.seek(0)
                yield from _gathered(raw, kind, count or _nobody, appetite)
                return
            while piece:
                if count is not None:
                    count(len(piece))
                yield piece
                left = max(file.size - raw.tell(), 0)
                piece = raw.read(min(appetite.chunk, left + _GROWTH))
    except OSError as error:
        raise FileError(said(error)) from None


class _Reopened(io.RawIOBase):
    """A file that is open only while something is read of it: there may be thousands."""

    def __init__(self, file: LogFile) -> None:
        super().__init__()
        self._path = str(file.path)
        self._at = 0
        self._began = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        handle = os.open(self._path, os.O_RDONLY)
        try:
            # Not the inode: a new file gets that of one that was deleted.
            began = os.pread(handle, _COMPARED, 0)
            if not began.startswith(self._began):
                raise FileError("another file has taken its place while it was read")
            self._began = began
            count = os.preadv(handle, [buffer], self._at)
        finally:
            os.close(handle)
        self._at += count
        return count


def _nobody(_: int) -> None:
    pass


def _gathered(
    raw: io.RawIOBase, kind: str, count: Callable[[int], None], appetite: Appetite
) -> Iterator[bytes]:
    """Yield decompressed pieces of CHUNK bytes or more, then what is left, then say the trouble."""
    told = 0
    gathered: list[bytes] = []
    length = 0
    trouble: str | None = None
    pieces = _decompressed(raw, kind)
    while trouble is None:
        try:
            piece = next(pieces, b"")
        except (EOFError, zlib.error, lzma.LZMAError, FileError, OSError) as error:
            trouble = _trouble(kind, error)
            piece = b""
        gathered.append(piece)
        length += len(piece)
        if length >= appetite.chunk or not piece:
            now = raw.tell()
            count(now - told)
            told = now
            if length:
                yield b"".join(gathered)
            gathered, length = [], 0
            if not piece:
                break
    if trouble is not None:
        raise FileError(trouble)


def _trouble(kind: str, error: Exception) -> str:
    if isinstance(error, FileError):
        return str(error)
    if isinstance(error, EOFError):
        return f"{kind}: the file is cut off; what came before that was read"
    # bz2 and gzip say it of bad data as an OSError that has no number.
    if isinstance(error, OSError) and error.errno is not None:
        return said(error)
    return f"{kind}: the file is damaged ({error}); what came before that was read"


def _decompressed(raw: io.RawIOBase, kind: str) -> Iterator[bytes]:
    """Yield what ``raw`` holds, in pieces of any size.

    A damaged file raises only behind the last byte that could be had, so nothing here asks for
    more than one piece at a time.
    """
    if kind == "zstd":
        return _unzstd(raw)
    opened: Any
    if kind == "gzip":
        opened = gzip.GzipFile(fileobj=raw, mode="rb")
    elif kind == "bzip2":
        opened = bz2.BZ2File(raw)
    else:
        opened = lzma.LZMAFile(cast("IO[bytes]", raw))  # noqa: SIM115
    return iter(lambda: opened.read1(PIECE), b"")


def _unzstd(raw: io.RawIOBase) -> Iterator[bytes]:
    try:
        import zstandard  # noqa: PLC0415 - of an extra, and few logs need it
    except ImportError:
        raise FileError(f"zstd: the package zstandard is missing. {EXTRA}") from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame: Any = None
    data = raw.read(_ZSTD_READ)
    try:
        while data:
            if frame is None:
                frame = decompressor.decompressobj()
            piece = frame.decompress(data)
            if piece:
                yield piece
            if frame.eof:
                data, frame = frame.unused_data, None
                data = data or raw.read(_ZSTD_READ)
            else:
                data = raw.read(_ZSTD_READ)
    except zstandard.ZstdError as error:
        raise FileError(_trouble("zstd", error)) from None
    if frame is not None:
        raise EOFError
