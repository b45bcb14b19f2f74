"""A DShield for tests: checks what the real one is known to check, and fails when it is told to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import ssl
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, Final

from attrs import define, field, frozen

Log = dict[str, Any]

SEVEN: Final = ("timestamp", "source_ip", "user", "password", "lastcommand", "hassh", "banner")
EXTENDED: Final[Mapping[str, tuple[type, ...]]] = {
    "duration": (int, float),
    "commands": (int,),
    "command_rate": (int, float),
    "fingerprint": (str,),
}
NONCE_BYTES: Final = 8
LATEST: Final = 253_402_300_799
"""The end of the year 9999: a timestamp of today in milliseconds is behind it."""

_AUTHORIZATION: Final = re.compile(
    r"ISC-HMAC-SHA256 Credentials=([A-Za-z0-9+/]{43}=) Userid=([0-9]+) Nonce=([A-Za-z0-9+/]{11}=)"
)


@frozen
class Fault:
    """What the server does with one request instead of taking it."""

    status: int | None = 200
    """None: the connection is closed without an answer."""
    text: str = "ERROR: internal"
    headers: Mapping[str, str] = field(factory=dict)
    takes: bool = False
    """Whether it has taken the logs all the same: then only the answer is lost."""
    half: bool = False
    """Whether the connection ends in the middle of the answer's body."""
    hangs: bool = False
    """Whether it says nothing until it is stopped; with ``half``, after half the answer."""


NO_AUTHINFO: Final = Fault(200, "ERROR: no authinfo")
WEB_PAGE: Final = Fault(200, "<!DOCTYPE html>\n<html><body>Internet Storm Center</body></html>")
HANGS: Final = Fault(hangs=True)
CLOSES: Final = Fault(None)
TAKES_AND_CLOSES: Final = Fault(None, takes=True)
HALF_A_BODY: Final = Fault(200, "OK 123 Bytes received", half=True, takes=True)


