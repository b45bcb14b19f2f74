"""Records of any kind into a folder of Parquet by the day, on Spark: a session is there once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final

import ibis
from ibis import _

from cowrie_sessionstats.replay.spark.folder import DAY, Folder, verify
from cowrie_sessionstats.report.dialects import Spark
from cowrie_sessionstats.report.engine import EngineError
from cowrie_sessionstats.report.remote import Remote
from cowrie_sessionstats.spark_session import SparkError, brief

_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_LENGTH: Final = len("2026-03-18")


def write(engine: Remote, output: str) -> None:
    """Write all sessions to the folder ``output``, which can be one of those that were read.

    What was there is replaced at the end, or left alone. Raises EngineError if it cannot be done,
    FolderError if the folder is not one of ours.
    """
    if not isinstance(engine.dialect, Spark):
        raise TypeError(engine.dialect)
    session = engine.dialect.session
    with ExitStack() as stack:
        try:
            folder = Folder(session, output)
            stack.callback(folder.clear)
            folder.check([])
            _write(engine.dialect.frame(_with_day(engine.sessions)), folder.made)
            verify(session, folder.made, engine.count)
            folder.publish()
        except SparkError as error:
            raise EngineError(str(error)) from None


def _with_day(sessions: Any) -> Any:
    """Return the sessions, each with the day of its end, or of its start; NULL where none is."""
    day = ibis.coalesce(sessions.end, sessions.start).substr(0, _LENGTH)
    return sessions.mutate(**{DAY: day}).mutate(
        **{DAY: ibis.ifelse(_[DAY].re_search(_DATE), _[DAY], ibis.null("string"))}
    )


def _write(frame: Any, out: str) -> None:
    ordered = frame.hint("rebalance", DAY).sortWithinPartitions(
        DAY, "end", "sensor", "session", "start"
    )
    try:
        ordered.write.mode("overwrite").option("compression", "zstd").partitionBy(DAY).parquet(out)
    except Exception as error:  # noqa: BLE001 - Java's, Py4J's, PySpark's
        raise SparkError(brief(error)) from None
