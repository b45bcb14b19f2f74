"""One connection to a syslog receiver, and whether it ended as one does that was read whole."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import define, field
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from cowrie_sessionstats.outputs.tls import trouble_of

_INT: Final = struct.Struct("i")


@implementer(IHalfCloseableProtocol)
@define(eq=False, slots=False)
class Wire(Protocol):
    """TCP, below TLS if there is TLS: to that it is the transport.

    ``is_clean`` turns true if the receiver closed after it had everything up to our own end: its
    FIN came, no RST, and acknowledged all that we sent, our FIN too. A program that closes with
    data unread sends RST instead (RFC 1122, 4.2.2.13, as Linux does it); one that closed earlier
    has not acknowledged all by then.
    """

    upper: Any
    """What is told of data and the end: TLS, or the line itself."""
    line: Line
    is_ended: bool = field(default=False, init=False)
    """Whether all that was written, and our FIN, went out to the system."""
    is_clean: bool = field(default=False, init=False)
    _is_ending: bool = field(default=False, init=False)

    def connectionMade(self) -> None:
        """Tell the upper layer."""
        directlyProvides(self, providedBy(self.transport))
        self.upper.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        self.upper.dataReceived(data)

    def writeConnectionLost(self) -> None:
        """Take note that our FIN is out."""
        self.is_ended = True

    def readConnectionLost(self) -> None:
        """Judge the receiver's FIN."""
        self.is_clean = self.is_ended and self.unacknowledged() == 0
        if self.is_ended:
            self._tcp.loseConnection()
        else:
            self._tcp.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Pass it on."""
        self.connected = 0
        try:
            self.upper.connectionLost(reason)
        finally:
            if self.line.is_alive:  # TLS failed so early that it does not know the line
                self.line.connectionLost(reason)

    def unacknowledged(self) -> int:
        """Return how many bytes the receiver's system has not acknowledged, our FIN being one.

        Zero where the system does not tell. See SIOCOUTQ in tcp(7).
        """
        try:
            answer = fcntl.ioctl(self._tcp.getHandle().fileno(), termios.TIOCOUTQ, bytes(_INT.size))
        except (OSError, ValueError):
            return 0
        return int(_INT.unpack(answer)[0])

    # ------------------------------------------------------------ as a transport

    @property
    def _tcp(self) -> Any:
        return self.transport

    @property
    def disconnecting(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._is_ending

    def write(self, data: bytes) -> None:
        """Write to TCP."""
        self._tcp.write(data)

    def writeSequence(self, data: Sequence[bytes]) -> None:
        """Write to TCP."""
        self._tcp.writeSequence(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: FBT001 - Twisted's
        """Let TCP say when it can take more."""
        self._tcp.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Take that back."""
        self._tcp.unregisterProducer()

    def getPeer(self) -> Any:
        """Return the receiver's address."""
        return self._tcp.getPeer()

    def getHost(self) -> Any:
        """Return our own."""
        return self._tcp.getHost()

    def loseConnection(self) -> None:
        """Close; TLS calls it when it is done. After ``end`` the receiver's end is awaited."""
        if self.connected and not self._is_ending:
            self._tcp.loseConnection()

    def abortConnection(self) -> None:
        """Drop the connection."""
        self._tcp.abortConnection()

    def end(self) -> None:
        """Send our FIN after what was written, and go on reading."""
        if self.connected and not self._is_ending:
            self._is_ending = True
            self._tcp.loseWriteConnection()


