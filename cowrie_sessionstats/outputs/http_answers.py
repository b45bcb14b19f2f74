"""What a receiver answers to a request, and what its status means for the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.defer import Deferred

from cowrie_sessionstats._toml import packaged
from cowrie_sessionstats.outputs.sending import REASON_LIMIT, Failed, Refused
from cowrie_sessionstats.summary import printable

LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds for which a receiver can ask to be left alone: a wrong clock there must not keep records
here for days."""

SAID_LIMIT: Final = 160
"""Characters shown of what a receiver says in words: the rest of the reason needs room, too."""


@frozen
class Answer:
    """A receiver's answer to one request."""

    status: int
    body: bytes
    is_whole: bool = True
    """Whether that is all of its body: it was not cut off, nor larger than what is read."""
    retry_after: float | None = None
    """Seconds that it asks to be left alone."""
    location: str = ""
    """Where a redirect points to."""


class UnansweredError(Exception):
    """No answer came; the text says why and what to do."""


Post: TypeAlias = Callable[[str, bytes, Mapping[str, str], int], "Deferred[Answer]"]
"""Posts to the URL with that behind its path; the body, further headers, and how many bytes of the
answer are read. The Deferred fails with UnansweredError."""


def _statuses() -> dict[str, dict[int, str]]:
    tables = packaged("cowrie_sessionstats.outputs", "http_statuses.toml")
    return {
        kind: {int(status): words for status, words in table.items()}
        for kind, table in tables.items()
    }


_STATUSES: Final = _statuses()
_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)


def is_ok(answer: Answer) -> bool:
    """Return whether the status says that the request was understood."""
    return answer.status in _OK


def judge(answer: Answer, said: str) -> Refused | Failed | None:
    """Return what the status of a whole request means for its batch; None if it is no trouble.

    ``said`` is what the receiver says in words.
    """
    if is_ok(answer):
        if answer.is_whole:
            return None
        return Failed(
            f"answers {answer.status}, but the answer was cut off or is too large; see whether "
            "url names the receiver itself, and what stands in between"
        )
    words = f": {said}" if said else ""
    if answer.status in _REDIRECTS:
        return Failed(_redirected(answer))
    refused = _STATUSES["refused"].get(answer.status)
    if refused is not None:
        return Refused(_clipped(f"answers {answer.status}, {refused}{words}"))
    remedy = _STATUSES["failed"].get(answer.status, "see its own log")
    return Failed(_clipped(f"answers {answer.status}, {remedy}{words}"), answer.retry_after)


def _redirected(answer: Answer) -> str:
    try:
        parts = urlsplit(answer.location)
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    except ValueError:
        where = ""
    where = printable(where, SAID_LIMIT) or "another path"
    return (
        f"answers {answer.status}, a redirect to {where}, which is not followed: records and "
        "tokens go only where url says. Correct url if that is right"
    )


def _clipped(reason: str) -> str:
    return reason if len(reason) <= REASON_LIMIT else reason[: REASON_LIMIT - 3] + "..."


def words_of(answer: Answer) -> str:
    """Return the beginning of an answer's body on one line."""
    text = answer.body[: 4 * SAID_LIMIT].decode("utf-8", "replace")
    return printable(" ".join(text.split()), SAID_LIMIT)


def texts_of(*texts: Any) -> str:
    """Return what a receiver says in parts of its answer, on one line; parts that are none, not."""
    return printable(": ".join(t for t in texts if isinstance(t, str) and t), SAID_LIMIT)


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After asks for, a number or a date (RFC 9110, 10.2.3).

    ``now`` is seconds since 1970. None if there is no such header, or nonsense in it; at most
    ``LONGEST_RETRY_AFTER``.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        # Thousands of digits are more than int() takes, and more than anybody waits.
        seconds = float(value[:_DIGITS]) if len(value) <= _DIGITS else LONGEST_RETRY_AFTER
        return min(seconds, LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value[:_DATE])
        if date.tzinfo is None:
            date = date.replace(tzinfo=timezone.utc)
        seconds = date.timestamp() - now
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


_DIGITS: Final = 9  # of seconds: 30 years
_DATE: Final = 64  # characters of a date: an RFC 9110 one has 29
