"""What the configurations of collectors that cannot run here say is what their makers published."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
import yaml
from collectors import configuration
from conftest import ROOT
from hostile_records import hostile_records
from hypothesis import given, settings
from summaries import summary

from cowrie_sessionstats._bounded import TEXT_LIMIT
from cowrie_sessionstats.outputs.formats.splunk_hec import SOURCETYPE
from cowrie_sessionstats.summary import KEYS, json_schema

ETC: Final = ROOT / "etc"
PUBLISHED: Final[dict[str, Any]] = {
    **json.loads((ROOT / "tests/published/collectors.json").read_text()),
    "filebeat": json.loads((ROOT / "tests/published/filebeat.json").read_text()),
}


def options(tool: str, *parts: str) -> set[str]:
    """Return the names of the options that a tool has in some parts."""
    return {name for part in parts for name in PUBLISHED[tool]["options"][part]}


def nested(value: Any) -> Iterator[str]:
    """Return all keys of a configuration."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from nested(inner)


# ---------------------------------------------------------------- options


def test_filebeat() -> None:
    """Inputs, processors and the output have only options that are documented."""
    known = configuration("filebeat/filebeat.yml")
    assert set(known) <= options("filebeat", "general")
    (source,) = known["filebeat.inputs"]
    assert set(source) <= options("filebeat", "filestream")
    assert set(known["output.elasticsearch"]) <= options("filebeat", "output.elasticsearch")
    for processor in known["processors"]:
        ((name, given),) = processor.items()
        assert set(given) <= options("filebeat", name)


def test_fluent_bit() -> None:
    """Every property is one of the plugin, or of all plugins of its kind."""
    known = configuration("fluent-bit/fluent-bit.yaml")
    assert set(known) == {"service", "parsers", "pipeline"}
    assert set(known["service"]) <= options("fluent-bit", "service")
    for kind in ("input", "filter", "output"):
        for plugin in known["pipeline"][f"{kind}s"]:
            assert set(plugin) - {"name"} <= options("fluent-bit", kind, plugin["name"])


def test_vector() -> None:
    """Every option is one of its component, and inputs are components."""
    known = configuration("vector/vector.yaml")
    assert set(known) == {"data_dir", "sources", "transforms", "sinks"}
    components = {**known["sources"], **known["transforms"]}
    for kind in ("sources", "transforms", "sinks"):
        for component in known[kind].values():
            part = f"{kind}.{component['type']}"
            assert set(nested(component)) <= options("vector", part) | {"type", "inputs"}
            assert set(component.get("inputs", ())) <= set(components)


_TOKEN: Final = re.compile(
    r"""\s+|\#[^\n]*|(?P<text>"(?:\\"|[^"])*"|'(?:\\'|[^'])*')|(?P<word>[A-Za-z0-9_-]+)"""
    r"""|(?P<sign>=>|[{}\[\],])"""
)


def plugins(text: str) -> list[tuple[str, set[str]]]:
    """Return the plugins of a Logstash configuration with the options that they are given.

    By the grammar of Logstash (config_ast and grammar.treetop), as far as we use it.
    """
    tokens, place = [], 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        assert found, text[place : place + 40]
        place = found.end()
        if found.lastgroup:
            tokens.append(found[0])
    made: list[tuple[str, set[str]]] = []
    stack: list[str] = []
    for number, token in enumerate(tokens):
        if token == "{":
            stack.append(tokens[number - 1])
            if len(stack) > 1:
                made.append((f"{stack[0]}-{stack[-1]}", set()))
        elif token == "}":
            stack.pop()
        elif token == "=>":
            assert len(stack) > 1
            owner = f"{stack[0]}-{stack[-1]}"
            next(names for name, names in reversed(made) if name == owner).add(tokens[number - 1])
    assert stack == []
    return made


def test_logstash() -> None:
    """It is a configuration, and every option is one of its plugin."""
    found = dict(plugins((ETC / "logstash/cowrie-sessionstats.conf").read_text()))
    assert set(found) == {
        "input-file", "input-plain", "filter-ruby", "output-elasticsearch"
    }  # fmt: skip
    assert found.pop("input-plain") == {"charset"}
    for name, names in found.items():
        assert names <= options("logstash", name) | {"codec"}


