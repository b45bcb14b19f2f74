"""The index template for Elasticsearch and OpenSearch, made from the record's schema.

``python -m cowrie_sessionstats.outputs.formats.ecs_template`` prints
``etc/elasticsearch-template.json``.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cowrie_sessionstats._bounded import TEXT_LIMIT
from cowrie_sessionstats.outputs.formats.ecs import NAMES, OWN, TYPES
from cowrie_sessionstats.outputs.http_options import DEFAULT_INDEX
from cowrie_sessionstats.summary import json_schema

PRIORITY: Final = 200
"""Above the templates that come with Elasticsearch (100)."""

_TYPES: Final = {"integer": "long", "number": "double", "boolean": "boolean"}
_SEARCHED: Final = frozenset({"first_command", "templates", "urls"})
"""Texts that are searched for a part of them, and that nothing is counted by: OpenSearch cannot
aggregate what is a ``wildcard``, which has no doc values there."""

_TIMES: Final = frozenset({"first_seen"})
"""Points in time that ECS has no name for."""

_ELSEWHERE: Final = frozenset(NAMES) | {"duration"}


def index_template() -> dict[str, Any]:
    """Return the body of ``PUT _index_template/cowrie-sessions``: a data stream's template.

    Counters are numbers; texts are keywords, which can be counted by, or wildcards where parts are
    searched for. What is longer than a record's texts can be is stored, but not indexed.
    """
    properties: dict[str, Any] = {}
    for name, kind in TYPES.items():
        *parents, last = name.split(".")
        inner = properties
        for parent in parents:
            inner = inner.setdefault(parent, {"properties": {}})["properties"]
        inner[last] = _field(kind)
    own = {
        key: _field(_kind(key, schema))
        for key, schema in json_schema()["properties"].items()
        if key not in _ELSEWHERE
    }
    properties[OWN] = {"properties": own}
    texts = {"mapping": _field("keyword"), "match_mapping_type": "string"}
    return {
        "index_patterns": [f"{DEFAULT_INDEX}*"],
        "priority": PRIORITY,
        "data_stream": {},
        "template": {
            "mappings": {
                "date_detection": False,
                "dynamic_templates": [{"texts": texts}],
                "properties": properties,
            }
        },
        "_meta": {"description": "Sessions of Cowrie honeypots, by cowrie-sessionstats"},
    }


def _kind(key: str, schema: dict[str, Any]) -> str:
    schema = schema.get("items", schema)
    value = schema.get("const", schema.get("enum", [None])[0])
    if isinstance(value, int):
        return "long"
    if key in _SEARCHED:
        return "wildcard"
    if key in _TIMES:
        return "date"
    return _TYPES.get(schema.get("type", "string"), "keyword")


def _field(kind: str) -> dict[str, Any]:
    if kind in ("keyword", "wildcard"):
        return {"type": kind, "ignore_above": TEXT_LIMIT}
    return {"type": kind}


if __name__ == "__main__":
    print(json.dumps(index_template(), indent=2))  # noqa: T201 - it is the output
