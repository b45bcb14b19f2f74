"""The engine that computes the figures: what differs between engines is met here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

import duckdb
import ibis
from attrs import define, field
from ibis import Table

Row: TypeAlias = dict[str, Any]


@define(eq=False)
class Engine:
    """Runs expressions over one table of records."""

    backend: Any
    """Ibis's."""
    sessions: Table
    _kept: int = field(default=0, init=False)

    def rows(self, expression: Table) -> list[Row]:
        """Return all rows."""
        rows: list[Row] = expression.to_pyarrow().to_pylist()
        return rows

    def records(self, sessions: Collection[str]) -> list[Row]:
        """Return the records of the sessions with these ids."""
        return self.rows(self.sessions.filter(self.sessions.session.isin(sorted(sessions))))

    def keep(self, expression: Table) -> Table:
        """Return the result as a table, for other expressions to build on.

        Not Ibis's ``cache``: with the newest sqlglot it writes a DROP that DuckDB does not take.
        """
        self._kept += 1
        return self.backend.create_table(f"kept_{self._kept}", expression, temp=True)


def embedded(connection: duckdb.DuckDBPyConnection) -> Engine:
    """Return DuckDB in this process, with the table ``sessions`` that it has."""
    backend = ibis.duckdb.from_connection(connection)
    return Engine(backend, backend.table("sessions"))