def splunk(name: str) -> configparser.RawConfigParser:
    """Return what one of the files for Splunk says."""
    parser = configparser.RawConfigParser(delimiters=["="], strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ETC / "splunk" / name)
    return parser


@pytest.mark.parametrize("name", ["inputs.conf", "props.conf", "limits.conf"])
def test_splunk(name: str) -> None:
    """Every setting is in Splunk's own specification."""
    known = splunk(name)
    settings = {
        re.sub(r"^(FIELDALIAS|EVAL)-.*", r"\1-", key) for s in known.sections() for key in known[s]
    }
    assert settings
    assert settings <= options("splunk", name)


def test_splunk_takes_the_log_and_the_collector_alike() -> None:
    """One source type; fields once, when they are searched; the time of the close is found."""
    known = splunk("props.conf")
    assert known.sections() == [SOURCETYPE]
    (source,) = splunk("inputs.conf").sections()
    assert splunk("inputs.conf")[source]["sourcetype"] == SOURCETYPE
    assert known[SOURCETYPE]["KV_MODE"] == "json"
    assert "INDEXED_EXTRACTIONS" not in known[SOURCETYPE]
    close = "2026-03-18T10:00:05.250000Z"
    forged = '"timestamp": "2001-01-01T00:00:00.000000Z"'
    record = {"username": forged, **summary("a", "id", last_command=forged), "timestamp": close}
    for line in (json.dumps(dict(record)), json.dumps(dict(record), separators=(",", ":"))):
        prefix = re.search(known[SOURCETYPE]["TIME_PREFIX"], line)
        assert prefix
        assert line[prefix.end() :].startswith(close)
    assert len(close) <= int(known[SOURCETYPE]["MAX_TIMESTAMP_LOOKAHEAD"])


# ---------------------------------------------------------------- sizes


def longest() -> int:
    """Return the bytes of the longest line that a record can be: each character takes twelve."""
    size = 2
    for key, schema in json_schema()["properties"].items():
        text = 12 * TEXT_LIMIT + 4
        size += len(key) + 6
        size += schema["maxItems"] * text if schema.get("type") == "array" else text
    return size


def test_no_record_is_too_long() -> None:
    """What an attacker fills all lists of comes whole, or the next records would suffer."""
    bounds = {
        "vector": configuration("vector/vector.yaml")["sources"]["cowrie_log"]["max_line_bytes"],
        "splunk": int(splunk("props.conf")[SOURCETYPE]["TRUNCATE"]),
        "spath": int(splunk("limits.conf")["spath"]["extraction_cutoff"]),
        "kv": int(splunk("limits.conf")["kv"]["maxchars"]),
    }
    (source,) = configuration("fluent-bit/fluent-bit.yaml")["pipeline"]["inputs"]
    bounds["fluent-bit"] = int(source["buffer_max_size"].removesuffix("M")) << 20
    assert set(bounds.values()) == {8 << 20}
    assert longest() < 8 << 20


# ---------------------------------------------------------------- Wazuh


def rules() -> list[ET.Element]:
    """Return Wazuh's rules."""
    tree = ET.parse(ETC / "wazuh/cowrie_sessionstats_rules.xml")  # noqa: S314 - our own file
    return tree.getroot().findall("rule")


def alerts(line: str) -> list[str]:
    """Return the rules that a line leads to, one under the other.

    As Wazuh goes: of the rules below one, the first of the highest level that matches.
    """
    known = sorted(rules(), key=lambda rule: -int(rule.attrib["level"]))
    path: list[str] = []
    while True:
        above = path[-1] if path else None
        for rule in known:
            if rule.findtext("if_sid") == above and re.search(rule.findtext("regex", "$^"), line):
                path.append(rule.attrib["id"])
                break
        else:
            return path


