"""Files of summaries, or raw logs, as one table ``sessions`` in an embedded DuckDB.

DuckDB reads Parquet in place, only the columns that a question needs, so that reports need little
memory. Everything else goes into a table of its own in a temporary file first: packed as it is
there, it takes a tenth of the room, and half the time that Parquet would.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, get_args, get_origin, get_type_hints

import duckdb
import msgpack
import msgspec
from attrs import define, field

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.files import LogFile, find
from cowrie_sessionstats.replay.formats import encodable
from cowrie_sessionstats.replay.problems import NO_OBJECT, NOT_JSON, TOO_LONG, Problems
from cowrie_sessionstats.replay.reading import LINE_LIMIT
from cowrie_sessionstats.replay.running import Moving, Running, Totals
from cowrie_sessionstats.replay.streams import FileError, chunks
from cowrie_sessionstats.report.kinds import EVENTID, Kind, kind_of
from cowrie_sessionstats.summary import KEYS, Summary

MEMORY: Final = "600MB"
"""What DuckDB may take before it goes to the disk: with what Python needs, less than 1 GB."""
NOT_A_SUMMARY: Final = "no summary of a session"
WRONG_TYPE: Final = "a value of another type than the record's"
ENDINGS: Final = (".parquet", ".msgpack")
"""Of files of summaries that a folder may hold, besides those named as logs are."""


class SourceError(Exception):
    """There is nothing to report on; the text says why and what to do."""


def _types() -> dict[str, str]:
    """Return DuckDB's type of each key."""
    names = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}
    hints = get_type_hints(Summary)
    types = {}
    for key in KEYS:
        options = [option for option in get_args(hints[key]) if option is not type(None)]
        hint = options[0] if type(None) in get_args(hints[key]) else hints[key]
        if get_origin(hint) is tuple:
            types[key] = "VARCHAR[]"
        else:
            types[key] = names.get(hint) or names[type(get_args(hint)[0])]  # of a Literal
    return types


TYPES: Final = _types()


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
            parts.take()
            _make_view(sources, parts.parquet)
            yield sources
        finally:
            connection.close()


