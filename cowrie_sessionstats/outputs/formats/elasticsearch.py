"""Elasticsearch and OpenSearch: the bulk API, with ECS documents that are there only once."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, inlineCallbacks

from cowrie_sessionstats.outputs.formats._json import decode, encode
from cowrie_sessionstats.outputs.formats.ecs import ecs_document
from cowrie_sessionstats.outputs.http_answers import Answer, Post, judge, texts_of, words_of
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.outputs.sending import (
    REASON_LIMIT,
    Delivered,
    Failed,
    Partly,
    Record,
    Verdict,
)

ANSWER_BASE: Final = 64 << 10
"""Bytes read of an answer, whatever the batch: proxies put whole pages into errors."""

ANSWER_PER_RECORD: Final = 4 << 10
"""And for each record: an item is some 250 bytes without an error, 1 KB with one; a reason can
quote a text of 1,024 characters."""

_NEEDED: Final = "filter_path=errors,error,status,items.*.status,items.*.error"
"""Leaves out of the answer what nobody reads (common options, response filtering)."""

_ALREADY_THERE: Final = 409
_OK: Final = range(200, 300)

_NOT_ITS_FAULT: Final = frozenset({401, 403, 404, 408, 429})
"""Of an item: what the operator has to mend (no privilege, an index that is not there and is not
made by itself, a block because the disk is full), or that passes by itself."""

_FIRST_OF_SERVER_FAULTS: Final = 500


@frozen
class Elasticsearch:
    """Creates a document a record; its ``_id`` is the record's, so that a repeat changes nothing.

    https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
    """

    index: str
    headers: Mapping[str, str]

    def render(self, records: Sequence[Record]) -> bytes:
        """Return two lines a record: what to do, and the document."""
        return "".join(
            [
                f'{{"create":{{"_id":"{record_id(record)}"}}}}\n{encode(ecs_document(record))}\n'
                for record in records
            ]
        ).encode("ascii")

    @inlineCallbacks
    def deliver(
        self, post: Post, body: bytes, count: int
    ) -> Generator[Deferred[Any], Any, Verdict]:
        """Post the documents to the index; each is judged by itself."""
        limit = ANSWER_BASE + ANSWER_PER_RECORD * count
        answer = yield post(f"/{self.index}/_bulk?{_NEEDED}", body, self.headers, limit)
        return judge(answer, _said(answer)) or _verdict(answer, count)


def _said(answer: Answer) -> str:
    """Return what an answer to a whole request says is wrong."""
    try:
        error = decode(answer.body)["error"]
        said = texts_of(error["type"], error["reason"]) if isinstance(error, dict) else ""
    except (ValueError, TypeError, KeyError):
        said = ""
    return said or words_of(answer)


def _verdict(answer: Answer, count: int) -> Verdict:
    """Return what became of each record."""
    try:
        items = decode(answer.body)["items"]
        results = [_result(item) for item in items]
    except (ValueError, TypeError, KeyError, AttributeError):
        return Failed(
            f"answers {answer.status}, but not as the bulk API does ({words_of(answer)}): see "
            "whether url names Elasticsearch or OpenSearch itself"
        )
    if len(results) != count:
        return Failed(
            f"answers for {len(results)} of {count} documents; see what stands between it and us"
        )
    refused: dict[int, str] = {}
    again: dict[int, str] = {}
    for place, (status, reason) in enumerate(results):
        if status in _OK or status == _ALREADY_THERE:
            continue
        its_fault = status < _FIRST_OF_SERVER_FAULTS and status not in _NOT_ITS_FAULT
        (refused if its_fault else again)[place] = f"{status} {reason}"[:REASON_LIMIT]
    if not refused and not again:
        return Delivered()
    return Partly(refused, again, answer.retry_after)


def _result(item: Any) -> tuple[int, str]:
    """Return the status of one document, and what is wrong with it in words."""
    (outcome,) = item.values()
    status = outcome["status"]
    if not isinstance(status, int) or isinstance(status, bool):
        msg = "a status is a number"
        raise TypeError(msg)
    error = outcome.get("error")
    if isinstance(error, dict):
        return status, texts_of(error.get("type"), error.get("reason"))
    return status, texts_of(error)
