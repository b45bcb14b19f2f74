"""What receivers want to hear over HTTP: one module a format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

from cowrie_sessionstats.outputs.formats.elasticsearch import Elasticsearch
from cowrie_sessionstats.outputs.formats.ndjson import Lines, ndjson
from cowrie_sessionstats.outputs.formats.ocsf import ocsf
from cowrie_sessionstats.outputs.formats.splunk_hec import SplunkHec
from cowrie_sessionstats.outputs.http_answers import Post
from cowrie_sessionstats.outputs.sending import Record, Verdict

CONTENT_TYPES: Final = {
    "elasticsearch": "application/x-ndjson",
    "ndjson": "application/x-ndjson",
    "ocsf": "application/x-ndjson",
    "splunk_hec": "application/json",
}


class Format(Protocol):
    """Renders batches, has them posted, and knows what the answers mean."""

    def render(self, records: Sequence[Record]) -> bytes:
        """Return a request's body; ValueError if a record cannot be rendered."""

    def deliver(self, post: Post, body: bytes, count: int) -> Deferred[Verdict]:
        """Post a body with ``count`` records; the Deferred fails if there is no answer."""


def format_named(
    name: str, *, index: str, headers: Mapping[str, str], clock: Any, channel: str
) -> Format:
    """Return a format.

    ``headers`` go with records (how they are packed); ``index`` is for Elasticsearch, ``clock``
    (an ``IReactorTime``) and ``channel`` (a GUID) are for Splunk.
    """
    headers = {"Content-Type": CONTENT_TYPES[name], **headers}
    if name == "elasticsearch":
        return Elasticsearch(index, headers)
    if name == "splunk_hec":
        return SplunkHec(headers, channel, clock)
    return Lines(ocsf if name == "ocsf" else ndjson, headers)
