"""The options of a destination with ``type = kafka``, and what librdkafka is told of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.outputs.settings import MOST_RECORDS, Settings, is_host
from cowrie_sessionstats.outputs.tls import Tls, client_options

LIMITS: Final = Limits(records=2000, size=4 << 20, seconds=1.0)
"""Larger batches than these gain nothing: librdkafka makes its own of them."""

PORT: Final = 9092

MOST_PORT: Final = 65_535

DEFAULT_TIMEOUT: Final = 60
"""Seconds for a batch: a partition has another leader within a few when a broker dies."""

LONGEST_TIMEOUT: Final = 600

MESSAGE: Final = 1_000_000
"""Bytes of a message: librdkafka's own default, and what a broker takes (1,048,588) unless it or
the topic is set otherwise. A record has that only if an attacker wants it to."""

LEAST_MESSAGE, MOST_MESSAGE = 10_000, 10_000_000
"""A record of an ordinary session fits in the one; the other is in memory a few times over."""

QUEUE_KBYTES: Final = 32 << 10
"""KiB that wait in librdkafka: three messages of the largest size. What is more waits before it."""

CONNECT_MS: Final = 10_000
"""Milliseconds to reach a broker, TLS and login included."""

CREATION_MS: Final = 5_000
"""Milliseconds that a broker has to make a topic that is not there, if it does that at all."""

ANSWER_LIMIT: Final = 8 << 20
"""Bytes of a broker's answer: those to a producer are small, but for one that names all brokers and
partitions of a large cluster."""

MECHANISMS: Final = ("plain", "scram-sha-256", "scram-sha-512")

TOPIC_LIMIT: Final = 249
"""Characters of a topic's name (Kafka's own limit)."""

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]+")
_BROKER: Final = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::(\d{1,5}))?")


@frozen
class KafkaOptions:
    """What the operator chose for one destination."""

    brokers: tuple[str, ...]
    """Each with its port."""
    topic: str
    format: str
    """``json`` or ``msgpack``."""
    timeout: int
    """Seconds until a batch has to be acknowledged."""
    limits: Limits
    client: Mapping[str, Any] = field(repr=False)
    """What librdkafka is told; secrets are in it."""
    secret: str | None = field(default=None, repr=False)

    @property
    def target(self) -> str:
        """Return where records go, for people."""
        tls = self.client["security.protocol"].endswith("SSL")
        return f"kafka{'+tls' if tls else ''}://{','.join(self.brokers)}/{self.topic}"


def read_options(
    options: Mapping[str, str], section: str, environment: Mapping[str, str]
) -> KafkaOptions:
    """Return the options in a section; OptionError for the first that cannot be used."""
    settings = Settings(options, section, environment)
    brokers = _brokers(settings)
    topic = _topic(settings)
    timeout = settings.number("timeout", DEFAULT_TIMEOUT, 1, LONGEST_TIMEOUT)
    tls = _tls(settings, brokers[0])
    login, secret = _login(settings)
    client: dict[str, Any] = {
        "bootstrap.servers": ",".join(brokers),
        "client.id": "cowrie-sessionstats",
        "security.protocol": f"{'SASL_' if login else ''}{'SSL' if tls else 'PLAINTEXT'}",
        **tls,
        **login,
        "enable.idempotence": True,
        "acks": "all",
        # As Java's clients: whoever joins our topic with another's finds the same partitions.
        "partitioner": "murmur2_random",
        "compression.type": settings.choice(
            "compression", ("none", "gzip", "lz4", "snappy", "zstd"), "none"
        ),
        "message.max.bytes": settings.number("max_message", MESSAGE, LEAST_MESSAGE, MOST_MESSAGE),
        "message.timeout.ms": 1000 * timeout,
        "topic.metadata.propagation.max.ms": min(CREATION_MS, 500 * timeout),
        "socket.connection.setup.timeout.ms": CONNECT_MS,
        "receive.message.max.bytes": ANSWER_LIMIT,
        "queue.buffering.max.messages": MOST_RECORDS,
        "queue.buffering.max.kbytes": QUEUE_KBYTES,
        "enable.metrics.push": False,  # nobody asked for figures of ours
        "log_level": 0,
    }
    read = KafkaOptions(
        brokers=brokers,
        topic=topic,
        format=settings.choice("format", ("json", "msgpack"), "json"),
        timeout=timeout,
        limits=settings.limits(LIMITS),
        client=client,
        secret=secret,
    )
    settings.finish()
    return read


def _brokers(settings: Settings) -> tuple[str, ...]:
    text = settings.text("brokers")
    brokers = tuple(
        _broker(settings, text, broker) for broker in re.split(r"[\s,]+", text) if broker
    )
    if not brokers:
        raise settings.error(
            "brokers", text, "is missing. Add one or more, e.g. kafka1.example:9092"
        )
    return brokers


def _broker(settings: Settings, text: str, broker: str) -> str:
    found = _BROKER.fullmatch(broker)
    if found is None or not is_host(found[1] or found[2]):
        raise settings.error(
            "brokers", text, "has to be hosts, each with :port if it is not 9092. Correct it"
        )
    port = int(found[3] or PORT)
    if not 1 <= port <= MOST_PORT:
        raise settings.error("brokers", text, f"a port is a number up to {MOST_PORT}. Correct it")
    host = found[1] or found[2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _topic(settings: Settings) -> str:
    topic = settings.text("topic")
    if not topic:
        raise settings.error("topic", "", "is missing. Add it")
    if not _TOPIC.fullmatch(topic) or len(topic) > TOPIC_LIMIT or topic in (".", ".."):
        raise settings.error(
            "topic",
            topic,
            f"has to be letters, digits and . _ -, at most {TOPIC_LIMIT}. Correct it",
        )
    return topic


def _tls(settings: Settings, broker: str) -> dict[str, Any]:
    """Return what librdkafka is told of TLS; nothing without it."""
    transport = settings.choice("transport", ("tcp", "tls"), "tcp")
    files: dict[str, Path | None] = {
        name: settings.path(name) for name in ("ca_file", "cert_file", "key_file")
    }
    for name, path in files.items():
        if path is not None and transport != "tls":
            raise settings.error(
                name, str(path), "is for transport = tls only. Add that, or remove it"
            )
    for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if files[name] is not None and files[other] is None:
            raise settings.error(name, str(files[name]), f"needs {other}, too. Add it")
    if transport != "tls":
        return {}
    # What is wrong with these files is said at the start, not when a broker is first reached.
    host = broker.rpartition(":")[0].strip("[]")
    client_options(Tls(host, **files), settings.section)
    return {
        "enable.ssl.certificate.verification": True,
        "ssl.endpoint.identification.algorithm": "https",
        **{
            option: str(files[name])
            for option, name in (
                ("ssl.ca.location", "ca_file"),
                ("ssl.certificate.location", "cert_file"),
                ("ssl.key.location", "key_file"),
            )
            if files[name] is not None
        },
    }


def _login(settings: Settings) -> tuple[dict[str, Any], str | None]:
    """Return what librdkafka is told of SASL, and the secret in it."""
    mechanism = settings.choice("auth", ("none", *MECHANISMS), "none")
    user, password = settings.text("user"), settings.secret("password")
    if mechanism == "none":
        if user or password:
            raise settings.error(
                "auth", "none", f"user and password need {' or '.join(MECHANISMS)}. Correct it"
            )
        return {}, None
    if not user or "\0" in user:
        raise settings.error("user", user, f"auth = {mechanism} needs one")
    if password is None:
        raise settings.error(
            "password",
            "",
            f"is missing: auth = {mechanism} needs password, password_file or password_env",
        )
    if "\0" in password:
        raise settings.error("password", "...", "has a NUL in it, which SASL cannot send")
    return {
        "sasl.mechanism": mechanism.upper(),
        "sasl.username": user,
        "sasl.password": password,
    }, password
