"""Splunk's HTTP Event Collector: events, what is refused, and acknowledgments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from receivers_http import Receiver, Reply, serving
from receivers_splunk import Collector, reply
from samples import START
from summaries import Record, summary
from twisted.internet import reactor as _reactor
from twisted.internet import task
from twisted.internet.defer import CancelledError

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs import http
from cowrie_sessionstats.outputs.formats import splunk_hec
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.sending import Delivered, Failed, Partly, Refused, Verdict

reactor: Any = _reactor
TOKEN = Collector().token


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    """Return a collector; acknowledgments are asked for quickly."""
    monkeypatch.setattr(splunk_hec, "FIRST_ASKING", 0.01)
    monkeypatch.setattr(splunk_hec, "LONGEST_ASKING", 0.02)
    return Collector()


@pytest.fixture
def receiver(collector: Collector) -> Iterator[Receiver]:
    """Return what the collector answers by."""
    with serving(Receiver(collector), reactor) as made:
        yield made


def sender(receiver: Receiver, **options: str) -> http.HttpSender:
    """Return a sender to a receiver."""
    url = f"http://127.0.0.1:{receiver.port}"
    given = {"url": url, "format": "splunk_hec", "token": TOKEN, "timeout": "5", **options}
    return http.read(given, "sessionstats_splunk", {})


async def once(receiver: Receiver, *records: Record, **options: str) -> Verdict:
    """Return what became of records."""
    made = sender(receiver, **options)
    try:
        return await made.send(made.render(records or (summary("a", "id"),)))
    finally:
        made.stop()


def reason(verdict: Verdict) -> str:
    """Return why a batch was not delivered."""
    assert isinstance(verdict, Failed)
    assert verdict.reason.isprintable()
    assert TOKEN not in verdict.reason
    return verdict.reason


@pytest_twisted.ensureDeferred
async def test_events_have_the_shape_that_splunk_wants(
    receiver: Receiver, collector: Collector
) -> None:
    """Time of the close in seconds, the sensor as host, and the record with its id as event."""
    records = [summary("a", "id"), summary("b", "uname -a", at=5, sensor=None)]
    for packed in ("false", "true"):
        collector.events.clear()
        assert await once(receiver, *records, gzip=packed) == Delivered()
        first, second = collector.events
        assert first == {
            "time": START + 10,
            "host": "svr04",
            "source": "cowrie-sessionstats",
            "sourcetype": "cowrie:sessionstats",
            "event": {"id": record_id(records[0]), **records[0]},
        }
        assert "host" not in second
    assert [asked.path for asked in receiver.asked] == ["/services/collector/event"] * 2


@pytest_twisted.ensureDeferred
async def test_an_acknowledgment_is_waited_for(receiver: Receiver, collector: Collector) -> None:
    """Batches count as delivered once they are indexed; all of them on the sender's channel."""
    collector.acks, collector.asks = True, 3
    made = sender(receiver)
    for _ in range(3):
        assert await made.send(made.render([summary("a")])) == Delivered()
    made.stop()
    assert len(collector.events) == 3
    paths = [asked.path.rpartition("/")[2] for asked in receiver.asked]
    assert paths == ["event", "ack", "ack", "ack"] * 3
    assert len({asked.headers["x-splunk-request-channel"] for asked in receiver.asked}) == 1


@pytest_twisted.ensureDeferred
async def test_trouble_while_waiting_is_no_reason_to_send_again(
    receiver: Receiver, collector: Collector
) -> None:
    """A question that fails is asked again: the events are there already."""
    collector.acks = True
    receiver.replies.append(reply(200, 0, "Success", ackId=0))
    receiver.replies += [Reply(503), Reply(closes=True), Reply(body=b"no JSON"), Reply(half=True)]
    receiver.replies += [Reply(body=b'{"acks": []}'), Reply(body=b'{"acks": {"0": true}}')]
    assert await once(receiver) == Delivered()
    assert len(receiver.asked) == 7


