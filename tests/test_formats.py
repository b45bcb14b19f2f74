"""Formats for HTTP: whatever an attacker sent, a record is one document, and reads as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hostile_records import cleaned, hostile_records
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from receivers_http import OpenSearch, opensearch
from receivers_splunk import Collector
from samples import START, command, connect, login, only
from summaries import Record, summary

from cowrie_sessionstats._bounded import TEXT_LIMIT
from cowrie_sessionstats.outputs import http, identity
from cowrie_sessionstats.outputs.formats.ecs import NAMES, TYPES, ecs_document
from cowrie_sessionstats.outputs.formats.ecs_template import index_template
from cowrie_sessionstats.outputs.formats.ocsf import ENRICHMENTS, ocsf_event
from cowrie_sessionstats.outputs.identity import record_id
from cowrie_sessionstats.summary import KEYS
from cowrie_sessionstats.timestamps import parse_timestamp

PUBLISHED = Path(__file__).parent / "published"
ECS = json.loads((PUBLISHED / "ecs-9.4.0.json").read_text())
OCSF = json.loads((PUBLISHED / "ocsf-1.8.0.json").read_text())
CLASSES = {4007: "ssh_activity", 4001: "network_activity"}
batches = st.lists(hostile_records, min_size=1, max_size=4)


def lines(form: str, records: list[Record]) -> list[Any]:
    """Return what a format makes of records, read by a strict reader of JSON lines."""
    options = {"token": "t"} if form == "splunk_hec" else {}
    made = http.read({"url": "http://127.0.0.1:1", "format": form, **options}, "s", {})
    body = made.render(records).body
    assert body.endswith(b"\n")
    text = body.decode("ascii")
    assert text.count("\n") == len(text.splitlines())
    read = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    json.dumps(read, ensure_ascii=False).encode()  # no lone surrogate anywhere
    return read


# ---------------------------------------------------------------- every format


@given(batches)
def test_ndjson_is_the_record(records: list[Record]) -> None:
    """One line a record, with every key as it was."""
    assert lines("ndjson", records) == cleaned(records)


@given(batches)
def test_splunk_has_one_event_a_record(records: list[Record]) -> None:
    """Events that the collector takes, with the record in them and nothing injected."""
    made = lines("splunk_hec", records)
    assert len(made) == len(records)
    for number, (event, record) in enumerate(zip(made, records, strict=True)):
        Collector()._check(event, number)
        assert event["event"] == {"id": record_id(record), **cleaned(record)}
        assert set(event) <= {"time", "host", "source", "sourcetype", "event"}


@given(batches)
def test_elasticsearch_has_two_lines_a_record(records: list[Record]) -> None:
    """What to do, with nothing but the id; then the document."""
    made = lines("elasticsearch", records)
    assert made[::2] == [{"create": {"_id": record_id(record)}} for record in records]
    for document, record in zip(made[1::2], records, strict=True):
        assert document == cleaned(ecs_document(record))


@given(batches)
def test_ocsf_has_one_event_a_record(records: list[Record]) -> None:
    """One line a record, valid by the published schema."""
    made = lines("ocsf", records)
    assert len(made) == len(records)
    for event, record in zip(made, records, strict=True):
        check_ocsf(event)
        assert event["metadata"]["uid"] == record_id(record)


@pytest.mark.parametrize("form", ["ndjson", "elasticsearch", "splunk_hec", "ocsf"])
def test_a_megabyte_of_text_is_one_document(form: str) -> None:
    """Formats cut nothing: what a record holds is bounded before."""
    text = "\x00\n\r\u2028\ud800'\"\\" * 120_000
    (*_, document) = lines(form, [summary("a", last_command=text)])
    assert cleaned(text) in texts(document)


def texts(value: Any) -> list[Any]:
    """Return everything that stands in a document."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in texts(inner)]
    return [value]


