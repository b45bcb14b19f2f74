"""Sends records over HTTP to a SIEM: what each one wants to hear is its format's business."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Mapping, Sequence
from configparser import ConfigParser
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs.formats import Format, format_named
from cowrie_sessionstats.outputs.http_answers import Answer, UnansweredError
from cowrie_sessionstats.outputs.http_client import Client, TlsPolicy, own_certificate, trusted_in
from cowrie_sessionstats.outputs.http_options import HttpOptions, read_options
from cowrie_sessionstats.outputs.sending import (
    Delivered,
    Failed,
    Limits,
    Partly,
    Record,
    Verdict,
)

GZIP_LEVEL: Final = 3
"""Of 9: records shrink to an eighth with it, and the next levels cost twice the time for little."""

PEM_LIMIT: Final = 1 << 20
"""Bytes read of a file with certificates: the CAs of a whole Debian machine are 220 KB."""


@frozen
class Batch:
    """Records as they are sent."""

    body: bytes = field(repr=False)
    count: int


@define(eq=False)
class HttpSender:
    """Takes records to one receiver in its format."""

    options: HttpOptions
    format: Format
    client: Client
    _sending: Deferred[Verdict] | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    @property
    def limits(self) -> Limits:
        """Return how large batches may be."""
        return self.options.limits

    @property
    def target(self) -> str:
        """Return where records go, for people."""
        return self.options.target

    def render(self, records: Sequence[Record]) -> Batch:
        """Return the batch as ``send`` takes it; ValueError if a record cannot be rendered."""
        body = self.format.render(records)
        if self.options.gzip:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        return Batch(body, len(records))

    def send(self, batch: Batch) -> Deferred[Verdict]:
        """Send a batch; the Deferred has the verdict, within the bounds that the format has."""
        if self._stopped:
            return succeed(Failed("nothing is sent any more: Cowrie stops"))
        sending: Deferred[Verdict] = maybeDeferred(
            self.format.deliver, self._post, batch.body, batch.count
        )
        sending.addErrback(self._failed)
        sending.addCallback(self._without_secrets)
        self._sending = sending
        return sending.addBoth(self._sent)

    def stop(self) -> None:
        """Let go of connections; what is being sent is cancelled."""
        self._stopped = True
        if self._sending is not None:
            self._sending.cancel()
        self.client.close()

    def _post(
        self, path: str, body: bytes, headers: Mapping[str, str], limit: int
    ) -> Deferred[Answer]:
        return self.client.post(path, body, headers, limit)

    def _sent(self, result: Any) -> Any:
        self._sending = None
        return result

    def _failed(self, failure: Failure) -> Failed | Failure:
        if failure.check(CancelledError):
            return failure
        if failure.check(UnansweredError):
            return Failed(str(failure.value))
        return Failed(
            f"a mistake of this program: {type(failure.value).__name__}. Please report it"
        )

    def _without_secrets(self, verdict: Verdict) -> Verdict:
        """Take out what lets us in, if a receiver says it back."""
        if isinstance(verdict, Delivered):
            return verdict
        value = "" if self.options.header is None else self.options.header[1]
        parts = urlsplit(self.options.url)
        secrets = [value, value.partition(" ")[2], parts.query, parts.path.rstrip("/")]

        def clean(reason: str) -> str:
            for secret in filter(None, secrets):
                reason = reason.replace(secret, "...")
            return reason

        if isinstance(verdict, Partly):
            return evolve(
                verdict,
                refused={place: clean(reason) for place, reason in verdict.refused.items()},
                again={place: clean(reason) for place, reason in verdict.again.items()},
            )
        return evolve(verdict, reason=clean(verdict.reason))


def read(
    options: Mapping[str, str],
    section: str,
    environment: Mapping[str, str],
    config: ConfigParser | None = None,  # noqa: ARG001 - every type is asked in the same way
) -> HttpSender:
    """Return a sender with the options of a destination's section.

    Raises OptionError for the first one that cannot be used.
    """
    from twisted.internet import reactor  # noqa: PLC0415 - importing it chooses one

    return sender(read_options(options, section, environment), section, reactor)


def sender(
    options: HttpOptions,
    section: str,
    reactor: Any,
    *,
    now: Callable[[], float] = time.time,
    channel: Callable[[], object] = uuid4,
) -> HttpSender:
    """Return a sender; ``channel`` draws the GUID by which Splunk knows it.

    Raises OptionError if a file of certificates cannot be used.
    """
    policy = _policy(options, section) if options.url.startswith("https:") else TlsPolicy(None)
    client = Client(reactor, options.url, options.header, options.timeout, policy, now)
    headers = {"Content-Encoding": "gzip"} if options.gzip else {}
    form = format_named(
        options.format,
        index=options.index,
        headers=headers,
        clock=reactor,
        channel=str(channel()),
    )
    return HttpSender(options, form, client)


def _policy(options: HttpOptions, section: str) -> TlsPolicy:
    policy = TlsPolicy()
    if options.ca_file is not None:
        try:
            policy = evolve(policy, trusted=trusted_in(_pem(options.ca_file)))
        except (OSError, ValueError) as error:
            raise OptionError("ca_file", str(options.ca_file), str(error), section) from None
    if options.cert_file is not None and options.key_file is not None:
        try:
            both = _pem(options.cert_file) + "\n" + _pem(options.key_file)
            policy = evolve(policy, certificate=own_certificate(both))
        except (OSError, ValueError) as error:
            raise OptionError("key_file", str(options.key_file), str(error), section) from None
    return policy


def _pem(path: Any) -> str:
    with path.open("rb") as file:
        return str(file.read(PEM_LIMIT), "latin-1")