@define(eq=False)
class DShieldServer:
    """What was received, and what was wrong with it.

    ``keys`` are the accounts: userid to key. ``faults`` are used up, one a request; then it works.
    """

    keys: Mapping[str, str]
    extended: bool = False
    """Whether a log may have the four further fields."""
    takes_surrogates: bool = field(default=False, init=False)
    """Whether a text may hold a lone surrogate."""
    url: str = field(default="", init=False)
    faults: deque[Fault] = field(factory=deque, init=False)
    requests: list[dict[str, Any]] = field(factory=list, init=False)
    """Headers, in lower case, and body of each request."""
    logs: list[Log] = field(factory=list, init=False)
    """All that was taken, in order."""
    received: Counter[tuple[str, float]] = field(factory=Counter, init=False)
    """How often each session was taken: by address and time."""
    problems: list[str] = field(factory=list, init=False)
    """Why requests were not taken, other than ``faults``."""
    stopped: threading.Event = field(factory=threading.Event, init=False)
    _nonces: set[str] = field(factory=set, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @property
    def repeats(self) -> int:
        """How many logs were of a session that it had already."""
        return sum(count - 1 for count in self.received.values())

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Fault:
        """Return the answer to a request."""
        with self._lock:
            self.requests.append({**headers, "path": path, "body": body})
            fault = self.faults.popleft() if self.faults else None
            if fault is not None and not fault.takes:
                return fault
            try:
                logs = self._check(path, headers, body)
            except ValueError as error:
                self.problems.append(str(error))
                return fault or Fault(200, f"ERROR: {error}")
            for log in logs:
                self.logs.append(log)
                self.received[log["source_ip"], log["timestamp"]] += 1
            return fault or Fault(200, f"OK {len(body)} Bytes received")

    def _check(self, path: str, headers: Mapping[str, str], body: bytes) -> list[Log]:
        """Return the logs of a request that is right; ValueError says what is wrong."""
        _must(path == "/submitapi/", f"path {path}")
        kind = headers.get("content-type")
        _must(kind == "application/json", f"content type {kind}")
        kind = headers.get("x-isc-logtype")
        _must(kind == "cowrie", f"log type {kind}")
        _must(bool(headers.get("user-agent")), "no user agent")
        header = headers.get("x-isc-authorization", "")
        self._check_authorization(header)
        try:
            report = json.loads(body.decode("ascii"))
        except ValueError:
            raise ValueError("the body is no JSON of ASCII characters") from None
        _must(isinstance(report, dict), "the body is no object")
        _must(sorted(report) == ["authheader", "logs", "type"], f"body has {sorted(report)}")
        _must(report["type"] == "cowrie", f"type {report['type']}")
        _must(report["authheader"] == header, "no authinfo")
        _must(isinstance(report["logs"], list), "logs are no list")
        logs: list[Log] = report["logs"]
        _must(bool(logs), "no logs")
        for log in logs:
            self.check_log(log)
        return logs

    def _check_authorization(self, header: str) -> None:
        match = _AUTHORIZATION.fullmatch(header)
        if match is None:
            raise ValueError(f"authorization {header!r}")
        credentials, userid, nonce = match.groups()
        try:
            length = len(base64.b64decode(nonce, validate=True))
        except binascii.Error:
            length = 0
        _must(length == NONCE_BYTES, f"nonce {nonce!r}")
        _must(nonce not in self._nonces, "nonce was used before")
        self._nonces.add(nonce)
        key = self.keys.get(userid)
        if key is None:
            raise ValueError(f"no account {userid}")
        mac = hmac.new(f"{nonce}{userid}".encode(), digestmod=hashlib.sha256)
        mac.update(key.encode())
        _must(base64.b64encode(mac.digest()).decode() == credentials, "bad credentials")

    def check_log(self, log: Any) -> None:
        """Raise ValueError unless a log has the fields and types that it must have."""
        _must(isinstance(log, dict), "a log is no object")
        further = set(log) - set(SEVEN)
        _must(set(SEVEN) <= set(log), f"a log lacks {set(SEVEN) - set(log)}")
        _must(not further or self.extended, f"a log has {further}")
        when = log["timestamp"]
        _must(type(when) is float and 0 <= when < LATEST, f"timestamp {when!r}")
        for name in SEVEN[1:]:
            _must(isinstance(log[name], str), f"{name} is no text")
            if not self.takes_surrogates:
                log[name].encode()  # ValueError for a lone one, which many JSON parsers refuse
        for name in further:
            _must(name in EXTENDED, f"unknown field {name}")
            _must(type(log[name]) in EXTENDED[name], f"{name} is {log[name]!r}")
        ip_address(log["source_ip"])


def _must(holds: bool, trouble: str) -> None:  # noqa: FBT001 - what must hold
    if not holds:
        raise ValueError(trouble)


@contextmanager
def dshield_server(
    keys: Mapping[str, str], *, extended: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[DShieldServer]:
    """Run a server on a free loopback port, in a thread."""
    server = DShieldServer(keys, extended)

    class Handler(BaseHTTPRequestHandler):
        """Passes requests on."""

        def do_POST(self) -> None:
            """Answer a report."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            _answer(self, server, server.take(self.path, headers, body))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Listener(ThreadingHTTPServer):
        """Takes it that a client does not like its certificate."""

        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing."""

    listener = Listener(("127.0.0.1", 0), Handler)
    scheme = "http" if tls is None else "https"
    if tls is not None:
        # The handshake is made by the thread that serves a connection, not by the one that accepts.
        listener.socket = tls.wrap_socket(
            listener.socket, server_side=True, do_handshake_on_connect=False
        )
    server.url = f"{scheme}://127.0.0.1:{listener.server_address[1]}/submitapi/"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        listener.shutdown()
        listener.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, server: DShieldServer, answer: Fault) -> None:
    """Send an answer, or what there is of it."""
    handler.close_connection = True
    if answer.status is not None and not (answer.hangs and not answer.half):
        text = answer.text.encode()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(text[: len(text) // 2] if answer.half else text)
        handler.wfile.flush()
    if answer.hangs:
        server.stopped.wait()
