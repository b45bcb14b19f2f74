"""Prints the names of the options that collectors have, out of clones of their repositories.

    python derive_collectors.py FOLDER > collectors.json

FOLDER holds clones (or bare ones) named vector, fluent-bit, wazuh, logstash-input-file,
logstash-filter-ruby, logstash-output-elasticsearch and vscode-extension-splunk, which has Splunk's
own .spec files.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

WAZUH = "v4.14.7"
SPLUNK = "spec_files/9.2"
VECTOR = "website/cue/reference"


def show(folder: Path, path: str, commit: str = "HEAD") -> str:
    """Return a file of a commit."""
    command = ["git", "-C", str(folder), "show", f"{commit}:{path}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> str:
    """Return the commit that is looked at."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def found(pattern: str, *texts: str) -> list[str]:
    """Return what a pattern's group finds, sorted."""
    return sorted({name for text in texts for name in re.findall(pattern, text, re.MULTILINE)})


def vector(folder: Path) -> dict[str, Any]:
    """Options by kind and name of component, nested ones beside the others."""
    parts = {
        part: found(
            r"(?:^\t+|options: )\"?([a-z_0-9]+)\"?: \{",
            show(folder, f"{VECTOR}/components/{part.replace('.', '/generated/')}.cue"),
        )
        for part in (
            "sources.file",
            "sources.http_server",
            "transforms.remap",
            "sinks.elasticsearch",
        )
    }
    version = found(r'^version = "(.*)"', show(folder, "Cargo.toml"))[0]
    return {"version": version, "commit": commit(folder), "licence": "MPL-2.0", "options": parts}


def fluent_bit(folder: Path) -> dict[str, Any]:
    """Options by plugin; those that all inputs, filters or outputs have, by that word."""
    parts = {
        name: found(r'FLB_CONFIG_MAP_[A-Z_]+, "([^"]+)"', show(folder, f"plugins/{path}"))
        for name, path in {
            "tail": "in_tail/tail.c", "es": "out_es/es.c", "lua": "filter_lua/lua.c",
            "parser": "filter_parser/filter_parser.c",
        }.items()
    }  # fmt: skip
    for kind in ("input", "filter", "output"):
        parts[kind] = found(r'prop_key_check\("([^"]+)"', show(folder, f"src/flb_{kind}.c"))
    header = show(folder, "include/fluent-bit/flb_config.h")
    parts["service"] = found(r'#define FLB_CONF_[A-Z_]+ +"([^"]+)"', header)
    parts = {part: [name.lower() for name in names] for part, names in parts.items()}
    numbers = found(r"FLB_VERSION_(?:MAJOR|MINOR|PATCH) +(\d+\))", show(folder, "CMakeLists.txt"))
    assert numbers
    version = ".".join(
        found(rf"FLB_VERSION_{part} +(\d+)\)", show(folder, "CMakeLists.txt"))[0]
        for part in ("MAJOR", "MINOR", "PATCH")
    )
    return {"version": version, "commit": commit(folder), "licence": "Apache-2.0", "options": parts}


def logstash(folder: Path) -> dict[str, Any]:
    """Options by plugin."""
    paths = {
        "input-file": ["lib/logstash/inputs/file.rb"],
        "filter-ruby": ["lib/logstash/filters/ruby.rb"],
        "output-elasticsearch": [
            "lib/logstash/outputs/elasticsearch.rb",
            "lib/logstash/outputs/elasticsearch/data_stream_support.rb",
            "lib/logstash/outputs/elasticsearch/ilm.rb",
            "lib/logstash/plugin_mixins/elasticsearch/api_configs.rb",
        ],
    }
    parts, versions = {}, {}
    for plugin, files in paths.items():
        clone = folder / f"logstash-{plugin}"
        texts = [show(clone, path) for path in files]
        parts[plugin] = found(r"^ +(?:base\.|mod\.)?config\(? ?:([a-z_]+)", *texts)
        parts[plugin] += found(r"^ +:([a-z_]+) +=> \{ ?:validate", *texts)
        versions[plugin] = show(clone, "version").strip()
    return {"version": versions, "licence": "Apache-2.0", "options": parts}


def splunk(folder: Path) -> dict[str, Any]:
    """Settings by file; a setting of which there can be many ends in a hyphen."""
    parts = {
        f"{name}.conf": found(
            r"^([A-Za-z_]+-?)(?:<[a-z_]+>)? = ", show(folder, f"{SPLUNK}/{name}.conf.spec")
        )
        for name in ("inputs", "limits", "props")
    }
    return {"version": Path(SPLUNK).name, "commit": commit(folder), "options": parts}


def wazuh(folder: Path) -> dict[str, Any]:
    """Elements and attributes of rules and of what an agent reads."""
    names = r'const char \*xml_[a-z_0-9]+ *= *"([^"]+)"'
    parts = {
        "rules": found(names, show(folder, "src/analysisd/rules.c", WAZUH)),
        "localfile": found(names, show(folder, "src/config/localfile-config.c", WAZUH)),
    }
    return {"version": WAZUH, "licence": "GPL-2.0", "options": parts}


if __name__ == "__main__":
    clones = Path(sys.argv[1])
    known = {
        "vector": vector(clones / "vector"),
        "fluent-bit": fluent_bit(clones / "fluent-bit"),
        "logstash": logstash(clones),
        "splunk": splunk(clones / "vscode-extension-splunk"),
        "wazuh": wazuh(clones / "wazuh"),
    }
    print(json.dumps(known, indent=1))
