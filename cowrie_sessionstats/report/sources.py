"""Files of summaries, or raw logs, as one table ``sessions`` in an embedded DuckDB.

DuckDB reads Parquet in place, only the columns that a question needs, so that reports need little
memory. Everything else goes into a table of its own in a temporary file first: packed as it is
there, it takes a tenth of the room, and half the time that Parquet would.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import msgpack
import msgspec
from attrs import define, field

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.files import LogFile, find, said
from cowrie_sessionstats.replay.problems import Problems
from cowrie_sessionstats.replay.running import Moving, Running, Totals
from cowrie_sessionstats.replay.streams import FileError, chunks
from cowrie_sessionstats.report.columns import IDENTITY, LATEST, MOST, NEEDED, is_bounded
from cowrie_sessionstats.report.kinds import EVENTID, Kind, kind_of
from cowrie_sessionstats.report.records import sort_out
from cowrie_sessionstats.summary import KINDS, SCHEMA

MEMORY: Final = "600MB"
"""What DuckDB may take before it goes to the disk: with what Python needs, less than 1 GB."""
THREADS: Final = 8
"""Of DuckDB at most: each needs memory of its own, and reports are short."""
OBJECT: Final = 4 << 20
"""Bytes of a line of JSON that DuckDB reads, for which it sets memory aside: a record has at most 2
million, all of its texts being long and escaped. Longer ones are read by ``records``."""
ENDINGS: Final = (".parquet", ".msgpack")
"""Of files of summaries that a folder may hold, besides those named as logs are."""


class SourceError(Exception):
    """There is nothing to report on; the text says why and what to do."""


_TYPES: Final = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "texts": "VARCHAR[]",
}
TYPES: Final = {key: _TYPES[kind] for key, kind in KINDS.items()}
"""DuckDB's type of each key."""


@define(eq=False)
class Sources:
    """Summaries that can be asked about."""

    connection: duckdb.DuckDBPyConnection
    """Has the table ``sessions``: a row a session, a column a key of the record."""
    files: list[LogFile]
    problems: Problems = field(factory=Problems)
    totals: Totals | None = None
    """What summarizing raw logs came to, if any were among the files."""
    sessions: int = 0
    superseded: int = 0
    """Records that a later revision, or the same record in another file, stands for."""
    newer: int = 0
    """Records of a schema that only a later version knows, which are left out."""

    def check(self) -> None:
        """Raise SourceError if there is not a single session."""
        if not self.sessions:
            raise SourceError("nothing to report on: no session was found in what was given")


@contextmanager
def opened(  # noqa: PLR0913 - each says one thing
    paths: Sequence[str],
    jobs: int,
    folder: Path,
    settings: Settings,
    *,
    strict: bool = False,
    show: Callable[[Moving], None] | None = None,
) -> Iterator[Sources]:
    """Give the summaries in ``paths``: files and folders of summaries or of raw logs, or both.

    Raw logs are summarized first. A session that is there more than once counts once: the record
    with the highest revision. Raises SourceError if they cannot be put together.
    """
    with tempfile.TemporaryDirectory(prefix="sessionstats-", dir=folder) as name:
        place = Path(name)
        problems = Problems(strict=strict)
        files = find(paths, place, problems.file, ENDINGS)
        connection = _connection(jobs, place)
        try:
            sources = Sources(connection, files, problems)
            parts = _Parts(sources, place, settings, jobs, show)
            try:
                parts.take()
            except OSError as error:
                raise SourceError(
                    f"temporary files cannot be written to {folder}: {said(error)}. "
                    "Set TMPDIR to a folder with more room"
                ) from None
            _make_view(sources, parts.parquet)
            yield sources
        finally:
            connection.close()


