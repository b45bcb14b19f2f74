"""A topic of Kafka's as a table of Spark's, and its events summarized."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from logs import session, summarize, tool, write_log
from ports import HOST, free_port
from receivers_kafka import PARTITIONS, Kafka
from spark_corpus import table
from summaries import summary, write_records

pytest.importorskip("confluent_kafka")

from cowrie_sessionstats.kafka_source import Address, SourceError

pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Return a broker; the tests are skipped where there is none."""
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


def send(kafka: Kafka, topic: str, messages: list[bytes]) -> None:
    """Send messages to partitions by chance, each to one."""
    from confluent_kafka import Producer  # noqa: PLC0415 - where it is installed

    kafka.make_topic(topic)
    producer = Producer({"bootstrap.servers": kafka.broker, "log_level": 0})
    chance = random.Random(1)
    for message in messages:
        producer.produce(topic, message, partition=chance.randrange(PARTITIONS))
    assert producer.flush(30) == 0


def test_a_topic_of_events_is_summarized(kafka: Kafka, tmp_path: Path) -> None:
    """Sessions whose events are in several partitions, one broken message, one of several lines."""
    events = [
        each
        for number in range(40)
        for each in session(f"k{number:03}", number * 3.0, f"sensor{number % 3}")
    ]
    events.sort(key=lambda each: str(each["timestamp"]))
    lines = [json.dumps(each, indent=number % 2 or None) for number, each in enumerate(events)]
    send(kafka, "events", [*(line.encode() for line in lines), b"{broken", b""])
    output = tmp_path / "out.parquet"
    done = summarize(
        f"kafka://{kafka.broker}/events?client.id=a", "--engine",
        "local[2]?spark.sql.shuffle.partitions=2", "--out", output,
    )  # fmt: skip
    assert done.status == 0, done.err
    counted = f"{len(events)} events, 40 sessions; 1 line skipped: 1 not JSON (first: events/"
    assert counted in done.err
    local = tmp_path / "local.parquet"
    assert summarize(write_log(tmp_path / "a.json", events), "--out", local).status == 0
    assert table(output) == table(local)


def test_a_topic_of_summaries_is_told_apart(kafka: Kafka, tmp_path: Path) -> None:
    """It has nothing to count: the report is for it."""
    records = summarize(write_log(tmp_path / "a.json", session("a"))).out.splitlines()
    send(kafka, "summaries", records)
    done = summarize(
        f"kafka://{kafka.broker}/summaries", "--engine", "local[1]", "--out", tmp_path / "o.parquet"
    )
    assert done.status == 1
    assert done.err == ("error: summaries is of summaries, not of Cowrie's events: use report\n")
    assert not list(tmp_path.glob("*.parquet"))


def test_a_topic_of_summaries_is_reported_on(kafka: Kafka, tmp_path: Path) -> None:
    """As JSON or msgpack, whichever the plugin sent; what is neither is counted, with its place."""
    records = [
        summary("a", "id", "exit"), summary("b\ud800", "uname -a", at=5.0), summary("c", at=9.0),
        summary("a", "id", "exit", revision=1, downloads=3),
    ]  # fmt: skip
    packed = [msgpack.packb(each) for each in records[::2]]
    lines = [json.dumps(each).encode() for each in records[1::2]]
    wrong = json.dumps(summary("w") | {"commands": "many"}).encode()
    event = json.dumps(session("e")[0]).encode()
    send(kafka, "records", [*packed, *lines, b"{", wrong, event, b"\xc1", b""])
    topic = f"kafka://{kafka.broker}/records"
    engine = "local[2]?spark.sql.shuffle.partitions=2&spark.sql.codegen.wholeStage=false"
    said = tool("report", "--json", "--all-sessions", f"{topic}?client.id=b", "--engine", engine)
    assert said.status == 0, said.err
    path = write_records(tmp_path / "s.jsonl", records)
    assert said.records == tool("report", "--json", "--all-sessions", path).records
    for each in ("3 not JSON (first: records/", "1 a value of another type", "1 no summary of a"):
        assert each in said.err
    assert "5 lines skipped" in said.err
    secret = tool(
        "report", f"kafka://{HOST}:{free_port()}/x?sasl.password=geheim", "--engine", engine
    )
    assert secret.status == 1
    assert "geheim" not in secret.err


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("kafka://broker", "names no topic"),
        ("kafka:///topic", "names no topic"),
        ("kafka://broker/two words", "names no topic"),
    ],
)
def test_addresses_that_name_no_topic(address: str, said: str) -> None:
    """What is missing is said."""
    with pytest.raises(SourceError, match=said):
        Address.of(address)


def test_secrets_are_in_no_error() -> None:
    """What is not taken is named, not quoted as librdkafka does."""
    address = Address.of("kafka://broker/topic?sasl.password=hush&no.such=hush&ssl.key.pem=hush")
    assert "hush" not in repr(address)
    with pytest.raises(SourceError, match=r"no\.such") as told:
        address.consumer(print)
    assert "hush" not in str(told.value)


def test_a_broker_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time that it is waited for."""
    from cowrie_sessionstats import kafka_source  # noqa: PLC0415 - where it is installed

    monkeypatch.setattr(kafka_source, "PATIENCE", 1.0)
    with pytest.raises(SourceError, match=rf"kafka://{HOST}:\d+/topic: .*refused"):
        kafka_source._ranges(Address.of(f"kafka://{HOST}:{free_port()}/topic"))
