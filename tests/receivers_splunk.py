"""An HTTP Event Collector for tests: it checks what Splunk's is documented to check."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import UUID

from attrs import define, field
from receivers_http import Asked, Reply

_DECODER: Final = json.JSONDecoder()
_TEXTS: Final = ("host", "source", "sourcetype", "index")


def reply(status: int, code: int, text: str, **more: Any) -> Reply:
    """Return an answer as the collector words it."""
    return Reply(status, json.dumps({"text": text, "code": code, **more}).encode())


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


class Wrong(Exception):  # noqa: N818 - an answer more than an error
    """What a collector says to a request that is not right."""

    def __init__(self, status: int, code: int, text: str, **more: Any) -> None:
        super().__init__(text)
        self.reply = reply(status, code, text, **more)


@define(eq=False)
class Collector:
    """Answers for a ``Receiver``; keeps the events that it took, in their order."""

    token: str = "b5a79aad-d822-46cc-80d1-819f80d7bfb0"
    acks: bool = False
    """Whether the token has indexer acknowledgment."""
    asks: int = 2
    """How often a client has to ask until a batch is indexed."""
    events: list[dict[str, Any]] = field(factory=list)
    cut: str | None = None
    """A session whose event it calls invalid."""
    _pending: dict[str, dict[int, int]] = field(factory=lambda: defaultdict(dict))

    def __call__(self, asked: Asked) -> Reply:
        """Answer a request."""
        try:
            self._check_token(asked)
            if asked.path == "/services/collector/ack":
                return self._answer_ack(asked)
            if asked.path not in ("/services/collector", "/services/collector/event"):
                return reply(404, 404, "The requested URL was not found on this server.")
            return self._take(asked)
        except Wrong as wrong:
            return wrong.reply

    def _check_token(self, asked: Asked) -> None:
        authorization = asked.headers.get("authorization")
        if authorization is None:
            raise Wrong(401, 2, "Token is required")
        scheme, _, token = authorization.partition(" ")
        if scheme != "Splunk":
            raise Wrong(401, 3, "Invalid authorization")
        if token != self.token:
            raise Wrong(403, 4, "Invalid token")

    def _channel(self, asked: Asked) -> str:
        given = parse_qs(asked.query).get("channel", [""])[0]
        channel = given or asked.headers.get("x-splunk-request-channel", "")
        if not channel:
            raise Wrong(400, 10, "Data channel is missing")
        if not _is_guid(channel):
            raise Wrong(400, 11, "Invalid data channel")
        return channel

    def _take(self, asked: Asked) -> Reply:
        channel = self._channel(asked) if self.acks else ""
        text = asked.body.decode()
        if not text.strip():
            raise Wrong(400, 5, "No data")
        taken: list[dict[str, Any]] = []
        position = 0
        while position < len(text):
            number = len(taken)
            try:
                event, position = _DECODER.raw_decode(text, position)
                self._check(event, number)
            except ValueError:
                raise Wrong(
                    400, 6, "Invalid data format", **{"invalid-event-number": number}
                ) from None
            taken.append(event)
            while text[position : position + 1].isspace():
                position += 1
        self.events += taken
        if not self.acks:
            return reply(200, 0, "Success")
        ack = len(self._pending[channel])
        self._pending[channel][ack] = self.asks
        return reply(200, 0, "Success", ackId=ack)

    def _check(self, event: Any, number: int) -> None:
        where = {"invalid-event-number": number}
        if not isinstance(event, dict):
            raise Wrong(400, 6, "Invalid data format", **where)
        if "event" not in event:
            raise Wrong(400, 12, "Event field is required", **where)
        if event["event"] in ("", None):
            raise Wrong(400, 13, "Event field cannot be blank", **where)
        time = event.get("time", 0)
        wrong = isinstance(time, bool) or not isinstance(time, (int, float)) or time < 0
        wrong |= any(not isinstance(event.get(name, ""), str) for name in _TEXTS)
        wrong |= bool(set(event) - {"time", "event", *_TEXTS})
        inner = event["event"]
        if wrong or (isinstance(inner, dict) and inner.get("session") == self.cut):
            raise Wrong(400, 6, "Invalid data format", **where)

    def _answer_ack(self, asked: Asked) -> Reply:
        if not self.acks:
            raise Wrong(400, 14, "ACK is disabled")
        pending = self._pending[self._channel(asked)]
        states = {}
        for ack in json.loads(asked.body)["acks"]:
            pending[ack] = pending.get(ack, -1) - 1
            states[str(ack)] = pending[ack] == 0  # said once, then forgotten
        return Reply(200, json.dumps({"acks": states}).encode())
