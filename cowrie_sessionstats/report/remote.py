"""An engine that runs elsewhere: whatever Ibis speaks to, with a table ``sessions``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

import ibis
from attrs import define, field
from ibis import Table, _

from cowrie_sessionstats.report.columns import (
    IDENTITY,
    LATEST,
    MOST,
    NEEDED,
    SCHEMA,
    is_bounded,
)
from cowrie_sessionstats.report.dialects import Dialect, plain
from cowrie_sessionstats.report.engine import Answer, Engine, EngineError, QueryError, Result, Row
from cowrie_sessionstats.report.kinds import EVENTID
from cowrie_sessionstats.spark_session import brief
from cowrie_sessionstats.summary import SCHEMA as SCHEMA_VERSION

TOGETHER: Final = 4
"""Questions at a time where an engine takes several: a cluster waits between the steps of one."""


@define(eq=False)
class Remote(Engine):
    """Runs expressions where the records are; only results come here."""

    dialect: Dialect
    superseded: int = 0
    """Records that a later revision, or the same record, stands for."""
    newer: int = 0
    """Records of a schema that only a later version knows, which are left out."""
    count: int = 0
    """Sessions."""
    _kept: int = field(default=0, init=False)
    _compiling: Lock = field(factory=Lock, init=False)

    def rows(self, expression: Table) -> list[Row]:
        """Return all rows."""
        with self._compiling:
            query = self.dialect.backend.compile(expression)
        kinds = expression.schema().items()
        return [
            {name: plain(value, kind) for (name, kind), value in zip(kinds, row, strict=True)}
            for batch in _said(lambda: list(self.dialect.run(query).batches))
            for row in batch
        ]

    def keep(self, expression: Table) -> Table:
        """Return the result as a table, for other expressions to build on."""
        with self._compiling:
            self._kept += 1
            return _said(lambda: self.dialect.kept(f"sessionstats_{self._kept}", expression))

    def ask(self, query: str) -> Answer:
        """Put a question in SQL to the table ``sessions``."""
        translated = self.dialect.translated(query)
        _said(self.dialect.protect)
        try:
            return self.dialect.run(translated)
        except Exception as error:  # noqa: BLE001 - each engine has its own kinds
            raise QueryError(brief(error)) from None

    def together(self, work: Iterable[Callable[[], Result]]) -> list[Result]:
        """Return what each piece of work gives; several at a time where the engine takes them."""
        if not self.dialect.is_shared:
            return super().together(work)
        with ThreadPoolExecutor(TOGETHER) as pool:
            try:
                return [each.result() for each in [pool.submit(piece) for piece in work]]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _said(work: Callable[[], Result]) -> Result:
    """Return the result of work; what the engine says is raised as EngineError."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - each engine has its own kinds
        raise EngineError(brief(error)) from None


def remote(dialect: Dialect, raw: Table) -> Remote:
    """Return an engine over what a table has; EngineError if it is none of summaries.

    A session that is there more than once counts once: the record with the highest revision.
    """
    missing = [key for key in NEEDED if key not in raw.columns]
    if missing:
        raise EngineError(
            f"the table has no column {', '.join(missing)}: it is not one of summaries"
        )
    every = _checked(raw, dialect)
    is_newer = ibis.coalesce(every["schema"] > SCHEMA_VERSION, ibis.literal(value=False))
    engine = Remote(every.filter(~is_newer), dialect)
    engine.newer = engine.rows(every.filter(is_newer).aggregate(newer=_.count()))[0]["newer"]
    (counts,) = engine.rows(_counts(engine.sessions))
    engine.count = counts["distinct"]
    engine.superseded = counts["rows"] - counts["distinct"]
    if engine.superseded:
        engine.sessions = _said(lambda: dialect.kept("sessions", _latest(engine.sessions)))
    else:
        engine.sessions = _said(lambda: dialect.view("sessions", engine.sessions))
    return engine


def _checked(raw: Table, dialect: Dialect) -> Table:
    """Return the records as the figures expect them: what is not there, or nonsense, is NULL."""
    columns = {key: _column(raw, key, kind, dialect) for key, kind in SCHEMA.items()}
    return raw.filter(raw.eventid == EVENTID).select(**columns)


def _column(raw: Table, key: str, kind: str, dialect: Dialect) -> Any:
    if key not in raw.columns:
        return ibis.null(kind)
    value = raw[key]
    if value.type() != ibis.dtype(kind):
        value = value.try_cast(kind) if dialect.can_try else value.cast(kind)
    if is_bounded(key):
        return ibis.ifelse(value.between(0, MOST), value, ibis.null(kind))
    return value


def _counts(sessions: Table) -> Table:
    each = sessions.group_by(*IDENTITY).aggregate(rows=_.count())
    return each.aggregate(rows=ibis.coalesce(_.rows.sum(), 0), distinct=_.count())


def _latest(sessions: Table) -> Table:
    place = ibis.row_number().over(group_by=IDENTITY, order_by=[ibis.desc(key) for key in LATEST])
    return sessions.mutate(place=place).filter(_.place == 0).drop("place")
