"""Kafka against a real broker: what it has not acknowledged does not count as delivered."""

from __future__ import annotations

import json
import random
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import msgpack
import pytest
import pytest_twisted
from attrs import evolve
from logs import tool
from nasty import NASTY
from ports import HOST, free_port
from receivers_kafka import TOPIC, Kafka, Mock
from receivers_sasl import Login
from receivers_syslog import Authority, Identity
from summaries import summary, write_records
from twisted.internet import reactor as _reactor
from twisted.internet import task
from twisted.internet.defer import CancelledError, Deferred
from waiting import until

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs.destinations import read_destinations
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.sending import Delivered, Failed, Partly, Record, Verdict

kafka = pytest.importorskip(
    "cowrie_sessionstats.outputs.kafka", reason="no client for Kafka: the extra `kafka`"
)
options_of = kafka.read_options

reactor: Any = _reactor
Steps = Generator[Deferred[Any], Any, None]
Maker = Callable[..., Any]
SECTION = "sessionstats_bus"


def records(count: int, **known: Any) -> list[Record]:
    """Return records that differ in their session."""
    return [summary(f"s{number:05}", "uname -a", at=number, **known) for number in range(count)]


def send(sender: Any, batch: Sequence[Record]) -> Deferred[Verdict]:
    """Render a batch and send it."""
    return sender.send(sender.render(batch))  # type: ignore[no-any-return]


def sessions(messages: Sequence[Any]) -> list[str]:
    """Return the session of each message."""
    return [json.loads(message.value())["session"] for message in messages]


@pytest.fixture
def broker_of(tmp_path: Path) -> Iterator[Maker]:
    """Return a function that makes a broker, which is stopped after the test."""
    made: list[Kafka] = []

    def make(*, started: bool = True, **options: Any) -> Kafka:
        broker = Kafka(tmp_path / f"kafka{len(made)}", **options)
        made.append(broker)
        if started:
            broker.start()
        return broker

    yield make
    for broker in made:
        broker.stop()


@pytest.fixture
def mock() -> Iterator[Mock]:
    """Return a cluster that answers as it is told."""
    made = Mock()
    yield made
    made.stop()


