"""Arrow's tables in and out of what the workers do: the part of it that touches Spark's data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from cowrie_sessionstats.replay.decoding import steady_depth
from cowrie_sessionstats.replay.formats import arrow_schema, arrow_table
from cowrie_sessionstats.replay.spark.folder import DAY
from cowrie_sessionstats.replay.spark.gathering import Gathering
from cowrie_sessionstats.replay.spark.scanning import (
    COLUMNS,
    Log,
    Row,
    Tell,
    scan_joined,
    scan_lines,
    scan_messages,
    scan_packed,
)
from cowrie_sessionstats.replay.spark.settings import Chosen, settings_of

Batches: TypeAlias = Iterable[Any]
Logs: TypeAlias = Mapping[str, Log]

ROWS: Final = 2_000
"""Rows that go to Spark at once."""
BYTES: Final = 4 << 20
"""Bytes of lines after which fewer do: an attacker's can be long."""

_ARROW: Final = {
    "binary": pa.binary(),
    "double": pa.float64(),
    "int": pa.int32(),
    "bigint": pa.int64(),
}
_SCHEMA: Final = pa.schema([(name, _ARROW[kind]) for name, kind in COLUMNS])


def of_lines(batches: Batches, logs: Logs, tell: Tell) -> Iterator[Any]:
    """Turn lines of logs into events' rows."""
    return _tables(scan_lines(_lines(batches, logs), tell))


def of_packed(batches: Batches, logs: Logs, tell: Tell) -> Iterator[Any]:
    """Turn whole packed logs into events' rows."""
    contents = (
        (logs[uri], content)
        for batch in batches
        for uri, content in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    return _tables(scan_packed(contents, tell))


def of_joined(batches: Batches, logs: Logs, tell: Tell, unended: frozenset[int]) -> Iterator[Any]:
    """Turn the lines of logs that were brought together into events' rows."""
    lines = (
        (logs[uri], line)
        for batch in batches
        for uri, line in zip(
            batch.column("uri").to_pylist(), batch.column("text").to_pylist(), strict=True
        )
    )
    return _tables(scan_joined(lines, tell, unended))


def numbered(batches: Batches) -> Iterator[Any]:
    """Add to lines of logs their number within their piece."""
    place: tuple[Any, Any] | None = None
    number = 0
    for batch in batches:
        numbers = []
        for here in zip(
            batch.column("uri").to_pylist(), batch.column("start").to_pylist(), strict=True
        ):
            number = number + 1 if here == place else 0
            place = here
            numbers.append(number)
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array(numbers, pa.int64())], [*batch.schema.names, "number"]
        )


def of_messages(batches: Batches, tell: Tell) -> Iterator[Any]:
    """Turn messages of a topic into events' rows."""
    messages = (
        each
        for batch in batches
        for each in zip(
            *(batch.column(name).to_pylist() for name in ("partition", "offset", "value")),
            strict=True,
        )
    )
    return _tables(scan_messages(messages, tell))


def _lines(batches: Batches, logs: Logs) -> Iterator[tuple[Log, int, bytes | None, int]]:
    for batch in batches:
        count = batch.num_rows
        if not count:
            continue
        uris, starts = batch.column("uri"), batch.column("start")
        sizes = batch.column("size").to_pylist()
        texts = batch.column("text").to_pylist()
        # Pieces come one after the other, so that these are all of one.
        if uris[0] == uris[count - 1] and starts[0] == starts[count - 1]:
            log, start = logs[uris[0].as_py()], starts[0].as_py()
            for text, size in zip(texts, sizes, strict=True):
                yield log, start, text, size or 0
        else:
            for uri, start, text, size in zip(
                uris.to_pylist(), starts.to_pylist(), texts, sizes, strict=True
            ):
                yield logs[uri], start, text, size or 0


def _tables(rows: Iterator[Row]) -> Iterator[Any]:
    with steady_depth():
        held: list[Row] = []
        size = 0
        for row in rows:
            held.append(row)
            size += len(row[-1])
            if len(held) >= ROWS or size >= BYTES:
                yield _table(held)
                held, size = [], 0
        if held:
            yield _table(held)


def _table(rows: list[Row]) -> Any:
    return pa.RecordBatch.from_arrays(
        [
            pa.array(c, field.type)
            for c, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)
        ],
        schema=_SCHEMA,
    )


def of_sessions(
    batches: Batches, chosen: Chosen, tell: Callable[[Any], None], *, open_sessions: bool
) -> Iterator[Any]:
    """Turn events' rows, in order, into records with their day."""
    schema = arrow_schema(pa)
    gathering = Gathering(settings_of(chosen), open_sessions)
    with steady_depth():
        held: list[bytes] = []
        size = 0
        for record in gathering.records(map(_rows, batches)):
            held.append(record)
            size += len(record)
            if len(held) >= ROWS or size >= BYTES:
                yield from _records(schema, held)
                held, size = [], 0
        if held:
            yield from _records(schema, held)
    tell(gathering.outcome)


def _rows(batch: Any) -> tuple[list[bytes], list[tuple[int, int]], list[bytes]]:
    parts = zip(batch.column("file").to_pylist(), batch.column("part").to_pylist(), strict=True)
    return batch.column("key").to_pylist(), list(parts), batch.column("text").to_pylist()


def _records(schema: Any, lines: list[bytes]) -> Iterator[Any]:
    table = arrow_table(pa, schema, lines)
    day = pc.utf8_slice_codeunits(pc.coalesce(table["end"], table["start"]), 0, len("2026-03-18"))
    yield from table.append_column(DAY, day).combine_chunks().to_batches()