@implementer(IHandshakeListener, IPushProducer)
@define(eq=False, slots=False)
class Line(Protocol):
    """A connection for one batch: written once, then ended.

    Each of the Deferreds fires with None at its time, or when the connection is lost before that;
    ``trouble`` then says why, in words.
    """

    name: str
    """Host and port of the receiver."""
    is_tls: bool
    ready: Deferred[None] = field(factory=Deferred, init=False)
    """The connection is there; with TLS, the receiver's certificate is what it has to be."""
    written: Deferred[None] = field(factory=Deferred, init=False)
    """Everything was handed to the system, or nearly."""
    ended: Deferred[None] = field(factory=Deferred, init=False)
    """The connection is gone; without ``trouble``, the receiver read everything."""
    trouble: str | None = field(default=None, init=False)
    is_alive: bool = field(default=True, init=False)
    """Whether it is not lost, so far as we know."""
    wire: Wire = field(init=False)
    _chunks: Iterator[bytes] = field(factory=lambda: iter(()), init=False)
    _is_paused: bool = field(default=False, init=False)
    _is_ready: bool = field(default=False, init=False)
    _taken: int = field(default=0, init=False)
    _given_up: str | None = field(default=None, init=False)

    def connectionMade(self) -> None:
        """Take note of a connection without TLS."""
        if not self.is_tls:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        """Take note that records can be written."""
        self._is_ready = True
        self.ready.callback(None)

    def deliver(self, chunks: Sequence[bytes]) -> None:
        """Begin to write a batch, no faster than the receiver takes it."""
        self._chunks = iter(chunks)
        self._upper.registerProducer(self, True)  # noqa: FBT003 - Twisted's
        if self.is_alive:
            self.resumeProducing()

    def finish(self) -> None:
        """End our side: TLS's close_notify, then FIN. The receiver's end is awaited."""
        if self.is_tls:
            self._upper.loseConnection()
            if not self._upper.getHandle().get_shutdown() & SSL.SENT_SHUTDOWN:
                # A FIN now would overtake records that TLS still holds, and look like their end.
                self.abort(f"{self.name} wanted to agree on new keys in the middle of a batch")
                return
        self.wire.end()

    def close(self) -> None:
        """Close a connection on which nothing is under way, as one does."""
        if self.is_alive:
            if self.is_tls:
                self._upper.loseConnection()
            self.wire.loseConnection()

    def abort(self, trouble: str) -> None:
        """Drop the connection."""
        if self.is_alive:
            self._given_up = self._given_up or trouble
            self.wire.abortConnection()

    def progress(self) -> tuple[object, ...]:
        """Return what changes as long as the receiver does something."""
        waiting = self.wire.unacknowledged() if self.is_alive else 0
        return self._is_ready, self._taken, waiting, self.is_alive

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Judge how it ended."""
        self.is_alive = False
        self.trouble = self._judged(reason.value)
        for event in (self.ready, self.written, self.ended):
            if not event.called:
                event.callback(None)

    def _judged(self, error: BaseException | None) -> str | None:
        known = trouble_of(error)
        if known is not None:
            return f"{self.name}: {known}"
        if self._given_up is not None:
            return self._given_up
        if self.wire.is_clean:
            return None
        if not self._is_ready:
            return (
                f"{self.name} closed the connection before TLS was agreed on. Look whether it "
                "speaks TLS on this port, and at its own log"
            )
        if self._taken:
            text = f"{self.name} closed the connection before it had read everything"
        else:
            text = (
                f"{self.name} closed the next connection at once: it was stopped, or takes no "
                "more connections"
            )
        if self.is_tls:
            return (
                f"{text}. If it asks for a client certificate, look at cert_file and key_file; "
                "its own log says more"
            )
        return f"{text}. Its own log says why"

    # ------------------------------------------------------------ IPushProducer

    @property
    def _upper(self) -> Any:
        return self.transport

    def pauseProducing(self) -> None:
        """Wait: the receiver does not keep up."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Write on."""
        self._is_paused = False
        while not self._is_paused and self.is_alive:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._upper.unregisterProducer()
                if not self.written.called:
                    self.written.callback(None)
                return
            self._taken += 1
            self._upper.write(chunk)

    def stopProducing(self) -> None:
        """Write no more: the connection is lost."""
        self._chunks = iter(())
        self._is_paused = True


@define(eq=False, slots=False)
class Lines(Factory):
    """Makes connections; with TLS if there are ``options`` for it."""

    name: str
    options: Any = field(repr=False)
    noisy = False

    def buildProtocol(self, _address: object) -> Wire:
        """Return TCP with a line on it, reached as ``wire.line``."""
        line = Line(self.name, self.options is not None)
        upper: Any = line
        if self.options is not None:
            given: Any = _Given(line)
            upper = TLSMemoryBIOFactory(self.options, isClient=True, wrappedFactory=given)
            upper = upper.buildProtocol(None)
        line.wire = Wire(upper, line)
        return line.wire


@define(eq=False, slots=False)
class _Given(Factory):
    """A factory that gives a line that is there already."""

    line: Line
    noisy = False

    def buildProtocol(self, _address: object) -> Line:
        """Return the line."""
        return self.line
