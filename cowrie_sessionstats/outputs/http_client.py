"""Posts to one receiver over connections that stay open."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field, frozen
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from cowrie_sessionstats import __version__
from cowrie_sessionstats.outputs.http_answers import Answer, UnansweredError, retry_after
from cowrie_sessionstats.outputs.http_troubles import explain, is_cancelled

CONNECT_SECONDS: Final = 20.0
"""Seconds for a connection: where nothing answers at all, that is known long before ``timeout``."""

IDLE_SECONDS: Final = 60.0
"""Seconds for which an idle connection is kept: proxies before receivers close them after 60 to 75,
and a request just then would be lost."""

_PORTS: Final = {"http": 80, "https": 443}


@frozen
class TlsPolicy:
    """Whom to trust, and as whom to come; a receiver's name is always verified."""

    trusted: Any = field(factory=platformTrust)
    certificate: PrivateCertificate | None = field(default=None, repr=False)

    def wrap(self, endpoint: Any, host: str) -> Any:
        """Return ``endpoint`` with TLS over it."""
        options = optionsForClientTLS(host, self.trusted, clientCertificate=self.certificate)
        return wrapClientTLS(options, endpoint)


@implementer(IAgentEndpointFactory)
@frozen
class _Endpoints:
    """Makes the connections of an ``Agent``."""

    reactor: Any
    policy: TlsPolicy
    timeout: float

    def endpointForURI(self, uri: Any) -> Any:  # noqa: N802 - Twisted's
        host = uri.host.decode("ascii")
        endpoint: Any = HostnameEndpoint(self.reactor, host, uri.port, self.timeout)
        if uri.scheme == b"https":
            endpoint = self.policy.wrap(endpoint, host)
        return _QuietEndpoint(endpoint)


@implementer(IStreamClientEndpoint)
@frozen
class _QuietEndpoint:
    """Connects without two lines in Cowrie's log for each connection, and without Nagle.

    A body goes out in pieces of 64 KiB, and with Nagle's algorithm the end of each would wait for
    the receiver's delayed acknowledgement: 40 ms a piece, 300 records a second in all.
    """

    endpoint: Any

    def connect(self, factory: Any) -> Any:
        factory.noisy = False
        return self.endpoint.connect(factory).addCallback(_without_delay)


def _without_delay(protocol: Any) -> Any:
    protocol.transport.setTcpNoDelay(True)
    return protocol


def trusted_in(pem: str) -> Any:
    """Return the trust in the certificates of a PEM file only.

    Raises ValueError if there is none in it, or one that cannot be read.
    """
    blocks = _BLOCK.findall(pem)
    if not blocks:
        msg = "has no certificate in it (-----BEGIN CERTIFICATE-----)"
        raise ValueError(msg)
    try:
        return trustRootFromCertificates([Certificate.loadPEM(block) for block in blocks])
    except Exception as error:
        msg = "has a certificate in it that cannot be read"
        raise ValueError(msg) from error


def own_certificate(pem: str) -> PrivateCertificate:
    """Return our certificate with its key, from both in PEM.

    Raises ValueError if there is none, the key is another one's or has a passphrase.
    """
    # OpenSSL would ask for a passphrase on the terminal and wait.
    if "ENCRYPTED" in pem:
        msg = "has a passphrase, which nobody can give at night. Store it without one"
        raise ValueError(msg)
    try:
        certificate: PrivateCertificate = PrivateCertificate.loadPEM(pem)
        certificate.options().getContext()  # fails where the two do not belong together
    except Exception as error:
        msg = "is no key of the first certificate in cert_file, or one of them is no PEM"
        raise ValueError(msg) from error
    return certificate


