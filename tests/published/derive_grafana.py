"""Derives what dashboards, queries, panels and alert rules are made of from Grafana's SDK.

``python derive_grafana.py REPOSITORY > grafana.json``, with a clone of grafana-foundation-sdk.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

REVISION: Final = "f178d5a42"
WANTED: Final = {
    "dashboard": ("Dashboard",),
    "elasticsearch": ("dataquery", "Histogram", "Terms"),
    "prometheus": ("Dataquery",),
    "barchart": ("Options", "FieldConfig"),
    "piechart": ("Options", "FieldConfig"),
    "stat": ("Options",),
    "table": ("Options", "FieldConfig"),
    "timeseries": ("Options", "FieldConfig"),
    "alerting": ("Rule",),
    "expr": ("TypeReduce", "TypeResample", "TypeThreshold"),
}
_UNSAID: Final = ("description", "default", "examples")
_ANYTHING: Final[dict[str, Any]] = {"type": "object", "additionalProperties": {}}


def main(repository: str) -> None:
    """Print the definitions, each with its file's name in front."""
    made: dict[str, Any] = {}
    for name, wanted in WANTED.items():
        path = f"{REVISION}:jsonschema/{name}.jsonschema.json"
        said = subprocess.run(
            ["git", "-C", repository, "show", path],  # noqa: S607
            check=True,
            capture_output=True,
        )
        known = json.loads(said.stdout)["definitions"]
        for each in wanted:
            _add(made, name, each, known)
    comment = (
        "From https://github.com/grafana/grafana-foundation-sdk, revision "
        f"{REVISION} (2026-06-16), folder jsonschema, by derive_grafana.py, without the "
        "descriptions and put right where that says so. Copyright Grafana Labs; Apache License 2.0."
    )
    print(json.dumps({"comment": comment, "$defs": dict(sorted(made.items()))}, indent=1))


def _add(made: dict[str, Any], name: str, wanted: str, known: Mapping[str, Any]) -> None:
    """Add a definition and all that it refers to."""
    if f"{name}.{wanted}" in made:
        return
    text = json.dumps(_without(known[wanted]))
    references = re.findall(r'"#/definitions/(\w+)"', text)
    made[f"{name}.{wanted}"] = json.loads(
        re.sub(r'"#/definitions/(\w+)"', rf'"#/$defs/{name}.\1"', text)
    )
    for reference in references:
        _add(made, name, reference, known)


def _without(schema: Any) -> Any:
    """Return a schema without what is only told to people (a property may have any name).

    What the sources of the schema call anything (``_`` in CUE) is rendered there as an object of
    anything, and unions as ``oneOf`` of definitions whose ``type`` is any of all: both are put
    right.
    """
    if isinstance(schema, list):
        return [_without(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if {key: value for key, value in schema.items() if key not in _UNSAID} == _ANYTHING:
        return {}
    return {
        ("anyOf" if key == "oneOf" else key): {name: _without(each) for name, each in value.items()}
        if key == "properties"
        else _without(value)
        for key, value in schema.items()
        if key not in _UNSAID
    }


if __name__ == "__main__":
    main(sys.argv[1])
