"""The plan on the cluster: lines to events, a session's events together, records to a folder."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, field

from cowrie_sessionstats.replay.reading import LINE_LIMIT
from cowrie_sessionstats.replay.running import Totals
from cowrie_sessionstats.replay.spark import tables
from cowrie_sessionstats.replay.spark.folder import DAY, verify
from cowrie_sessionstats.replay.spark.pieces import (
    LONGEST,
    ByPlace,
    Extent,
    Gathered,
    Piece,
    add_up,
    lacks_newline,
    suspicious,
)
from cowrie_sessionstats.replay.spark.places import Place
from cowrie_sessionstats.replay.spark.scanning import COLUMNS, Log
from cowrie_sessionstats.replay.spark.settings import Chosen
from cowrie_sessionstats.spark_session import COLUMNS as RECORD
from cowrie_sessionstats.spark_session import SparkError, brief

_EVENTS: Final = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
_ORDER: Final = ("key", "tick", "head", "file", "part", "piece", "line")
_ROWS: Final = "spark.sql.execution.arrow.maxRecordsPerBatch"
_BATCHES: Final = {
    _ROWS: str(tables.ROWS),
    "spark.sql.execution.arrow.maxBytesPerBatch": str(tables.BYTES),
}
_LISTING: Final = {
    # Spark looks at each file that it is told of once more: by a task each, from 33 on.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "64",
}
_FEW: Final = "16"
"""Rows that go to Python at once where Spark knows no bound in bytes."""


class StoppedError(Exception):
    """Nobody wants the result any more."""


@define(eq=False)
class Cluster:
    """Summarizes on the cluster of a session of Spark's."""

    session: Any
    chosen: Chosen
    open_sessions: bool = False
    stopped: threading.Event = field(factory=threading.Event)
    totals: Totals = field(factory=Totals)

    def __attrs_post_init__(self) -> None:
        conf = self.session.conf
        given = self.session.sparkContext.getConf()
        known = conf.isModifiable("spark.sql.execution.arrow.maxBytesPerBatch")
        wanted = {**_BATCHES, **_LISTING} if known else {_ROWS: _FEW, **_LISTING}
        for name, value in wanted.items():
            if not given.contains(name):
                conf.set(name, value)

    def logs(self, places: Sequence[Place], out: str) -> None:
        """Write the records of logs to the folder ``out``; raises SparkError."""
        together: set[int] = set()
        unended: set[int] = set()
        while True:
            pieces, gathered = self._perform(
                partial(self._events_of_logs, places, together, unended), out
            )
            found = {
                number: pieces.get(number, {})
                for number, place in enumerate(places)
                if number not in together and not place.is_taken_whole
            }
            back = {number for number, each in found.items() if suspicious(each)}
            if not back:
                break
            # Only now it is known which logs have to be read as they stand: one in a hundred
            # thousand, but where clocks are set back.
            together |= back
            unended |= {n for n in back if lacks_newline(places[n].file.size, _bytes(found[n]))}
        extents = (
            (Extent(p.file.name, self._size(p, n in together)), pieces.get(n, {}))
            for n, p in enumerate(places)
        )
        self._finish(extents, gathered)

    def topic(self, messages: Any, name: str, out: str) -> None:
        """Write the records of a topic's messages to the folder ``out``; raises SparkError."""

        def events(told: Any) -> list[Any]:
            check = self.chosen.check

            def scan(batches: Iterator[Any]) -> Iterator[Any]:
                check()
                return tables.of_messages(batches, lambda place, piece: told.add({place: piece}))

            columns = messages.select("partition", "offset", "value")
            return [columns.mapInArrow(scan, _EVENTS)]

        pieces, gathered = self._perform(events, out)
        events_read = sum(piece.events for each in pieces.values() for piece in each.values())
        if events_read and events_read == sum(
            piece.summaries for each in pieces.values() for piece in each.values()
        ):
            raise SparkError(f"{name} is of summaries, not of Cowrie's events: use report")
        extents = (
            (Extent(f"{name}/{partition}", first=0), each) for partition, each in pieces.items()
        )
        self._finish(extents, gathered)

    def _finish(
        self, extents: Iterator[tuple[Extent, Mapping[int, Piece]]], gathered: list[Gathered]
    ) -> None:
        totals = self.totals
        add_up(extents, totals.tally, totals.problems)
        for each in gathered:
            totals.records += each.records
            totals.left_open += each.left_open
            totals.dropped += each.dropped

    @staticmethod
    def _size(place: Place, is_together: bool) -> int | None:  # noqa: FBT001 - a fact of the place
        return None if place.kind is not None or is_together else place.file.size

    # ------------------------------------------------------------ events

    def _events_of_logs(
        self, places: Sequence[Place], together: set[int], unended: set[int], told: Any
    ) -> list[Any]:
        """Return the rows of all events, from logs that are read in one way or another."""
        logs = {
            place.uri: Log(number, place.head.part.head, place.head.line, _opened(place))
            for number, place in enumerate(places)
        }
        chosen = self.chosen
        ended = frozenset(unended)

        def tell(place: Any, piece: Piece) -> None:
            told.add({place: piece})

        def lines(batches: Iterator[Any]) -> Iterator[Any]:
            chosen.check()
            return tables.of_lines(batches, logs, tell)

        def packed(batches: Iterator[Any]) -> Iterator[Any]:
            chosen.check()
            return tables.of_packed(batches, logs, tell)

        def joined(batches: Iterator[Any]) -> Iterator[Any]:
            return tables.of_joined(batches, logs, tell, ended)

        whole = [place for place in places if place.is_taken_whole]
        rest = [(n, p) for n, p in enumerate(places) if not p.is_taken_whole]
        in_pieces = [place for number, place in rest if number not in together]
        as_one = [place for number, place in rest if number in together]
        found = []
        if in_pieces:
            found.append(self._lines(in_pieces).mapInArrow(lines, _EVENTS))
        for content, some in (
            ("NULL", [place for place in whole if place.is_here]),
            ("content", [place for place in whole if not place.is_here]),
        ):
            if some:
                files = self._read("binaryFile", some).selectExpr("_metadata.file_path", content)
                found.append(files.mapInArrow(packed, _EVENTS))
        if as_one:
            schema = "text binary, size int, uri string, start bigint, number bigint"
            ordered = (
                self._lines(as_one)
                .mapInArrow(tables.numbered, schema)
                .repartition("uri")
                .sortWithinPartitions("uri", "start", "number")
            )
            found.append(ordered.mapInArrow(joined, _EVENTS))
        return found

    def _read(self, kind: str, places: Sequence[Place]) -> Any:
        reader = self.session.read.format(kind)
        # Names are names: no globs, no columns in them.
        reader = reader.option("recursiveFileLookup", "true").option("__globPaths__", "false")
        if kind == "text":
            # A carriage return is a part of its line, and a line without end has one here.
            reader = reader.option("lineSep", "\n").option(
                "mapreduce.input.linerecordreader.line.maxlength", str(LONGEST)
            )
        return reader.load([place.path for place in places])

    def _lines(self, places: Sequence[Place]) -> Any:
        from pyspark.sql import functions as F  # noqa: N812, PLC0415 - of an extra, and large

        value = F.col("value").cast("binary")
        size = F.length(value)
        return self._read("text", places).select(
            F.when(size <= LINE_LIMIT, value).alias("text"),
            F.when(size > LINE_LIMIT, size).alias("size"),
            F.col("_metadata.file_path").alias("uri"),
            F.col("_metadata.file_block_start").alias("start"),
        )

    # ------------------------------------------------------------ sessions

    def _perform(
        self, events: Callable[[Any], list[Any]], out: str
    ) -> tuple[dict[int, dict[int, Piece]], list[Gathered]]:
        """Write the records of events; return what the pieces and the sessions came to."""
        context = self.session.sparkContext
        told = context.accumulator({}, ByPlace())
        done = context.accumulator({}, ByPlace())
        chosen, open_sessions = self.chosen, self.open_sessions

        def gather(batches: Iterator[Any]) -> Iterator[Any]:
            from pyspark import TaskContext  # noqa: PLC0415 - on the worker

            task: Any = TaskContext.get()
            number = task.partitionId()
            return tables.of_sessions(
                batches,
                chosen,
                lambda outcome: done.add({number: outcome}),
                open_sessions=open_sessions,
            )

        rows, *more = events(told)
        for each in more:
            rows = rows.unionAll(each)
        records = (
            rows.repartition("key")
            .sortWithinPartitions(*_ORDER)
            .mapInArrow(gather, f"{RECORD}, `{DAY}` string")
            .hint("rebalance", DAY)
            .sortWithinPartitions(DAY, "end", "sensor", "session", "start")
        )
        writer = records.write.mode("overwrite").option("compression", "zstd").partitionBy(DAY)
        self._wait(lambda: writer.parquet(out))
        pieces: dict[int, dict[int, Piece]] = {}
        for (number, start), piece in told.value.items():
            pieces.setdefault(number, {})[start] = piece
        gathered = list(done.value.values())
        verify(self.session, out, sum(each.records for each in gathered))
        return pieces, gathered

    def _wait(self, action: Callable[[], None]) -> None:
        """Do it, unless the work is to end; raises SparkError."""
        if self.stopped.is_set():
            raise StoppedError
        try:
            action()
        except Exception as error:  # noqa: BLE001 - Java's, Py4J's, PySpark's
            if self.stopped.is_set():
                raise StoppedError from None
            raise SparkError(why(error)) from None

    def stop(self) -> None:
        """End what runs, from another thread."""
        self.stopped.set()
        with contextlib.suppress(Exception):  # the cluster may be gone
            self.session.sparkContext.cancelAllJobs()

    def tasks(self) -> tuple[int, int]:
        """Return how many tasks of the stages that run are done, and how many there are."""
        tracker = self.session.sparkContext.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        known = [stage for stage in stages if stage is not None]
        return sum(s.numCompletedTasks for s in known), sum(s.numTasks for s in known)


