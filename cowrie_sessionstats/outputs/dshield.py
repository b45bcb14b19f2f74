"""DShield: every session once, as Cowrie's own output reports it to the Internet Storm Center."""

from __future__ import annotations

import base64
import hmac
import json
import math
import os
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from configparser import ConfigParser
from email.utils import parsedate_to_datetime
from io import BytesIO
from ipaddress import ip_address
from typing import Any, Final

from attrs import define, field, frozen
from twisted.internet import ssl
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, FileBodyProducer, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from cowrie_sessionstats import __version__
from cowrie_sessionstats._bounded import TEXT_LIMIT
from cowrie_sessionstats.outputs.dshield_options import (
    ACCOUNT_PAGE,
    LIMITS,
    URL,
    Account,
    read_options,
)
from cowrie_sessionstats.outputs.sending import (
    TIME,
    Delivered,
    Failed,
    Limits,
    Record,
    Refused,
    Verdict,
)
from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.timestamps import YEAR_10000, parse_timestamp

TIMEOUT: Final = 30.0
"""Seconds for a whole exchange. DShield's own software waits for 10; but whoever gives up too early
reports again what the service has taken already."""

ANSWER_LIMIT: Final = 4096
"""Bytes of an answer that are looked at: the service's are one line."""

_LOG_TYPE: Final = "cowrie"
_QUOTED: Final = 120  # characters of an answer in a reason
_NONCE: Final = 8  # bytes, as Cowrie's


def authorization(account: Account, nonce: str) -> str:
    """Return the value of ``X-ISC-Authorization``, which stands in the body, too.

    As DShield's client (``DShield.py``, ``makeauthheader``) and Cowrie's output make it: nonce and
    userid are the key of the HMAC-SHA256, and the account's key is the message.
    """
    digest = hmac.digest((nonce + account.userid).encode(), account.key.encode(), "sha256")
    credentials = base64.b64encode(digest).decode()
    return f"ISC-HMAC-SHA256 Credentials={credentials} Userid={account.userid} Nonce={nonce}"


# ---------------------------------------------------------------- a session's log


def session_log(record: Record, *, extended: bool) -> dict[str, Any]:
    """Return what is reported of a session: the seven fields of Cowrie's output, in its types.

    What is not known is empty. ``extended`` adds, where they are known, ``duration``, ``commands``,
    ``command_rate`` and ``fingerprint``; what the service does with these is not documented.
    ValueError if the record has no address or no time.
    """
    log: dict[str, Any] = {
        "timestamp": _closed_at(record),
        "source_ip": _address(record.get("src_ip")),
        "user": _text(record.get("username")),
        "password": _text(record.get("password")),
        "lastcommand": _last_command(record),
        "hassh": _text(record.get("hassh")),
        "banner": _text(record.get("client_version")),
    }
    if extended:
        log |= {name: record[name] for name in _NUMBERS if _is_number(record.get(name))}
        if record.get("commands").__class__ is int:
            log["commands"] = record["commands"]
        if "fingerprint" in record:
            log["fingerprint"] = _text(record["fingerprint"])
    return log


_NUMBERS: Final = ("duration", "command_rate")


def _was_reported(record: Record) -> bool:
    """Return whether a record revises one that was there before."""
    revision = record.get("revision")
    return revision.__class__ is int and revision > 0


def _closed_at(record: Record) -> float:
    """Return when the session closed, in seconds since 1970 UTC.

    From ``time``, as Cowrie's outputs take it from its event, where the record has that: ``end``
    is local time on a machine that is not set to UTC (see ``events.tick``).
    """
    seconds = record.get(TIME)
    if not _is_number(seconds):
        seconds = parse_timestamp(record.get("end"))
    if seconds is None or not 0 <= seconds < YEAR_10000:
        raise ValueError("the record does not say when the session ended")
    return float(seconds)


def _address(value: Any) -> str:
    try:
        ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("the record has no address of the client") from None
    return str(value)


def _last_command(record: Record) -> str:
    """Return the last command; without one, the last forward, about as Cowrie's message has it.

    Who asked for the forward stands in that message, too: the client invents it, and the record
    does not have it.
    """
    line = _text(record.get("last_command"))
    targets = record.get("forward_targets")
    if line or record.get("commands") or not isinstance(targets, (list, tuple)) or not targets:
        return line
    return _text(f"direct-tcp connection request to {_text(targets[-1])}")


