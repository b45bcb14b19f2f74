"""What differs between engines, met here and nowhere else.

| | DuckDB, Spark | PostgreSQL | others that Ibis knows |
| --- | --- | --- | --- |
| order of texts | by bytes | ``COLLATE "C"``, or it is the language's | as they have it |
| what is no number | NULL | the question fails | the question fails |
| NUL in a text | as it is | cannot be: U+FFFD in its place | as they have it |
| kept results | tables, cached views | temporary tables | computed again |
| ``sessions`` for ``sql`` | a view | a temporary view | the table itself |
| ``GROUP BY ALL`` | as it is | columns by their places | as they have it |
| a sum of integers | an integer | a decimal | either |

Medians are interpolated by all of them (``percentile_cont``), each adding up in its own order:
what is shown is rounded in two steps (``asking.rounded``), so that the last bits do not show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import ibis
import sqlglot
from attrs import define, field
from ibis import Table
from sqlglot import exp

from cowrie_sessionstats.report.columns import SCHEMA
from cowrie_sessionstats.report.engine import Answer, QueryError

BATCH: Final = 10_000
"""Rows of an answer that are in the memory at a time."""
RAW: Final = "sessionstats_raw"
"""The temporary view of what a table has, before it is looked at."""


@define(eq=False)
class Dialect:
    """An engine that Ibis knows, and of which nothing else is known."""

    backend: Any
    """Of Ibis."""
    can_try: bool = field(default=False, init=False)
    """Whether a value of a wrong type can become NULL."""
    is_shared: bool = field(default=False, init=False)
    """Whether several threads may use it."""

    def table(self, called: str) -> Table:
        """Return what a table of the engine's own has."""
        found: Table = self.backend.table(called)
        return found

    def run(self, query: str) -> Answer:
        """Run a query in the engine's own SQL."""
        cursor = self.backend.raw_sql(query)
        names = [str(column[0]) for column in cursor.description or ()]
        return Answer(names, self._fetched(cursor))

    @staticmethod
    def _fetched(cursor: Any) -> Iterator[Sequence[Sequence[Any]]]:
        while batch := cursor.fetchmany(BATCH):
            yield batch

    def view(self, called: str, expression: Table) -> Table:  # noqa: ARG002 - others need it
        """Return a result under a name; by default it has none and is what it was."""
        return expression

    def kept(self, called: str, expression: Table) -> Table:
        """Return a result, once computed where that is possible."""
        return self.view(called, expression)

    def protect(self) -> None:
        """Let nothing that is asked from now on change what others have, where that is possible."""

    def translated(self, query: str) -> str:
        """Return a question in DuckDB's SQL as the engine's own; QueryError if it is none."""
        try:
            statements = [one for one in sqlglot.parse(query, read="duckdb") if one is not None]
        except sqlglot.errors.SqlglotError as error:
            raise QueryError(_plain(str(error))) from None
        if len(statements) != 1:
            raise QueryError("the query is empty" if not statements else "one statement at a time")
        if not isinstance(statements[0], exp.Query):
            raise QueryError("only questions are put to other engines: SELECT ...")
        translated: str = self._adapted(statements[0]).sql(dialect=self.backend.dialect)
        return translated

    def _adapted(self, statement: Any) -> Any:
        return statement


@define(eq=False)
class Spark(Dialect):
    """Apache Spark."""

    session: Any = field(kw_only=True)

    def __attrs_post_init__(self) -> None:
        self.can_try = self.is_shared = True

    def run(self, query: str) -> Answer:
        """Run a query in Spark's SQL."""
        frame = self.session.sql(query)
        return Answer(list(frame.columns), _in_batches(frame.toLocalIterator()))

    def view(self, called: str, expression: Table) -> Table:
        """Return a result as a view of this session."""
        self.frame(expression).createOrReplaceTempView(called)
        return ibis.table(expression.schema(), called)

    def kept(self, called: str, expression: Table) -> Table:
        """Return a result, kept in the executors' memory or on their disks."""
        self.frame(expression).persist().createOrReplaceTempView(called)
        return ibis.table(expression.schema(), called)

    def frame(self, expression: Table) -> Any:
        """Return a result as a DataFrame."""
        return self.session.sql(self.backend.compile(expression))


@define(eq=False)
class Postgres(Dialect):
    """PostgreSQL."""

    def table(self, called: str) -> Table:
        """Return what a table has, its texts in the order of their bytes."""
        found: Table = self.backend.table(called)
        columns = ", ".join(
            f'{name(column)} COLLATE "C" AS {name(column)}'
            if SCHEMA.get(column) in _TEXTS and found.schema()[column] in _TEXTS.values()
            else name(column)
            for column in found.columns
        )
        self.backend.con.execute(
            f"CREATE TEMPORARY VIEW {RAW} AS SELECT {columns} FROM {name(called)}"
        )
        return ibis.table(found.schema(), RAW)

    def run(self, query: str) -> Answer:
        """Run a query in PostgreSQL's SQL."""
        cursor = self.backend.con.execute(query)
        names = [str(column.name) for column in cursor.description or ()]
        return Answer(names, self._fetched(cursor) if names else iter(()))

    def view(self, called: str, expression: Table) -> Table:
        """Return a result as a temporary view."""
        return self._made("VIEW", called, expression)

    def kept(self, called: str, expression: Table) -> Table:
        """Return a result as a temporary table."""
        return self._made("TABLE", called, expression)

    def _made(self, kind: str, called: str, expression: Table) -> Table:
        query = self.backend.compile(expression)
        self.backend.con.execute(f"CREATE TEMPORARY {kind} {called} AS {query}")
        if kind == "TABLE":  # else the planner knows nothing of it
            self.backend.con.execute(f"ANALYZE {called}")
        return ibis.table(expression.schema(), called)

    def protect(self) -> None:
        """Let questions only read."""
        self.backend.con.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

    def _adapted(self, statement: Any) -> Any:
        for select in statement.find_all(exp.Select):
            group = select.args.get("group")
            if group is not None and group.args.get("all"):
                places = [
                    exp.Literal.number(place)
                    for place, column in enumerate(select.expressions, 1)
                    if column.find(exp.AggFunc) is None
                ]
                select.set("group", exp.Group(expressions=places) if places else None)
        return statement


_TEXTS: Final = {kind: ibis.dtype(kind) for kind in ("string", "array<string>")}


def name(text: str) -> str:
    """Return the name of a table or column in SQL."""
    return '"' + text.replace('"', '""') + '"'


def _in_batches(rows: Iterator[Any]) -> Iterator[Sequence[Sequence[Any]]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(tuple(row))
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def plain(value: Any, kind: Any) -> Any:
    """Return a value of a column of Ibis's type ``kind`` as the report has it.

    Sums of integers are decimals in PostgreSQL, and lists tuples or arrays elsewhere.
    """
    if value is None:
        return None
    if kind.is_integer():
        return int(value)
    if kind.is_floating() or kind.is_decimal():
        return float(value)
    return list(value) if kind.is_array() else value


_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


def _plain(text: str) -> str:
    return _COLOURS.sub("", text)