@pytest.fixture
def sender_to() -> Iterator[Maker]:
    """Return a function that makes a sender, which is stopped after the test."""
    made: list[Any] = []

    def make(to: Kafka | Mock, **options: str) -> Any:
        given = {"brokers": to.broker, "topic": TOPIC, "timeout": "20"} | options
        sender = kafka.KafkaSender(options_of(given, SECTION, {}), reactor)
        made.append(sender)
        return sender

    yield make
    for sender in made:
        sender.stop()


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """In no test anything may get to stderr, which is Cowrie's."""
    yield
    assert capfd.readouterr().err == ""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up brokers that cannot be reached sooner: here, there is one."""
    monkeypatch.setattr("cowrie_sessionstats.outputs.kafka_producer.DOWN", 0.2)


# ---------------------------------------------------------------- all is well


@pytest.mark.parametrize(
    ("form", "compression"),
    [
        ("json", "none"),
        ("msgpack", "gzip"),
        ("json", "lz4"),
        ("msgpack", "snappy"),
        ("json", "zstd"),
    ],
)
@pytest_twisted.inlineCallbacks
def test_records_arrive_as_the_readme_says(
    form: str, compression: str, broker_of: Maker, sender_to: Maker
) -> Steps:
    """Key, value and headers; whatever an attacker wrote; no more and no less."""
    broker = broker_of()
    sender = sender_to(broker, format=form, compression=compression)
    texts = [*NASTY, "\ud800", "caf\udce9", "x" * 300_000]
    batch = [summary(f"s{i:05}", username=text, first_command=text) for i, text in enumerate(texts)]
    assert (yield send(sender, [dict(record, time=1.5) for record in batch])) == Delivered()
    messages = {message.key(): message for message in broker.wait_for(len(batch))}
    assert len(messages) == len(batch)
    for record, text in zip(batch, texts, strict=True):
        message = messages[f"svr04/{record['session']}".encode()]
        value = message.value()
        got = json.loads(value) if form == "json" else msgpack.unpackb(value)
        whole = text.replace("\ud800", "\ufffd").replace("\udce9", "\ufffd")
        assert got == dict(record, username=whole, first_command=whole)
        assert list(got) == list(record)
        assert message.headers() == [
            ("eventid", b"cowrie.sessionstats.summary"),
            ("schema", b"1"),
            ("id", record_id(record).encode()),
        ]
        assert form == "msgpack" or value.isascii()


@pytest_twisted.inlineCallbacks
def test_revisions_of_a_session_stay_in_order(broker_of: Maker, sender_to: Maker) -> Steps:
    """In one partition, whatever else is in the batch; and the partitions share the sessions."""
    broker = broker_of()
    sender = sender_to(broker)
    batch = [dict(each, revision=number) for number in range(4) for each in records(60)]
    for part in (batch[:100], batch[100:]):
        assert (yield send(sender, part)) == Delivered()
    came: dict[bytes, list[tuple[int, int]]] = {}
    for message in broker.wait_for(len(batch)):
        revision = json.loads(message.value())["revision"]
        came.setdefault(message.key(), []).append((message.partition(), revision))
    assert len(came) == 60
    for each in came.values():
        assert [revision for _, revision in each] == [0, 1, 2, 3]
        assert len({partition for partition, _ in each}) == 1
    assert len({each[0][0] for each in came.values()}) == 3


@pytest_twisted.inlineCallbacks
def test_more_than_librdkafka_holds_waits_before_it(broker_of: Maker, sender_to: Maker) -> Steps:
    """A batch of any size goes through a queue that is bounded."""
    broker = broker_of()
    sender = sender_to(broker)
    client = dict(sender.options.client, **{"queue.buffering.max.messages": 50})
    sender.options = evolve(sender.options, client=client)
    assert (yield send(sender, records(1000))) == Delivered()
    assert sorted(sessions(broker.wait_for(1000))) == [f"s{i:05}" for i in range(1000)]


def test_nothing_begins_before_the_first_batch(sender_to: Maker, mock: Mock) -> None:
    """Cowrie forks into the background after it has read its configuration."""
    before = threading.active_count()
    sender_to(mock)
    assert threading.active_count() == before


# ---------------------------------------------------------------- brokers that are away or hang


@pytest.mark.usefixtures("impatient")
@pytest_twisted.inlineCallbacks
def test_a_broker_that_is_away_is_said_and_has_records_later(
    broker_of: Maker, sender_to: Maker
) -> Steps:
    """The reason names the broker and what to do; long before the time of a batch is over."""
    broker = broker_of(started=False)
    sender = sender_to(broker, timeout="600")
    verdict = yield send(sender, records(5))
    assert isinstance(verdict, Failed)
    assert "cannot be reached" in verdict.reason
    assert broker.broker in verdict.reason
    broker.start()
    assert (yield send(sender, records(5))) == Delivered()
    assert len(broker.wait_for(5)) == 5


@pytest_twisted.inlineCallbacks
def test_one_of_several_brokers_is_enough(broker_of: Maker, sender_to: Maker) -> Steps:
    """Those of ``brokers`` are tried one after the other."""
    broker = broker_of()
    dead = [f"{HOST}:{free_port()}" for _ in range(3)]
    sender = sender_to(broker, brokers=", ".join([*dead, broker.broker]))
    assert (yield send(sender, records(5))) == Delivered()


@pytest_twisted.inlineCallbacks
def test_nothing_is_lost_when_the_broker_is_killed_again_and_again(
    broker_of: Maker, sender_to: Maker
) -> Steps:
    """Each batch that counts as delivered is in the topic, whenever the kill came, in order."""
    broker = broker_of(is_durable=True)
    sender = sender_to(broker)
    moments = random.Random(7)
    failed = 0
    for number in range(6):
        batch = [dict(each, revision=number) for each in records(300)]
        rendered = sender.render(batch)
        if number:
            away = threading.Timer(moments.uniform(0, 0.06), broker.kill)
            away.start()
        else:
            away = None
        verdict = sender.send(rendered)
        if away is not None:
            yield task.deferLater(reactor, 0.1)
            away.join()
            broker.start()
        while (yield verdict) != Delivered():
            failed += 1
            verdict = sender.send(rendered)
    came: dict[bytes, list[int]] = {}
    for message in broker.wait_for(1800):
        came.setdefault(message.key(), []).append(json.loads(message.value())["revision"])
    print(f"{failed} tries failed, {sum(map(len, came.values())) - 1800} messages came again")
    assert len(came) == 300
    for revisions in came.values():
        assert set(revisions) == set(range(6))
        assert [each for i, each in enumerate(revisions) if each not in revisions[:i]] == sorted(
            set(revisions)
        )
        assert revisions[-1] == 5


@pytest_twisted.inlineCallbacks
def test_the_reactor_goes_on_while_a_broker_hangs(broker_of: Maker, sender_to: Maker) -> Steps:
    """The batch has failed when its time is over, and is there once when the broker goes on."""
    broker = broker_of()
    sender = sender_to(broker, timeout="1")
    assert (yield send(sender, records(1))) == Delivered()
    ticks: list[None] = []
    ticking = task.LoopingCall(ticks.append, None)
    ticking.start(0.01)
    broker.signal(signal.SIGSTOP)
    verdict = yield send(sender, records(5))
    ticking.stop()
    broker.signal(signal.SIGCONT)
    assert isinstance(verdict, Failed)
    assert "no acknowledgement within 1 s" in verdict.reason
    assert len(ticks) > 20
    assert (yield send(sender, records(5))) == Delivered()


@pytest_twisted.inlineCallbacks
def test_a_batch_that_is_cancelled_lets_go_at_once(broker_of: Maker, sender_to: Maker) -> Steps:
    """Of the connections, too, though the broker hangs; ``stop`` waits for nothing."""
    broker = broker_of()
    sender = sender_to(broker, timeout="600")
    assert (yield send(sender, records(1))) == Delivered()
    broker.signal(signal.SIGSTOP)
    verdict = send(sender, records(5))
    yield until(lambda: broker.front.is_open)
    sender.stop()
    with pytest.raises(CancelledError):
        yield verdict
    yield until(lambda: not broker.front.is_open)
    yield until(lambda: not sender.is_alive)
    assert isinstance((yield send(sender, records(1))), Failed)
    broker.signal(signal.SIGCONT)


@pytest_twisted.inlineCallbacks
def test_without_records_the_brokers_are_let_go(broker_of: Maker, sender_to: Maker) -> Steps:
    """And found again for the next."""
    broker = broker_of()
    sender = sender_to(broker)
    sender.idle = 0.1
    for count in (1, 2):
        assert (yield send(sender, records(1))) == Delivered()
        yield until(lambda: not broker.front.is_open)
        assert sender.is_alive
        assert len(broker.wait_for(count)) == count
        broker.forget()


# ---------------------------------------------------------------- brokers that refuse

PRODUCE, INIT_PRODUCER_ID = 0, 22  # kinds of requests


@pytest.mark.parametrize(
    ("request_kind", "error", "word"),
    [
        (PRODUCE, "TOPIC_AUTHORIZATION_FAILED", "may not write to this topic"),
        (PRODUCE, "OUT_OF_ORDER_SEQUENCE_NUMBER", "OUT_OF_ORDER"),
        (PRODUCE, "INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_EPOCH"),
        (INIT_PRODUCER_ID, "CLUSTER_AUTHORIZATION_FAILED", "IdempotentWrite"),
    ],
)
@pytest_twisted.inlineCallbacks
def test_records_that_are_not_taken_are_sent_again(
    request_kind: int, error: str, word: str, mock: Mock, sender_to: Maker
) -> Steps:
    """Also when the producer is at an end by that: there is a new one for them."""
    client = pytest.importorskip("confluent_kafka")
    sender = sender_to(mock)
    # One session, so one partition, and one request.
    batch = [summary("s00001", "uname -a", revision=number) for number in range(20)]
    mock.answer(request_kind, getattr(client.KafkaError, error))
    verdict = yield send(sender, batch)
    assert isinstance(verdict, Failed)
    assert word in verdict.reason
    assert (yield send(sender, batch)) == Delivered()


@pytest.mark.parametrize("error", ["TOPIC_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_OR_PART"])
@pytest_twisted.inlineCallbacks
def test_a_topic_that_is_not_for_us_is_said(error: str, mock: Mock, sender_to: Maker) -> Steps:
    """Records wait for it."""
    client = pytest.importorskip("confluent_kafka")
    mock.refuse_topic(getattr(client.KafkaError, error))
    verdict = yield send(sender_to(mock, timeout="2"), records(3))
    assert isinstance(verdict, Failed)
    assert "topic" in verdict.reason
    assert error in verdict.reason


@pytest_twisted.inlineCallbacks
def test_what_a_broker_will_never_take_is_refused(mock: Mock, sender_to: Maker) -> Steps:
    """Each record of the request; when they come again, one by one, the others are taken."""
    client = pytest.importorskip("confluent_kafka")
    sender = sender_to(mock)
    batch = [summary("s00001", "uname -a", revision=number) for number in range(20)]
    mock.answer(PRODUCE, client.KafkaError.MSG_SIZE_TOO_LARGE)
    verdict = yield send(sender, batch)
    assert isinstance(verdict, Partly)
    assert sorted(verdict.refused) == list(range(20))
    assert "max.message.bytes" in verdict.refused[0]
    assert (yield send(sender, batch[:1])) == Delivered()


@pytest.mark.parametrize("error", ["MSG_SIZE_TOO_LARGE", "TOPIC_AUTHORIZATION_FAILED"])
@pytest_twisted.inlineCallbacks
def test_what_came_after_a_record_that_was_not_taken_comes_again(
    error: str, mock: Mock, sender_to: Maker
) -> Steps:
    """Or else an old revision of its session, sent again, would be the last in the topic."""
    client = pytest.importorskip("confluent_kafka")
    sender = sender_to(mock)
    alone = dict(sender.options.client, **{"batch.num.messages": 1})  # a request each
    sender.options = evolve(sender.options, client=alone)
    batch = [summary("s00001", "uname -a", revision=number) for number in range(8)]
    assert (yield send(sender, batch)) == Delivered()
    mock.answer(PRODUCE, 0, 0, getattr(client.KafkaError, error))
    verdict = yield send(sender, batch)
    assert isinstance(verdict, Partly)
    assert {*verdict.refused, *verdict.again} == set(range(2, 8))
    assert "an earlier record" in verdict.again[3]


def test_a_record_that_is_too_large_is_named_and_the_others_arrive(
    broker_of: Maker, tmp_path: Path
) -> None:
    """By ``forward``, with the section of a cowrie.cfg; the exit status says that one is not."""
    broker = broker_of()
    (tmp_path / "cowrie.cfg").write_text(
        f"[{SECTION}]\ntype = kafka\nbrokers = {broker.broker}\ntopic = {TOPIC}\n"
        "max_message = 10000\nbatch_records = 20\n"
    )
    batch = records(50)
    batch[30] = summary("s00030", "x" * 20_000)
    path = write_records(tmp_path / "records.jsonl", [dict(each) for each in batch])
    said = tool("forward", "--to", "bus", "--cowrie", tmp_path, path)
    assert said.status == 1
    assert "49 records delivered to bus (kafka://" in said.err
    assert "1 refused: " in said.err
    assert f"(first: {path}:31)" in said.err
    assert "max_message (10000)" in said.err
    assert len(said.err.splitlines()) == 2  # Delivery's line, and what came of it
    arrived = sessions(broker.wait_for(49))
    assert sorted(arrived) == [f"s{i:05}" for i in range(50) if i != 30]


# ---------------------------------------------------------------- TLS and SASL


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that both sides believe."""
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