def _text(value: Any) -> str:
    """Return a text that every JSON parser takes: a lone surrogate would cost the whole batch."""
    return _SURROGATE.sub("\ufffd", value[:TEXT_LIMIT]) if isinstance(value, str) else ""


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _is_number(value: Any) -> bool:
    return value.__class__ is int or (value.__class__ is float and math.isfinite(value))


# ---------------------------------------------------------------- what an answer means


@frozen
class Answer:
    """What came back."""

    status: int
    text: str
    """Its beginning."""
    retry_after: float | None = None
    """Seconds."""


def judge(answer: Answer, account: Account) -> Verdict:
    """Return what became of a batch.

    The service says ``OK <n> Bytes received``. That it also answers 200 with ``ERROR: ...`` in
    the body, and an unknown address with the site's page and 200, is known from others who report
    to it; DShield's own software and Cowrie look at the status only.
    """
    said = f"it answers {answer.status}, {_quoted(answer.text, account)}"
    if answer.status in _THIS_BATCH:
        return Refused(said)
    remedy = _remedy(answer, account)
    return Delivered() if remedy is None else Failed(f"{said}: {remedy}", answer.retry_after)


def _remedy(answer: Answer, account: Account) -> str | None:
    """Return what to do about an answer; None if all is well."""
    mend_account = f"correct userid and key in {account.source}; {ACCOUNT_PAGE}"
    mend_url = f"see whether `url` is right; the default is {URL}"
    kind = answer.status // 100
    start = answer.text.lstrip().lower()
    if kind == _SUCCESS and start.startswith("error"):
        return mend_account
    if kind == _SUCCESS and not start.startswith(("<!doctype html", "<html")):
        return None
    if answer.status in _NOT_US:
        return f"it does not accept userid {account.userid} with its key: {mend_account}"
    if kind == _SERVER_ERROR or answer.status in _LATER:
        return "it cannot take records now"
    return mend_url


_SUCCESS: Final = 2  # RFC 9110, 15.3
_SERVER_ERROR: Final = 5  # RFC 9110, 15.6
_NOT_US: Final = frozenset({401, 403, 407})
_THIS_BATCH: Final = frozenset({400, 413, 422})
_LATER: Final = frozenset({408, 425, 429})


def _quoted(text: str, account: Account) -> str:
    """Return an answer for people; the key is in none, but whoever answers may be anybody."""
    shown = text.strip().replace(account.key, "...")
    return f'"{printable(shown, _QUOTED)}"' if shown else "without a word"


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3); None if it does not."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal() and len(value) <= _RETRY_DIGITS:
        return float(value)
    try:
        when = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, when - now)


_RETRY_DIGITS: Final = 9  # 30 years


# ---------------------------------------------------------------- sending


_Agent: Final[Any] = Agent  # Twisted's types are not all there
_BodyProducer: Final[Any] = FileBodyProducer


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Connections:
    """Makes connections, one a request, and can drop the one that is open at once.

    Twisted's response can only be told to close, for which it waits for a peer that hangs.
    """

    reactor: Any
    trust: Any
    _open: Any = field(default=None, init=False)

    def endpointForURI(self, uri: URI) -> Any:  # noqa: N802 - the interface's
        """Return how to connect."""
        endpoint: Any = HostnameEndpoint(self.reactor, uri.host, uri.port, timeout=TIMEOUT)
        if uri.scheme == b"https":
            tls = ssl.optionsForClientTLS(uri.host.decode("ascii"), trustRoot=self.trust)
            endpoint = wrapClientTLS(tls, endpoint)
        return _Endpoint(endpoint, self.opened)

    def opened(self, protocol: Any) -> Any:
        """Take note of a connection."""
        self._open = protocol
        return protocol

    def drop(self) -> None:
        """Drop the connection, if there is one."""
        protocol, self._open = self._open, None
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abortConnection()


@frozen
class _Endpoint:
    """An endpoint that tells what it connected."""

    endpoint: Any
    opened: Callable[[Any], Any]

    def connect(self, factory: Any) -> Any:
        """Connect."""
        return self.endpoint.connect(factory).addCallback(self.opened)


