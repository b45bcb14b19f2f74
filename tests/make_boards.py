"""Writes the dashboards and alerts of ``etc/`` anew: ``python tests/make_boards.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from boards import grafana, saved_objects

ETC: Final = Path(__file__).parent.parent / "etc"

FILES: Final[Mapping[str, Callable[[], str]]] = {
    "kibana/cowrie-sessionstats.ndjson": lambda: saved_objects.ndjson(saved_objects.KIBANA),
    "opensearch/cowrie-sessionstats.ndjson": lambda: saved_objects.ndjson(saved_objects.OPENSEARCH),
    "grafana/cowrie-sessionstats.json": lambda: grafana.dashboard(grafana.ELASTICSEARCH),
    "grafana/cowrie-sessionstats-opensearch.json": lambda: grafana.dashboard(grafana.OPENSEARCH),
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