@pytest.mark.parametrize("form", ["ndjson", "elasticsearch", "splunk_hec", "ocsf"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_json_cannot_say_is_an_error_of_that_record(form: str, number: float) -> None:
    """The engine sets such a record aside, instead of a batch that no parser takes."""
    options = {"token": "t"} if form == "splunk_hec" else {}
    made = http.read({"url": "http://127.0.0.1:1", "format": form, **options}, "s", {})
    with pytest.raises(ValueError, match="JSON compliant"):
        made.render([summary("a", command_rate=number)])


@pytest.mark.parametrize(
    ("hours", "is_put_right"), [(-5.5, True), (14, True), (0, False), (0.1, False), (400, False)]
)
def test_events_are_at_their_time_in_utc(hours: float, is_put_right: bool) -> None:  # noqa: FBT001
    """A sensor that is not set to UTC writes local time with a Z; the outbox knows the true one.

    What differs by no time zone is left as it is.
    """
    true = START + 10 + hours * 3600
    plain = summary("a", "id", timestamp="2026-03-18T10:00:10.000000Z")
    record = {**plain, "time": true}
    end = true if is_put_right else START + 10.0
    (ecs,) = lines("elasticsearch", [record])[1:]
    assert parse_timestamp(ecs["@timestamp"]) == end
    assert parse_timestamp(ecs["event"]["start"]) == end - 10
    assert parse_timestamp(ecs["event"]["end"]) == end
    (event,) = lines("splunk_hec", [record])
    assert event["time"] == end
    (activity,) = lines("ocsf", [record])
    assert activity["time"] == activity["end_time"] == end * 1000
    assert activity["start_time"] == (end - 10) * 1000
    assert lines("ndjson", [record]) == [plain]
    for made in (ecs["cowrie"], event["event"], activity["unmapped"]):
        assert "time" not in made
    assert ecs["event"]["id"] == record_id(plain)


# ---------------------------------------------------------------- the id


def test_an_id_is_the_same_everywhere_and_for_ever() -> None:
    """These were computed with sha256sum; a change would write all records again."""
    record = summary("5ca1ab1e0001")
    assert record["start"] == "2026-03-18T10:00:00.000000Z"
    assert record_id(record) == "708022027a36a1819995aed553ebb1f7"
    assert record_id({}) == "9318536c7a8f9758f3329da9580904b7"
    assert len(record_id(record)) == identity.LENGTH


@given(hostile_records, st.sampled_from(["uuid", "sensor", "session", "start", "revision"]))
def test_an_id_depends_on_what_tells_records_apart(record: Record, key: str) -> None:
    """Another sensor, session, time or revision is another document; other keys do not count."""
    assert record_id({**record, key: "other"}) != record_id(record)
    assert record_id({**record, "message": "other", "commands": 7}) == record_id(record)


# ---------------------------------------------------------------- ECS


def flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """Return the fields of a document by their whole names."""
    fields = {}
    for name, value in document.items():
        if isinstance(value, dict):
            fields.update(flat(value, f"{prefix}{name}."))
        else:
            fields[prefix + name] = value
    return fields


PYTHON_TYPES: dict[str, tuple[type, ...]] = {"long": (int,)}


@given(hostile_records)
def test_fields_are_those_that_ecs_publishes(record: Record) -> None:
    """By name and type; categories have allowed values; the rest stands under ``cowrie``."""
    fields = flat(ecs_document(record))
    for name, value in fields.items():
        if name.startswith("cowrie."):
            assert record[name.removeprefix("cowrie.")] == value
            continue
        published = ECS["fields"][name]
        assert isinstance(value, list) == published["is_array"], name
        for each in value if published["is_array"] else [value]:
            assert isinstance(each, PYTHON_TYPES.get(published["type"], (str,))), name
            assert each in published.get("allowed", [each])
    for category in fields["event.category"]:
        assert fields["event.type"][0] in ECS["fields"]["event.category"]["allowed"][category]


@given(hostile_records)
def test_no_key_is_lost_in_ecs(record: Record) -> None:
    """Each stands by its name in ECS or under ``cowrie``."""
    fields = flat(ecs_document(record))
    for key, value in record.items():
        if key == "duration":
            assert fields["event.duration"] == round(value * 1_000_000_000)
        elif key in NAMES:
            assert fields[NAMES[key]] == value
        else:
            assert fields[f"cowrie.{key}"] == value


def test_the_types_are_those_that_ecs_publishes() -> None:
    """The table that the template is made of has no type of its own."""
    assert {name: field["type"] for name, field in ECS["fields"].items()} == TYPES
    assert set(NAMES) <= set(KEYS)
    assert set(NAMES.values()) <= set(TYPES)


def test_a_document_says_what_the_session_was() -> None:
    """A whole one, by its names."""
    record = only([connect(), login(), command("uname -a", 2.0)], finish=True)
    fields = flat(ecs_document(record))
    assert fields["source.ip"] == "203.0.113.7"
    assert fields["source.port"] == 40_000
    assert fields["host.name"] == "svr04"
    assert fields["user.name"] == "root"
    assert fields["process.command_line"] == "uname -a"
    assert fields["event.outcome"] == "success"
    assert fields["cowrie.password"] == "admin"
    assert fields["related.ip"] == ["203.0.113.7", "198.51.100.2"]
    assert fields["event.id"] == record_id(record)


@pytest.mark.parametrize(
    ("known", "name", "value"),
    [
        ({"logged_in": False}, "event.outcome", "failure"),
        ({"logged_in": None}, "event.outcome", "unknown"),
        ({"partial": "open"}, "event.type", ["info"]),
        ({"partial": "evicted"}, "event.type", ["info"]),
        ({"partial": "joined_late"}, "event.type", ["end"]),
        ({"duration": 0.25}, "event.duration", 250_000_000),
        ({"src_ip": "2001:db8::7"}, "network.type", "ipv6"),
        ({"src_ip": "2001:db8::7"}, "source.ip", "2001:db8::7"),
        ({"src_ip": "fe80::1%eth0"}, "source.address", "fe80::1%eth0"),
        ({"src_ip": "fe80::1%eth0"}, "source.ip", None),
        ({"end": None, "start": "2026-03-18T10:00:00Z"}, "@timestamp", "2026-03-18T10:00:00Z"),
        ({"hassh": "ab", "files": ["cd"]}, "related.hash", ["ab", "cd"]),
    ],
)
def test_what_is_derived(known: dict[str, Any], name: str, value: Any) -> None:
    """Outcome, type, duration in nanoseconds, addresses that are such, and the time."""
    assert flat(ecs_document(summary("a", **known))).get(name) == value


# ---------------------------------------------------------------- the template


def test_the_template_is_the_one_in_etc() -> None:
    """``python -m cowrie_sessionstats.outputs.formats.ecs_template`` makes it anew."""
    written = json.loads((ROOT / "etc/elasticsearch-template.json").read_text())
    assert written == index_template()


def test_the_template_knows_every_field() -> None:
    """Counters are numbers, texts are bounded keywords or wildcards; nothing is left to guess."""
    mappings = index_template()["template"]["mappings"]["properties"]
    fields: dict[str, Any] = {}

    def walk(properties: Any, prefix: str) -> None:
        for name, field in properties.items():
            if "properties" in field:
                walk(field["properties"], f"{prefix}{name}.")
            else:
                fields[prefix + name] = field

    walk(mappings, "")
    own = {f"cowrie.{key}" for key in KEYS if key not in NAMES and key != "duration"}
    assert set(fields) == own | set(TYPES)
    for name in ("commands", "downloads", "login_attempts", "revision", "schema"):
        assert fields[f"cowrie.{name}"] == {"type": "long"}
    for name in ("command_rate", "gap_cv", "quiet_before_close"):
        assert fields[f"cowrie.{name}"] == {"type": "double"}
    assert fields["cowrie.logged_in"] == {"type": "boolean"}
    for name in ("cowrie.first_command", "cowrie.templates", "process.command_line"):
        assert fields[name] == {"type": "wildcard", "ignore_above": TEXT_LIMIT}
    assert fields["cowrie.first_seen"] == {"type": "date"}
    for field in fields.values():
        assert (field["type"] in ("keyword", "wildcard")) == ("ignore_above" in field)


@pytest.fixture(scope="module")
def searching() -> Any:
    """Return an OpenSearch, emulated."""
    with opensearch() as running:
        yield running


def test_an_index_with_the_template_takes_records(searching: OpenSearch) -> None:
    """Its mapping is the template's, also after hostile documents; sums and searches work."""
    mappings = index_template()["template"]["mappings"]
    searching.ask("PUT", "/cowrie-sessions", {"mappings": mappings})
    before = searching.ask("GET", "/cowrie-sessions/_mapping")
    for number in range(5):
        hostile = {"password": "\x00\ud800", "src_ip": "x\x00"}
        record = summary(f"s{number}", "uname -a", "id", at=number, **hostile)
        searching.ask("POST", "/cowrie-sessions/_doc", cleaned(ecs_document(record)))
    searching.ask("POST", "/cowrie-sessions/_refresh")
    assert searching.ask("GET", "/cowrie-sessions/_mapping") == before
    query = {
        "size": 0,
        "query": {"term": {"cowrie.first_command": "uname -a"}},
        "aggs": {"commands": {"sum": {"field": "cowrie.commands"}}},
    }
    found = searching.ask("POST", "/cowrie-sessions/_search", query)
    assert found["hits"]["total"]["value"] == 5
    assert found["aggregations"]["commands"]["value"] == 10


# ---------------------------------------------------------------- OCSF


def check_ocsf(event: Any) -> None:
    """Fail unless an event is one of its class by the published schema."""
    name = CLASSES[event["class_uid"]]
    schema = {**OCSF["$defs"][name], "$defs": OCSF["$defs"]}
    assert [error.message for error in Draft202012Validator(schema).iter_errors(event)] == []


def test_the_published_schema_refuses_what_is_wrong() -> None:
    """The derived schema has teeth: classes, types, required attributes and names."""
    event = ocsf_event(summary("a", "id"))
    check_ocsf(event)
    changes: tuple[dict[str, Any], ...] = (
        {"class_uid": 4001},
        {"activity_id": 8},
        {"time": 1.5},
        {"metadata": {}},
        {"severity_id": None},
        {"src_endpoint": {"ip": "nowhere"}},
        {"src_endpoint": {}},
        {"src_endpoint": {"ip": "192.0.2.1", "port": 65_536}},
        {"made_up": 1},
        {"enrichments": [{"name": "commands", "value": 1, "data": {}}]},
    )
    for change in changes:
        with pytest.raises(AssertionError):
            check_ocsf({**event, **change})


def test_an_ssh_session_is_ssh_activity() -> None:
    """Close, with times in milliseconds, counters as enrichments and the rest unmapped."""
    record = summary(
        "a", "id", "uname -a", username="root", password="x", auth="password", hassh="ab" * 16,
        client_version="SSH-2.0-Go", src_port=1024, dst_ip="198.51.100.2", dst_port=22,
    )  # fmt: skip
    event = ocsf_event(record)
    check_ocsf(event)
    assert (event["class_uid"], event["type_uid"]) == (4007, 400702)
    assert event["start_time"] == START * 1000
    assert event["time"] == event["end_time"] == (START + 10) * 1000
    assert event["duration"] == 10_000
    assert event["status"] == "Success"
    assert event["auth_type"] == "Password"
    assert event["protocol_ver"] == "2.0"
    assert event["client_hassh"]["fingerprint"]["value"] == "ab" * 16
    assert event["src_endpoint"] == {"ip": "203.0.113.7", "port": 1024}
    assert event["dst_endpoint"] == {"ip": "198.51.100.2", "port": 22, "svc_name": "ssh"}
    assert event["device"]["name"] == "svr04"
    assert event["actor"] == {"user": {"name": "root"}}
    enrichments = {each["name"]: each for each in event["enrichments"]}
    assert enrichments["commands"] == {
        "name": "commands", "value": "2", "type": "counter", "data": {"commands": 2},
    }  # fmt: skip
    assert event["unmapped"]["last_command"] == "uname -a"
    assert event["unmapped"]["password"] == "x"


def test_a_telnet_session_is_network_activity() -> None:
    """No class of OCSF is for Telnet; attributes of SSH are not in it."""
    event = ocsf_event(summary("a", "id", protocol="telnet", hassh="ab", auth="password"))
    check_ocsf(event)
    assert (event["class_uid"], event["type_uid"]) == (4001, 400102)
    assert event["app_protocol_name"] == "telnet"
    assert "client_hassh" not in event


@pytest.mark.parametrize("partial", ["open", "evicted"])
def test_a_session_that_goes_on_is_traffic(partial: str) -> None:
    """Its close was not seen."""
    event = ocsf_event(summary("a", partial=partial))
    check_ocsf(event)
    assert event["activity_name"] == "Traffic"
    assert event["type_uid"] == 400706


@given(hostile_records)
def test_no_key_is_lost_in_ocsf(record: Record) -> None:
    """Each is mapped, an enrichment or unmapped."""
    event = ocsf_event(record)
    told = json.dumps(event)
    enrichments = {each["name"]: each for each in event["enrichments"]}
    for key, value in record.items():
        if key in ENRICHMENTS:
            assert enrichments[key]["value"] == str(value)
            assert enrichments[key]["data"] == {key: value}
        elif key in event["unmapped"]:
            assert event["unmapped"][key] == value
        elif isinstance(value, str) and key not in ("start", "end", "auth", "hassh") and value:
            assert json.dumps(value) in told


def test_an_event_without_a_time_is_none() -> None:
    """OCSF requires one; such a record is set aside."""
    with pytest.raises(ValueError, match="has no time"):
        ocsf_event(summary("a", start=None, end=None))
