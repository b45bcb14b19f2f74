"""Derives a JSON Schema of the OCSF classes that records use from a clone of ocsf-schema.

``python derive_ocsf.py REPOSITORY > ocsf-1.8.0.json``
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

VERSION: Final = "1.8.0"
CLASSES: Final = ("network/ssh_activity", "network/network_activity")
OBJECTS: Final = (
    "actor",
    "device",
    "enrichment",
    "fingerprint",
    "hassh",
    "metadata",
    "network_connection_info",
    "network_endpoint",
    "object",
    "product",
    "user",
)
"""The objects that records use. Attributes of others are left out, so that they are refused."""

PROFILE: Final = "host"
BASIC: Final[dict[str, dict[str, Any]]] = {
    "boolean_t": {"type": "boolean"},
    "float_t": {"type": "number"},
    "integer_t": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "json_t": {},
    "long_t": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "string_t": {"type": "string"},
}
Json = dict[str, Any]


class Source:
    """One version of the published schema."""

    def __init__(self, repository: str, version: str) -> None:
        self.repository, self.version = repository, version
        self.dictionary = self.read("dictionary.json")

    def read(self, path: str) -> Json:
        """Return a file of it."""
        said = subprocess.run(
            ["git", "-C", self.repository, "show", f"{self.version}:{path}"],  # noqa: S607
            check=True,
            capture_output=True,
        )
        read: Json = json.loads(said.stdout)
        return read

    def whole(self, folder: str, name: str) -> Json:
        """Return a class or an object with what it inherits."""
        own = self.read(f"{folder}/{name}.json")
        base: Json = {"attributes": {}}
        if "extends" in own and own["extends"] != name:
            parent = own["extends"]
            if folder == "events" and parent == "network":
                parent = "network/network"
            base = self.whole(folder, parent)
        attributes = dict(base["attributes"])
        for key, value in own.get("attributes", {}).items():
            if key == "$include":
                if f"profiles/{PROFILE}.json" in value:
                    attributes.update(self.read(f"profiles/{PROFILE}.json")["attributes"])
                continue
            before = attributes.get(key, {})
            enum = {**before.get("enum", {}), **value.get("enum", {})}
            attributes[key] = {**before, **value, **({"enum": enum} if enum else {})}
        merged = {**base, **own, "attributes": attributes}
        merged["constraints"] = own.get("constraints") or base.get("constraints") or {}
        return merged

    def schema(self, whole: Json) -> Json:
        """Return the JSON Schema of a class or an object."""
        properties: Json = {}
        required = []
        for name, attribute in sorted(whole["attributes"].items()):
            value = self.attribute(name, attribute)
            if value is None:
                continue
            properties[name] = value
            if attribute.get("requirement") == "required":
                required.append(name)
        made: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            made["required"] = required
        constraints = whole["constraints"].get("at_least_one")
        if constraints:
            made["anyOf"] = [{"required": [name]} for name in constraints if name in properties]
        return made

    def attribute(self, name: str, attribute: Json) -> Json | None:
        """Return the JSON Schema of an attribute; None if its object is not among ``OBJECTS``."""
        known = self.dictionary["attributes"][name]
        kind = attribute.get("type") or known["type"]
        value: Json
        if kind.endswith("_t"):
            value = self.basic(kind)
        elif kind in OBJECTS:
            value = {"$ref": f"#/$defs/{kind}"}
        else:
            return None
        enum = {**known.get("enum", {}), **attribute.get("enum", {})}
        if enum and value.get("type") == "integer":
            value = {"enum": sorted(int(number) for number in enum)}
        if known.get("is_array"):
            value = {"type": "array", "items": value}
        return value

    def basic(self, kind: str) -> Json:
        """Return the JSON Schema of a data type."""
        if kind in BASIC:
            return dict(BASIC[kind])
        described = self.dictionary["types"]["attributes"][kind]
        value = self.basic(described["type"])
        if "max_len" in described:
            value["maxLength"] = described["max_len"]
        if "range" in described:
            value["minimum"], value["maximum"] = described["range"]
        if "regex" in described:
            value["pattern"] = described["regex"]
        return value


def main(repository: str) -> None:
    """Print the schema."""
    source = Source(repository, VERSION)
    definitions = {}
    for name in OBJECTS:
        definitions[name] = source.schema(source.whole("objects", name))
    definitions["object"] = {"type": "object"}  # whatever is not mapped
    category = source.read("categories.json")["attributes"]["network"]["uid"]
    classes = []
    for path in CLASSES:
        whole = source.whole("events", path)
        made = source.schema(whole)
        uid = category * 1000 + whole["uid"]
        fixed = {"class_uid": uid, "class_name": whole["caption"], "category_uid": category}
        for key, value in fixed.items():
            made["properties"][key] = {"const": value}
        activities = made["properties"]["activity_id"]["enum"]
        made["properties"]["type_uid"] = {"enum": [uid * 100 + each for each in activities]}
        definitions[whole["name"]] = made
        classes.append({"$ref": f"#/$defs/{whole['name']}"})
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": (
            f"Derived from https://github.com/ocsf/ocsf-schema, version {VERSION}, profile "
            f"{PROFILE}, by derive_ocsf.py. Copyright OCSF a Series of LF Projects, LLC; "
            "Apache License 2.0."
        ),
        "oneOf": classes,
        "$defs": definitions,
    }
    print(json.dumps(schema, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1])
