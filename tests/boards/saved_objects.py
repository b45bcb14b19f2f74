"""The panels as saved objects of Kibana and of OpenSearch Dashboards (NDJSON).

Both have the same classic visualizations: what is asked (``visState``) is the same, what is said
around it is not. (Kibana's Lens does not exist in OpenSearch Dashboards, and cannot count distinct
values exactly.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from boards.panels import (
    LOGGED_IN,
    PANELS,
    PATTERN,
    TITLE,
    WORTH_A_LOOK,
    Panel,
    Search,
    field_of,
    kql,
)
from boards.visualizations import vis_state

PREFIX: Final = "cowrie-sessionstats-"
_PATTERN_ID: Final = f"{PREFIX}sessions"
_SOURCE: Final = "kibanaSavedObjectMeta"
_INDEX: Final = f"{_SOURCE}.searchSourceJSON.index"
_FILTER: Final = f"{_SOURCE}.searchSourceJSON.filter[0].meta.index"


@frozen
class Flavour:
    """What one of the two programs wants to be told of its saved objects."""

    versions: Mapping[str, Any]
    """What stands on every object; in ``types``, what stands on one of that type."""
    types: Mapping[str, Mapping[str, Any]]
    panel_version: str
    is_kibana: bool


def _kibana(version: str) -> dict[str, str]:
    return {"typeMigrationVersion": version}


KIBANA: Final = Flavour(
    # As Kibana 8.8 exports them: a later one migrates them by itself.
    versions={"coreMigrationVersion": "8.8.0", "managed": False},
    types={
        "index-pattern": _kibana("8.0.0"),
        "visualization": _kibana("8.5.0"),
        "search": _kibana("7.9.3"),
        "dashboard": _kibana("8.7.0"),
    },
    panel_version="8.8.0",
    is_kibana=True,
)
OPENSEARCH: Final = Flavour(
    versions={},
    types={
        "index-pattern": {"migrationVersion": {"index-pattern": "7.6.0"}},
        "visualization": {"migrationVersion": {"visualization": "7.10.0"}},
        "search": {"migrationVersion": {"search": "7.9.3"}},
        "dashboard": {"migrationVersion": {"dashboard": "7.9.3"}},
    },
    panel_version="2.11.0",
    is_kibana=False,
)


def ndjson(flavour: Flavour) -> str:
    """Return the file to import: each object a line, each behind those that it refers to."""
    objects = [_index_pattern(flavour)]
    objects += [_visualization(flavour, panel) for panel in PANELS]
    objects += [_search(flavour, WORTH_A_LOOK), _dashboard(flavour)]
    return "".join(json.dumps(each, sort_keys=True) + "\n" for each in objects)


def _object(
    flavour: Flavour,
    kind: str,
    name: str,
    attributes: dict[str, Any],
    references: Iterable[tuple[str, str, str]] = (),
) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "attributes": attributes,
        "references": [
            {"name": called, "type": of, "id": target} for called, of, target in references
        ],
        **flavour.versions,
        **flavour.types[kind],
    }


def _index_pattern(flavour: Flavour) -> dict[str, Any]:
    formats = {
        field_of("duration"): {
            "id": "duration",
            "params": {
                "inputFormat": "nanoseconds",
                "outputFormat": "asSeconds",
                "outputPrecision": 1,
            },
        }
    }
    attributes = {
        "title": PATTERN,
        "timeFieldName": "@timestamp",
        "fieldFormatMap": json.dumps(formats),
    }
    if flavour.is_kibana:
        attributes["name"] = TITLE
    return _object(flavour, "index-pattern", _PATTERN_ID, attributes)


def _query(where: str = "") -> dict[str, str]:
    return {"query": kql(where), "language": "kuery"}


def _visualization(flavour: Flavour, panel: Panel) -> dict[str, Any]:
    state = vis_state(panel, is_kibana=flavour.is_kibana)
    source = {"query": _query(panel.where), "filter": [], "indexRefName": _INDEX}
    attributes = {
        "title": f"{TITLE}: {panel.title}",
        "description": "",
        "version": 1,
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        _SOURCE: {"searchSourceJSON": json.dumps(source)},
    }
    references = [(_INDEX, "index-pattern", _PATTERN_ID)]
    return _object(flavour, "visualization", PREFIX + panel.id, attributes, references)


# ---------------------------------------------------------------- a list, and the page


def _search(flavour: Flavour, search: Search) -> dict[str, Any]:
    source = {
        "query": _query(search.where),
        "filter": [],
        "highlightAll": True,
        "version": True,
        "indexRefName": _INDEX,
    }
    attributes: dict[str, Any] = {
        "title": f"{TITLE}: {search.title}",
        "description": "",
        "columns": list(search.columns),
        "sort": [["@timestamp", "desc"]],
        _SOURCE: {"searchSourceJSON": json.dumps(source)},
    }
    if not flavour.is_kibana:
        attributes |= {"hits": 0, "version": 1}
    references = [(_INDEX, "index-pattern", _PATTERN_ID)]
    return _object(flavour, "search", PREFIX + search.id, attributes, references)


def _dashboard(flavour: Flavour) -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    references = [(_FILTER, "index-pattern", _PATTERN_ID)]
    shown: list[Panel | Search] = [*PANELS, WORTH_A_LOOK]
    for number, each in enumerate(shown):
        kind = "search" if isinstance(each, Search) else "visualization"
        x, y, width, height = each.place
        name = str(number)
        panel: dict[str, Any] = {
            "version": flavour.panel_version,
            "panelIndex": name,
            "gridData": {"x": x, "y": y, "w": width, "h": height, "i": name},
            "embeddableConfig": {"enhancements": {}} if flavour.is_kibana else {},
            "panelRefName": f"panel_{name}",
            "title": each.title,
        }
        if flavour.is_kibana:
            panel["type"] = kind
        panels.append(panel)
        prefix = f"{name}:" if flavour.is_kibana else ""
        references.append((f"{prefix}panel_{name}", kind, PREFIX + each.id))
    logged_in = {
        "meta": {
            "alias": "Logged in",
            "disabled": False,
            "negate": False,
            "type": "phrase",
            "key": field_of(LOGGED_IN),
            "params": {"query": True},
            "indexRefName": _FILTER,
        },
        "query": {"match_phrase": {field_of(LOGGED_IN): True}},
        "$state": {"store": "appState"},
    }
    options = {"useMargins": True, "hidePanelTitles": False}
    attributes: dict[str, Any] = {
        "title": TITLE,
        "description": "Sessions of Cowrie honeypots, by cowrie-sessionstats",
        "version": 1,
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60_000},
        "optionsJSON": json.dumps(options),
        "panelsJSON": json.dumps(panels),
        _SOURCE: {"searchSourceJSON": json.dumps({"query": _query(), "filter": [logged_in]})},
    }
    if not flavour.is_kibana:
        attributes["hits"] = 0
    return _object(flavour, "dashboard", f"{PREFIX}dashboard", attributes, references)