def _connection(jobs: int, folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        str(folder / "sessions.duckdb"),
        config={
            "threads": jobs,
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
    parquet: list[Path] = field(factory=list, init=False)

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
        for file in kinds[Kind.PARQUET]:
            self._take_parquet(file)
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
        link.symlink_to(file.path.resolve() if not file.name.startswith("<") else file.path)
        return link

    def _new(self, ending: str) -> Path:
        return self.folder / f"{len(list(self.folder.iterdir()))}{ending}"

    def _take_parquet(self, file: LogFile) -> None:
        path = self._linked(file, ".parquet")
        try:
            names = self.sources.connection.execute(
                "SELECT name FROM parquet_schema(?)", [str(path)]
            ).fetchall()
        except duckdb.Error as error:
            self.sources.problems.file(file.name, f"damaged Parquet ({_first_line(error)})")
            return
        if ("session",) in names and ("command_events",) in names:
            self.parquet.append(path)
        else:
            self.sources.problems.file(
                file.name, "is Parquet, but not of summaries: it has no column session"
            )

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
        return [(file, path)]

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
                _sort_out(file, out, self.sources.problems)
            if clean.stat().st_size:
                self._read_json(clean)

    def _read_json(self, path: Path) -> None:
        columns = ", ".join(f"{_quoted(key)}: {_quoted(kind)}" for key, kind in TYPES.items())
        self.sources.connection.execute(
            f"INSERT INTO staged SELECT * FROM read_json({_quoted(str(path))}, "
            f"columns = {{{columns}}}, format = 'newline_delimited', "
            f"maximum_object_size = {LINE_LIMIT})"
        )


_ALWAYS: Final = ("eventid", "session")
"""Keys without which nothing is a record."""


def _quoted(text: str) -> str:
    """Return ``text`` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


_record_type: Final[Any] = msgspec.defstruct(
    "_record_type",
    [
        (key, hint) if key in _ALWAYS else (key, hint | None, None)
        for key, hint in get_type_hints(Summary).items()
        if key in KEYS
    ],
    gc=False,
    kw_only=True,
)
_decoder: Final = msgspec.json.Decoder(_record_type)
_encoder: Final = msgspec.json.Encoder()


def _sort_out(file: LogFile, out: IO[bytes], problems: Problems) -> None:
    """Write the lines that are records; tell of the others, each with its number."""
    number = 0
    try:
        for line in _lines(file):
            number += 1
            if not line.strip():
                continue
            record, reason = _record(line)
            if record is None:
                problems.line(file.name, number, reason)
            else:
                out.write(_encoder.encode(record) + b"\n")
    except FileError as error:
        problems.file(file.name, str(error))


def _record(line: bytes) -> tuple[Any, str]:
    """Return the record on a line; None and the reason if there is none."""
    if len(line) > LINE_LIMIT:
        return None, TOO_LONG
    try:
        return _decoder.decode(line), ""
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _mended(line)


def _mended(line: bytes) -> tuple[Any, str]:
    """Return the record on a line that has half a surrogate pair, which no UTF-8 can have."""
    try:
        known = json.loads(line)
    except (ValueError, RecursionError):
        return None, NOT_JSON
    if not isinstance(known, dict):
        return None, NO_OBJECT
    if known.get("eventid") != EVENTID:
        return None, NOT_A_SUMMARY
    try:
        return msgspec.convert(encodable(known), _record_type), ""
    except msgspec.ValidationError:
        return None, WRONG_TYPE


def _lines(file: LogFile) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks(file):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _make_view(sources: Sources, parts: list[Path]) -> None:
    """Make ``sessions`` over all there is: what no file has is NULL, and a session is one row."""
    connection = sources.connection
    try:
        selects = [f"SELECT * FROM staged WHERE eventid = {_quoted(EVENTID)}"]
        if parts:
            selects.append(_from_parquet(connection, parts))
        connection.execute(f"CREATE VIEW sessions AS {' UNION ALL '.join(selects)}")
        rows, distinct = _row(
            # By their hashes, in half the time; should two sessions share one, nothing is lost.
            connection,
            "SELECT count(*), count(DISTINCT hash(uuid, sensor, session, start)) FROM sessions",
        )
        if distinct < rows:
            _keep_the_last(connection)
            (kept,) = _row(connection, "SELECT count(*) FROM sessions")
            sources.superseded = rows - kept
            rows = kept
    except duckdb.Error as error:
        raise SourceError(f"the summaries cannot be read: {_first_line(error)}") from None
    sources.sessions = rows


def _from_parquet(connection: duckdb.DuckDBPyConnection, parts: list[Path]) -> str:
    names = ", ".join(_quoted(str(part)) for part in parts)
    read = f"read_parquet([{names}], union_by_name = true)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()
    there = {row[0] for row in described}
    columns = ", ".join(
        f'TRY_CAST("{key}" AS {kind}) AS "{key}"' if key in there else f"NULL::{kind} AS {key}"
        for key, kind in TYPES.items()
    )
    return f"SELECT {columns} FROM {read} WHERE eventid = {_quoted(EVENTID)}"


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    return connection.execute(query).fetchall()[0]


def _keep_the_last(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep of every session the record with the highest revision."""
    connection.execute(
        "CREATE TABLE kept AS SELECT * EXCLUDE (place) FROM (SELECT *, row_number() OVER "
        "(PARTITION BY uuid, sensor, session, start "
        'ORDER BY revision DESC, late_events DESC, "end" DESC) AS place '
        "FROM sessions) WHERE place = 1"
    )
    connection.execute("CREATE OR REPLACE VIEW sessions AS SELECT * FROM kept")
