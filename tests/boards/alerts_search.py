"""The alerts as rules of Kibana's detection engine and as monitors of OpenSearch's alerting."""

from __future__ import annotations

import json
from typing import Any, Final

from boards.alerts import (
    EVERY_MINUTES,
    KNOWN_DAYS,
    LATE_HOURS,
    QUIET,
    QUIET_HOURS,
    SEVERITIES,
    Alert,
    Quiet,
    alerts,
)
from boards.panels import PATTERN, field_of

_TAGS: Final = ["Cowrie", "Honeypot"]
_AUTHOR: Final = "The cowrie-sessionstats authors"
_SESSION, _SENSOR = field_of("session"), field_of("sensor")


def kibana_rules() -> str:
    """Return the rules to import, one on a line."""
    rules = [_rule(alert) for alert in alerts()]
    return "".join(json.dumps(rule, sort_keys=True) + "\n" for rule in [*rules, _quiet_rule()])


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        **_common(alert),
        "type": "query",
        "language": "lucene",
        "query": alert.lucene,
        "index": [PATTERN],
        "from": f"now-{LATE_HOURS}h",
        "interval": f"{EVERY_MINUTES}m",
        "false_positives": list(alert.false_positives),
    }


def _quiet_rule() -> dict[str, Any]:
    query = (
        f"FROM {PATTERN} | STATS last_record = MAX(@timestamp) BY {_SENSOR} "
        f"| WHERE last_record < NOW() - {QUIET_HOURS} hours"
    )
    return {
        **_common(QUIET),
        "type": "esql",
        "language": "esql",
        "query": query,
        "from": f"now-{KNOWN_DAYS}d",
        "interval": f"{QUIET_HOURS}h",  # each look is a new alert while the sensor is quiet
        "false_positives": ["A sensor in a network where nobody comes by for hours"],
    }


def _common(alert: Alert | Quiet) -> dict[str, Any]:
    return {
        "rule_id": alert.id,
        "name": alert.title,
        "description": alert.description,
        "risk_score": SEVERITIES[alert.level],
        "severity": alert.level,
        "to": "now",
        "enabled": True,
        "author": [_AUTHOR],
        "license": "BSD-3-Clause",
        "tags": [*_TAGS, *(alert.techniques if isinstance(alert, Alert) else ())],
        "references": [],
        "threat": [],
        "max_signals": 100,
        "version": 1,
        "exceptions_list": [],
        "actions": [],
    }


# ---------------------------------------------------------------- OpenSearch

_BUCKETS: Final = "composite_agg"
_MOST: Final = 1000
"""Sensors, and sessions in a look, that a monitor tells apart."""
_SEVERITY: Final = {"high": "2", "medium": "3"}


def opensearch_monitor(name: str) -> str:
    """Return the monitor of that name: a request to the API."""
    known = {alert.name: _monitor(alert) for alert in alerts()} | {QUIET.name: _quiet_monitor()}
    return json.dumps(known[name], indent=1) + "\n"


def _monitor(alert: Alert) -> dict[str, Any]:
    """Return a monitor that alerts once for each session."""
    query = {"query_string": {"query": alert.lucene}}
    return _of_buckets(
        alert,
        _since(f"{LATE_HOURS}h", query),
        _SESSION,
        {},
        ("sessions", "_count", "params.sessions > 0"),
    )


def _quiet_monitor() -> dict[str, Any]:
    """Return a monitor that alerts for each sensor that was there, but not lately."""
    lately = {"filter": {"range": {"@timestamp": {"gte": _ago(f"{QUIET_HOURS}h"), **_FORMAT}}}}
    return _of_buckets(
        QUIET,
        _since(f"{KNOWN_DAYS}d"),
        _SENSOR,
        {"lately": lately},
        ("lately", "lately._count", "params.lately == 0"),
    )


_FORMAT: Final = {"format": "epoch_millis"}


def _ago(time: str) -> str:
    return f"{{{{period_end}}}}||-{time}"


def _since(time: str, *queries: dict[str, Any]) -> dict[str, Any]:
    limits = {"gte": _ago(time), "lte": "{{period_end}}", **_FORMAT}
    return {"bool": {"filter": [{"range": {"@timestamp": limits}}, *queries]}}


def _of_buckets(
    alert: Alert | Quiet,
    query: dict[str, Any],
    by: str,
    inner: dict[str, Any],
    when: tuple[str, str, str],
) -> dict[str, Any]:
    variable, path, script = when
    sources = [{"key": {"terms": {"field": by}}}]
    composite: dict[str, Any] = {"composite": {"size": _MOST, "sources": sources}}
    if inner:
        composite["aggs"] = inner
    condition = {
        "buckets_path": {variable: path},
        "parent_bucket_path": _BUCKETS,
        "script": {"source": script, "lang": "painless"},
        "gap_policy": "skip",
    }
    trigger = {
        "name": alert.title,
        "severity": _SEVERITY[alert.level],
        "condition": condition,
        "actions": [],
    }
    return {
        "type": "monitor",
        "name": alert.title,
        "monitor_type": "bucket_level_monitor",
        "enabled": True,
        "schedule": {"period": {"interval": EVERY_MINUTES, "unit": "MINUTES"}},
        "inputs": [
            {
                "search": {
                    "indices": [PATTERN],
                    "query": {"size": 0, "query": query, "aggregations": {_BUCKETS: composite}},
                }
            }
        ],
        "triggers": [{"bucket_level_trigger": trigger}],
    }