@pytest_twisted.ensureDeferred
async def test_acknowledgments_that_never_come(
    receiver: Receiver, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a bounded time the batch has failed and is sent again; the last trouble is said."""
    monkeypatch.setattr(splunk_hec, "ACK_SECONDS", 0.2)
    collector.acks, collector.asks = True, 1_000_000
    assert "did not index them within 0.2 s" in reason(await once(receiver))
    receiver.replies.append(reply(200, 0, "Success", ackId=7))
    receiver.answer = lambda _: reply(503, 9, "Server is busy")
    assert "the last trouble: answers 503" in reason(await once(receiver))


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_wait_for_an_acknowledgment(
    receiver: Receiver, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left behind, and the batch is sent again after the next start."""
    monkeypatch.setattr(splunk_hec, "FIRST_ASKING", 60.0)
    collector.acks = True
    before = set(reactor.getDelayedCalls())
    made = sender(receiver)
    sending = made.send(made.render([summary("a")]))
    while not collector.events:
        await task.deferLater(reactor, 0.01, lambda: None)
    await task.deferLater(reactor, 0.05, lambda: None)
    assert not sending.called
    made.stop()
    with pytest.raises(CancelledError):
        await sending
    while receiver.connections:
        await task.deferLater(reactor, 0.01, lambda: None)
    assert [call for call in reactor.getDelayedCalls() if call not in before] == []


@pytest_twisted.ensureDeferred
async def test_acknowledgments_that_were_switched_off(receiver: Receiver) -> None:
    """The collector took the events and then says that it acknowledges none."""
    receiver.replies += [reply(200, 0, "Success", ackId=0), reply(400, 14, "ACK is disabled")]
    assert "indexer acknowledgment" in reason(await once(receiver))
    receiver.replies += [reply(200, 0, "Success", ackId="0")]
    assert "no number" in reason(await once(receiver))


@pytest_twisted.ensureDeferred
async def test_an_event_that_is_not_valid_is_named(
    receiver: Receiver, collector: Collector
) -> None:
    """It alone is refused; the others are sent again, and arrive."""
    collector.cut = "b"
    records = [summary(name, at=place) for place, name in enumerate("abc")]
    verdict = await once(receiver, *records)
    assert isinstance(verdict, Partly)
    assert verdict.refused == {1: "says code 6, Invalid data format"}
    assert sorted(verdict.again) == [0, 2]
    assert await once(receiver, records[0], records[2]) == Delivered()
    assert [event["event"]["session"] for event in collector.events] == ["a", "c"]


@pytest.mark.parametrize("number", [None, -1, 3, True, "1", 1.0])
@pytest_twisted.ensureDeferred
async def test_a_number_of_no_event_refuses_the_batch(receiver: Receiver, number: Any) -> None:
    """The engine then finds the event by splitting."""
    receiver.replies.append(reply(400, 6, "Invalid", **{"invalid-event-number": number}))
    verdict = await once(receiver, *[summary(name) for name in "abc"])
    assert verdict == Refused("says code 6, Invalid")


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (403, 1, "enable the token"),
        (401, 2, "no token"),
        (401, 3, "form"),
        (403, 4, "the right one"),
        (400, 7, "indexes"),
        (500, 8, "splunkd.log"),
        (503, 9, "busy"),
        (400, 10, "channel"),
        (400, 11, "channel"),
        (400, 14, "acknowledgment"),
        (503, 99, "busy"),
        (404, 404, "path"),
        (200, 3, "its log"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_fault_of_an_event_waits(
    receiver: Receiver, status: int, code: int, remedy: str
) -> None:
    """Settings that are wrong and a server that is busy cost no record."""
    receiver.replies.append(reply(status, code, "so\nit is"))
    assert remedy in reason(await once(receiver))


@pytest.mark.parametrize("code", [5, 12, 13, 15])
@pytest_twisted.ensureDeferred
async def test_other_faults_of_events_are_refused(receiver: Receiver, code: int) -> None:
    """With the code and the collector's words."""
    receiver.replies.append(reply(400, code, "Text"))
    assert await once(receiver) == Refused(f"says code {code}, Text")


@pytest_twisted.ensureDeferred
async def test_a_collector_that_fails(receiver: Receiver) -> None:
    """Without a code its status counts; Retry-After is obeyed; half a body is none."""
    receiver.replies += [
        Reply(429, b"", {"Retry-After": "17"}),
        Reply(500, b"<html>"),
        Reply(200, b"<html>"),
        Reply(200, b'{"text":"Success","code":0}', half=True),
        Reply(200, b'{"text":"Success","code":true}'),
    ]
    verdicts = [await once(receiver) for _ in range(len(receiver.replies))]
    assert all(isinstance(verdict, Failed) for verdict in verdicts)
    assert isinstance(verdicts[0], Failed)
    assert verdicts[0].retry_after == 17
    receiver.replies.append(Reply(413))
    assert isinstance(await once(receiver), Refused)
    receiver.replies.append(Reply(hangs=True))
    assert "within 1 s" in reason(await once(receiver, timeout="1"))


@pytest_twisted.ensureDeferred
async def test_a_wrong_token_is_said_and_not_shown(receiver: Receiver) -> None:
    """The token is in no text, whatever the collector says back."""
    verdict = await once(receiver, token="wr0ng-t0ken")
    assert "the token is not valid" in reason(verdict)
    receiver.replies.append(reply(403, 4, "no such token: Splunk wr0ng-t0ken"))
    assert "wr0ng-t0ken" not in reason(await once(receiver, token="wr0ng-t0ken"))


def test_a_token_is_needed() -> None:
    """Without one the section is refused."""
    with pytest.raises(OptionError, match="needs token, token_file or token_env"):
        http.read({"url": "https://splunk:8088", "format": "splunk_hec"}, "sessionstats_s", {})
