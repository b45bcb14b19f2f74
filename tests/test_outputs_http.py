"""The sender over HTTP: real servers, plain and over TLS, that take records, fail and hang."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve, field
from ports import free_port
from receivers_http import (
    Asked,
    Authority,
    OpenSearch,
    Receiver,
    Reply,
    opensearch,
    saying,
    server_tls,
    serving,
)
from summaries import Record, summary
from twisted.internet import reactor as _reactor
from twisted.internet import task
from twisted.internet.defer import CancelledError, maybeDeferred
from twisted.logger import Logger, globalLogPublisher

from cowrie_sessionstats.complaints import Complaints
from cowrie_sessionstats.entries import Entry, pack
from cowrie_sessionstats.outputs import delivery, http
from cowrie_sessionstats.outputs.http_answers import LONGEST_RETRY_AFTER
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.sending import (
    REASON_LIMIT,
    Delivered,
    Failed,
    Limits,
    Partly,
    Refused,
    Verdict,
)

reactor: Any = _reactor
SECTION = "sessionstats_siem"

# Twisted's, for a certificate of one's own: it gives pyOpenSSL what that wants no longer.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


def sender(url: str, **options: str) -> http.HttpSender:
    """Return a sender, as the section of a configuration makes it."""
    return http.read({"url": url, "timeout": "5", **options}, SECTION, {})


async def deliver(made: http.HttpSender, *records: Record) -> Verdict:
    """Return what became of records."""
    return await made.send(made.render(records))


async def once(url: str, *records: Record, **options: str) -> Verdict:
    """Return what became of records that a sender made for them sent."""
    made = sender(url, **options)
    try:
        return await deliver(made, *(records or (summary("a", "id"),)))
    finally:
        made.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a receiver that takes everything."""
    with serving(Receiver(), reactor) as made:
        yield made


@pytest.fixture(scope="module")
def searching() -> Iterator[OpenSearch]:
    """Return an OpenSearch, emulated."""
    with opensearch() as running:
        yield running


def bulk(*results: tuple[int, Any]) -> bytes:
    """Return an answer of the bulk API."""
    items = [
        {"create": {"status": status, **({"error": error} if error else {})}}
        for status, error in results
    ]
    return json.dumps({"errors": True, "items": items}).encode()


# ---------------------------------------------------------------- Elasticsearch


@pytest_twisted.ensureDeferred
async def test_a_repeat_is_delivered_and_changes_nothing(searching: OpenSearch) -> None:
    """The second time each document is a conflict, which is as good as delivered."""
    records = [summary(f"s{number}", "id", at=number) for number in range(20)]
    made = sender(searching.url, format="elasticsearch", index="repeat")
    assert await deliver(made, *records) == Delivered()
    assert await deliver(made, *records) == Delivered()
    assert searching.count("repeat") == 20
    revised = {**records[0], "revision": 1}
    assert await deliver(made, records[0], revised) == Delivered()
    assert searching.count("repeat") == 21
    made.stop()


@pytest_twisted.ensureDeferred
async def test_documents_are_judged_one_by_one(searching: OpenSearch) -> None:
    """One that does not fit the index is refused with its reason; the others are there."""
    mappings = {"properties": {"cowrie": {"properties": {"commands": {"type": "long"}}}}}
    searching.ask("PUT", "/strict", {"mappings": mappings})
    good, bad = summary("a", "id"), {**summary("b", "id"), "commands": "mañana\n\x1b[31m"}
    verdict = await once(searching.url, good, bad, good, format="elasticsearch", index="strict")
    assert isinstance(verdict, Partly)
    assert list(verdict.refused) == [1]
    assert "400 mapper_parsing_exception: failed to parse field" in verdict.refused[1]
    assert verdict.refused[1].isprintable()
    assert verdict.again == {}
    assert searching.count("strict") == 1