@define(eq=False, slots=False)
class _Body(Protocol):
    """The beginning of an answer's body; ``done`` fires with it, or with what went wrong."""

    drop: Callable[[], None]
    done: Deferred[bytes] = field(init=False)
    _data: bytearray = field(factory=bytearray, init=False)

    def __attrs_post_init__(self) -> None:
        self.done = Deferred(lambda _: self.drop())

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - the interface's
        """Take some of it; what is behind the limit is not waited for."""
        self._data += data[: ANSWER_LIMIT - len(self._data)]
        if len(self._data) >= ANSWER_LIMIT and not self.done.called:
            self.done.callback(bytes(self._data))
            self.drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Take note of the end."""
        if self.done.called:
            return
        # Without a length, the end of the connection is the end of the body.
        if isinstance(reason.value, (ResponseDone, PotentialDataLoss)):
            self.done.callback(bytes(self._data))
        else:
            self.done.errback(reason)


class _NoAnswerError(Exception):
    """The time is up."""


@define(eq=False)
class DShieldSender:
    """Reports sessions to DShield.

    A batch is the logs as JSON; empty if there is nothing to report. ``clock`` tells seconds since
    1970, ``entropy`` returns that many random bytes, ``trust`` is what Twisted calls a trust root
    (by default the system's).
    """

    account: Account
    reactor: Any
    url: str = URL
    extended: bool = False
    limits: Limits = LIMITS
    clock: Callable[[], float] = time.time
    entropy: Callable[[int], bytes] = os.urandom
    trust: Any = None
    _connections: _Connections = field(init=False)
    _agent: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connections = _Connections(self.reactor, self.trust)
        self._agent = _Agent.usingEndpointFactory(self.reactor, self._connections)

    @property
    def target(self) -> str:
        """Return where records go, and as whose."""
        return f"{self.url} as {self.account.userid} of {self.account.source}"

    def render(self, records: Sequence[Record]) -> bytes:
        """Return the logs of the sessions that were not reported yet.

        A later ``revision`` of a record is of a session that was.
        """
        logs = [
            session_log(record, extended=self.extended)
            for record in records
            if not _was_reported(record)
        ]
        return _encode(logs).encode("ascii") if logs else b""

    def send(self, batch: bytes) -> Deferred[Verdict]:
        """Send a batch, with a nonce of its own each time."""
        if not batch:
            return succeed(Delivered())
        exchange: Deferred[Any] = self._post(batch)
        exchange.addTimeout(TIMEOUT, self.reactor, onTimeoutCancel=_timed_out)
        return exchange.addCallbacks(lambda answer: judge(answer, self.account), self._failed)

    def stop(self) -> None:
        """Drop the connection, if there is one."""
        self._connections.drop()

    @inlineCallbacks
    def _post(self, batch: bytes) -> Generator[Deferred[Any], Any, Answer]:
        nonce = base64.b64encode(self.entropy(_NONCE)).decode()
        header = authorization(self.account, nonce)
        body = b'{"type":"%b","logs":%b,"authheader":"%b"}' % (
            _LOG_TYPE.encode(),
            batch,
            header.encode(),
        )
        response = yield self._agent.request(
            b"POST",
            self.url.encode("ascii"),
            Headers(
                {
                    "Content-Type": ["application/json"],
                    "User-Agent": [f"cowrie-sessionstats/{__version__}"],
                    "X-ISC-Authorization": [header],
                    "X-ISC-LogType": [_LOG_TYPE],
                }
            ),
            _BodyProducer(BytesIO(body)),
        )
        asked = response.headers.getRawHeaders("Retry-After", [None])[0]
        reader = _Body(self._connections.drop)
        response.deliverBody(reader)
        text = yield reader.done
        return Answer(
            response.code, text.decode("utf-8", "replace"), retry_after(asked, self.clock())
        )

    def _failed(self, failure: Failure) -> Failed:
        """Return what went wrong on the way."""
        self._connections.drop()
        error = _innermost(failure.value)
        if isinstance(error, _NoAnswerError):
            return Failed(f"no answer within {TIMEOUT:g} s")
        if isinstance(error, CancelledError):
            return Failed("the request was given up")
        told = printable(f"{type(error).__name__}: {error}", _QUOTED)
        return Failed(f"no answer, see whether it can be reached from here: {told}")


_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _timed_out(result: Any, _seconds: float) -> Any:
    """Return what became of a request when its time was up."""
    if isinstance(result, Failure):
        raise _NoAnswerError from None
    return result


def _innermost(error: Any) -> Any:
    """Return the first of the reasons that Twisted gives for an error, and its reasons."""
    while getattr(error, "reasons", None):
        error = error.reasons[0].value
    return error


# ---------------------------------------------------------------- options


def read(
    options: Mapping[str, str], section: str, environment: Mapping[str, str], config: ConfigParser
) -> DShieldSender:
    """Return a sender with the options of a destination's section; OptionError as there."""
    from twisted.internet import reactor  # noqa: PLC0415 - importing it chooses one

    chosen = read_options(options, section, environment, config)
    return DShieldSender(chosen.account, reactor, chosen.url, chosen.extended, chosen.limits)
