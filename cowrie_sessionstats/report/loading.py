"""Records into a table of PostgreSQL, so often as one likes: a session is there once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import duckdb

from cowrie_sessionstats.replay.command import UsageError
from cowrie_sessionstats.report.columns import IDENTITY, LATEST
from cowrie_sessionstats.report.dialects import BATCH, name
from cowrie_sessionstats.report.engine import EngineError
from cowrie_sessionstats.report.places import TABLE, connected, is_postgres, safe, shown
from cowrie_sessionstats.summary import KINDS

_TYPES: Final = {
    "text": "text",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "texts": "text[]",
}
_INCOMING: Final = "sessionstats_incoming"


def check(address: str) -> None:
    """Raise UsageError if nothing can be loaded into the engine at ``address``."""
    if not is_postgres(address):
        raise UsageError(
            f"--engine {shown(address)}: load fills a table of PostgreSQL, "
            "postgres://USER@HOST/DATABASE, or a folder on Spark"
        )


def load(connection: duckdb.DuckDBPyConnection, address: str) -> tuple[int, int]:
    """Load the table ``sessions`` of DuckDB; return how many records are new, and how many newer.

    The table is made if it is not there, and gets the columns that it lacks. A record takes the
    place of an earlier revision, and one that is there already changes nothing. All of it happens,
    or nothing. Raises EngineError if it cannot be done.
    """
    backend = connected(address)
    try:
        with backend.con.transaction():
            return _load(backend.con, connection)
    except Exception as error:  # noqa: BLE001 - the server's, the network's
        raise EngineError(f"{shown(address)}: {safe(error, address)}") from None
    finally:
        backend.disconnect()


def _load(postgres: Any, connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    columns = ", ".join(map(name, KINDS))
    typed = [f"{name(key)} {_TYPES[kind]}" for key, kind in KINDS.items()]
    postgres.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({', '.join(typed)})")
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {each}" for each in typed)
    postgres.execute("SET LOCAL client_min_messages = warning")  # not that columns are there
    postgres.execute(f"ALTER TABLE {TABLE} {added}")
    postgres.execute(f"CREATE INDEX IF NOT EXISTS {TABLE}_session ON {TABLE} (session)")
    postgres.execute(f"CREATE TEMPORARY TABLE {_INCOMING} ({', '.join(typed)}) ON COMMIT DROP")
    with postgres.cursor().copy(f"COPY {_INCOMING} ({columns}) FROM STDIN") as copy:
        for row in _rows(connection.execute(f"SELECT {columns} FROM sessions")):
            copy.write_row(row)
    postgres.execute(f"ANALYZE {_INCOMING}")
    same = " AND ".join(f"there.{key} IS NOT DISTINCT FROM come.{key}" for key in IDENTITY[1:])
    same = f"there.session = come.session AND {same}"
    older = f"({_order('there')}) < ({_order('come')})"
    newer = postgres.execute(
        f"DELETE FROM {TABLE} AS there USING {_INCOMING} AS come WHERE {same} AND {older}"
    ).rowcount
    inserted = postgres.execute(
        f"INSERT INTO {TABLE} ({columns}) SELECT {columns} FROM {_INCOMING} AS come "
        f"WHERE NOT EXISTS (SELECT FROM {TABLE} AS there WHERE {same})"
    ).rowcount
    return inserted - newer, newer


def _order(table: str) -> str:
    """Return what the later of two records of a session has more of."""
    empty = {"integer": "0", "text": "''"}
    return ", ".join(f"COALESCE({table}.{name(key)}, {empty[KINDS[key]]})" for key in LATEST)


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while batch := found.fetchmany(BATCH):
        for row in batch:
            yield [_storable(value) for value in row]


def _storable(value: Any) -> Any:
    """Return a value without NULs, which no text of PostgreSQL can have."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return value
