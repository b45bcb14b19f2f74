"""Records to a file of the kind that its name says, whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

import msgpack
import msgspec
from attrs import define, field

from cowrie_sessionstats.replay._extra import EXTRA
from cowrie_sessionstats.replay.encoding import read_record
from cowrie_sessionstats.summary import KEYS, KINDS

ROWS: Final = 5_000
"""Records that become a table of Arrow at once: some 10 MB of JSON."""
GROUP: Final = 4
"""Such tables in a row group of Parquet, some 30 MB: with smaller ones it takes longer to read."""
_BUFFER: Final = 1 << 18
"""Bytes that are written at once: records are small, and calls of the system are dear."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), the last four
as wide as Chinese letters are."""


class FormatError(Exception):
    """A file's name does not say a kind that can be written; the text says which can."""


class Writer(Protocol):
    """Writes records, each a line of JSON with its newline."""

    def write(self, line: bytes) -> None:
        """Write one record."""

    def finish(self) -> None:
        """Write what is left."""

    def abandon(self) -> None:
        """Write nothing more: something went wrong."""


@define(eq=False)
class Lines:
    """Lines of JSON."""

    out: IO[bytes]

    def write(self, line: bytes) -> None:
        """Write one record."""
        self.out.write(line)

    def finish(self) -> None:
        """Write what is left."""
        self.out.flush()

    def abandon(self) -> None:
        """Write nothing more."""


@define(eq=False)
class GzipLines:
    """Lines of JSON, compressed; the same records give the same bytes."""

    out: IO[bytes]
    _gzip: gzip.GzipFile = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._gzip = gzip.GzipFile("", "wb", compresslevel=6, fileobj=self.out, mtime=0)

    def write(self, line: bytes) -> None:
        """Write one record."""
        self._gzip.write(line)

    def finish(self) -> None:
        """Write what is left."""
        self._gzip.close()

    def abandon(self) -> None:
        """Write nothing more: Python would, when it is forgotten."""
        self._gzip.fileobj = None  # type: ignore[assignment]  # as its close() does


@define(eq=False)
class Msgpack:
    """One map a record, one behind the other: what ``msgpack.Unpacker`` reads."""

    out: IO[bytes]
    _packer: msgpack.Packer = field(
        factory=lambda: msgpack.Packer(unicode_errors="backslashreplace"), init=False
    )

    def write(self, line: bytes) -> None:
        """Write one record."""
        self.out.write(self._packer.pack(read_record(line)))

    def finish(self) -> None:
        """Write what is left."""
        self.out.flush()

    def abandon(self) -> None:
        """Write nothing more."""


@define(eq=False)
class Csv:
    """A table with a heading; a list is a JSON list in its cell.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """

    out: IO[bytes]
    _text: io.TextIOWrapper = field(init=False)
    _rows: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._text = io.TextIOWrapper(self.out, "utf-8", "backslashreplace", newline="")
        self._rows = csv.writer(self._text)
        self._rows.writerow(KEYS)

    def write(self, line: bytes) -> None:
        """Write one record."""
        record = read_record(line)
        self._rows.writerow([_cell(record.get(key)) for key in KEYS])

    def finish(self) -> None:
        """Write what is left."""
        self._text.flush()
        self._text.detach()

    def abandon(self) -> None:
        """Write nothing more."""


