"""Syslog over TCP and TLS, with a proof that the receiver read what was sent.

Syslog has no acknowledgements, and those of TCP come from the receiver's system, which takes data
for a program that hangs or is about to be killed. So each batch has a connection of its own, and
counts as delivered only when

1. it is written whole, and the next connection to the same receiver is open;
2. our side of the first is ended (with TLS: close_notify, then FIN);
3. the receiver then ends its side as only a program does that has read up to our end
   (``syslog_line.Wire``);
4. the next connection stays alive for ``GRACE`` seconds more: had the receiver been killed after it
   read, before it wrote, that connection would have gone with it.

That is as much as a sender can know: records that a receiver has read, it may keep in memory, and
lose later. Each honeypot needs two connections at a time of what a receiver allows (syslog-ng's
``max-connections()`` is 10 unless it is set, rsyslog's ``MaxSessions`` 200).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    DNSLookupError,
)
from twisted.internet.error import ConnectionRefusedError as RefusedError
from twisted.internet.error import TimeoutError as TooLateError
from twisted.internet.task import LoopingCall, deferLater

from cowrie_sessionstats.complaints import ERROR_LIMIT
from cowrie_sessionstats.outputs.sending import (
    Delivered,
    Failed,
    Limits,
    Record,
    Verdict,
    without_time,
)
from cowrie_sessionstats.outputs.settings import Settings, is_host
from cowrie_sessionstats.outputs.syslog_line import Line, Lines
from cowrie_sessionstats.outputs.syslog_message import (
    APP_NAME_LIMIT,
    BODIES,
    FACILITIES,
    SEVERITIES,
    Messages,
    is_word,
)
from cowrie_sessionstats.outputs.tls import NAMES as TLS_NAMES
from cowrie_sessionstats.outputs.tls import client_options, read_tls
from cowrie_sessionstats.summary import printable

GRACE: Final = 1.0
"""Seconds that the receiver has to outlive the batch: rsyslog and syslog-ng have written what they
read long before, unless their own outputs are stuck."""

PATIENCE: Final = 30.0
"""Seconds without any progress, as long as a batch is under way, until the receiver is said to
hang."""

LONGEST: Final = 600.0
"""Seconds for a batch in all: one that drips through so slowly is better begun anew."""

CONNECT: Final = 10.0
"""Seconds to find the host and reach it by TCP."""

IDLE: Final = 60.0
"""Seconds that the next connection is kept for the next batch: less than what firewalls forget a
connection after, and receivers close an idle one."""

LIMITS: Final = Limits(records=3000, size=6 << 20, seconds=2.0)
"""Large batches, since each costs the second of ``GRACE`` however small it is: so many make the
2,000 a second that the whole chain has to carry (2,500 were measured as JSON, 2,000 as CEF). More
would be faster, and take 13 MB of memory for each further 1,000."""

LEAST_MESSAGE: Final = 2048
"""Bytes that every receiver should be able to take (RFC 5424, 6.1)."""

MESSAGE: Final = 8096
"""Bytes of a message unless ``max_message`` says otherwise: rsyslog's default (in 8.2302;
its documents say 8k). It makes two messages of a longer one, neither of them whole."""

MOST_MESSAGE: Final = 65_536
"""syslog-ng's default ``log-msg-size()``. At a longer message it closes the connection, in a way
that cannot be told from having read everything, so that ``max_message`` must never be more than the
receiver takes."""

CHUNK: Final = 1 << 16
"""Bytes that are handed to the system at once; Twisted asks us to wait from as many on."""

PORTS: Final = {"tcp": 514, "tls": 6514}
"""Ports by the transport: of old, and of RFC 5425, 4.1."""

MOST_PORT: Final = 65_535


@frozen
class SyslogOptions:
    """What the operator chose for one destination."""

    host: str
    port: int
    messages: Messages
    limits: Limits = LIMITS
    tls: Any = field(default=None, repr=False)
    """What Twisted makes TLS with; None for plain TCP."""

    @property
    def name(self) -> str:
        """Return host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_options(
    options: Mapping[str, str], section: str, environment: Mapping[str, str]
) -> SyslogOptions:
    """Return the options of a section of cowrie.cfg; OptionError for one that cannot be used."""
    settings = Settings(options, section, environment)
    transport = settings.choice("transport", tuple(PORTS), "tcp")
    host = settings.text("host")
    if not host:
        raise settings.error("host", "", "is missing. Add it")
    if not is_host(host):
        raise settings.error(
            "host", host, "has to be a name or an address, without a port. Correct it"
        )
    app_name = settings.text("app_name", "cowrie-sessionstats")
    if not is_word(app_name, APP_NAME_LIMIT):
        raise settings.error(
            "app_name",
            app_name,
            f"has to be at most {APP_NAME_LIMIT} characters of ASCII, without spaces. Correct it",
        )
    read = SyslogOptions(
        host=host,
        port=settings.number("port", PORTS[transport], 1, MOST_PORT),
        messages=Messages(
            facility=FACILITIES[settings.choice("facility", tuple(FACILITIES), "local0")],
            severity=SEVERITIES[settings.choice("severity", tuple(SEVERITIES), "info")],
            app_name=app_name,
            body=BODIES[settings.choice("body", tuple(BODIES), "json")],
            limit=settings.number("max_message", MESSAGE, LEAST_MESSAGE, MOST_MESSAGE),
        ),
        limits=settings.limits(LIMITS),
        tls=client_options(read_tls(settings, host), section) if transport == "tls" else None,
    )
    if transport != "tls":
        for name in TLS_NAMES:
            if name in options:
                raise settings.error(
                    name, options[name], "is for transport = tls only. Add that, or remove it"
                )
    settings.finish()
    return read


