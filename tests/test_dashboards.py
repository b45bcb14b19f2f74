"""The dashboards: what their files say, and that their panels show the right numbers."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from boards.grafana import ELASTICSEARCH, OPENSEARCH
from boards.panels import PANELS
from conftest import ROOT
from jsonschema import Draft7Validator
from make_boards import ETC, FILES

from cowrie_sessionstats.outputs.formats.ecs_template import index_template

PUBLISHED: Final = ROOT / "tests/published"
FACTS: Final = json.loads((PUBLISHED / "saved-objects.json").read_text())
GRAFANA: Final = json.loads((PUBLISHED / "grafana.json").read_text())["$defs"]
NDJSON: Final = ("kibana", "opensearch")


def saved(name: str) -> list[dict[str, Any]]:
    """Return the saved objects of a file."""
    text = (ETC / name / "cowrie-sessionstats.ndjson").read_text()
    return [json.loads(line) for line in text.splitlines()]


def states(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each visualization of a file with its state."""
    for each in saved(name):
        if each["type"] == "visualization":
            yield each, json.loads(each["attributes"]["visState"])


def boards() -> dict[str, dict[str, Any]]:
    """Return Grafana's dashboards by their kind of data source."""
    files = {ELASTICSEARCH: "cowrie-sessionstats", OPENSEARCH: "cowrie-sessionstats-opensearch"}
    return {
        kind: json.loads((ETC / f"grafana/{name}.json").read_text()) for kind, name in files.items()
    }


def types() -> dict[str, str]:
    """Return the types of all fields, as the index template has them."""
    found: dict[str, str] = {}

    def walk(properties: dict[str, Any], prefix: str) -> None:
        for name, known in properties.items():
            if "properties" in known:
                walk(known["properties"], f"{prefix}{name}.")
            else:
                found[prefix + name] = known["type"]

    walk(index_template()["template"]["mappings"]["properties"], "")
    return found


TYPES: Final = types()


# ---------------------------------------------------------------- the files


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_the_description_makes(name: str) -> None:
    """``python tests/make_boards.py`` makes it anew."""
    assert (ETC / name).read_text() == FILES[name]()


def check_agg(kind: str, field: str) -> None:
    """Fail unless a field is there and has a type that can be aggregated so."""
    kind = {"percentiles": "median"}.get(kind, kind)
    assert TYPES[field] in FACTS["aggs"][kind]["types"], (kind, field)


@pytest.mark.parametrize("name", NDJSON)
def test_visualizations_ask_for_what_is_there(name: str) -> None:
    """Each aggregation is one of theirs, where it may stand, over a field that fits."""
    for _, state in states(name):
        assert [agg["id"] for agg in state["aggs"]] == [
            str(number) for number in range(1, len(state["aggs"]) + 1)
        ]
        for agg in state["aggs"]:
            known = FACTS["aggs"][agg["type"]]
            assert set(agg["params"]) <= {*known["params"], "customLabel", "json"}
            assert agg["schema"] in FACTS["visualizations"][state["type"]]
            check_agg(agg["type"], agg["params"]["field"])
            json.loads(agg["params"].get("json", "{}"))
            if agg["type"] == "terms":
                assert agg["params"]["orderBy"] in {
                    other["id"] for other in state["aggs"] if other["schema"] == "metric"
                }


@pytest.mark.parametrize("name", NDJSON)
def test_saved_objects_hold_together(name: str) -> None:
    """References resolve to what stands before; attributes are known; no version is too new."""
    seen: set[tuple[str, str]] = set()
    for each in saved(name):
        kind, attributes = each["type"], each["attributes"]
        assert set(attributes) <= set(FACTS["attributes"][kind])
        referred = {reference["name"]: reference for reference in each["references"]}
        assert len(referred) == len(each["references"])
        assert {(known["type"], known["id"]) for known in referred.values()} <= seen
        seen.add((kind, each["id"]))
        newest = FACTS["versions"][name][kind]
        if name == "kibana":
            version = each["typeMigrationVersion"]
            assert each["coreMigrationVersion"] == "8.8.0"
            assert "migrationVersion" not in each
        else:
            version = each["migrationVersion"][kind]
            assert not {"coreMigrationVersion", "typeMigrationVersion", "managed"} & set(each)
        assert as_numbers(version) <= as_numbers(newest)
        if kind == "index-pattern":
            assert set(json.loads(attributes["fieldFormatMap"])) <= set(TYPES)
            continue
        source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
        wanted = re.findall(r'[rR]efName": "([^"]+)"', json.dumps(source))
        assert set(wanted) <= set(referred)
        assert fields_of(source["query"]["query"]) <= set(TYPES)
        assert fields_of(" ".join(f"{name}:" for name in attributes.get("columns", ()))) <= set(
            TYPES
        )
    assert seen  # there was something


def as_numbers(version: str) -> list[int]:
    """Return a version for comparing."""
    return [int(part) for part in version.split(".")]


def fields_of(query: str) -> set[str]:
    """Return the fields that a query names."""
    return set(re.findall(r"([\w@][\w.@]*)\s*(?=:|>)", query))