_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@define(eq=False)
class Client:
    """Posts to one URL and what lies below it; every request ends within ``timeout`` seconds.

    Redirects are not followed. ``now`` returns seconds since 1970.
    """

    reactor: Any
    url: str = field(repr=False)
    header: tuple[str, str] | None = field(repr=False)
    """The header that lets us in."""
    timeout: float
    policy: TlsPolicy
    now: Callable[[], float]
    _pool: HTTPConnectionPool = field(init=False)
    _http: Any = field(init=False)
    _host: str = field(init=False)
    _port: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._pool = HTTPConnectionPool(self.reactor)
        self._pool.maxPersistentPerHost = 1  # one batch is under way at a time
        self._pool.cachedConnectionTimeout = IDLE_SECONDS  # type: ignore[assignment]
        connecting = min(CONNECT_SECONDS, self.timeout)
        endpoints = _Endpoints(self.reactor, self.policy, connecting)
        agent: Any = Agent.usingEndpointFactory(self.reactor, endpoints, self._pool)
        self._http = HTTPClient(agent)

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], limit: int
    ) -> Deferred[Answer]:
        """Post ``body`` to the URL with ``path`` behind its own; the Deferred has the answer.

        At most ``limit`` bytes of the answer are read. The Deferred fails with UnansweredError if
        there is no answer; cancelled, it drops the connection and fails with CancelledError.
        """
        answered = self._post(path, body, headers, limit)
        late = self.reactor.callLater(self.timeout, answered.cancel)
        return answered.addBoth(self._explained, late)

    def close(self) -> None:
        """Let go of idle connections."""
        self._pool.closeCachedConnections()

    @inlineCallbacks
    def _post(
        self, path: str, body: bytes, headers: Mapping[str, str], limit: int
    ) -> Generator[Deferred[Any], Any, Answer]:
        sent = {"User-Agent": f"cowrie-sessionstats/{__version__}", **headers}
        if self.header is not None:
            name, value = self.header
            sent[name] = value
        response = yield self._http.post(
            self._below(path),
            data=body,
            headers=sent,
            allow_redirects=False,
            unbuffered=True,
            reactor=self.reactor,
        )
        collected, is_whole = yield _collect(response, limit)
        return Answer(
            response.code,
            collected,
            is_whole,
            retry_after(_first(response, "Retry-After"), self.now()),
            _first(response, "Location") or "",
        )

    def _below(self, path: str) -> str:
        """Return the URL with ``path``, which may bring a query of its own, behind its own path."""
        path, _, query = path.partition("?")
        parts = urlsplit(self.url)
        queries = "&".join(part for part in (parts.query, query) if part)
        return parts._replace(
            path=parts.path.rstrip("/") + path if path else parts.path, query=queries
        ).geturl()

    def _explained(self, result: Answer | Failure, late: Any) -> Answer | Failure:
        is_late = not late.active()
        if not is_late:
            late.cancel()
        if not isinstance(result, Failure):
            return result
        if is_late:
            text = (
                f"{self._host}:{self._port} did not answer within {self.timeout:g} s: see whether "
                "it hangs, or raise timeout"
            )
            return Failure(UnansweredError(text))
        if is_cancelled(result):
            return Failure(CancelledError())
        # Without the cause: its text may quote the URL, and a token in it.
        return Failure(UnansweredError(explain(result, self._host, self._port)))


def _first(response: Any, name: str) -> str | None:
    values = response.headers.getRawHeaders(name)
    return str(values[0]) if values else None


def _collect(response: Any, limit: int) -> Deferred[tuple[bytes, bool]]:
    """Return the beginning of a body, and whether it is all of it; cancelled, it hangs up."""
    collector = _Collector(limit)
    response.deliverBody(collector)
    return collector.done


class _Collector(Protocol):
    """Takes a body, and hangs up when it gets too long."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[tuple[bytes, bool]] = Deferred(lambda _: self._hang_up())
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's
        room = self._limit - self._size
        self._parts.append(data[:room])
        self._size += len(data)
        if len(data) > room and not self.done.called:
            self._hang_up()
            self._finish(is_whole=False)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - Twisted's
        # Without a length, the end of the connection is the end of the body; whether it was cut
        # off, the body itself has to show.
        self._finish(is_whole=bool(reason.check(ResponseDone, PotentialDataLoss)))

    def _finish(self, *, is_whole: bool) -> None:
        if not self.done.called:
            self.done.callback((b"".join(self._parts), is_whole))

    def _hang_up(self) -> None:
        abort = getattr(self.transport, "abortConnection", None)
        if abort is not None:
            abort()
