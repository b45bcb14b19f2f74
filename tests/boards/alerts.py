"""The alerts worth having: two as Sigma rules say them, and the one that Sigma cannot say.

Sigma finds events. That a sensor sends none is not among them, so that alert is described here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from attrs import frozen
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.backends.splunk.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline

from boards.panels import field_of
from cowrie_sessionstats.summary import KEYS

SIGMA: Final = Path(__file__).parents[2] / "etc/sigma"

LATE_HOURS: Final = 1
"""How far back each look goes: a record can come late, when its receiver was away."""
EVERY_MINUTES: Final = 5

QUIET_HOURS: Final = 6
"""After so long without a record a sensor has gone quiet: on the internet they come by the minute.
A sensor in a private network, where days may pass, wants more."""
KNOWN_DAYS: Final = 7
"""A sensor is missed if it sent a record within so many days; not for ever: it may be retired."""


@frozen
class Alert:
    """An alert on a session."""

    id: str
    name: str
    title: str
    description: str
    level: str
    techniques: tuple[str, ...]
    false_positives: tuple[str, ...]
    lucene: str
    """Lucene's query for it, over documents."""
    splunk: str
    """Splunk's search for it, over records."""


@frozen
class Quiet:
    """The alert on a sensor that sends nothing any more."""

    id: str = "0b7f0a1e-6f0e-4f0f-9a55-5d4a2f6e1c03"
    name: str = "cowrie_sensor_quiet"
    title: str = "Cowrie sensor has gone quiet"
    description: str = (
        f"A sensor that sent records within the last {KNOWN_DAYS} days sent none for "
        f"{QUIET_HOURS} hours: it is down, cut off, or its records do not arrive."
    )
    level: str = "medium"


QUIET: Final = Quiet()
SEVERITIES: Final = {"high": 73, "medium": 47}
"""Kibana's scores of risk for a level."""


def ecs_pipeline() -> str:
    """Return the pipeline that gives Sigma's converters the names of documents for the record's."""
    mapping = {key: field_of(key) for key in KEYS}
    pipeline = {
        "name": "Cowrie session summaries as ECS documents",
        "priority": 20,
        "transformations": [
            {
                "id": "cowrie_sessionstats_ecs",
                "type": "field_name_mapping",
                "mapping": mapping,
                "rule_conditions": [
                    {"type": "logsource", "product": "cowrie", "service": "sessionstats"}
                ],
            }
        ],
    }
    return "# Made by tests/make_boards.py from the ECS table.\n" + yaml.safe_dump(
        pipeline, sort_keys=False
    )


def names() -> list[str]:
    """Return the names of all alerts."""
    return [*(path.stem for path in sorted(SIGMA.glob("*.yml"))), QUIET.name]


def alerts() -> list[Alert]:
    """Return the alerts of ``etc/sigma``, in the order of their names."""
    return [_alert(path) for path in sorted(SIGMA.glob("*.yml"))]


def _alert(path: Path) -> Alert:
    text = path.read_text("utf-8")
    said: dict[str, Any] = yaml.safe_load(text)
    pipeline = ProcessingPipeline.from_yaml(ecs_pipeline())
    (lucene,) = LuceneBackend(pipeline).convert(SigmaCollection.from_yaml(text))
    (splunk,) = SplunkBackend().convert(SigmaCollection.from_yaml(text))
    return Alert(
        id=said["id"],
        name=path.stem,
        title=said["title"],
        description=" ".join(said["description"].split()),
        level=said["level"],
        techniques=tuple(
            tag.removeprefix("attack.").upper()
            for tag in said["tags"]
            if tag.startswith("attack.t1")
        ),
        false_positives=tuple(said["falsepositives"]),
        lucene=lucene,
        splunk=splunk,
    )
