"""The alerts as Grafana's alerting is provisioned with them, over Elasticsearch."""

from __future__ import annotations

from typing import Any, Final

import yaml

from boards.alerts import (
    EVERY_MINUTES,
    KNOWN_DAYS,
    LATE_HOURS,
    QUIET,
    QUIET_HOURS,
    Alert,
    Quiet,
    alerts,
)
from boards.panels import field_of

SOURCE: Final = "cowrie-sessions"
"""The uid of the data source, as ``etc/grafana/datasources`` provisions it."""

_EXPRESSION: Final = "__expr__"
_MOST: Final = "1000"
_HOUR: Final = 3600


def rules() -> str:
    """Return the file for Grafana's folder ``provisioning/alerting``."""
    group = {
        "orgId": 1,
        "name": "cowrie-sessionstats",
        "folder": "Cowrie",
        "interval": f"{EVERY_MINUTES}m",
        "rules": [*(_rule(alert) for alert in alerts()), _quiet_rule()],
    }
    return "# Made by tests/make_boards.py.\n" + yaml.safe_dump(
        {"apiVersion": 1, "groups": [group]}, sort_keys=False, width=100
    )


def _rule(alert: Alert) -> dict[str, Any]:
    by = field_of("session")
    data = [
        _query(alert.lucene, by, f"{LATE_HOURS}h", LATE_HOURS * _HOUR),
        _reduced("B", "A", "sum"),
        _threshold("C", "B", "gt", 0),
    ]
    return _whole(alert, data, by, no_data="OK")


def _quiet_rule() -> dict[str, Any]:
    """Return the rule: the records of each sensor in the last hours of some days are none."""
    by = field_of("sensor")
    data = [
        _query("*", by, "10m", KNOWN_DAYS * 24 * _HOUR),
        _expression(
            "B",
            type="resample",
            expression="A",
            window=f"{QUIET_HOURS}h",
            downsampler="sum",
            upsampler="fillna",
        ),
        _reduced("C", "B", "last"),
        _threshold("D", "C", "lt", 1),
    ]
    return _whole(QUIET, data, by, no_data="Alerting")


def _whole(
    alert: Alert | Quiet, data: list[dict[str, Any]], by: str, *, no_data: str
) -> dict[str, Any]:
    return {
        "uid": alert.name.replace("_", "-"),
        "title": alert.title,
        "condition": data[-1]["refId"],
        "data": data,
        "noDataState": no_data,
        "execErrState": "Error",
        "for": "0s",
        "annotations": {
            "summary": f'{alert.title}: {{{{ index $labels "{by}" }}}}',
            "description": alert.description,
        },
        "labels": {"severity": alert.level, "product": "cowrie"},
        "isPaused": False,
    }


def _query(lucene: str, by: str, interval: str, seconds: int) -> dict[str, Any]:
    settings = {"size": _MOST, "order": "desc", "orderBy": "_count", "min_doc_count": "1"}
    model = {
        "refId": "A",
        "query": lucene,
        "timeField": "@timestamp",
        "metrics": [{"id": "1", "type": "count"}],
        "bucketAggs": [
            {"id": "2", "type": "terms", "field": by, "settings": settings},
            {
                "id": "3",
                "type": "date_histogram",
                "field": "@timestamp",
                "settings": {"interval": interval, "min_doc_count": "0", "trimEdges": "0"},
            },
        ],
    }
    return {
        "refId": "A",
        "relativeTimeRange": {"from": seconds, "to": 0},
        "datasourceUid": SOURCE,
        "model": model,
    }


def _reduced(name: str, of: str, reducer: str) -> dict[str, Any]:
    """Return the step that makes one number of a series; nothing counts as 0."""
    settings = {"mode": "replaceNN", "replaceWithValue": 0}
    return _expression(name, type="reduce", expression=of, reducer=reducer, settings=settings)


def _threshold(name: str, of: str, kind: str, limit: int) -> dict[str, Any]:
    conditions = [{"evaluator": {"type": kind, "params": [limit]}}]
    return _expression(name, type="threshold", expression=of, conditions=conditions)


def _expression(name: str, **said: Any) -> dict[str, Any]:
    return {
        "refId": name,
        "datasourceUid": _EXPRESSION,
        "model": {
            "refId": name,
            "datasource": {"type": _EXPRESSION, "uid": _EXPRESSION},
            **said,
        },
    }
