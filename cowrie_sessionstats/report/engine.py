"""What computes the figures: an engine with one table of sessions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from attrs import define, frozen
from ibis import Table

from cowrie_sessionstats.report import figures

Row: TypeAlias = dict[str, Any]
Result = TypeVar("Result")


NO_SESSION: Final = "no session was found; raw logs are summarized first: summarize --engine"


class EngineError(Exception):
    """An engine cannot do what it was asked to; the text says why and what to do."""


class QueryError(Exception):
    """A question in SQL has a mistake; the text is the engine's."""


@frozen
class Answer:
    """What a question in SQL gave."""

    names: Sequence[str]
    batches: Iterator[Sequence[Sequence[Any]]]
    """Rows, some at a time: there may be more than fit into the memory."""


@define(eq=False)
class Engine(ABC):
    """Runs expressions over one table of records."""

    sessions: Table
    """A row a session, a column a key of the record, as ``columns.SCHEMA`` has them."""

    @abstractmethod
    def rows(self, expression: Table) -> list[Row]:
        """Return all rows."""

    @abstractmethod
    def keep(self, expression: Table) -> Table:
        """Return the result as a table, for other expressions to build on."""

    @abstractmethod
    def ask(self, query: str) -> Answer:
        """Put a question in DuckDB's SQL to the table ``sessions``; QueryError if it is none."""

    def together(self, work: Iterable[Callable[[], Result]]) -> list[Result]:
        """Return what each piece of work gives; an engine may do several at a time."""
        return [piece() for piece in work]

    def records(self, sessions: Collection[str]) -> list[Row]:
        """Return the records of the sessions with these ids."""
        return self.rows(
            self.sessions.filter(figures.among(self.sessions.session, sorted(sessions)))
        )