def read(
    options: Mapping[str, str],
    section: str,
    environment: Mapping[str, str],
    _config: object = None,
) -> SyslogSender:
    """Return the sender that a section of cowrie.cfg asks for, in the process's reactor."""
    from twisted.internet import reactor  # noqa: PLC0415 - the import installs one

    return SyslogSender(read_options(options, section, environment), reactor)


class _Failure(Exception):  # noqa: N818 - it carries a verdict
    """A batch was not delivered; its text says why."""


@define(eq=False)
class SyslogSender:
    """Sends to one receiver; a ``sending.Sender``."""

    options: SyslogOptions
    reactor: Any
    grace: float = GRACE
    patience: float = PATIENCE
    idle: float = IDLE
    _next: Line | None = field(default=None, init=False)
    """A connection that stayed alive after the last batch, for the next one."""
    _timer: Any = field(default=None, init=False)
    _lines: list[Line] = field(factory=list, init=False)
    """Connections of the batch that is under way."""
    _stage: str = field(default="", init=False)
    """What the receiver is to do now, for the sentence about one that does not."""

    @property
    def limits(self) -> Limits:
        """Return how large batches may be."""
        return self.options.limits

    @property
    def target(self) -> str:
        """Return where records go."""
        return f"{'tcp' if self.options.tls is None else 'tls'}://{self.options.name}"

    def render(self, records: Sequence[Record]) -> tuple[bytes, ...]:
        """Return the messages of a batch, joined to pieces that are sent one by one.

        ValueError if one cannot be made to fit in ``max_message``.
        """
        return tuple(_joined(map(self.options.messages.frame, map(without_time, records))))

    @inlineCallbacks
    def send(self, batch: Sequence[bytes]) -> Generator[Deferred[Any], Any, Verdict]:
        """Send a batch and wait for the proof that it was read."""
        watch = LoopingCall(self._watch().__next__)
        watch.clock = self.reactor
        watch.start(min(1.0, self.patience / 4), now=False).addErrback(lambda _: None)
        try:
            line = yield from self._connection()
            self._stage = "does not read what is sent"
            line.deliver(batch)
            yield line.written
            _check(line)
            following = yield from self._connect()
            _check(line)
            self._stage = "does not close a connection that we ended"
            line.finish()
            yield line.ended
            _check(line, ended=True)
            yield deferLater(self.reactor, self.grace)
            _check(following)
            self._lines.remove(following)
            self._keep(following)
        except _Failure as failure:
            return Failed(str(failure))
        else:
            return Delivered()
        finally:
            watch.stop()
            self._drop("the batch is given up")

    def stop(self) -> None:
        """Let go of connections."""
        self._drop("the plugin stops")
        line = self._take()
        if line is not None:
            line.close()

    def _connection(self) -> Generator[Deferred[Any], Any, Line]:
        """Return the connection that was kept, or a new one; it is in ``_lines`` then."""
        line = self._take()
        if line is None:
            return (yield from self._connect())
        self._lines.append(line)
        return line

    def _connect(self) -> Generator[Deferred[Any], Any, Line]:
        """Open a connection; it is in ``_lines`` then. Raises _Failure."""
        options = self.options
        endpoint = HostnameEndpoint(
            self.reactor, options.host.encode("idna"), options.port, timeout=CONNECT
        )
        self._stage = "does not answer"
        try:
            factory = cast("Any", Lines(options.name, options.tls))
            wire = yield _cancelled_as_such(endpoint.connect(factory))
        except (ConnectError, DNSLookupError, OSError) as error:
            raise _Failure(f"{options.name}: {_reason(error)}") from None
        line = cast("Line", wire.line)
        self._lines.append(line)
        self._stage = "does not agree on TLS"
        yield line.ready
        _check(line)
        return line

    def _watch(self) -> Iterator[None]:
        """Give up connections on which nothing happens, each time it is asked."""
        begun = changed = self.reactor.seconds()
        before: list[tuple[object, ...]] = []
        while True:
            now = self.reactor.seconds()
            state = [line.progress() for line in self._lines]
            if state != before:
                before, changed = state, now
            if now - changed >= self.patience or now - begun >= LONGEST:
                self._drop(
                    f"{self.options.name} {self._stage}, for {now - changed:.0f} seconds. Look "
                    "whether it hangs, and whether it is a syslog receiver"
                )
            yield

    def _drop(self, why: str) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            line.abort(why)

    # ------------------------------------------------------------ the next connection

    def _keep(self, line: Line) -> None:
        self._next = line
        self._timer = self.reactor.callLater(self.idle, self._let_go)

    def _take(self) -> Line | None:
        """Return the connection that was kept, if it is still there."""
        line, self._next = self._next, None
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        return line if line is not None and line.is_alive else None

    def _let_go(self) -> None:
        line = self._take()
        if line is not None:
            line.close()


