"""DuckDB in this process: the engine that needs no server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

import duckdb
import ibis
from attrs import define, field
from ibis import Table

from cowrie_sessionstats.report.columns import SCHEMA
from cowrie_sessionstats.report.engine import Answer, Engine, QueryError, Result, Row

TOGETHER: Final = 2
"""Queries at a time: with more, each has less memory, and two processors are busy."""
BATCH: Final = 10_000
"""Rows of an answer that are in the memory at a time."""


@define(eq=False)
class Embedded(Engine):
    """DuckDB in this process.

    Ibis writes the SQL, and no more: to run it, it would load pandas, which takes longer than most
    figures do.
    """

    connection: duckdb.DuckDBPyConnection
    _backend: Any
    _kept: int = field(default=0, init=False)
    _compiling: Lock = field(factory=Lock, init=False)
    """Ibis does not say that it may be used by several threads."""
    _asked: set[duckdb.DuckDBPyConnection] = field(factory=set, init=False)

    def rows(self, expression: Table) -> list[Row]:
        """Return all rows."""
        found = self._run("", expression)
        return [dict(zip(expression.columns, row, strict=True)) for row in found]

    def _run(self, before: str, expression: Table) -> list[tuple[Any, ...]]:
        with self._compiling:
            query = before + self._backend.compile(expression)
            cursor = self.connection.cursor()
            self._asked.add(cursor)
        try:
            try:
                return cursor.execute(query).fetchall()
            except duckdb.OutOfMemoryException:
                # Long texts, of which every session has its own: what attackers can do, and do not.
                cursor.execute(f"SET memory_limit = '{_half_the_memory()}B'")
                return cursor.execute(query).fetchall()
        finally:
            with self._compiling:
                self._asked.discard(cursor)
                cursor.close()

    def together(self, work: Iterable[Callable[[], Result]]) -> list[Result]:
        """Return what each piece of work gives; ``TOGETHER`` are done at a time.

        While one is prepared in Python, or is at its end, where it has work for one processor only,
        another goes on. Whatever ends the waiting, Ctrl-C too, ends the queries.
        """
        with ThreadPoolExecutor(TOGETHER) as pool:
            try:
                return [each.result() for each in [pool.submit(piece) for piece in work]]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                with self._compiling:
                    for cursor in self._asked:
                        cursor.interrupt()
                raise

    def keep(self, expression: Table) -> Table:
        """Return the result as a table, for other expressions to build on."""
        with self._compiling:
            self._kept += 1
            name = f"kept_{self._kept}"
        self._run(f"CREATE TABLE {name} AS ", expression)
        return ibis.table(expression.schema(), name)

    def ask(self, query: str) -> Answer:
        """Put a question in SQL to the table ``sessions``."""
        try:
            if not self.connection.extract_statements(query):
                raise QueryError("the query is empty")
            rows = self.connection.execute(query)
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise QueryError(str(error)) from None
        return Answer([str(column[0]) for column in rows.description or ()], _batches(rows))


def _batches(rows: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Sequence[Any]]]:
    while batch := rows.fetchmany(BATCH):
        yield batch


def _half_the_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def embedded(connection: duckdb.DuckDBPyConnection) -> Embedded:
    """Return DuckDB in this process, with the table ``sessions``."""
    backend = ibis.duckdb.from_connection(connection)
    return Embedded(ibis.table(SCHEMA, "sessions"), connection, backend)
