"""A topic of Kafka's as a table of Spark's: from its beginning to its end as it is now.

Spark's own source is a package of Java's, which a cluster has only where somebody put it; this one
needs ``confluent-kafka`` in the workers' Python.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import pyarrow as pa
from attrs import field, frozen
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from cowrie_sessionstats.extras import install_command
from cowrie_sessionstats.spark_session import SparkError

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
except ImportError as error:
    raise SparkError(
        f"{error.msg}. kafka:// needs the package confluent-kafka, here and on the workers: "
        f"{install_command('kafka')}"
    ) from None

SCHEME: Final = "kafka://"
PATIENCE: Final = 60.0
"""Seconds without an answer or a message after which a broker counts as away."""
ROWS: Final = 2_000
"""Messages that go to Spark at once."""
BYTES: Final = 4 << 20
"""Bytes of them after which fewer do: one may have a million."""

_POLL: Final = 1.0
_END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 - its public name
_SCHEMA: Final = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
    ]
)
_COLUMNS: Final = "topic string, partition int, offset bigint, key binary, value binary"
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_OURS: Final[Mapping[str, Any]] = {
    # It joins no group and leaves no trace: what it reads, others read, too.
    "group.id": "cowrie-sessionstats",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "log_level": 0,
}
_OPTION: Final = "settings.secret"
"""What Spark shows of a query leaves out options that are called so."""


class SourceError(SparkError):
    """The topic cannot be read; the text says why and what to do."""


@frozen
class Address:
    """Where a topic is."""

    brokers: str
    topic: str
    settings: dict[str, str] = field(factory=dict, repr=False)
    """librdkafka's, by its names; secrets are among them."""

    @classmethod
    def of(cls, address: str) -> Address:
        """Read ``kafka://BROKER[,BROKER]/TOPIC[?NAME=VALUE&...]``; SourceError if it is none."""
        place, _, query = address.removeprefix(SCHEME).partition("?")
        brokers, _, topic = place.partition("/")
        if not brokers or _TOPIC.fullmatch(topic) is None:
            raise SourceError(f"{SCHEME}{place} names no topic. Write kafka://BROKER:9092/TOPIC")
        return cls(brokers, topic, dict(parse_qsl(query, keep_blank_values=True)))

    def consumer(self, told: Callable[[Any], None]) -> Any:
        """Return what reads there; ``told`` is told what it cannot do."""
        config = {
            **self.settings,
            **_OURS,
            "bootstrap.servers": self.brokers,
            "error_cb": told,
        }
        try:
            return Consumer(config)
        except KafkaException:  # its text may quote a secret
            names = ", ".join(self.settings) or "none"
            raise SourceError(
                f"{SCHEME}{self.brokers}: librdkafka does not take these settings: {names}. See "
                "its list of global configuration properties"
            ) from None


def topic(session: Any, address: str) -> Any:
    """Return the messages of a topic as a DataFrame: topic, partition, offset, key, value.

    Up to its end as it is now. Raises SourceError if the topic cannot be read.
    """
    where = Address.of(address)
    session.dataSource.register(TopicSource)
    given = [where.brokers, where.topic, where.settings, _ranges(where)]
    return session.read.format(TopicSource.name()).option(_OPTION, json.dumps(given)).load()


def _ranges(where: Address) -> list[tuple[int, int, int]]:
    """Return each partition with its first offset and the one behind its last."""
    troubles: list[str] = []
    consumer = where.consumer(lambda trouble: troubles.append(trouble.str()))
    try:
        found = consumer.list_topics(where.topic, PATIENCE).topics[where.topic]
        if found.error is not None:
            raise SourceError(f"{SCHEME}{where.brokers}/{where.topic}: {found.error.str()}")
        places = [TopicPartition(where.topic, number) for number in sorted(found.partitions)]
        marks = {
            place.partition: consumer.get_watermark_offsets(place, PATIENCE) for place in places
        }
        return _ends(consumer, where, {n: each for n, each in marks.items() if each[0] < each[1]})
    except KafkaException as error:
        consumer.poll(0)  # the reason is told only to who asks
        raise SourceError(_said(where, error.args[0], troubles)) from None
    finally:
        consumer.close()