def _cancelled_as_such(connecting: Deferred[Any]) -> Deferred[Any]:
    """Return a Deferred that fails with CancelledError if it is cancelled.

    That of an endpoint may fail with an unknown host then.
    """

    def cancel(waiting: Deferred[Any]) -> None:
        waiting.errback(CancelledError())
        connecting.cancel()

    def pass_on(result: object) -> None:
        if not waiting.called:
            waiting.callback(result)

    waiting: Deferred[Any] = Deferred(cancel)
    connecting.addBoth(pass_on)
    return waiting


def _check(line: Line, *, ended: bool = False) -> None:
    """Raise _Failure if a connection is lost that has to be alive, or did not end as it should."""
    if line.trouble is not None or line.is_alive is ended:
        raise _Failure(line.trouble or f"{line.name} is lost. Look at its own log for why")


def _reason(error: BaseException) -> str:
    """Return why there is no connection, and what to do."""
    if isinstance(error, DNSLookupError):
        return "this host is not known. Correct host, or look at the name server"
    if isinstance(error, RefusedError):
        return "nobody listens there. Start the receiver, or correct host and port"
    if isinstance(error, TooLateError):
        return f"no answer within {CONNECT:.0f} seconds. Look at host, port and firewalls"
    if isinstance(error, ConnectBindError):
        return "there is no port of our own left for a connection"
    return f"cannot be reached ({printable(str(error), ERROR_LIMIT)})"


def _joined(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the frames joined to pieces of at least CHUNK bytes, but for the last."""
    parts: list[bytes] = []
    size = 0
    for frame in frames:
        parts.append(frame)
        size += len(frame)
        if size >= CHUNK:
            yield b"".join(parts)
            parts.clear()
            size = 0
    if parts:
        yield b"".join(parts)
