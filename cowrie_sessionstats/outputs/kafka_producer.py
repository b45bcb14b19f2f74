"""Produces to Kafka, waiting for its acknowledgements: in a thread in which nothing else waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen
from confluent_kafka import KafkaError, KafkaException, Producer

from cowrie_sessionstats.outputs.kafka_troubles import REFUSED, TOO_LARGE, meaning
from cowrie_sessionstats.outputs.sending import Delivered, Failed, Partly, Verdict

SLICE: Final = 0.1
"""Seconds of a wait in librdkafka: so soon it is noticed that nobody wants the batch any more."""

GRACE: Final = 5.0
"""Seconds that librdkafka has beyond its own timeout to say what became of messages."""

DOWN: Final = 2.0
"""Seconds that a new producer has to reach any broker after all that it tried are down: it tries
those of ``brokers`` one after the other."""

Reports: TypeAlias = dict[int, KafkaError | None]


@frozen
class Message:
    """A record as Kafka has it."""

    key: bytes
    value: bytes = field(repr=False)
    headers: Sequence[tuple[str, bytes]]


@define(eq=False)
class Job:
    """A batch to be produced."""

    messages: Sequence[Message] = field(repr=False)
    cancelled: threading.Event = field(factory=threading.Event)


class _Silence:
    """In the place of a logger: librdkafka would write to Cowrie's stderr.

    What matters of it comes as an error, too.
    """

    def log(self, *_: object) -> None:
        """Drop a line."""


@define(eq=False)
class Producing:
    """Produces one batch after the other, by a producer that is made when it is needed.

    Only a batch without any failure keeps it for the next: librdkafka's idempotent producer is at
    an end after a fatal error (a sequence out of order, another one with its id), and a new one
    knows nothing of what an old one was at. Until a producer has had its first acknowledgement, it
    is given up when no broker can be reached; after that, librdkafka has until ``timeout`` to
    get through, for it knows what the broker has already.
    """

    client: Mapping[str, Any] = field(repr=False)
    topic: str
    timeout: float
    clock: Callable[[], float] = time.monotonic
    _producer: Producer | None = field(default=None, init=False)
    _is_spent: bool = field(default=False, init=False)
    """Whether the producer is not to be used again."""
    _acknowledged: bool = field(default=False, init=False)
    """Whether a broker took anything from this producer."""
    _told: KafkaError | None = field(default=None, init=False)
    """What librdkafka said last that was wrong."""
    _down_since: float | None = field(default=None, init=False)
    """When it was first said that no broker can be reached."""

    def produce(self, job: Job) -> Verdict:
        """Return what became of a batch; never raises, and is back within the bounds."""
        try:
            verdict = self._produce(job)
        except KafkaException as error:
            verdict = Failed(meaning(error.args[0]))
        except Exception as error:  # noqa: BLE001 - a mistake of ours; the thread goes on
            verdict = Failed(f"a mistake of this program: {type(error).__name__}. Please report it")
        self._is_spent = isinstance(verdict, Failed) or (
            isinstance(verdict, Partly) and bool(verdict.again)
        )
        return verdict

    def tidy(self) -> None:
        """Let go of a producer that is not to be used again.

        Apart from ``produce``: librdkafka may have to wait there until a name server answers.
        """
        if self._is_spent:
            self.drop()

    def drop(self) -> None:
        """Let go of the producer, its connections and what it has not sent."""
        producer, self._producer, self._is_spent = self._producer, None, False
        if producer is not None:
            producer.purge()
            producer.poll(0)

    def _produce(self, job: Job) -> Verdict:
        self.tidy()
        producer = self._producer
        if producer is None:
            self._acknowledged, self._down_since, self._told = False, None, None
            client = {**self.client, "error_cb": self._tell, "logger": _Silence()}
            producer = self._producer = Producer(client)
        deadline = self.clock() + self.timeout + GRACE
        reports: Reports = {}
        queued = 0
        while len(reports) < len(job.messages) and not self._is_over(job, deadline):
            if queued < len(job.messages):
                queued += self._queue(producer, queued, job.messages[queued], reports)
                producer.poll(0)
            else:
                producer.poll(SLICE)
        return self._judge(job.messages, reports)

    def _queue(self, producer: Producer, place: int, message: Message, reports: Reports) -> bool:
        """Hand a message to librdkafka; False if there is no room yet."""
        try:
            producer.produce(
                self.topic,
                message.value,
                message.key,
                headers=list(message.headers),
                on_delivery=partial(self._report, reports, place),
            )
        except BufferError:
            producer.poll(SLICE)
            return False
        except KafkaException as error:
            trouble: KafkaError = error.args[0]
            if trouble.code() not in REFUSED:
                raise
            reports[place] = trouble
        return True

    def _report(self, reports: Reports, place: int, error: KafkaError | None, _: object) -> None:
        """Take note of what became of a message; librdkafka calls it while it is polled."""
        reports[place] = error
        if error is None:
            self._acknowledged, self._told = True, None

    def _tell(self, error: KafkaError) -> None:
        """Take note of an error that is no message's."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its public name
            self._told = self._told or error
            if self._down_since is None:
                self._down_since = self.clock()
        elif self._told is None or not self._told.fatal():
            self._told = error

    def _is_over(self, job: Job, deadline: float) -> bool:
        if not self._acknowledged and self._down_since is not None:
            deadline = min(deadline, self._down_since + DOWN)
        is_fatal = self._told is not None and self._told.fatal()
        return is_fatal or job.cancelled.is_set() or self.clock() > deadline

    # ------------------------------------------------------------ what became of it

    def _judge(self, messages: Sequence[Message], reports: Reports) -> Verdict:
        """Return the verdict on each record.

        Once one of a session was not taken, all later ones of it count as not taken: the last of
        them to arrive has to be the newest.
        """
        refused: dict[int, str] = {}
        again: dict[int, str] = {}
        behind: set[bytes] = set()
        for place, message in enumerate(messages):
            error = reports.get(place, _NONE)
            if isinstance(error, KafkaError) and error.code() in REFUSED:
                refused[place] = self._refusal(error, message)
            elif error is not None:
                again[place] = self._reason(error)
            elif message.key in behind:
                again[place] = "an earlier record of its session was not taken"
                continue
            else:
                continue
            behind.add(message.key)
        if again and len(again) == len(messages):
            return Failed(again[0])
        return Partly(refused, again) if refused or again else Delivered()

    def _refusal(self, error: KafkaError, message: Message) -> str:
        why = f"{error.name()}: {error.str()}"
        if error.code() not in TOO_LARGE:
            return why
        size = len(message.key) + len(message.value)
        return (
            f"{size} bytes are too many for a message ({why}). Raise max_message "
            f"({self.client['message.max.bytes']}) here, and max.message.bytes of the topic"
        )

    def _reason(self, error: KafkaError | object) -> str:
        """Return why a message was not taken: librdkafka's last error says more than a timeout."""
        if isinstance(error, KafkaError) and error.code() not in _SILENT:
            return meaning(error)
        if self._told is not None:
            return meaning(self._told)
        return (
            f"no acknowledgement within {self.timeout:g} s. Look whether the brokers hang, and "
            "whether transport is as they have it"
        )


_NONE: Final = object()  # no report at all
_SILENT: Final = frozenset(
    {
        KafkaError._FATAL,  # noqa: SLF001 - the public names of what librdkafka itself finds
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
        KafkaError._PURGE_QUEUE,  # noqa: SLF001
    }
)
"""Errors of messages that say nothing of why."""
