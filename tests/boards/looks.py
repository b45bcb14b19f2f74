"""How Grafana draws: kinds of panels with their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen


@frozen
class Look:
    """How a kind of panel is drawn."""

    type: str
    options: Mapping[str, Any]
    custom: Mapping[str, Any]


_LEGEND: Final = {"displayMode": "list", "placement": "right", "showLegend": True, "calcs": []}
_TOOLTIP: Final = {"mode": "multi", "sort": "desc"}
_REDUCE_ROWS: Final = {"values": True, "calcs": ["lastNotNull"], "fields": ""}
_REDUCE: Final = {"values": False, "calcs": ["lastNotNull"], "fields": ""}

STAT: Final = Look(
    "stat",
    {
        "reduceOptions": _REDUCE,
        "orientation": "auto",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    },
    {},
)
SERIES: Final = Look(
    "timeseries",
    {"legend": _LEGEND, "tooltip": _TOOLTIP},
    {"drawStyle": "line", "fillOpacity": 10, "lineWidth": 1},
)
OVER_TIME: Final = Look(
    "timeseries",
    {"legend": _LEGEND, "tooltip": _TOOLTIP},
    {
        "drawStyle": "bars",
        "fillOpacity": 80,
        "lineWidth": 1,
        "stacking": {"mode": "normal", "group": "A"},
    },
)
PIE: Final = Look(
    "piechart",
    {
        "reduceOptions": _REDUCE_ROWS,
        "pieType": "donut",
        "orientation": "auto",
        "displayLabels": ["percent"],
        "legend": {**_LEGEND, "values": ["value", "percent"]},
        "tooltip": {"mode": "single", "sort": "none"},
    },
    {},
)
TABLE: Final = Look(
    "table",
    {"showHeader": True, "cellHeight": "sm", "frameIndex": 0},
    {"filterable": True, "align": "auto", "inspect": True},
)
BARS: Final = Look(
    "barchart",
    {
        "orientation": "vertical",
        "showValue": "auto",
        "stacking": "none",
        "groupWidth": 0.7,
        "barWidth": 0.97,
        "xTickLabelRotation": 0,
        "xTickLabelSpacing": 0,
        "xTickLabelMaxLength": 12,
        "fullHighlight": False,
        "legend": {**_LEGEND, "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    },
    {"fillOpacity": 80, "lineWidth": 1},
)


def drawn(
    number: int, title: str, of: dict[str, str], look: Look, place: dict[str, int]
) -> dict[str, Any]:
    """Return a panel ``of`` a data source that asks nothing yet."""
    return {
        "id": number,
        "type": look.type,
        "title": title,
        "datasource": of,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": "none", "custom": dict(look.custom)},
            "overrides": [],
        },
        "options": dict(look.options),
        "targets": [],
    }
