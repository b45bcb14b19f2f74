"""What a classic visualization asks (its aggregations), and how it is drawn (``visState``)."""

from __future__ import annotations

import json
from typing import Any, Final

from boards.panels import Bucket, Metric, Panel, ranges

EXACT: Final = 40_000
"""Up to so many sessions in a bucket they are counted exactly: the most that the search allows."""


def vis_state(panel: Panel, *, is_kibana: bool) -> dict[str, Any]:
    """Return the state of a panel, for Kibana or for OpenSearch Dashboards."""
    return {
        "title": panel.title,
        "type": _TYPES[panel.kind],
        "params": _PARAMS[panel.kind](panel, is_kibana),
        "aggs": _aggs(panel),
    }


_TYPES: Final = {"numbers": "metric", "bars": "histogram", "pie": "pie", "table": "table"}


def _aggs(panel: Panel) -> list[dict[str, Any]]:
    metrics = [
        _agg(number, "metric", *_metric(metric))
        for number, metric in enumerate(panel.metrics, start=1)
    ]
    first = len(metrics) + 1
    return metrics + [
        _agg(number, _schema(panel, bucket), *_bucket(bucket))
        for number, bucket in enumerate(panel.buckets, start=first)
    ]


def _agg(number: int, schema: str, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"id": str(number), "enabled": True, "type": kind, "schema": schema, "params": params}


def _schema(panel: Panel, bucket: Bucket) -> str:
    if panel.kind == "table":
        return "bucket"
    return "group" if bucket.series else "segment"


def _metric(metric: Metric) -> tuple[str, dict[str, Any]]:
    params: dict[str, Any] = {"field": metric.field, "customLabel": metric.label}
    if metric.kind == "distinct":
        params["json"] = json.dumps({"precision_threshold": EXACT})
        return "cardinality", params
    if metric.kind == "mean":
        return "avg", params
    return metric.kind, params


def _bucket(bucket: Bucket) -> tuple[str, dict[str, Any]]:
    params: dict[str, Any] = {"field": bucket.field}
    if bucket.label:
        params["customLabel"] = bucket.label
    if bucket.kind == "time":
        params |= {"interval": "auto", "min_doc_count": 1, "extended_bounds": {}}
        return "date_histogram", params
    if bucket.kind == "every":
        params |= {"interval": 1, "min_doc_count": False, "extended_bounds": {}}
        return "histogram", params
    if bucket.kind == "counts":
        params["ranges"] = ranges()
        return "range", params
    params |= {
        "size": bucket.size,
        "order": "desc",
        "orderBy": "1",  # the first metric: sessions
        "otherBucket": False,
        "otherBucketLabel": "Other",
        "missingBucket": False,
        "missingBucketLabel": "Missing",
    }
    return "terms", params


def _numbers(panel: Panel, is_kibana: bool) -> dict[str, Any]:  # noqa: ARG001, FBT001 - as all
    return {
        "addTooltip": True,
        "addLegend": False,
        "type": "metric",
        "metric": {
            "percentageMode": False,
            "useRanges": False,
            "colorSchema": "Green to Red",
            "metricColorMode": "None",
            "colorsRange": [{"from": 0, "to": 10_000}],
            "labels": {"show": True},
            "invertColors": False,
            "style": {
                "bgFill": "#000",
                "bgColor": False,
                "labelColor": False,
                "subText": "",
                "fontSize": 36,
            },
        },
    }


def _bars(panel: Panel, is_kibana: bool) -> dict[str, Any]:  # noqa: FBT001 - as all
    metric = panel.metrics[0].label
    params: dict[str, Any] = {
        "type": "histogram",
        "addTooltip": True,
        "addLegend": any(bucket.series for bucket in panel.buckets),
        "legendPosition": "right",
        "times": [],
        "addTimeMarker": False,
        "grid": {"categoryLines": False},
        "labels": {"show": False},
        "thresholdLine": {
            "show": False,
            "value": 10,
            "width": 1,
            "style": "full",
            "color": "#E7664C",
        },
        "categoryAxes": [
            {
                "id": "CategoryAxis-1",
                "type": "category",
                "position": "bottom",
                "show": True,
                "style": {},
                "scale": {"type": "linear"},
                "labels": {"show": True, "filter": True, "truncate": 100},
                "title": {},
            }
        ],
        "valueAxes": [
            {
                "id": "ValueAxis-1",
                "name": "LeftAxis-1",
                "type": "value",
                "position": "left",
                "show": True,
                "style": {},
                "scale": {"type": "linear", "mode": "normal"},
                "labels": {"show": True, "rotate": 0, "filter": False, "truncate": 100},
                "title": {"text": metric},
            }
        ],
        "seriesParams": [
            {
                "show": True,
                "type": "histogram",
                "mode": "stacked",
                "data": {"label": metric, "id": "1"},
                "valueAxis": "ValueAxis-1",
                "drawLinesBetweenPoints": True,
                "lineWidth": 2,
                "showCircles": True,
            }
        ],
    }
    if is_kibana:
        params |= {
            "palette": {"type": "palette", "name": "default"},
            "truncateLegend": True,
            "maxLegendLines": 1,
            "isVislibVis": True,
            "detailedTooltip": True,
        }
    return params


def _pie(panel: Panel, is_kibana: bool) -> dict[str, Any]:  # noqa: ARG001, FBT001 - as all
    labels: dict[str, Any] = {
        "show": True,
        "values": True,
        "last_level": True,
        "truncate": 100,
    }
    params: dict[str, Any] = {
        "type": "pie",
        "addTooltip": True,
        "legendPosition": "right",
        "isDonut": True,
        "labels": labels,
    }
    if not is_kibana:
        params["addLegend"] = True
    else:
        labels |= {"valuesFormat": "percent", "percentDecimals": 1, "position": "default"}
        params |= {
            "legendDisplay": "show",
            "nestedLegend": False,
            "truncateLegend": True,
            "maxLegendLines": 1,
            "distinctColors": False,
            "emptySizeRatio": 0.3,
            "palette": {"type": "palette", "name": "default"},
        }
    return params


def _table(panel: Panel, is_kibana: bool) -> dict[str, Any]:  # noqa: ARG001, FBT001 - as all
    return {
        "perPage": 10,
        "showPartialRows": False,
        "showMetricsAtAllLevels": False,
        "showTotal": False,
        "totalFunc": "sum",
        "percentageCol": "",
        "sort": {"columnIndex": None, "direction": None},
    }


_PARAMS: Final = {"numbers": _numbers, "bars": _bars, "pie": _pie, "table": _table}