def spreadsheet_text(text: str) -> str:
    """Return a text for a cell: what would be a formula there has an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return spreadsheet_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return msgspec.json.encode([encodable(text) for text in value]).decode()
    return value


@define(eq=False)
class Parquet:
    """A table with typed columns, compressed with zstd."""

    out: IO[bytes]
    _arrow: Any = field(init=False)
    _writer: Any = field(init=False)
    _lines: list[bytes] = field(factory=list, init=False)
    _tables: list[Any] = field(factory=list, init=False)

    @staticmethod
    def needs() -> Any:
        """Return pyarrow; FormatError if it is missing."""
        try:
            import pyarrow.json  # noqa: PLC0415 - of an extra, and large
            import pyarrow.parquet  # noqa: PLC0415
        except ImportError:
            raise FormatError(f"Parquet needs the package pyarrow. {EXTRA}") from None
        return pyarrow

    def __attrs_post_init__(self) -> None:
        self._arrow = pyarrow = self.needs()
        # Its own keeps what it has had once.
        pyarrow.set_memory_pool(pyarrow.system_memory_pool())
        schema = arrow_schema(pyarrow)
        self._writer = pyarrow.parquet.ParquetWriter(self.out, schema, compression="zstd")

    def write(self, line: bytes) -> None:
        """Write one record."""
        self._lines.append(line)
        if len(self._lines) >= ROWS:
            self._gather()

    def _gather(self) -> None:
        self._tables.append(arrow_table(self._arrow, self._writer.schema, self._lines))
        self._lines = []
        if len(self._tables) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.concat_tables(self._tables))
        self._tables = []

    def finish(self) -> None:
        """Write what is left."""
        if self._lines:
            self._gather()
        if self._tables:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Write nothing more: pyarrow would, when it is forgotten."""
        self._writer.is_open = False


def arrow_table(arrow: Any, schema: Any, lines: list[bytes]) -> Any:
    """Return records, each a line of JSON with its newline, as a table of Arrow."""
    text = b"".join(lines)
    try:
        return arrow.json.read_json(
            arrow.BufferReader(text),
            arrow.json.ReadOptions(use_threads=False, block_size=len(text)),
            arrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except arrow.ArrowInvalid:  # half a surrogate pair is no text to Parquet
        return arrow.Table.from_pylist([encodable(read_record(line)) for line in lines], schema)


def arrow_schema(arrow: Any) -> Any:
    """Return the columns of a record and their types."""
    types = {
        "text": arrow.string(),
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "boolean": arrow.bool_(),
        "texts": arrow.list_(arrow.string()),
    }
    return arrow.schema([arrow.field(key, types[kind]) for key, kind in KINDS.items()])


def encodable(value: Any) -> Any:
    """Return a value with its texts as UTF-8 can have them: half a surrogate pair as its escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [encodable(each) for each in value]
    if isinstance(value, dict):
        return {encodable(key): encodable(each) for key, each in value.items()}
    return value


FORMATS: Final[dict[str, type[Any]]] = {
    ".jsonl": Lines,
    ".jsonl.gz": GzipLines,
    ".msgpack": Msgpack,
    ".csv": Csv,
    ".parquet": Parquet,
}


def format_of(path: Path) -> type[Any]:
    """Return what writes a file of that name; FormatError if nothing does."""
    for ending, kind in FORMATS.items():
        if path.name.endswith(ending) and path.name != ending:
            return kind
    raise FormatError(
        f"{path}: the name has to end in one of {', '.join(FORMATS)}: it says what is written"
    )


def check(path: Path) -> None:
    """Raise FormatError if nothing can be written to ``path``."""
    kind = format_of(path)
    if kind is Parquet:
        kind.needs()
    if not path.resolve().parent.is_dir():
        raise FormatError(f"{path}: there is no folder {path.parent}. Make it, or name another")


def write_file(path: Path, records: Iterable[bytes]) -> None:
    """Write all records to ``path``; what was there is replaced at the end, or left alone."""
    kind = format_of(path)
    with replacing(path) as out:
        writer: Writer = kind(out)
        try:
            for line in records:
                writer.write(line)
            writer.finish()
        except BaseException:
            writer.abandon()
            raise


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that becomes ``path`` if all goes well, and else leaves no trace.

    What is no regular file (/dev/stdout, a pipe) is written to as it is.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        mode = 0o666 & ~_umask()
    else:
        if not stat.S_ISREG(status.st_mode):
            with path.open("wb") as out:
                yield out
            return
        mode = stat.S_IMODE(status.st_mode)
    real = path.resolve()  # a link goes on to point where it does
    handle, name = tempfile.mkstemp(".tmp", f".{path.name[:100]}.", real.parent)
    try:
        with os.fdopen(handle, "wb", _BUFFER) as out:
            yield out
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        Path(name).replace(real)
    except BaseException:
        Path(name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