@pytest_twisted.ensureDeferred
async def test_packed_batches_arrive(searching: OpenSearch) -> None:
    """With gzip, the same documents are there."""
    records = [summary(f"s{number}", "id", at=number) for number in range(50)]
    made = sender(searching.url, format="elasticsearch", index="packed", gzip="true")
    plain = sender(searching.url, format="elasticsearch", index="packed")
    assert len(made.render(records).body) < len(plain.render(records).body) / 4
    assert await deliver(made, *records) == Delivered()
    assert searching.count("packed") == 50
    made.stop()


@pytest_twisted.ensureDeferred
async def test_what_passes_is_sent_again(receiver: Receiver) -> None:
    """Busy shards, faults of the server and missing rights are no fault of a record's."""
    error = {"type": "es_rejected_execution_exception", "reason": "queue is full"}
    receiver.answer = lambda _: Reply(
        body=bulk(
            (201, None), (429, error), (503, error), (500, error), (409, error), (413, error),
            (403, error), (404, "no such index"), (400, {"type": "mapper_parsing_exception"}),
        )
    )  # fmt: skip
    records = [summary(f"s{number}", at=number) for number in range(9)]
    verdict = await once(f"http://127.0.0.1:{receiver.port}", *records, format="elasticsearch")
    assert isinstance(verdict, Partly)
    assert sorted(verdict.again) == [1, 2, 3, 6, 7]
    assert sorted(verdict.refused) == [5, 8]
    assert verdict.again[1] == "429 es_rejected_execution_exception: queue is full"
    assert verdict.again[7] == "404 no such index"
    assert verdict.refused[8] == "400 mapper_parsing_exception"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>hello</html>",
        b"[]",
        b"{}",
        b'{"items": 1}',
        b'{"items": [1]}',
        b'{"items": [{"create": {}}]}',
        b'{"items": [{"create": {"status": "201"}}]}',
        b'{"items": [{"create": {"status": true}}]}',
        b'{"items": [{"create": {"status": 201}, "index": {"status": 201}}]}',
        b'{"items": []}',
        bulk((201, None), (201, None)),
        bulk((201, None))[:-3],
        b"[" * 100_000,
        b'{"items": "' + b"x" * 200_000 + b'"}',
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_none_leaves_the_batch_undelivered(
    receiver: Receiver, body: bytes
) -> None:
    """Not JSON, not the bulk API's, too long, or for another number of documents: sent again."""
    receiver.answer = lambda _: Reply(body=body)
    verdict = await once(f"http://127.0.0.1:{receiver.port}", format="elasticsearch")
    assert isinstance(verdict, Failed)
    assert "see " in verdict.reason


@pytest_twisted.ensureDeferred
async def test_elasticsearch_is_asked_as_its_bulk_api_wants(receiver: Receiver) -> None:
    """Path, type and lines; a document that is there already is not written again."""
    receiver.answer = lambda _: Reply(body=bulk((201, None), (201, None)))
    records = [summary("a", "id"), summary("b", "id")]
    url = f"http://127.0.0.1:{receiver.port}/below/?pipeline=geo"
    assert await once(url, *records, format="elasticsearch", index="traps") == Delivered()
    (asked,) = receiver.asked
    assert asked.path == "/below/traps/_bulk"
    assert asked.query.startswith("pipeline=geo&filter_path=")
    assert asked.headers["content-type"] == "application/x-ndjson"
    first, document, second, _ = receiver.lines()
    assert first == {"create": {"_id": record_id(records[0])}}
    assert second == {"create": {"_id": record_id(records[1])}}
    assert document["cowrie"]["session"] == "a"