def _opened(place: Place) -> str:
    return place.path.removeprefix("file:") if place.is_taken_whole and place.is_here else ""


def _bytes(pieces: Mapping[int, Piece]) -> int:
    return sum(piece.bytes for piece in pieces.values())


_TOLD: Final = (
    (
        r"No module named '([\w.]+)'",
        (
            "a worker's Python has no package {0}: it needs cowrie-sessionstats[spark] of the same "
            "version, at the path of this one or by spark.archives"
        ),
    ),
    (r"VersionError: (.*)", "{0}"),
    (r"SourceError: (.*)", "{0}"),
    (
        r"\[PYTHON_VERSION_MISMATCH\] (.*)",
        "a worker has another Python than this one ({0}): set PYSPARK_PYTHON to one that all have",
    ),
    (
        r'Cannot run program "(.*?)"',
        (
            "a worker has no {0}: cowrie-sessionstats[spark] has to be there at the same path; "
            "else set PYSPARK_PYTHON"
        ),
    ),
    (r"File (\S+) does not exist", "a worker does not see {0}: name a folder that all share"),
    (r"(?:AccessControlException|AccessDeniedException).*?: (.*)", "{0}"),
    (
        r"ExecutorLostFailure|OutOfMemoryError|exit code 137|Java heap space",
        (
            "workers were lost, perhaps because their memory ran out. Try again with more: "
            "?spark.executor.memory=2g behind the address"
        ),
    ),
    (r"No space left on device", "a disk is full: free it, or name another by spark.local.dir"),
)


def why(error: BaseException) -> str:
    """Return what an error of the cluster's means to whoever gave it the work, in one sentence."""
    text = str(getattr(error, "java_exception", None) or error)
    for pattern, said in _TOLD:
        match = re.search(pattern, text)
        if match is not None:
            return said.format(*match.groups())
    return brief(error)
