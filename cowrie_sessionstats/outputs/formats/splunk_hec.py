"""Splunk's HTTP Event Collector (HEC), with indexer acknowledgment where the token has it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater

from cowrie_sessionstats._toml import packaged
from cowrie_sessionstats.outputs.formats._json import decode, encode
from cowrie_sessionstats.outputs.formats._times import times_of
from cowrie_sessionstats.outputs.http_answers import (
    Answer,
    Post,
    UnansweredError,
    is_ok,
    judge,
    texts_of,
    words_of,
)
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.sending import (
    REASON_LIMIT,
    Delivered,
    Failed,
    Partly,
    Record,
    Refused,
    Verdict,
    without_time,
)

SOURCE: Final = "cowrie-sessionstats"
SOURCETYPE: Final = "cowrie:sessionstats"
"""By which Splunk's settings for these events go; the event is JSON."""

ANSWER_LIMIT: Final = 64 << 10
"""Bytes read of an answer, which is a short object."""

ACK_SECONDS: Final = 300.0
"""Seconds that an acknowledgment may take; then the batch is sent again. Splunk's documentation
says to wait for five minutes."""

FIRST_ASKING: Final = 0.25
"""Seconds after which it is asked the first time whether a batch is indexed; then twice as many
each time, up to ``LONGEST_ASKING``."""

LONGEST_ASKING: Final = 10.0
"""Seconds between two askings: as often as Splunk's documentation advises."""

_TABLE: Final = packaged("cowrie_sessionstats.outputs.formats", "splunk_hec.toml")
_REFUSED: Final = {int(code): words for code, words in _TABLE["refused"].items()}
_FAILED: Final = {int(code): words for code, words in _TABLE["failed"].items()}


@define(eq=False)
class SplunkHec:
    """Sends events to ``/services/collector/event`` below the URL.

    https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data has the
    endpoints, the keys of an event and the acknowledgment.
    """

    headers: Mapping[str, str]
    """Go with events."""
    channel: str
    """A GUID by which Splunk knows this sender; acknowledgments are counted for each."""
    clock: Any
    """The reactor, or another ``IReactorTime``."""

    def render(self, records: Sequence[Record]) -> bytes:
        """Return the events, one JSON object behind the other, each on its line."""
        return "".join([f"{encode(_event(record))}\n" for record in records]).encode("ascii")

    @inlineCallbacks
    def deliver(
        self, post: Post, body: bytes, count: int
    ) -> Generator[Deferred[Any], Any, Verdict]:
        """Post the events; where the token wants it so, wait until they are indexed."""
        channel = {"X-Splunk-Request-Channel": self.channel}
        headers = {**self.headers, **channel}
        answer = yield post("/services/collector/event", body, headers, ANSWER_LIMIT)
        said = _object(answer)
        trouble = _trouble(answer, said, count)
        if trouble is not None:
            return trouble
        if "ackId" not in said:
            return Delivered()
        verdict: Verdict = yield self._wait(post, said["ackId"], channel)
        return verdict

    @inlineCallbacks
    def _wait(
        self, post: Post, ack: Any, channel: Mapping[str, str]
    ) -> Generator[Deferred[Any], Any, Verdict]:
        """Ask until a batch is indexed, for ``ACK_SECONDS``.

        A request that fails in between is no reason to send the batch again: it is asked on.
        """
        if not isinstance(ack, int) or isinstance(ack, bool):
            return Failed("answers with an ackId that is no number; see whether it is a Splunk")
        headers = {"Content-Type": "application/json", **channel}
        question = encode({"acks": [ack]}).encode("ascii")
        path = f"/services/collector/ack?channel={self.channel}"
        end = self.clock.seconds() + ACK_SECONDS
        delay, last = FIRST_ASKING, ""
        while self.clock.seconds() + delay < end:
            yield deferLater(self.clock, delay, _nothing)
            delay = min(2 * delay, LONGEST_ASKING)
            try:
                answer = yield post(path, question, headers, ANSWER_LIMIT)
            except UnansweredError as error:
                last = str(error)
                continue
            said = _object(answer)
            if not is_ok(answer):
                if answer.status in _WILL_NOT_PASS:
                    remedy = _FAILED.get(
                        said.get("code", 0), "see the token's indexer acknowledgment in Splunk"
                    )
                    return Failed(f"does not tell whether records are indexed: {remedy}")
                last = f"answers {answer.status}"
                continue
            acks = said.get("acks")
            if isinstance(acks, dict) and acks.get(str(ack)) is True:
                return Delivered()
        last = f"; the last trouble: {last}" if last else ""
        return Failed(
            f"took records, but did not index them within {ACK_SECONDS:g} s: see whether Splunk's "
            f"queues are full{last}"[:REASON_LIMIT]
        )


_WILL_NOT_PASS: Final = frozenset({400, 401, 403, 404})


def _nothing() -> None:
    """Be called when a time is over."""


def _event(record: Record) -> dict[str, Any]:
    """Return the event: the record with its id, at the time of the close."""
    event: dict[str, Any] = {}
    time = times_of(record).event
    if time is not None:
        event["time"] = round(time, 6)
    host = record.get("sensor")
    if isinstance(host, str) and host:
        event["host"] = host
    event["source"] = SOURCE
    event["sourcetype"] = SOURCETYPE
    event["event"] = {"id": record_id(record), **without_time(record)}
    return event


def _object(answer: Answer) -> dict[str, Any]:
    try:
        said = decode(answer.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _trouble(answer: Answer, said: Mapping[str, Any], count: int) -> Verdict | None:
    """Return what is wrong by an answer to events; None if they have been taken."""
    code = said.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        return judge(answer, words_of(answer)) or Failed(
            f"answers {answer.status}, but not as an HTTP Event Collector does "
            f"({words_of(answer)}): see whether url names one, without a path"
        )
    words = f"code {code}, {texts_of(said.get('text'))}"
    if not is_ok(answer):
        if code in _REFUSED:
            return _refused(words, said.get("invalid-event-number"), count)
        if code in _FAILED:
            return Failed(f"says {words}: {_FAILED[code]}"[:REASON_LIMIT], answer.retry_after)
    elif code != 0:
        return Failed(f"says {words}; see its log"[:REASON_LIMIT])
    return judge(answer, words)


def _refused(words: str, number: Any, count: int) -> Verdict:
    """Return the verdict on a batch in which the event of that number is not valid.

    The others are sent again: the documentation does not say that those before it are indexed.
    """
    reason = f"says {words}"[:REASON_LIMIT]
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
        return Refused(reason)
    return Partly(
        {number: reason},
        {place: f"{reason}, of another record" for place in range(count) if place != number},
    )
