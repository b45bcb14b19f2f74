"""Writes the dashboards and alerts of ``etc/`` anew: ``python tests/make_boards.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from boards import alerts, alerts_grafana, alerts_search, alerts_splunk, grafana, saved_objects

ETC: Final = Path(__file__).parent.parent / "etc"

FILES: Final[Mapping[str, Callable[[], str]]] = {
    "kibana/cowrie-sessionstats.ndjson": lambda: saved_objects.ndjson(saved_objects.KIBANA),
    "opensearch/cowrie-sessionstats.ndjson": lambda: saved_objects.ndjson(saved_objects.OPENSEARCH),
    "grafana/cowrie-sessionstats.json": lambda: grafana.dashboard(grafana.ELASTICSEARCH),
    "grafana/cowrie-sessionstats-opensearch.json": lambda: grafana.dashboard(grafana.OPENSEARCH),
    "sigma/pipelines/cowrie-sessionstats-ecs.yml": alerts.ecs_pipeline,
    "alerts/kibana-rules.ndjson": alerts_search.kibana_rules,
    **{
        f"alerts/opensearch/{name}.json": partial(alerts_search.opensearch_monitor, name)
        for name in alerts.names()
    },
    "alerts/grafana-rules.yaml": alerts_grafana.rules,
    "splunk/savedsearches.conf": alerts_splunk.saved_searches,
}
"""What is made, by its name in ``etc/``."""


def main() -> None:
    """Write them."""
    for name, made in FILES.items():
        path = ETC / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made(), "utf-8")
        print(path.relative_to(ETC.parent))


if __name__ == "__main__":
    main()
