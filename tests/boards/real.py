"""Real sessions in an emulated search engine, as the sender of records would put them there."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from hostile_records import cleaned
from logs import tool
from receivers_http import OpenSearch

from boards.grafana import CONSTANT
from boards.panels import fields_used
from cowrie_sessionstats.outputs.formats.ecs import ecs_document
from cowrie_sessionstats.outputs.formats.ecs_template import index_template

INDEX: Final = "cowrie-sessions"
EVERY: Final = 3
"""Of sessions that logged in every third is kept, of others every hundredth: the emulator takes
milliseconds for each."""

_NEEDED: Final = frozenset(fields_used()) | {"@timestamp", "cowrie.eventid", CONSTANT}


@frozen
class Sessions:
    """Records, and the search engine that has them."""

    records: list[dict[str, Any]]
    search: OpenSearch

    @property
    def inside(self) -> list[dict[str, Any]]:
        """Return the records of sessions that logged in."""
        return [record for record in self.records if record.get("logged_in")]

    def ask(self, body: dict[str, Any], index: str = INDEX) -> Any:
        """Return what the engine finds."""
        return self.search.ask("POST", f"/{index}/_search", body)


def real_records(shared: Path, folder: Path) -> list[dict[str, Any]]:
    """Return records of the public logs, with what the history says of each: a part of them.

    All those are there in which somebody typed, or that are the first of their script; none of a
    sensor without a name, of which Grafana's choice of sensors knows nothing.
    """
    made, history = folder / "sessions.jsonl", folder / "history.sqlite"
    said = tool("summarize", "--history", history, "-o", made, shared / "data/real")
    assert said.status == 0, said.err
    records = [json.loads(line) for line in made.read_text().splitlines()]
    rare: list[dict[str, Any]] = []
    inside: list[dict[str, Any]] = []
    outside: list[dict[str, Any]] = []
    for record in records:
        if not record.get("sensor"):
            continue
        if record["automation"] == "interactive" or record.get("seen_before") == 0:
            rare.append(record)
        else:
            (inside if record.get("logged_in") else outside).append(record)
    return rare + inside[::EVERY] + outside[::100]


def fill(search: OpenSearch, records: Iterable[dict[str, Any]], index: str = INDEX) -> None:
    """Put the documents of records into an index, as far as the boards look at them."""
    mappings = index_template()["template"]["mappings"]
    search.ask("PUT", f"/{index}", {"mappings": {**mappings, "dynamic": False}})
    lines: list[dict[str, Any]] = []
    for record in records:
        lines += [{"create": {}}, _trimmed(cleaned(ecs_document(record)))]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    request = urllib.request.Request(  # noqa: S310 - http, to ourselves
        f"{search.url}/{index}/_bulk", body, {"Content-Type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        assert json.load(answer)["errors"] is False
    search.ask("POST", f"/{index}/_refresh")


def _trimmed(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    kept = {}
    for name, value in document.items():
        path = prefix + name
        if isinstance(value, dict):
            value = _trimmed(value, f"{path}.")  # noqa: PLW2901 - the same, trimmed
        elif path not in _NEEDED:
            continue
        if value != {}:
            kept[name] = value
    return kept