def server_context(authority: Authority, identity: Identity) -> ssl.SSLContext:
    """Return TLS of a server that asks its clients for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.usefixtures("impatient")
@pytest_twisted.inlineCallbacks
def test_tls_is_checked_on_both_sides(
    authority: Authority, broker_of: Maker, sender_to: Maker, tmp_path: Path
) -> Steps:
    """Records go to no broker of another authority or name, nor to one that we are not known to."""
    client = authority.issue("honeypot.example")
    other = Authority(tmp_path / "other", "other")
    stranger = other.issue("stranger.example")
    context = server_context(authority, authority.issue(HOST))
    broker = broker_of(context=context)
    right = {
        "transport": "tls",
        "ca_file": str(authority.file),
        "cert_file": str(client.cert),
        "key_file": str(client.key),
        "timeout": "3",
    }
    shown = {"cert_file": str(stranger.cert), "key_file": str(stranger.key)}
    port = broker.broker.rpartition(":")[2]
    for wrong in (
        {"ca_file": str(other.file)},
        {"brokers": f"localhost:{port}"},
        shown,
    ):
        verdict = yield send(sender_to(broker, **(right | wrong)), records(3))
        assert isinstance(verdict, Failed)
        assert "cert_file" in verdict.reason
    assert (yield send(sender_to(broker, **right), records(3))) == Delivered()


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "scram-sha-512"])
@pytest.mark.usefixtures("impatient")
@pytest_twisted.inlineCallbacks
def test_only_a_user_that_the_broker_knows_gets_in(
    mechanism: str, broker_of: Maker, sender_to: Maker
) -> Steps:
    """And if a broker says the password back, it is not in the reason."""
    broker = broker_of(gate=Login("honey", "s3cret w0rd"))
    right = {"auth": mechanism, "user": "honey", "password": "s3cret w0rd"}
    for wrong in ({"password": "other w0rd"}, {"user": "nobody"}):
        verdict = yield send(sender_to(broker, **(right | wrong)), records(3))
        assert isinstance(verdict, Failed)
        assert "Correct auth, user and password" in verdict.reason
        assert "w0rd" not in verdict.reason
    assert (yield send(sender_to(broker, **right), records(3))) == Delivered()


@pytest.mark.usefixtures("impatient")
@pytest_twisted.inlineCallbacks
def test_a_real_broker_refuses_a_user_that_it_does_not_know(
    broker_of: Maker, sender_to: Maker
) -> Steps:
    """Tansu keeps no user, so that none can get in: hence the one of the tests before it."""
    sender = sender_to(broker_of(asks=True), auth="scram-sha-256", user="honey", password="s3cret")
    verdict = yield send(sender, records(3))
    assert isinstance(verdict, Failed)
    assert "Correct auth, user and password" in verdict.reason
    assert "s3cret" not in verdict.reason


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"brokers": ""}, "brokers"),
        ({"brokers": "kafka://x.example"}, "brokers"),
        ({"brokers": "x.example:70000"}, "brokers"),
        ({"brokers": "x.example:9092:1"}, "brokers"),
        ({"brokers": "x.example;sasl.password=1"}, "brokers"),
        ({"topic": ""}, "topic"),
        ({"topic": "a b"}, "topic"),
        ({"topic": ".."}, "topic"),
        ({"topic": "x" * 250}, "topic"),
        ({"format": "avro"}, "format"),
        ({"compression": "brotli"}, "compression"),
        ({"max_message": "9999"}, "max_message"),
        ({"timeout": "0"}, "timeout"),
        ({"transport": "ssl"}, "transport"),
        ({"ca_file": "/dev/null"}, "transport = tls"),
        ({"transport": "tls", "ca_file": "/dev/null"}, "ca_file"),
        ({"transport": "tls", "cert_file": "/dev/null"}, "key_file"),
        ({"auth": "gssapi"}, "auth"),
        ({"auth": "plain"}, "user"),
        ({"auth": "plain", "user": "u"}, "password"),
        ({"user": "u"}, "auth"),
        ({"password_file": "/nonexistent"}, "password_file"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(given: dict[str, str], word: str) -> None:
    """With its section, and with what to do."""
    with pytest.raises(OptionError, match=SECTION) as caught:
        options_of({"brokers": "x.example", "topic": TOPIC} | given, SECTION, {})
    assert word in str(caught.value)


def test_brokers_are_read_with_their_ports() -> None:
    """Any number, over several lines, addresses too; and a secret is in no representation."""
    read = options_of(
        {
            "brokers": "a.example, b.example:9094\n[::1]:9095 192.0.2.1,",
            "topic": TOPIC,
            "auth": "plain",
            "user": "u",
            "password_env": "SECRET",
        },
        SECTION,
        {"SECRET": "hush"},
    )
    assert read.client["bootstrap.servers"] == (
        "a.example:9092,b.example:9094,[::1]:9095,192.0.2.1:9092"
    )
    assert read.target.endswith(f"192.0.2.1:9092/{TOPIC}")
    assert read.client["sasl.password"] == "hush"
    assert "hush" not in repr(read)
    assert "hush" not in repr(kafka.KafkaSender(read, reactor))


def test_without_its_package_the_line_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For this Python, with the extra of this type."""
    for name in [name for name in sys.modules if "outputs.kafka" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    config = ConfigParser()
    config.read_string(f"[{SECTION}]\ntype = kafka\nbrokers = x.example\ntopic = {TOPIC}\n")
    with pytest.raises(OptionError, match="confluent_kafka") as caught:
        read_destinations(config, ["bus"], {})
    assert "cowrie-sessionstats[kafka]" in str(caught.value)
    assert SECTION in str(caught.value)
