"""Sends records to a topic of Kafka; what its brokers have not acknowledged was not delivered.

librdkafka waits for brokers in calls that may take long, so it has a thread of its own for each
destination: neither the reactor nor the store's thread, in which other destinations have their
records read, ever waits for a broker. That thread begins with the first batch, as librdkafka's own
do: Cowrie reads its configuration, then forks into the background, and threads do not survive that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgpack
from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed

from cowrie_sessionstats.outputs.formats._json import decode, encode
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.kafka_options import KafkaOptions, read_options
from cowrie_sessionstats.outputs.kafka_producer import Job, Message, Producing
from cowrie_sessionstats.outputs.sending import (
    Delivered,
    Failed,
    Limits,
    Partly,
    Record,
    Verdict,
    without_time,
)

IDLE: Final = 60.0
"""Seconds without a batch after which the brokers are let go: librdkafka would go on connecting to
them, and what it has to say of that would pile up."""


def key_of(record: Record) -> bytes:
    """Return a message's key: sensor, a slash and session, so that revisions stay in order."""
    return f"{record.get('sensor', '')}/{record.get('session', '')}".encode("utf-8", "replace")


def headers_of(record: Record) -> list[tuple[str, bytes]]:
    """Return what can be asked of a message without reading it; a repeat has the same ``id``."""
    known = {
        "eventid": record.get("eventid"),
        "schema": record.get("schema"),
        "id": record_id(record),
    }
    return [
        (name, str(value).encode("utf-8", "replace"))
        for name, value in known.items()
        if value is not None
    ]


def to_json(record: Record) -> bytes:
    """Return the record as it is in the log, as formats over HTTP have it."""
    return encode(record).encode("ascii")


def to_msgpack(record: Record) -> bytes:
    """Return the record as a map; its texts are UTF-8, whatever was no such is U+FFFD."""
    try:
        packed: bytes = msgpack.packb(record)
    except UnicodeEncodeError:
        packed = msgpack.packb(decode(encode(record).encode("ascii")))
    return packed


FORMATS: Final[Mapping[str, Callable[[Record], bytes]]] = {"json": to_json, "msgpack": to_msgpack}


@define(eq=False)
class KafkaSender:
    """Sends to one topic; a ``sending.Sender``."""

    options: KafkaOptions
    reactor: Any
    idle: float = IDLE
    _jobs: SimpleQueue[tuple[Job, Deferred[Verdict]] | None] = field(
        factory=SimpleQueue, init=False
    )
    _thread: threading.Thread | None = field(default=None, init=False)
    _verdict: Deferred[Verdict] | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    @property
    def limits(self) -> Limits:
        """Return how large batches may be."""
        return self.options.limits

    @property
    def target(self) -> str:
        """Return where records go, for people."""
        return self.options.target

    @property
    def is_alive(self) -> bool:
        """Return whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def render(self, records: Sequence[Record]) -> tuple[Message, ...]:
        """Return the messages of a batch; ValueError if a record cannot be rendered."""
        made = FORMATS[self.options.format]
        return tuple(
            Message(key_of(record), made(without_time(record)), headers_of(record))
            for record in records
        )

    def send(self, batch: Sequence[Message]) -> Deferred[Verdict]:
        """Send a batch; the verdict comes when its brokers, or the time that they have, say it."""
        if self._stopped:
            return succeed(Failed("nothing is sent any more: Cowrie stops"))
        if self._thread is None and not self._start():
            return succeed(Failed("the system has no thread to spare now"))
        job = Job(batch)
        verdict: Deferred[Verdict] = Deferred(lambda _: job.cancelled.set())
        self._verdict = verdict
        self._jobs.put((job, verdict))
        return verdict.addCallback(self._without_secret)

    def stop(self) -> None:
        """Let go of the brokers; what is being sent is cancelled. Waits for nothing."""
        self._stopped = True
        if self._verdict is not None:
            self._verdict.cancel()
        self._jobs.put(None)

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="cowrie-sessionstats-kafka", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        """Produce until there is nothing more to come; the thread's."""
        options = self.options
        producing = Producing(options.client, options.topic, options.timeout)
        while self._produced(producing):
            producing.tidy()
        producing.drop()

    def _produced(self, producing: Producing) -> bool:
        """Produce the next batch, of which nothing is kept; False at the end."""
        try:
            asked = self._jobs.get(timeout=self.idle)
        except Empty:
            producing.drop()
            return True
        if asked is None:
            return False
        job, verdict = asked
        self.reactor.callFromThread(_tell, verdict, producing.produce(job))
        return True

    def _without_secret(self, verdict: Verdict) -> Verdict:
        """Take out the password, if a broker says it back."""
        secret = self.options.secret
        if secret is None or isinstance(verdict, Delivered):
            return verdict

        def clean(reason: str) -> str:
            return reason.replace(secret, "...")

        if isinstance(verdict, Partly):
            return evolve(
                verdict,
                refused={place: clean(reason) for place, reason in verdict.refused.items()},
                again={place: clean(reason) for place, reason in verdict.again.items()},
            )
        return evolve(verdict, reason=clean(verdict.reason))


def _tell(waiting: Deferred[Verdict], verdict: Verdict) -> None:
    if not waiting.called:  # nor cancelled meanwhile
        waiting.callback(verdict)


def read(
    options: Mapping[str, str],
    section: str,
    environment: Mapping[str, str],
    _config: object = None,
) -> KafkaSender:
    """Return the sender that a section of cowrie.cfg asks for, in the process's reactor."""
    from twisted.internet import reactor  # noqa: PLC0415 - the import installs one

    return KafkaSender(read_options(options, section, environment), reactor)