def _connection(jobs: int, folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        str(folder / "sessions.duckdb"),
        config={
            "threads": min(jobs, THREADS),
            "memory_limit": MEMORY,
            "temp_directory": str(folder / "spill"),
            "autoinstall_known_extensions": False,  # nothing here goes to the network
            "preserve_insertion_order": False,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it goes to the standard output
    columns = ", ".join(f'"{key}" {kind}' for key, kind in TYPES.items())
    connection.execute(f"CREATE TABLE staged ({columns})")
    return connection


@define(eq=False)
class _Parts:
    """Puts what is no Parquet into the table ``staged``."""

    sources: Sources
    folder: Path
    settings: Settings
    jobs: int
    show: Callable[[Moving], None] | None
    parquet: dict[Path, LogFile] = field(factory=dict, init=False)
    """By the name under which DuckDB reads it."""
    _made: int = field(default=0, init=False)

    def take(self) -> None:
        """Take every file."""
        kinds: dict[Kind, list[LogFile]] = {kind: [] for kind in Kind}
        problems = self.sources.problems
        for file in self.sources.files:
            kind = self._kind(file)
            if kind is not None:
                kinds[kind].append(file)
        for file in kinds[Kind.CSV]:
            problems.file(file.name, "CSV is for spreadsheets. Give JSON lines or Parquet")
        self.parquet = {self._linked(file, ".parquet"): file for file in kinds[Kind.PARQUET]}
        lines: list[tuple[LogFile, Path]] = [
            (file, self._linked(file, ".jsonl")) for file in kinds[Kind.LINES]
        ]
        for file in kinds[Kind.MSGPACK]:
            lines += self._unpacked(file)
        if kinds[Kind.RAW]:
            lines += self._summarized(kinds[Kind.RAW])
        for file, path in lines:
            self._insert(file, path)

    def _kind(self, file: LogFile) -> Kind | None:
        try:
            return kind_of(file)
        except FileError as error:
            self.sources.problems.file(file.name, str(error))
            return None

    def _linked(self, file: LogFile, ending: str) -> Path:
        """Return a name for ``file`` that DuckDB takes as it is: no glob, the right ending."""
        with file.path.open("rb") as opened_file:
            packed = opened_file.read(2) == b"\x1f\x8b"
        link = self._new(f"{ending}.gz" if packed else ending)
        # What came through a pipe has no other name than that of its handle.
        piped = str(file.path).startswith("/dev/fd/")
        link.symlink_to(file.path if piped else file.path.resolve())
        return link

    def _new(self, ending: str) -> Path:
        self._made += 1
        return self.folder / f"{self._made}{ending}"

    def _unpacked(self, file: LogFile) -> list[tuple[LogFile, Path]]:
        """Return ``file``, records in msgpack, as lines of JSON."""
        path = self._new(".jsonl")
        encode = msgspec.json.Encoder().encode
        unpacker = msgpack.Unpacker(raw=False, unicode_errors="replace")
        number = 0
        try:
            with path.open("wb") as out:
                for chunk in chunks(file):
                    unpacker.feed(chunk)
                    for record in unpacker:
                        number += 1
                        out.write(encode(record) + b"\n")
        except (FileError, ValueError, TypeError, msgpack.UnpackException) as error:
            self.sources.problems.file(
                file.name, f"record {number + 1:,}: {error}; what came before that was read"
            )
        # Its lines are numbered as its records are.
        return [(LogFile(path, file.name, path.stat().st_size), path)]

    def _summarized(self, files: list[LogFile]) -> list[tuple[LogFile, Path]]:
        """Summarize raw logs; return the summaries as lines of JSON."""
        running = Running(
            self.settings,
            self.jobs,
            self.folder,
            strict=self.sources.problems.strict,
            show=self.show,
        )
        running.totals.problems = self.sources.problems
        path = self._new(".jsonl")
        with path.open("wb") as out:
            out.writelines(running.records(files))
        self.sources.totals = running.totals
        if not running.totals.records:
            return []
        return [(LogFile(path, "the summaries", path.stat().st_size), path)]

    def _insert(self, file: LogFile, path: Path) -> None:
        """Put lines of JSON into ``staged``, as DuckDB reads them; where it cannot, say why."""
        try:
            self._read_json(path)
        except (duckdb.Error, UnicodeError):  # the latter where its message quotes half a letter
            clean = self._new(".jsonl")
            with clean.open("wb") as out:
                sort_out(file, out, self.sources.problems)
            try:
                self._read_json(clean)
            except (duckdb.Error, UnicodeError) as error:
                self.sources.problems.file(file.name, f"cannot be read ({_first_line(error)})")

    def _read_json(self, path: Path) -> None:
        columns = ", ".join(f"{_quoted(key)}: {_quoted(kind)}" for key, kind in TYPES.items())
        self.sources.connection.execute(
            f"INSERT INTO staged SELECT * FROM read_json({_quoted(str(path))}, "
            f"columns = {{{columns}}}, format = 'newline_delimited', "
            f"maximum_object_size = {OBJECT})"
        )


def _name(key: str) -> str:
    """Return a column's name in SQL: ``end`` is a word of its own there."""
    return f'"{key}"'


def _quoted(text: str) -> str:
    """Return ``text`` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _make_view(sources: Sources, parts: dict[Path, LogFile]) -> None:
    """Make ``sessions`` over all there is: what no file has is NULL, and a session is one row."""
    try:
        try:
            rows = _view(sources, parts)
        except duckdb.Error:
            sound = {path: file for path, file in parts.items() if _is_sound(sources, path, file)}
            if len(sound) == len(parts):
                raise
            rows = _view(sources, sound)
    except duckdb.Error as error:
        raise SourceError(f"the summaries cannot be read: {_first_line(error)}") from None
    sources.sessions = rows


def _view(sources: Sources, parts: dict[Path, LogFile]) -> int:
    """Make the view; return how many sessions there are."""
    connection = sources.connection
    shapes: dict[tuple[tuple[str, str], ...], list[Path]] = {}
    for path, file in parts.items():
        shape = _shape(sources, path, file)
        if shape:
            shapes.setdefault(shape, []).append(path)
    selects = [_select("staged", TYPES)]
    selects += [
        _select(_read(paths), {row[0]: row[1] for row in shape}) for shape, paths in shapes.items()
    ]
    every = " UNION ALL ".join(selects)
    (sources.newer,) = _row(connection, f"SELECT count(*) FROM ({every}) WHERE schema > {SCHEMA}")
    known = f" WHERE schema IS NULL OR schema <= {SCHEMA}" if sources.newer else ""
    connection.execute(f"CREATE OR REPLACE VIEW sessions AS SELECT * FROM ({every}){known}")
    rows: int
    rows, distinct = _row(
        # By their hashes, in half the time; should two sessions share one, nothing is lost.
        connection,
        f"SELECT count(*), count(DISTINCT hash({', '.join(IDENTITY)})) FROM sessions",
    )
    if distinct < rows:
        _keep_the_last(connection)
        (kept,) = _row(connection, "SELECT count(*) FROM sessions")
        sources.superseded = rows - kept
        rows = kept
    return rows


def _shape(sources: Sources, path: Path, file: LogFile) -> tuple[tuple[str, str], ...]:
    """Return the columns of Parquet and their types; none if it is not of summaries."""
    try:
        described = sources.connection.execute(f"DESCRIBE SELECT * FROM {_read([path])}").fetchall()
        shape = tuple((row[0], row[1]) for row in described)
        if not set(NEEDED) <= dict(shape).keys():
            sources.problems.file(file.name, "is Parquet, but not of summaries")
            return ()
        select = _select(_read([path]), dict(shape))
        sources.connection.execute(f"SELECT * FROM ({select}) LIMIT 1").fetchall()
    except duckdb.Error as error:
        sources.problems.file(file.name, f"damaged Parquet ({_told(error, path, file)})")
        return ()
    return shape


def _is_sound(sources: Sources, path: Path, file: LogFile) -> bool:
    """Return whether all of a file can be read; if not, say so."""
    try:
        sources.connection.execute(
            f"SELECT max(hash(each)) FROM {_read([path])} AS each"
        ).fetchall()
    except duckdb.Error as error:
        sources.problems.file(file.name, f"damaged Parquet ({_told(error, path, file)})")
        return False
    return True


def _told(error: Exception, path: Path, file: LogFile) -> str:
    return _first_line(error).replace(str(path), file.name)


def _read(paths: list[Path]) -> str:
    return f"read_parquet([{', '.join(_quoted(str(path)) for path in paths)}])"


def _select(source: str, there: Mapping[str, str]) -> str:
    """Return what selects records: the columns that are there, as the record has them."""
    columns = ", ".join(
        f'{_checked(key, kind, there[key])} AS "{key}"'
        if key in there
        else f'NULL::{kind} AS "{key}"'
        for key, kind in TYPES.items()
    )
    return f"SELECT {columns} FROM {source} WHERE eventid = {_quoted(EVENTID)}"


def _checked(key: str, kind: str, found: str) -> str:
    value = f'"{key}"' if kind == found else f'TRY_CAST("{key}" AS {kind})'
    if is_bounded(key):
        return f"CASE WHEN {value} BETWEEN 0 AND {MOST} THEN {value} END"
    return value


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    return connection.execute(query).fetchall()[0]


def _keep_the_last(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep of every session the record with the highest revision."""
    connection.execute(
        "CREATE TABLE kept AS SELECT * EXCLUDE (place) FROM (SELECT *, row_number() OVER "
        f"(PARTITION BY {', '.join(IDENTITY)} "
        f"ORDER BY {', '.join(f'{_name(key)} DESC' for key in LATEST)}) AS place "
        "FROM sessions) WHERE place = 1"
    )
    connection.execute("CREATE OR REPLACE VIEW sessions AS SELECT * FROM kept")
