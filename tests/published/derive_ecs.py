"""Derives the list of the ECS fields that records use from a clone of elastic/ecs.

``python derive_ecs.py REPOSITORY > ecs-9.4.0.json``; it needs PyYAML.
"""

from __future__ import annotations

import json
import subprocess
import sys

import yaml

from cowrie_sessionstats.outputs.formats.ecs import TYPES

VERSION = "9.4.0"


def main(repository: str) -> None:
    """Print the fields."""
    said = subprocess.run(
        ["git", "-C", repository, "show", f"v{VERSION}:generated/ecs/ecs_flat.yml"],  # noqa: S607
        check=True,
        capture_output=True,
    )
    published = yaml.safe_load(said.stdout)
    fields = {}
    for name in sorted(TYPES):
        field = published[name]
        fields[name] = {"type": field["type"], "is_array": "array" in field.get("normalize", [])}
        allowed = field.get("allowed_values")
        if allowed:
            fields[name]["allowed"] = {
                value["name"]: value.get("expected_event_types") for value in allowed
            }
    comment = (
        f"The fields that records use, from https://github.com/elastic/ecs, v{VERSION}, "
        "generated/ecs/ecs_flat.yml, by derive_ecs.py. Copyright Elasticsearch B.V.; Apache "
        "License 2.0. `allowed` names the values of a field, with the event types expected there."
    )
    print(json.dumps({"comment": comment, "version": VERSION, "fields": fields}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
