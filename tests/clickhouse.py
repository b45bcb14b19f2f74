"""ClickHouse in this process (chdb), as an engine of the report: Ibis writes its SQL, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import ibis
from attrs import define, field

from cowrie_sessionstats.report.columns import SCHEMA
from cowrie_sessionstats.report.dialects import plain
from cowrie_sessionstats.report.engine import Answer, Engine, Row

SETTINGS: Final = {
    # As the SQL standard has it; without them, what is not there is 0 or an empty text.
    "join_use_nulls": 1,
    "aggregate_functions_null_for_empty": 1,
    "cast_keep_nullable": 1,
    # In what comes back.
    "output_format_json_quote_64bit_integers": 0,
}


@define(eq=False)
class ClickHouse(Engine):
    """Runs expressions over a file of Parquet."""

    sessions: Any = field(factory=lambda: ibis.table(SCHEMA, "sessions"), init=False)
    parquet: Path
    _session: Any = field(init=False)
    _kept: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        from chdb import session  # noqa: PLC0415 - not everywhere

        self._session = session.Session()  # type: ignore[no-untyped-call,unused-ignore]
        for name, value in SETTINGS.items():
            self._session.query(f"SET {name} = {value}")
        self._session.query(
            f"CREATE VIEW sessions AS SELECT * FROM file('{self.parquet}', Parquet)"
        )

    def rows(self, expression: Any) -> list[Row]:
        """Return all rows."""
        said = str(self._session.query(self._sql(expression), "JSONEachRow"))
        kinds = expression.schema()
        return [
            {name: plain(value, kinds[name]) for name, value in json.loads(line).items()}
            for line in said.split("\n")
            if line
        ]

    def keep(self, expression: Any) -> Any:
        """Return the result as a table in the memory."""
        self._kept += 1
        name = f"kept_{self._kept}"
        self._session.query(f"CREATE TABLE {name} ENGINE = Memory AS {self._sql(expression)}")
        return ibis.table(expression.schema(), name)

    def ask(self, query: str) -> Answer:
        """Nobody asks it."""
        raise NotImplementedError(query)

    def close(self) -> None:
        """Let it go."""
        self._session.close()

    @staticmethod
    def _sql(expression: Any) -> str:
        return str(ibis.to_sql(expression, dialect="clickhouse"))