def _ends(
    consumer: Any, where: Address, marks: Mapping[int, tuple[int, int]]
) -> list[tuple[int, int, int]]:
    """Return each partition with its first offset and the end of what is committed.

    A broker's own word for the end counts what is not committed yet (and Tansu's leaves out what
    came in one batch), so that the end is looked for where it should be.
    """
    ends = {number: high for number, (_, high) in marks.items()}
    waiting = set(marks)
    consumer.assign(
        [TopicPartition(where.topic, number, high - 1) for number, (_, high) in marks.items()]
    )
    until = time.monotonic() + PATIENCE
    while waiting and time.monotonic() < until:
        message = consumer.poll(_POLL)
        if message is None:
            continue
        number, error = message.partition(), message.error()
        if error is None:
            ends[number] = max(ends[number], message.offset() + 1)
        elif error.code() == _END:
            ends[number] = message.offset()
            waiting.discard(number)
        else:
            raise KafkaException(error)
    return [(number, low, ends[number]) for number, (low, _) in marks.items() if low < ends[number]]


def _said(where: Address, error: Any, troubles: list[str]) -> str:
    reason = troubles[0] if troubles else error.str()
    return f"{SCHEME}{where.brokers}/{where.topic}: {reason}. See that the broker is there"


class TopicSource(DataSource):
    """The source, as Spark asks for it."""

    @classmethod
    def name(cls) -> str:
        """Return what it is called."""
        return "cowrie_sessionstats_kafka"

    def schema(self) -> str:
        """Return its columns."""
        return _COLUMNS

    def reader(self, schema: Any) -> _Reader:  # noqa: ARG002 - Spark's
        """Return what reads it."""
        return _Reader(self.options[_OPTION])


class _Reader(DataSourceReader):
    def __init__(self, given: str) -> None:
        self.given = given

    def partitions(self) -> list[InputPartition]:
        *_, ranges = json.loads(self.given)
        # An empty topic has one range of nothing: Spark asks for one.
        return [InputPartition(each) for each in ranges or [(0, 0, 0)]]

    def read(self, partition: InputPartition) -> Iterator[Any]:
        brokers, name, settings, _ = json.loads(self.given)
        number, begin, end = partition.value
        return _batches(Address(brokers, name, settings), number, begin, end)


def _batches(where: Address, number: int, begin: int, end: int) -> Iterator[Any]:
    """Yield the messages of one partition from ``begin`` to before ``end``."""
    held: list[tuple[str, int, int, bytes | None, bytes | None]] = []
    size = 0
    for message in _messages(where, number, begin, end):
        key, value = message.key(), message.value()
        held.append((where.topic, number, message.offset(), key, value))
        size += len(key or b"") + len(value or b"")
        if len(held) >= ROWS or size >= BYTES:
            yield _table(held)
            held, size = [], 0
    if held:
        yield _table(held)


def _messages(where: Address, number: int, begin: int, end: int) -> Iterator[Any]:
    if begin >= end:
        return
    troubles: list[str] = []
    consumer = where.consumer(lambda trouble: troubles.append(trouble.str()))
    try:
        consumer.assign([TopicPartition(where.topic, number, begin)])
        heard = time.monotonic()
        while True:
            message = consumer.poll(_POLL)
            error = None if message is None else message.error()
            if message is not None and error is None:
                heard = time.monotonic()
            elif error is not None and error.code() != _END:
                raise SourceError(_said(where, error, troubles))
            else:
                # What was taken back, or compacted away, does not come: the end tells, then.
                if message is not None and message.offset() >= end:
                    return
                if time.monotonic() > heard + PATIENCE:
                    why = troubles[0] if troubles else f"nothing came for {PATIENCE:.0f} s"
                    raise SourceError(f"{SCHEME}{where.brokers}/{where.topic}/{number}: {why}")
                continue
            if message.offset() >= end:
                return
            yield message
            if message.offset() == end - 1:
                return
    finally:
        consumer.close()


def _table(rows: list[tuple[Any, ...]]) -> Any:
    columns = zip(*rows, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, each.type) for column, each in zip(columns, _SCHEMA, strict=True)],
        schema=_SCHEMA,
    )
