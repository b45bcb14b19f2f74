"""Files of summaries, wherever Spark reads them, as one table of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from cowrie_sessionstats.replay.problems import NOT_JSON, Problems
from cowrie_sessionstats.report.columns import NEEDED, SCHEMA
from cowrie_sessionstats.report.engine import NO_SESSION, EngineError
from cowrie_sessionstats.report.kinds import EVENTID
from cowrie_sessionstats.report.records import NOT_A_SUMMARY, WRONG_TYPE
from cowrie_sessionstats.spark_session import COLUMNS, brief

_PATTERN: Final = re.compile(r"([\[\]{}*?\\])")
_LINES: Final = re.compile(r"\.jsonl?(?:[._-]|\Z)")
"""How the name of a file of JSON lines looks, rotated and compressed ones too."""
_WRONG: Final = "not_a_record"
"""The column in which Spark puts a line that is no record."""
_FILE: Final = "in_file"
KAFKA: Final = "kafka://"


@define(eq=False)
class Gathering:
    """Summaries from paths as a DataFrame; what is wrong with them goes to ``problems``."""

    session: Any
    problems: Problems
    files: int = field(default=0, init=False)

    def frame(self, paths: Sequence[str]) -> Any:
        """Return the records in ``paths``, with a column for each key that any of them has.

        Each path is a file, a folder or a glob as Spark takes them (``hdfs://``, ``s3a://``, ...):
        Parquet, or lines of JSON. Raises EngineError if there are none.
        """
        frames = [frame for name in paths for frame in self._frames(name)]
        if not frames:
            raise EngineError(NO_SESSION)
        return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)

    def _frames(self, name: str) -> list[Any]:
        try:
            if name.startswith(KAFKA):
                return [self._messages(name)]
            return self._taken(name, _address(name))
        except Exception as error:  # noqa: BLE001 - of any file system
            # What stands behind a topic's name can be a secret.
            shown = name.partition("?")[0] if name.startswith(KAFKA) else name
            self.problems.file(shown, _trouble(error))
            return []

    def _taken(self, name: str, path: str) -> list[Any]:
        reader = self.session.read.option("recursiveFileLookup", "true")
        # The column of names alone: nothing of the files is read for it.
        rows = reader.format("binaryFile").load(path).select("path").collect()
        found = [row[0] for row in rows]
        parquet = [each for each in found if each.endswith(".parquet")]
        lines = [each for each in found if _LINES.search(each.rpartition("/")[2])]
        self.files += len(parquet) + len(lines)
        frames = []
        if parquet:
            frames.append(self._parquet(path, whole=len(parquet) == len(found)))
        if lines:
            frames.append(self._lines(path))
        if not frames:
            self.problems.file(name, "holds no file that ends in .parquet or has .json in its name")
        return [frame for frame in frames if frame is not None]

    def _parquet(self, path: str, *, whole: bool) -> Any:
        reader = self.session.read.option("recursiveFileLookup", "true")
        if not whole:
            reader = reader.option("pathGlobFilter", "*.parquet")
        # Files of several versions have different columns.
        frame = reader.option("mergeSchema", "true").parquet(path)
        if not set(NEEDED) <= set(frame.columns):
            self.problems.file(path, "is Parquet, but not of summaries")
            return None
        return frame.select(*(key for key in SCHEMA if key in frame.columns))

    def _lines(self, path: str) -> Any:
        frame = (
            self.session.read.option("recursiveFileLookup", "true")
            .option("pathGlobFilter", "*.json*")
            .option("lineSep", "\n")
            .option("columnNameOfCorruptRecord", _WRONG)
            .schema(f"{COLUMNS}, `{_WRONG}` string")
            .json(path)
            .selectExpr("*", f"_metadata.file_path AS {_FILE}")
            # It is asked many times, and to read JSON takes as long as all that is made of it.
            .persist()
        )
        from pyspark.sql import functions as f  # noqa: PLC0415 - of an extra

        is_ours = f.coalesce(f.col("eventid") == EVENTID, f.lit(False))  # noqa: FBT003
        is_wrong = f.col(_WRONG).isNotNull()
        reason = (
            f.when(is_wrong & is_ours, WRONG_TYPE)
            .when(is_wrong, NOT_JSON)
            .when(~is_ours, NOT_A_SUMMARY)
        )
        self._tell(frame.select(reason.alias("reason"), f.col(_FILE).alias("place")))
        return frame.filter(f"{_WRONG} IS NULL").select(*SCHEMA)

    def _messages(self, address: str) -> Any:
        """Return the records in a topic, as far as it goes now."""
        from cowrie_sessionstats.kafka_source import topic  # noqa: PLC0415 - of an extra
        from cowrie_sessionstats.report.messages import of_messages  # noqa: PLC0415

        self.files += 1
        frame = (
            topic(self.session, address)
            .select("topic", "partition", "offset", "value")
            .mapInArrow(of_messages, f"{COLUMNS}, reason string, place string")
            .persist()
        )
        self._tell(frame)
        return frame.filter("reason IS NULL").select(*SCHEMA)

    def _tell(self, frame: Any) -> None:
        """Count what is no record, each ``reason`` with the ``place`` of the first."""
        from pyspark.sql import functions as f  # noqa: PLC0415 - of an extra

        rows = (
            frame.filter("reason IS NOT NULL")
            .groupBy("reason")
            .agg(f.count("*").alias("lines"), f.min("place").alias("first"))
            .collect()
        )
        for row in rows:
            self.problems.skipped(row["reason"], row["lines"], row["first"])


def _address(name: str) -> str:
    """Return a path for Spark, to which what lies on this machine is no pattern."""
    if "://" in name or not Path(name).exists():
        return name
    return "file://" + _PATTERN.sub(r"\\\1", str(Path(name).resolve()))


def _trouble(error: Exception) -> str:
    text = brief(error)
    return "is not there" if "PATH_NOT_FOUND" in text else text
