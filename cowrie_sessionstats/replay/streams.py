"""The content of a file, whatever it is compressed with."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from cowrie_sessionstats.replay._extra import EXTRA
from cowrie_sessionstats.replay.files import LogFile, said

CHUNK: Final = 1 << 20
"""Bytes read at once: some 2,800 events."""

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_ZSTD_READ: Final = 1 << 11  # compressed bytes: hostile ones become 32,000 times as many
_ZSTD_WINDOW: Final = 1 << 31  # what `zstd --long=31` makes; only such a file takes that memory


class FileError(Exception):
    """A file that cannot be read, or not to its end; its text says why."""


def kind_of(head: bytes) -> str | None:
    """Return what a file is compressed with, by its first bytes: names can lie."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def chunks(file: LogFile, count: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """Yield the content of a file in pieces, decompressed.

    ``count`` is told how many bytes of it on the disk have been read. Raises FileError when the
    file cannot be read on; what could be read has been yielded by then.
    """
    try:
        with io.FileIO(str(file.path)) as raw:
            piece = raw.read(CHUNK)
            kind = kind_of(piece)
            if kind is not None:
                raw.seek(0)
                yield from _gathered(raw, kind, count or _nobody)
                return
            while piece:
                if count is not None:
                    count(len(piece))
                yield piece
                piece = raw.read(CHUNK)
    except OSError as error:
        raise FileError(said(error)) from None


def _nobody(_: int) -> None:
    pass


def _gathered(raw: io.FileIO, kind: str, count: Callable[[int], None]) -> Iterator[bytes]:
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
        if length >= CHUNK or not piece:
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


def _decompressed(raw: io.FileIO, kind: str) -> Iterator[bytes]:
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
        opened = lzma.LZMAFile(raw)  # noqa: SIM115
    return iter(lambda: opened.read1(CHUNK), b"")


def _unzstd(raw: io.FileIO) -> Iterator[bytes]:
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
