"""Why no answer came, in a sentence that tells the operator what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import defer, error
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
)

from cowrie_sessionstats.summary import printable

_WRAPPERS: Final = (ResponseFailed, RequestGenerationFailed, RequestTransmissionFailed)
_WORDS_LIMIT: Final = 80  # characters of what OpenSSL says


def is_cancelled(failure: Failure) -> bool:
    """Return whether a request ended because we ended it."""
    return any(isinstance(cause, defer.CancelledError) for cause in _causes(failure))


def explain(failure: Failure, host: str, port: int) -> str:
    """Return why a request to ``host`` had no answer and what to do.

    Only the kind of an error goes in, never its own text, which may quote a URL with a token in it.
    """
    where = f"{host}:{port}"
    causes = list(_causes(failure))
    for cause in causes:
        if isinstance(cause, VerificationError):
            return (
                f"the certificate of {where} is for another name: let url have the name that is "
                "in it, or give the receiver a certificate for this one"
            )
    for cause in causes:
        if isinstance(cause, SSL.Error):
            return _of_tls(cause, where)
    for kind, words in _SENTENCES:
        for cause in causes:
            if isinstance(cause, kind):
                return words.format(host=host, where=where)
    kinds = ", ".join(sorted({type(cause).__name__ for cause in causes}))
    return f"no answer from {where} ({kinds}): see whether url is right and what it names runs"


_SENTENCES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (
        error.ConnectionRefusedError,
        "{where} refuses connections: see whether the receiver runs, and the port in url",
    ),
    (
        error.DNSLookupError,
        "there is no address for {host}: see the name in url, and this machine's DNS",
    ),
    (error.NoRouteError, "there is no route to {host}: see this machine's network"),
    (
        error.TimeoutError,  # of connecting
        "{where} does not answer: see whether a firewall is between, and the host in url",
    ),
    (
        ParseError,
        "{where} answers, but not in HTTP: see whether url has to be https://, or another port",
    ),
    (
        error.ConnectionDone,
        (
            "{where} closed the connection before it had answered: see its log; where it wants "
            "TLS, url has to be https://"
        ),
    ),
    (
        error.ConnectionLost,
        "{where} broke the connection before it had answered: see its log",
    ),
    (error.ConnectError, "{where} cannot be reached: see this machine's network"),
)


def _of_tls(cause: SSL.Error, where: str) -> str:
    words = _words(cause)
    if "certificate verify failed" in words:
        return (
            f"the certificate of {where} is not to be trusted: it has expired, or no known CA "
            "signed it. Renew it, or name the CA's file as ca_file; which it is says "
            f"`openssl s_client -connect {where}`"
        )
    if "alert" in words:
        return f"{where} refuses our part of TLS ({words}): see cert_file and key_file"
    if any(sign in words for sign in _NO_TLS):
        return f"{where} does not speak TLS: url has to be http://, or have another port"
    return f"TLS with {where} fails ({words or 'no reason given'}): see the receiver's TLS settings"


_NO_TLS: Final = ("wrong version number", "packet length too long", "record layer failure")


def _words(cause: SSL.Error) -> str:
    """Return the reasons in OpenSSL's queue of errors; pyOpenSSL gives it as a list of tuples."""
    queue = cause.args[0] if cause.args and isinstance(cause.args[0], list) else []
    reasons = [str(entry[-1]) for entry in queue if isinstance(entry, tuple) and entry]
    return printable(", ".join(reasons), _WORDS_LIMIT)


def _causes(failure: Failure) -> Iterator[BaseException]:
    """Yield what a failure is made of: Twisted puts those of a connection into one of a request."""
    value = failure.value
    if isinstance(value, _WRAPPERS):
        for reason in value.reasons:
            yield from _causes(reason)
    elif value is not None:
        yield value
