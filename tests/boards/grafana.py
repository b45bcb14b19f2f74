"""The panels as a dashboard of Grafana, with a row of the plugin's own metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from boards.grafana_metrics import metrics_row
from boards.looks import BARS, OVER_TIME, PIE, STAT, TABLE, Look, drawn
from boards.panels import (
    LOGGED_IN,
    PANELS,
    TITLE,
    WORTH_A_LOOK,
    Bucket,
    Metric,
    Panel,
    field_of,
    lucene,
)
from boards.visualizations import EXACT

SCHEMA_VERSION: Final = 39
"""Of Grafana 11.0: a later one migrates the dashboard by itself."""

ELASTICSEARCH: Final = "elasticsearch"
OPENSEARCH: Final = "grafana-opensearch-datasource"

CONSTANT: Final = "event.dataset"
"""A field that is the same in all documents: Grafana wants every figure divided by something."""


def dashboard(kind: str) -> str:
    """Return the dashboard over a data source of that kind, to import or to provision."""
    search = {"type": kind, "uid": "${search}"}
    panels = [_panel(number, search, panel) for number, panel in enumerate(PANELS, start=1)]
    panels.append(_worth_a_look(len(panels) + 1, search))
    below = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    panels += metrics_row(len(panels) + 1, below)
    name = "opensearch" if kind == OPENSEARCH else "elasticsearch"
    whole = {
        "uid": f"cowrie-sessionstats-{name}",
        "title": TITLE,
        "description": "Sessions of Cowrie honeypots, by cowrie-sessionstats",
        "tags": ["cowrie", "honeypot"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "timezone": "browser",
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "",
        "graphTooltip": 1,
        "annotations": {"list": []},
        "templating": {"list": _variables(kind, search)},
        "links": [],
        "panels": panels,
    }
    return json.dumps(whole, indent=1) + "\n"


def _variables(kind: str, search: Mapping[str, str]) -> list[dict[str, Any]]:
    logged_in = f"{field_of(LOGGED_IN)}:true"
    chosen = {"text": "Logged in", "value": logged_in, "selected": True}
    everything = {"text": "All", "value": "*", "selected": False}
    sensors = {"find": "terms", "field": field_of("sensor"), "size": 1000}
    return [
        {"name": "search", "label": "Sessions in", "type": "datasource", "query": kind},
        {"name": "prometheus", "label": "Metrics in", "type": "datasource", "query": "prometheus"},
        {
            "name": "sessions",
            "label": "Sessions",
            "type": "custom",
            "query": f"Logged in : {logged_in}, All : *",
            "current": chosen,
            "options": [chosen, everything],
            "includeAll": False,
            "multi": False,
        },
        {
            "name": "sensor",
            "label": "Sensor",
            "type": "query",
            "datasource": dict(search),
            "query": json.dumps(sensors),
            "refresh": 2,
            "includeAll": True,
            "allValue": "*",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"], "selected": True},
        },
    ]


def query(where: str) -> str:
    """Return the Lucene query of a panel: what the page has chosen, and the panel's own."""
    chosen = f"$sessions AND {field_of('sensor')}:$sensor"
    return f"{chosen} AND ({lucene(where)})" if where else chosen


# ---------------------------------------------------------------- panels over sessions


def _look(panel: Panel) -> Look:
    if panel.kind == "bars":
        return OVER_TIME if panel.buckets[0].kind == "time" else BARS
    return {"numbers": STAT, "pie": PIE, "table": TABLE}[panel.kind]


def _panel(number: int, search: dict[str, str], panel: Panel) -> dict[str, Any]:
    metrics = [
        _metric(identifier, metric) for identifier, metric in enumerate(panel.metrics, start=1)
    ]
    buckets = sorted(panel.buckets, key=lambda bucket: bucket.kind == "time")  # Grafana's last
    first = len(metrics) + 1
    groups = [_bucket(identifier, bucket) for identifier, bucket in enumerate(buckets, start=first)]
    target = _target(search, panel.where, metrics, groups or [_terms(first, CONSTANT, 1)])
    look = _look(panel)
    made = drawn(number, panel.title, search, look, _place(*panel.place))
    made["targets"] = [target]
    made["fieldConfig"]["overrides"] = _overrides(panel)
    if look is BARS:
        name = panel.buckets[0].field
        made["options"]["xField"] = name
        as_text = {"targetField": name, "destinationType": "string"}
        made["transformations"] = [
            {"id": "convertFieldType", "options": {"fields": {}, "conversions": [as_text]}}
        ]
    return made


