"""What holds of docker/compose.yaml without running it."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from typing import Any

import pytest
import yaml
from conftest import ROOT
from jsonschema import Draft7Validator

from cowrie_sessionstats.outputs.destinations import read_destinations

DOCKER = ROOT / "docker"
PROFILES = {
    *("elastic", "filebeat", "fluent-bit", "grafana", "logstash", "opensearch", "rsyslog"),
    *("splunk", "syslog-ng", "vector", "wazuh"),
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return compose.yaml, its anchors resolved."""
    read: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return read


def test_compose_keeps_to_the_published_schema(compose: dict[str, Any]) -> None:
    """The Compose Specification's own."""
    path = ROOT / "tests/published/compose-spec.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    validator = Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []


def test_compose_names_versions_and_files_that_exist(compose: dict[str, Any]) -> None:
    """Every foreign image has an exact tag, every mounted file is in the repository."""
    for name, service in compose["services"].items():
        if "build" not in service:
            assert re.search(r":v?\d+[.-]\d[\w.-]*$", service["image"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), f"{name}: {source}"
            else:
                assert source in compose["volumes"], f"{name}: {source}"
    used = {v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert set(compose["volumes"]) <= used


def test_compose_starts_the_sensor_alone_unless_told(compose: dict[str, Any]) -> None:
    """Each path to a SIEM is a profile, and the README has a row for each."""
    services = dict(compose["services"])
    sensor = services.pop("cowrie")
    assert "profiles" not in sensor
    assert all(service["profiles"] for service in services.values())
    profiles = {profile for service in services.values() for profile in service["profiles"]}
    assert profiles == PROFILES
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## In a container\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == PROFILES


def test_compose_takes_from_the_sensor_what_it_does_not_need(compose: dict[str, Any]) -> None:
    """As the README says of it; and nothing but the sensor is open to the world."""
    sensor = compose["services"]["cowrie"]
    assert sensor["read_only"]
    assert sensor["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in sensor["security_opt"]
    health = re.search(r"HEALTHCHECK .*CMD (.*)", (DOCKER / "Dockerfile").read_text())
    assert health
    assert sensor["healthcheck"]["test"] == ["CMD", *json.loads(health[1])]
    for name, service in compose["services"].items():
        if name != "cowrie":
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_compose_has_the_destination_that_its_syslog_servers_are(compose: dict[str, Any]) -> None:
    """With the options as the sensor's environment has them."""
    environment = {
        name: value
        for name, value in compose["services"]["cowrie"]["environment"].items()
        if name.startswith("COWRIE_SESSIONSTATS_")
    }
    senders = read_destinations(ConfigParser(), ("syslog",), environment)
    assert "127.0.0.1:514" in senders["syslog"].target
    for name in ("rsyslog", "syslog-ng"):
        assert compose["services"][name]["network_mode"] == "service:cowrie"
