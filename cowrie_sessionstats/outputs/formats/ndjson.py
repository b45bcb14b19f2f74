"""Lines of JSON, as most receivers take them; the status of the request is all they answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, inlineCallbacks

from cowrie_sessionstats.outputs.formats._json import encode
from cowrie_sessionstats.outputs.http_answers import Post, judge, words_of
from cowrie_sessionstats.outputs.sending import Delivered, Record, Verdict, without_time

ANSWER_LIMIT: Final = 1 << 20
"""Bytes read of an answer, of which only the first words are shown."""


def ndjson(record: Record) -> str:
    """Return a record as it is in the log."""
    return encode(without_time(record))


@frozen
class Lines:
    """A line a record; whatever is answered with 200 to 299 has been taken."""

    line: Callable[[Record], str]
    """Renders one record, without a newline in it."""
    headers: Mapping[str, str]

    def render(self, records: Sequence[Record]) -> bytes:
        """Return the lines."""
        return "".join([f"{self.line(record)}\n" for record in records]).encode("ascii")

    @inlineCallbacks
    def deliver(
        self,
        post: Post,
        body: bytes,
        count: int,  # noqa: ARG002 - the status is for all of them
    ) -> Generator[Deferred[Any], Any, Verdict]:
        """Post the lines to the URL itself."""
        answer = yield post("", body, self.headers, ANSWER_LIMIT)
        return judge(answer, words_of(answer)) or Delivered()