def _target(
    search: dict[str, str], where: str, metrics: list[dict[str, Any]], groups: list[dict[str, Any]]
) -> dict[str, Any]:
    target: dict[str, Any] = {
        "refId": "A",
        "datasource": search,
        "query": query(where),
        "timeField": "@timestamp",
        "metrics": metrics,
        "bucketAggs": groups,
    }
    if search["type"] == OPENSEARCH:
        target["queryType"] = "lucene"  # it has another language, too
    return target


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x // 2, "y": y, "w": width // 2, "h": height}  # of 24 columns


def _metric(identifier: int, metric: Metric) -> dict[str, Any]:
    given: dict[str, Any] = {"id": str(identifier), "field": metric.field}
    if metric.kind == "distinct":
        settings = {"precision_threshold": str(EXACT)}
        return {**given, "type": "cardinality", "settings": settings}
    if metric.kind == "median":
        return {**given, "type": "percentiles", "settings": {"percents": ["50"]}}
    return {**given, "type": {"mean": "avg"}.get(metric.kind, metric.kind)}


def _bucket(identifier: int, bucket: Bucket) -> dict[str, Any]:
    if bucket.kind == "terms":
        return _terms(identifier, bucket.field, bucket.size)
    given = {"id": str(identifier), "field": bucket.field}
    if bucket.kind == "time":
        settings = {"interval": "auto", "min_doc_count": "0", "trimEdges": "0"}
        return {**given, "type": "date_histogram", "settings": settings}
    return {**given, "type": "histogram", "settings": {"interval": "1", "min_doc_count": "1"}}


def _terms(identifier: int, name: str, size: int) -> dict[str, Any]:
    settings = {"size": str(size), "order": "desc", "orderBy": "1", "min_doc_count": "1"}
    return {"id": str(identifier), "type": "terms", "field": name, "settings": settings}


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    """Return how columns are called and shown; Grafana names them by what they are of."""
    overrides = [
        _override(f"^{_escaped(bucket.field)}$", displayName=bucket.label)
        for bucket in panel.buckets
        if bucket.label
    ]
    for metric in panel.metrics:
        alike = [each for each in panel.metrics if each.kind == metric.kind]
        name = _COLUMNS[metric.kind]
        if len(alike) > 1 or metric.kind == "median":
            name += f" {_escaped(metric.field)}"
        said: dict[str, Any] = {}
        if not any(bucket.kind == "time" for bucket in panel.buckets):
            said["displayName"] = metric.label
        if metric.is_time:
            said["unit"] = "dateTimeAsIso"
        elif metric.key == "duration":
            said["unit"] = "ns"
        if said:
            overrides.append(_override(f"^{name}$", **said))
    return overrides


_COLUMNS: Final = {
    "distinct": "Unique Count",
    "min": "Min",
    "max": "Max",
    "mean": "Average",
    "median": r"p50(\.0)?",
}


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")


def _override(expression: str, **said: Any) -> dict[str, Any]:
    return {
        "matcher": {"id": "byRegexp", "options": f"/{expression}/"},
        "properties": [{"id": name, "value": value} for name, value in said.items()],
    }


def _worth_a_look(number: int, search: dict[str, str]) -> dict[str, Any]:
    made = drawn(number, WORTH_A_LOOK.title, search, TABLE, _place(*WORTH_A_LOOK.place))
    whole = {"id": "1", "type": "raw_data", "settings": {"size": "100"}}
    made["targets"] = [_target(search, WORTH_A_LOOK.where, [whole], [])]
    shown = {"include": {"names": ["@timestamp", *WORTH_A_LOOK.columns]}}
    made["transformations"] = [{"id": "filterFieldsByName", "options": shown}]
    return made
