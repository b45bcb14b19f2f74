"""Messages of a topic to records: what Spark's workers do of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgpack
import pyarrow as pa
import pyarrow.json

from cowrie_sessionstats.replay.formats import arrow_schema, arrow_table
from cowrie_sessionstats.replay.problems import NOT_JSON
from cowrie_sessionstats.report.records import as_line, record_in, record_on

REASON: Final = "reason"
"""The column that says why there is no record."""
PLACE: Final = "place"
"""The column that says where it is: ``topic/partition:offset``."""
_JSON: Final = b"{"
_NOTHING: Final = b"{}\n"


def of_messages(batches: Iterable[Any]) -> Iterator[Any]:
    """Turn messages (topic, partition, offset, value: JSON or msgpack) into rows of records."""
    schema = arrow_schema(pa)
    for batch in batches:
        if not batch.num_rows:
            continue
        found = [_record(value) for value in batch.column("value").to_pylist()]
        lines = [_NOTHING if record is None else as_line(record) for record, _ in found]
        table = arrow_table(pa, schema, lines)
        names = zip(
            *(batch.column(name).to_pylist() for name in ("topic", "partition", "offset")),
            strict=True,
        )
        places = [f"{topic}/{partition}:{offset}" for topic, partition, offset in names]
        table = table.append_column(
            REASON, pa.array([reason or None for _, reason in found], pa.string())
        )
        yield from table.append_column(PLACE, pa.array(places, pa.string())).to_batches()


def _record(value: bytes | None) -> tuple[Any, str]:
    """Return the record of a message; None and the reason if there is none."""
    if not value:  # it takes back, in a compacted topic, what had its key
        return None, NOT_JSON
    if value.lstrip()[:1] == _JSON:
        return record_on(value)
    try:
        known = msgpack.unpackb(value, raw=False, unicode_errors="replace")
    except (ValueError, TypeError, msgpack.UnpackException):
        return None, NOT_JSON
    return record_in(known)
