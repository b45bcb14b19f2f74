"""Receivers for tests, over plain HTTP and TLS: they keep what they get, and fail when told to."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import subprocess
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import util
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ports import free_port
from twisted.internet import protocol, ssl
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

# ---------------------------------------------------------------- over HTTP


@frozen
class Reply:
    """What a receiver says to one request."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(factory=dict)
    half: bool = False
    """Whether the connection ends in the middle of the body."""
    hangs: bool = False
    """Whether it never says anything."""
    closes: bool = False
    """Whether it hangs up without an answer."""


@frozen
class Asked:
    """A request as a receiver got it."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    """Unpacked, if it was packed."""
    connection: int
    """Which of the connections it came by."""


@define(eq=False)
class Receiver:
    """Answers with what waits in ``replies``, else as ``answer`` does."""

    answer: Callable[[Asked], Reply] = lambda _: Reply()
    replies: deque[Reply] = field(factory=deque)
    asked: list[Asked] = field(factory=list)
    port: int = 0
    connections: set[Any] = field(factory=set)
    seen: list[Any] = field(factory=list)

    def lines(self) -> list[Any]:
        """Return the JSON of every line of every request."""
        return [json.loads(line) for asked in self.asked for line in asked.body.splitlines()]


class _Page(Resource):
    isLeaf = True  # noqa: N815 - Twisted's

    def __init__(self, receiver: Receiver) -> None:
        super().__init__()
        self.receiver = receiver

    def render_POST(self, request: Any) -> Any:  # noqa: N802 - Twisted's
        receiver, channel = self.receiver, request.channel
        if channel not in receiver.seen:
            receiver.seen.append(channel)
        headers = {
            name.decode().lower(): values[0].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        body = request.content.read()
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        path, _, query = request.uri.decode().partition("?")
        asked = Asked(path, query, headers, body, receiver.seen.index(channel))
        receiver.asked.append(asked)
        reply = receiver.replies.popleft() if receiver.replies else receiver.answer(asked)
        request.notifyFinish().addErrback(lambda _: None)
        if reply.closes:
            request.transport.loseConnection()
            return NOT_DONE_YET
        if reply.hangs:
            return NOT_DONE_YET
        request.setResponseCode(reply.status)
        for name, value in reply.headers.items():
            request.setHeader(name, value)
        if reply.half:
            request.setHeader("content-length", str(len(reply.body)))
            request.write(reply.body[: len(reply.body) // 2])
            request.transport.loseConnection()
            return NOT_DONE_YET
        return reply.body


class _Site(Site):
    """Keeps its connections, so that a test can see whether they are closed."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(_Page(receiver), timeout=None)
        self.receiver = receiver

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's
        channel = super().buildProtocol(addr)
        made, lost = channel.makeConnection, channel.connectionLost
        transports = []

        def make_connection(transport: Any) -> None:
            transports.append(transport)
            self.receiver.connections.add(transport)
            made(transport)

        def connection_lost(reason: Any) -> None:
            self.receiver.connections.difference_update(transports)
            lost(reason)

        channel.makeConnection, channel.connectionLost = make_connection, connection_lost
        return channel


@contextmanager
def serving(
    receiver: Receiver, reactor: Any, tls: Any = None, *, port: int = 0
) -> Iterator[Receiver]:
    """Let ``receiver`` listen on a free loopback port; with ``tls``, a context factory, over it."""
    site = _Site(receiver)
    if tls is None:
        listening = reactor.listenTCP(port, site, interface="127.0.0.1")
    else:
        listening = reactor.listenSSL(port, site, tls, interface="127.0.0.1")
    receiver.port = listening.getHost().port
    try:
        yield receiver
    finally:
        listening.stopListening()
        for transport in list(receiver.connections):
            transport.abortConnection()


class _Says(protocol.Protocol):
    has_said = False

    def dataReceived(self, data: bytes) -> None:  # noqa: ARG002, N802 - Twisted's
        factory: Any = self.factory
        transport: Any = self.transport
        if factory.said is not None and not self.has_said:
            self.has_said = True
            transport.write(factory.said)
            if not factory.hold:
                transport.loseConnection()


@contextmanager
def saying(said: bytes | None, reactor: Any, *, hold: bool = False) -> Iterator[int]:
    """Listen, and say that to whatever comes, then hang up; None or ``hold``: do not hang up."""
    factory = protocol.Factory.forProtocol(_Says)
    factory.said, factory.hold = said, hold  # type: ignore[attr-defined]
    listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
    try:
        yield listening.getHost().port
    finally:
        listening.stopListening()


# ---------------------------------------------------------------- certificates

_DAY: Final = dt.timedelta(days=1)


@define(eq=False)
class Authority:
    """A CA for one test run, which signs whatever is asked for."""

    name: str = "Test CA"
    key: Any = field(init=False, factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.certificate = self._sign(self.name, self.key.public_key(), [], ca=True, expired=False)

    @property
    def pem(self) -> bytes:
        """Return the CA's certificate."""
        return bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: str, expired: bool = False) -> tuple[bytes, bytes]:
        """Return a certificate for these names, and its key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._sign(names[0], key.public_key(), list(names), ca=False, expired=expired)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return made.public_bytes(serialization.Encoding.PEM), private

    def _sign(self, name: str, key: Any, names: list[str], *, ca: bool, expired: bool) -> Any:
        now = dt.datetime.now(dt.timezone.utc)
        begin, end = (now - 9 * _DAY, now - 2 * _DAY) if expired else (now - _DAY, now + _DAY)
        alternatives = [
            x509.IPAddress(ip_address(each)) if each[0].isdigit() else x509.DNSName(each)
            for each in names
        ]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())


def server_tls(certificate: bytes, key: bytes, clients: Authority | None = None) -> Any:
    """Return how a server comes; with ``clients``, it wants a certificate that this CA signed."""
    options = ssl.PrivateCertificate.loadPEM(certificate + key)
    if clients is None:
        return options.options()
    return options.options(ssl.Certificate.loadPEM(clients.pem))


# ---------------------------------------------------------------- OpenSearch


@frozen
class OpenSearch:
    """An emulator of OpenSearch in a process of its own."""

    url: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what it answers."""
        request = urllib.request.Request(  # noqa: S310 - http, to ourselves
            f"{self.url}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def count(self, index: str) -> int:
        """Return how many documents an index holds."""
        self.ask("POST", f"/{index}/_refresh")
        return int(self.ask("GET", f"/{index}/_count")["count"])


@contextmanager
def opensearch() -> Iterator[OpenSearch]:
    """Run the emulator; a test is skipped where it is not installed."""
    spec = util.find_spec("osmem_server")
    if spec is None or spec.origin is None:
        pytest.skip("no osmem-server here: pip install osmem-server (x86-64 Linux)")
    port = free_port()
    program = Path(spec.origin).parent / "bin/osmem-server"
    server = subprocess.Popen(
        [program, "-no-stdin-watch", "-addr", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = OpenSearch(f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            try:
                running.ask("GET", "/")
                break
            except OSError:
                time.sleep(0.1)
        yield running
    finally:
        server.kill()
        server.wait()