# ---------------------------------------------------------------- whole requests


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest_twisted.ensureDeferred
async def test_what_is_wrong_with_the_batch_is_refused(receiver: Receiver, status: int) -> None:
    """The engine then finds the record that is to blame, or a size that fits."""
    receiver.answer = lambda _: Reply(status, b'{"error": {"type": "t", "reason": "r\\u0000"}}')
    for form in ("ndjson", "elasticsearch"):
        verdict = await once(f"http://127.0.0.1:{receiver.port}", format=form)
        assert isinstance(verdict, Refused)
        assert str(status) in verdict.reason
        assert verdict.reason.isprintable()


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "token"),
        (403, "token"),
        (404, "path of url"),
        (405, "url"),
        (407, "proxy"),
        (415, "gzip = false"),
        (418, "log"),
        (429, "time"),
        (500, "log"),
        (502, "proxy"),
        (503, "time"),
        (507, "disk"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_other_statuses_leave_the_batch_waiting(
    receiver: Receiver, status: int, remedy: str
) -> None:
    """With what the operator can do about it, and what the receiver says in words."""
    receiver.answer = lambda _: Reply(status, b"because\r\nof \x1b[31mreasons" * 1000)
    for form in ("ndjson", "elasticsearch"):
        verdict = await once(f"http://127.0.0.1:{receiver.port}", format=form)
        assert isinstance(verdict, Failed)
        assert f"answers {status}" in verdict.reason
        assert remedy in verdict.reason
        assert "because" in verdict.reason
        assert verdict.reason.isprintable()
        assert len(verdict.reason) <= REASON_LIMIT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest_twisted.ensureDeferred
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    """Tokens go only where the operator said; he is told where it would have led."""
    place = f"http://user:pass@127.0.0.1:{receiver.port}/elsewhere?token=t0p"
    receiver.answer = lambda _: Reply(status, b"", {"Location": place})
    verdict = await once(f"http://127.0.0.1:{receiver.port}/here")
    assert isinstance(verdict, Failed)
    assert f"redirect to http://127.0.0.1:{receiver.port}," in verdict.reason
    assert "pass" not in verdict.reason
    assert "t0p" not in verdict.reason
    assert [asked.path for asked in receiver.asked] == ["/here"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999999999999999", LONGEST_RETRY_AFTER),
        ("86400", LONGEST_RETRY_AFTER),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Sun, 06 Nov 2095 08:49:37 GMT", LONGEST_RETRY_AFTER),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
        ("Wed, 99 Oct 2015 99:99:99 GMT", None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_retry_after_is_obeyed_within_bounds(
    receiver: Receiver, value: str, seconds: float | None
) -> None:
    """A number or a date, at most an hour; nonsense is as if it were not there."""
    for status in (429, 503):
        receiver.answer = lambda _, s=status: Reply(s, b"", {"Retry-After": value})  # type: ignore[misc]
        verdict = await once(f"http://127.0.0.1:{receiver.port}")
        assert isinstance(verdict, Failed)
        assert verdict.retry_after == seconds


@pytest_twisted.ensureDeferred
async def test_an_answer_before_the_end_of_the_batch_counts() -> None:
    """A proxy says 413 when it has seen the length, and takes the rest for nothing."""
    said = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    records = [summary(f"s{number}", message="x" * 50_000) for number in range(100)]
    with saying(said, reactor, hold=True) as port:
        verdict = await once(f"http://127.0.0.1:{port}", *records)
    assert isinstance(verdict, Refused)
    assert "413" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_half_an_answer_is_none(receiver: Receiver) -> None:
    """The connection breaks in the middle of the body: nobody knows, so it is sent again."""
    for form in ("ndjson", "elasticsearch"):
        receiver.answer = lambda _: Reply(body=bulk((201, None)), half=True)
        verdict = await once(f"http://127.0.0.1:{receiver.port}", format=form)
        assert isinstance(verdict, Failed)
        assert "cut off" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_an_answer_without_end_is_not_kept(receiver: Receiver) -> None:
    """More than the bound is not read, and the connection is dropped."""
    receiver.answer = lambda _: Reply(body=b"x" * (8 << 20))
    verdict = await once(f"http://127.0.0.1:{receiver.port}")
    assert isinstance(verdict, Failed)
    assert "too large" in verdict.reason


# ---------------------------------------------------------------- no answer


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_is_not_there() -> None:
    """A refused connection says so, with the port."""
    port = free_port()
    verdict = await once(f"http://127.0.0.1:{port}")
    assert isinstance(verdict, Failed)
    assert f"127.0.0.1:{port} refuses connections" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_a_name_that_does_not_exist() -> None:
    """The name and DNS are named (RFC 6761: no address below .invalid)."""
    verdict = await once("http://siem.invalid:9200")
    assert isinstance(verdict, Failed)
    assert "no address for siem.invalid" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_hangs(receiver: Receiver) -> None:
    """After ``timeout`` the batch has failed, and the connection is closed."""
    receiver.answer = lambda _: Reply(hangs=True)
    made = sender(f"http://127.0.0.1:{receiver.port}", timeout="1")
    verdict = await deliver(made, summary("a"))
    assert isinstance(verdict, Failed)
    assert "did not answer within 1 s" in verdict.reason
    await gone(receiver)
    made.stop()


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_hangs_in_the_middle_of_its_answer() -> None:
    """The time is for the whole answer, not for its beginning."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with saying(head, reactor, hold=True) as port:
        verdict = await once(f"http://127.0.0.1:{port}", timeout="1")
    assert isinstance(verdict, Failed)
    assert "did not answer within 1 s" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_says_nothing_at_all() -> None:
    """It accepts connections and that is all."""
    with saying(None, reactor) as port:
        verdict = await once(f"http://127.0.0.1:{port}", timeout="1")
    assert isinstance(verdict, Failed)
    assert "did not answer within 1 s" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_hangs_up(receiver: Receiver) -> None:
    """Without an answer nobody knows, so it is sent again."""
    receiver.answer = lambda _: Reply(closes=True)
    verdict = await once(f"http://127.0.0.1:{receiver.port}")
    assert isinstance(verdict, Failed)
    assert "closed the connection" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_speaks_something_else() -> None:
    """It is no HTTP server; or one over TLS, and url says http."""
    with saying(b"220 mail.example ESMTP\r\n", reactor) as port:
        verdict = await once(f"http://127.0.0.1:{port}")
    assert isinstance(verdict, Failed)
    assert "not in HTTP" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_cancelling_drops_the_connection_at_once(receiver: Receiver) -> None:
    """At a stop nothing waits for a receiver that hangs."""
    receiver.answer = lambda _: Reply(hangs=True)
    made = sender(f"http://127.0.0.1:{receiver.port}")
    sending = made.send(made.render([summary("a")]))
    while not receiver.asked:
        await task.deferLater(reactor, 0.01, lambda: None)
    sending.cancel()
    with pytest.raises(CancelledError):
        await sending
    await gone(receiver)
    made.stop()


@pytest_twisted.ensureDeferred
async def test_after_a_stop_nothing_is_left(receiver: Receiver) -> None:
    """No connection, no timer, and nothing is sent any more."""
    before = set(reactor.getDelayedCalls())
    made = sender(f"http://127.0.0.1:{receiver.port}")
    assert await deliver(made, summary("a")) == Delivered()
    assert len(receiver.connections) == 1
    made.stop()
    await gone(receiver)
    left = [call for call in reactor.getDelayedCalls() if call not in before]
    assert left == []
    assert isinstance(await deliver(made, summary("a")), Failed)
    assert len(receiver.asked) == 1


@pytest_twisted.ensureDeferred
async def test_connections_are_no_news(receiver: Receiver) -> None:
    """Cowrie's log has no line for one, taken or refused: there can be one each minute."""
    said: list[str] = []

    def hear(event: dict[str, Any]) -> None:
        said.append(str(event.get("log_namespace")))

    observer: Any = hear
    globalLogPublisher.addObserver(observer)
    try:
        assert await once(f"http://127.0.0.1:{receiver.port}") == Delivered()
        assert isinstance(await once(f"http://127.0.0.1:{free_port()}"), Failed)
        await gone(receiver)
    finally:
        globalLogPublisher.removeObserver(observer)
    assert [name for name in said if name.startswith("twisted.web.client")] == []


@pytest_twisted.ensureDeferred
async def test_batches_share_one_connection(receiver: Receiver) -> None:
    """A new one for each, with TLS, would cost more than the records."""
    made = sender(f"http://127.0.0.1:{receiver.port}")
    for _ in range(5):
        assert await deliver(made, summary("a")) == Delivered()
    assert {asked.connection for asked in receiver.asked} == {0}
    made.stop()


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_comes_back_gets_the_next_batch() -> None:
    """An idle connection that a restart broke is replaced."""
    first, second = Receiver(), Receiver()
    with serving(first, reactor):
        made = sender(f"http://127.0.0.1:{first.port}")
        assert await deliver(made, summary("a")) == Delivered()
    await gone(first)
    await task.deferLater(reactor, 0.05, lambda: None)
    assert isinstance(await deliver(made, summary("b")), Failed)
    with serving(second, reactor, port=first.port):
        assert await deliver(made, summary("b")) == Delivered()
    made.stop()


async def gone(receiver: Receiver) -> None:
    """Wait until a receiver has no connection."""
    for _ in range(500):
        if not receiver.connections:
            return
        await task.deferLater(reactor, 0.01, lambda: None)
    pytest.fail("a connection is still open")


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Return a CA."""
    return Authority()


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> str:
    """Return the file with the CA's certificate, behind another one."""
    path = tmp_path / "ca.pem"
    path.write_bytes(b"# two\n" + Authority("Another CA").pem + authority.pem)
    return str(path)


@pytest_twisted.ensureDeferred
async def test_tls_with_an_own_ca(authority: Authority, ca_file: str) -> None:
    """The CA in ``ca_file`` is trusted, for a name and for an address."""
    tls = server_tls(*authority.issue("localhost", "127.0.0.1"))
    with serving(Receiver(), reactor, tls) as receiver:
        for host in ("localhost", "127.0.0.1"):
            url = f"https://{host}:{receiver.port}"
            assert await once(url, ca_file=ca_file) == Delivered()


@pytest.mark.parametrize(
    ("name", "flaw", "said"),
    [
        ("siem.example", None, "for another name"),
        ("127.0.0.2", None, "for another name"),
        ("127.0.0.1", "expired", "has expired"),
        ("127.0.0.1", "unknown", "no known CA signed it"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_certificate_that_is_not_right(
    authority: Authority, ca_file: str, name: str, flaw: str | None, said: str
) -> None:
    """Another name, expired, or of a CA that nobody knows: nothing is sent."""
    tls = server_tls(*authority.issue(name, expired=flaw == "expired"))
    with serving(Receiver(), reactor, tls) as receiver:
        options = {} if flaw == "unknown" else {"ca_file": ca_file}
        verdict = await once(f"https://127.0.0.1:{receiver.port}", **options)
        assert isinstance(verdict, Failed)
        assert said in verdict.reason
        assert f"127.0.0.1:{receiver.port}" in verdict.reason
        assert receiver.asked == []


@pytest_twisted.ensureDeferred
async def test_a_certificate_of_our_own(authority: Authority, ca_file: str, tmp_path: Path) -> None:
    """A receiver that wants one gets it; without it, the operator is told."""
    certificate, key = authority.issue("sensor.example")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    own = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    tls = server_tls(*authority.issue("127.0.0.1"), authority)
    with serving(Receiver(), reactor, tls) as receiver:
        url = f"https://127.0.0.1:{receiver.port}"
        assert await once(url, ca_file=ca_file, **own) == Delivered()
        verdict = await once(url, ca_file=ca_file)
        assert isinstance(verdict, Failed)
        assert "cert_file and key_file" in verdict.reason


@pytest_twisted.ensureDeferred
async def test_tls_where_none_is_spoken(authority: Authority) -> None:
    """The scheme in url is the likely mistake, either way."""
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n", reactor) as port:
        verdict = await once(f"https://127.0.0.1:{port}")
    assert isinstance(verdict, Failed)
    assert "does not speak TLS" in verdict.reason
    tls = server_tls(*authority.issue("127.0.0.1"))
    with serving(Receiver(), reactor, tls) as other:
        verdict = await once(f"http://127.0.0.1:{other.port}")
        assert isinstance(verdict, Failed)
        assert "https://" in verdict.reason


# ---------------------------------------------------------------- with the engine


@define(eq=False)
class Records:
    """A source of records for a delivery, in memory."""

    entries: list[Entry]
    done: int = 0
    counted: int = 0
    refused: dict[int, str] = field(factory=dict)

    def batch(self, _: str, limits: Limits) -> tuple[list[Entry], bool]:
        """Return the next records."""
        return self.entries[self.done : self.done + limits.records], True

    def newest(self, _: str) -> Entry | None:
        """Return the last record."""
        return self.entries[-1]

    def delivered(self, _: str, count: int, cursor: int) -> None:
        """Take note of what is done."""
        self.counted += count
        self.done = cursor

    def set_aside(self, _: str, entry: Entry, reason: str) -> None:
        """Take a record that was refused."""
        self.refused[entry.seq] = reason

    def went_wrong(self, _: str, reason: str) -> None:
        """Take note of a failure."""


@define(eq=False)
class Shards:
    """What an index holds, by id; it takes what it is sent even where its answer is lost."""

    documents: dict[str, Any] = field(factory=dict)
    conflicts: int = 0

    def __call__(self, asked: Asked) -> Reply:
        """Answer a bulk request."""
        lines = [json.loads(line) for line in asked.body.splitlines()]
        results: list[tuple[int, Any]] = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            name = action["create"]["_id"]
            if document["cowrie"]["session"] == "s33":
                results.append((400, {"type": "mapper_parsing_exception", "reason": "poison"}))
            elif name in self.documents:
                self.conflicts += 1
                results.append((409, {"type": "version_conflict_engine_exception"}))
            else:
                self.documents[name] = document
                results.append((201, None))
        return Reply(body=bulk(*results))


@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_nor_there_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through every kind of trouble, each record is in the index once; the poison is set aside."""
    monkeypatch.setattr(delivery, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(delivery, "LONGEST_DELAY", 0.01)
    records = [summary(f"s{number}", "id", at=number) for number in range(100)]
    source = Records([Entry(at + 1, 0.0, pack(record)) for at, record in enumerate(records)])
    shards, troubles = Shards(), iter(TROUBLES)

    def answer(asked: Asked) -> Reply:
        trouble = next(troubles, None)
        if trouble is None:
            return shards(asked)
        if trouble.half:  # it takes them, and the answer is lost
            return evolve(trouble, body=shards(asked).body)
        return trouble

    with serving(Receiver(answer), reactor) as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        made = sender(url, format="elasticsearch", batch_records="30", timeout="1")
        nobody: Any = lambda _: None  # noqa: E731
        complaints = Complaints(Logger(observer=nobody), lambda: 0.0)
        working = delivery.Delivery(
            "siem", made, source, maybeDeferred, reactor, lambda: 0.5, complaints
        )
        working.start()
        for _ in range(1000):
            if source.done == len(records):
                break
            await task.deferLater(reactor, 0.01, lambda: None)
        await working.settle()
        working.stop()
        await gone(receiver)
    assert source.done == len(records)
    assert set(shards.documents) == {
        record_id(record) for record in records if record["session"] != "s33"
    }
    assert source.counted == 99
    assert list(source.refused) == [34]
    assert "poison" in source.refused[34]
    assert shards.conflicts == 30 + 15  # the batches whose answers were lost; 413 halved the second


TROUBLES = (
    Reply(503, b"", {"Retry-After": "0"}),
    Reply(half=True),
    Reply(closes=True),
    Reply(hangs=True),
    Reply(413),
    Reply(429),
    Reply(301, b"", {"Location": "http://elsewhere.example/"}),
    Reply(body=b"<html>"),
    Reply(401),
    Reply(half=True),
)
