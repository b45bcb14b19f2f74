"""The row of Grafana's dashboard that shows the plugin's own metrics, from Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from boards.looks import SERIES, STAT, Look, drawn

PROMETHEUS: Final = {"type": "prometheus", "uid": "${prometheus}"}

_NAME: Final = "cowrie_sessionstats_"
_RATE: Final = "[$__rate_interval]"


@frozen
class Gauge:
    """A panel over the plugin's metrics: what is asked for, and under which name it is drawn."""

    title: str
    look: Look
    unit: str
    asked: Mapping[str, str]


_GAUGES: Final = (
    Gauge(
        "Since the last record",
        STAT,
        "s",
        {f"time() - {_NAME}last_record_timestamp_seconds": "{{sensor}}"},
    ),
    Gauge("Open sessions", SERIES, "none", {f"{_NAME}open_sessions": "{{sensor}}"}),
    Gauge(
        "Records a minute",
        SERIES,
        "none",
        {
            f"60 * rate({_NAME}records_total{_RATE})": "{{sensor}}",
            f"60 * rate({_NAME}revisions_total{_RATE})": "{{sensor}}, revisions",
        },
    ),
    Gauge(
        "What went wrong, an hour",
        SERIES,
        "none",
        {
            f"increase({_NAME}{name}_total[1h])": f"{{{{sensor}}}}, {said}"
            for name, said in (
                ("evictions", "evicted"),
                ("dropped_events", "dropped events"),
                ("errors", "errors"),
                ("unlogged_records", "not in the log"),
                ("unstored_records", "not in the store"),
            )
        },
    ),
    Gauge(
        "Time of write() an event, mean",
        SERIES,
        "s",
        {
            f"rate({_NAME}write_seconds_sum{_RATE}) / rate({_NAME}write_seconds_count{_RATE})": (
                "{{sensor}}"
            )
        },
    ),
    Gauge(
        "Records that wait",
        SERIES,
        "none",
        {f"{_NAME}backlog_records": "{{sensor}} to {{destination}}"},
    ),
    Gauge(
        "Age of the oldest that waits",
        SERIES,
        "s",
        {f"{_NAME}backlog_seconds": "{{sensor}} to {{destination}}"},
    ),
    Gauge(
        "Delivered, a minute",
        SERIES,
        "none",
        {f"60 * rate({_NAME}delivered_records_total{_RATE})": "{{sensor}} to {{destination}}"},
    ),
    Gauge(
        "Set aside, and lost",
        SERIES,
        "none",
        {
            f"{_NAME}set_aside_records": "{{sensor}} to {{destination}}, set aside",
            f"{_NAME}lost_records_total": "{{sensor}} to {{destination}}, lost",
        },
    ),
    Gauge(
        "Running for",
        STAT,
        "s",
        {f"time() - {_NAME}start_time_seconds": "{{sensor}}"},
    ),
)
_ACROSS: Final = 3
_HEIGHT: Final = 8


def metrics_row(number: int, below: int) -> list[dict[str, Any]]:
    """Return the row, with that id, and its panels; ``below`` is how far down it begins."""
    row = {
        "id": number,
        "type": "row",
        "title": "The plugin itself (Prometheus)",
        "collapsed": False,
        "gridPos": {"x": 0, "y": below, "w": 24, "h": 1},
        "panels": [],
    }
    panels = []
    width = 24 // _ACROSS
    for index, gauge in enumerate(_GAUGES):
        down, across = divmod(index, _ACROSS)
        place = {
            "x": across * width,
            "y": below + 1 + down * _HEIGHT,
            "w": width,
            "h": _HEIGHT,
        }
        made = drawn(number + 1 + index, gauge.title, PROMETHEUS, gauge.look, place)
        made["fieldConfig"]["defaults"]["unit"] = gauge.unit
        made["targets"] = [
            {
                "refId": chr(ord("A") + at),
                "datasource": PROMETHEUS,
                "expr": asked,
                "legendFormat": name,
                "range": gauge.look is not STAT,
                "instant": gauge.look is STAT,
            }
            for at, (asked, name) in enumerate(gauge.asked.items())
        ]
        panels.append(made)
    return [row, *panels]