def test_wazuh_has_what_the_rules_and_the_agent_are_told() -> None:
    """Elements and attributes are Wazuh's; numbers are of those for users, each once."""
    for element in ET.parse(ETC / "wazuh/cowrie_sessionstats_rules.xml").iter():  # noqa: S314
        assert {element.tag, *element.attrib} <= options("wazuh", "rules") | {"name", "type"}
    for element in ET.parse(ETC / "wazuh/ossec.conf").iter():  # noqa: S314
        assert element.tag in options("wazuh", "localfile") | {"ossec_config", "localfile"}
    numbers = [int(rule.attrib["id"]) for rule in rules()]
    assert len(set(numbers)) == len(numbers)
    assert all(100_000 <= number <= 120_000 for number in numbers)


@pytest.mark.parametrize(
    ("known", "last"),
    [
        ({"logged_in": False}, "117100"),
        ({}, "117101"),
        ({"automation": "interactive", "downloads": 3}, "117102"),
        ({"downloads": 3}, "117103"),
        ({"uploads": 1}, "117103"),
        ({"check_last": "disk-size"}, "117104"),
        ({"forwards": 10}, "117105"),
        ({"partial": "recovered"}, "117110"),
        ({"partial": "evicted"}, "117111"),
        ({"ending": "sensor_stopped", "logged_in": False}, "117112"),
        ({"last_command": '"automation": "interactive", "partial": "evicted"'}, "117101"),
        ({"username": '\\","partial":"evicted'}, "117101"),
    ],
)
def test_wazuh_alerts(known: dict[str, Any], last: str) -> None:
    """Each rule for its sessions, of the log and of the forwarder; no attacker's text is a key."""
    usual = {"logged_in": True, "automation": "automated", "ending": "exit", "check_last": None}
    record = {
        key: value
        for key, value in {**summary("a", "id"), **usual, **known}.items()
        if value is not None
    }
    for line in (json.dumps(record), json.dumps(record, separators=(",", ":"))):
        assert alerts(line)[-1] == last


@given(record=hostile_records)
@settings(max_examples=60, deadline=None)
def test_wazuh_alerts_are_about_what_a_record_says(record: dict[str, Any]) -> None:
    """Also where its own parser refuses the line, because of a byte that is no UTF-8."""
    path = alerts(json.dumps(record))
    assert path[0] == "117100"
    assert ("117110" in path) == (record.get("partial") == "recovered")
    assert ("117102" in path) == (
        record.get("logged_in") is True
        and record["automation"] == "interactive"
        and record.get("partial") not in ("recovered", "evicted")
        and record["ending"] != "sensor_stopped"
    )


# ---------------------------------------------------------------- keys of the record

_KEY: Final = re.compile(
    r'record\.([a-z_0-9]+)|record\["([a-z_0-9]+)"\]|"([a-z_]+)\\?": \?|\$\(([a-z_]+)\)'
    r'|\["((?:src|dst)_ip)"'
)


def used(path: Path) -> set[str]:
    """Return the keys of a record that a configuration names."""
    found = {key for match in _KEY.findall(path.read_text("utf-8")) for key in match if key}
    if path.name == "props.conf":
        for name, value in splunk("props.conf")[SOURCETYPE].items():
            if name.startswith("FIELDALIAS"):
                found |= {pair.split()[0].strip('"{}') for pair in re.findall(r"\S+ AS \S+", value)}
            elif name == "EVAL-action":
                found |= set(re.findall(r"(\w+) ==", value))
    return found - {"each", "is_a", "line", "log"}  # what is there before a record is


@pytest.mark.parametrize(
    "name",
    [
        "filebeat/filebeat.yml",
        "fluent-bit/fluent-bit.yaml",
        "logstash/cowrie-sessionstats.conf",
        "splunk/props.conf",
        "vector/vector.yaml",
        "wazuh/cowrie_sessionstats_rules.xml",
    ],
)
def test_every_key_that_is_used_is_one_of_the_record(name: str) -> None:
    """A key that is renamed breaks this, instead of somebody's alerts."""
    found = used(ETC / name)
    assert found <= set(KEYS)
    assert len(found) > 5


def test_what_is_yaml_is_read() -> None:
    """Nothing is there twice, which YAML takes in silence."""
    for path in (ETC / "filebeat/filebeat.yml", ETC / "vector/vector.yaml"):
        node = yaml.compose(path.read_text())
        assert isinstance(node, yaml.MappingNode)
        names = [key.value for key, _ in node.value]
        assert len(names) == len(set(names))