@pytest.mark.parametrize("name", NDJSON)
def test_the_dashboard_has_all_panels_side_by_side(name: str) -> None:
    """Each panel stands for one saved object, and none covers another on the 48 columns."""
    *others, board = saved(name)
    panels = json.loads(board["attributes"]["panelsJSON"])
    referred = {reference["name"]: reference["id"] for reference in board["references"]}
    prefix = "{0}:" if name == "kibana" else ""
    shown = [
        referred[prefix.format(panel["panelIndex"]) + panel["panelRefName"]] for panel in panels
    ]
    assert shown == [each["id"] for each in others if each["type"] != "index-pattern"]
    assert len(shown) == len(PANELS) + 1
    check_places([panel["gridData"] for panel in panels], 48)
    json.loads(board["attributes"]["optionsJSON"])


def check_places(places: list[dict[str, Any]], columns: int) -> None:
    """Fail if one goes beyond the columns, or covers another."""
    taken: set[tuple[int, int]] = set()
    for place in places:
        assert place["x"] + place["w"] <= columns
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]),
                range(place["y"], place["y"] + place["h"]),
            )
        )
        assert not cells & taken
        taken |= cells


# ---------------------------------------------------------------- Grafana


def problems(made: Any, name: str) -> list[str]:
    """Return what Grafana's published schema says against it."""
    schema = {"$ref": f"#/$defs/{name}", "$defs": GRAFANA}
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in Draft7Validator(schema).iter_errors(made)
    ]


PLUGIN_METRICS: Final = frozenset(
    {
        "cowrie_sessionstats_backlog_records",
        "cowrie_sessionstats_backlog_seconds",
        "cowrie_sessionstats_delivered_records_total",
        "cowrie_sessionstats_dropped_events_total",
        "cowrie_sessionstats_errors_total",
        "cowrie_sessionstats_evictions_total",
        "cowrie_sessionstats_last_record_timestamp_seconds",
        "cowrie_sessionstats_lost_records_total",
        "cowrie_sessionstats_open_sessions",
        "cowrie_sessionstats_records_total",
        "cowrie_sessionstats_revisions_total",
        "cowrie_sessionstats_set_aside_records",
        "cowrie_sessionstats_start_time_seconds",
        "cowrie_sessionstats_unlogged_records_total",
        "cowrie_sessionstats_unstored_records_total",
        "cowrie_sessionstats_write_seconds_count",
        "cowrie_sessionstats_write_seconds_sum",
    }
)


@pytest.mark.parametrize("kind", [ELASTICSEARCH, OPENSEARCH])
def test_grafanas_dashboard_is_one_by_its_schema(kind: str) -> None:
    """The whole, and the options, fields and queries of each panel."""
    board = boards()[kind]
    assert problems(board, "dashboard.Dashboard") == []
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    check_places([panel["gridPos"] for panel in board["panels"]], 24)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for panel in panels:
        assert problems(panel["options"], f"{panel['type']}.Options") == []
        if f"{panel['type']}.FieldConfig" in GRAFANA:
            custom = panel["fieldConfig"]["defaults"]["custom"]
            assert problems(custom, f"{panel['type']}.FieldConfig") == []
        for override in panel["fieldConfig"]["overrides"]:
            re.compile(override["matcher"]["options"].strip("/"))
        for target in panel["targets"]:
            of = target["datasource"]
            assert of["uid"].strip("${}") in variables
            if of["type"] == "prometheus":
                assert problems(target, "prometheus.Dataquery") == []
                named = set(re.findall(r"cowrie_sessionstats_\w+", target["expr"]))
                assert named
                assert named <= PLUGIN_METRICS
            else:
                assert of["type"] == kind
                assert problems(target, "elasticsearch.dataquery") == []
                check_target(target, variables)


def check_target(target: dict[str, Any], variables: set[str]) -> None:
    """Fail unless a query names fields that are there and fit."""
    assert set(re.findall(r"\$(\w+)", target["query"])) <= variables
    assert fields_of(target["query"]) <= set(TYPES)
    for agg in target["bucketAggs"]:
        check_agg(agg["type"], agg["field"])
    for metric in target["metrics"]:
        if metric["type"] != "raw_data":
            check_agg(metric["type"], metric["field"])
    if any(agg["type"] == "date_histogram" for agg in target["bucketAggs"]):
        assert target["bucketAggs"][-1]["type"] == "date_histogram"


def test_the_schema_refuses_what_is_wrong() -> None:
    """The derived schema has teeth."""
    board = boards()[ELASTICSEARCH]
    assert problems({**board, "schemaVersion": "39"}, "dashboard.Dashboard")
    assert problems({**board, "panel": []}, "dashboard.Dashboard")
    target = board["panels"][0]["targets"][0]
    for wrong in ({"timefield": "@timestamp"}, {"metrics": [{"id": 1, "type": "cardinality"}]}):
        assert problems({**target, **wrong}, "elasticsearch.dataquery")


def test_all_that_the_plugin_measures_is_shown() -> None:
    """Every metric has a place on the dashboard."""
    text = json.dumps(boards()[ELASTICSEARCH]["panels"])
    assert set(re.findall(r"cowrie_sessionstats_\w+", text)) == PLUGIN_METRICS
