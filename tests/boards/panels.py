"""The panels, as ``panels.toml`` says them, with the names that fields have in documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from attrs import frozen

from cowrie_sessionstats._toml import loads
from cowrie_sessionstats.outputs.formats.ecs import NAMES, OWN
from cowrie_sessionstats.summary import KEYS

TITLE: Final = "Cowrie sessions"
PATTERN: Final = "cowrie-sessions*"
"""The indices that the template is for."""

LOGGED_IN: Final = "logged_in"
"""What the dashboards show first, as the report does: sessions that logged in."""

SINGLES: Final = 32
"""Commands a session up to which every number has a bar of its own, as in the report."""
_MOST: Final = 4_096
"""Where the last bar begins, which has no end."""

_DERIVED: Final = {"duration": "event.duration", "src_ip": "source.ip"}
"""Keys whose field is made from the record's, see ``ecs.py``."""


def field_of(key: str) -> str:
    """Return where a key of the record stands in a document; KeyError if there is no such key."""
    if key not in KEYS:
        raise KeyError(key)
    return _DERIVED.get(key) or NAMES.get(key) or f"{OWN}.{key}"


def ranges() -> list[dict[str, int]]:
    """Return the bars of the histogram of commands: ``from`` and ``to`` (not included)."""
    bars = [{"from": number, "to": number + 1} for number in range(SINGLES + 1)]
    low = SINGLES + 1
    while low <= _MOST:
        bars.append({"from": low, "to": 2 * low - 1})
        low = 2 * low - 1
    return [*bars, {"from": low}]


@frozen
class Metric:
    """A figure of the sessions in a bucket."""

    name: str
    kind: str
    """``distinct``, ``min``, ``max``, ``mean`` or ``median``."""
    key: str
    label: str

    @property
    def field(self) -> str:
        """Return the field that it is of."""
        return field_of(self.key)

    @property
    def is_time(self) -> bool:
        """Return whether it is a point in time."""
        return self.key == "start"


@frozen
class Bucket:
    """What sessions are divided by."""

    kind: str
    """``time``, ``terms``, ``counts`` (the report's bars) or ``every`` (each number)."""
    key: str = "timestamp"
    label: str = ""
    size: int = 0
    series: bool = False
    """Whether it divides what is drawn, and not the axis."""

    @property
    def field(self) -> str:
        """Return the field that it is by."""
        return field_of(self.key)


@frozen
class Panel:
    """A panel of the dashboards."""

    id: str
    title: str
    kind: str
    """``numbers``, ``bars``, ``pie`` or ``table``."""
    metrics: tuple[Metric, ...]
    place: tuple[int, int, int, int]
    where: str = ""
    buckets: tuple[Bucket, ...] = ()


@frozen
class Search:
    """A list of sessions."""

    id: str
    title: str
    where: str
    keys: tuple[str, ...]
    place: tuple[int, int, int, int]

    @property
    def columns(self) -> list[str]:
        """Return the fields that are shown."""
        return [field_of(key) for key in self.keys]


def _read() -> tuple[tuple[Panel, ...], Search]:
    known = loads((Path(__file__).parent / "panels.toml").read_text("utf-8"))
    metrics = {name: Metric(name, **given) for name, given in known["metric"].items()}
    panels = []
    for given in known["panel"]:
        given["metrics"] = tuple(metrics[name] for name in given["metrics"])
        given["buckets"] = tuple(Bucket(**bucket) for bucket in given.get("buckets", ()))
        given["place"] = tuple(given["place"])
        panels.append(Panel(**given))
    search = known["worth_a_look"]
    columns, place = tuple(search.pop("columns")), tuple(search.pop("place"))
    return tuple(panels), Search(**search, keys=columns, place=place)


def kql(where: str) -> str:
    """Return a condition as Kibana's and OpenSearch Dashboards' language has it."""
    text = re.sub(r"\b(AND|OR)\b", lambda word: word[0].lower(), _named(where))
    return text.replace(":", ": ").replace(">", " > ")


def lucene(where: str) -> str:
    """Return a condition as Lucene's query language has it."""
    return _named(where.replace("}>", "}:>"))


def _named(where: str) -> str:
    return re.sub(r"\{(\w+)}", lambda key: field_of(key[1]), where)


PANELS, WORTH_A_LOOK = _read()


def fields_used() -> dict[str, set[str]]:
    """Return the fields that panels use, and what for: ``bucket`` kinds and ``metric`` kinds."""
    used: dict[str, set[str]] = {}

    def use(name: str, for_what: str) -> None:
        used.setdefault(name, set()).add(for_what)

    use(field_of(LOGGED_IN), "where")
    for panel in PANELS:
        for bucket in panel.buckets:
            use(bucket.field, bucket.kind)
        for metric in panel.metrics:
            use(metric.field, metric.kind)
    for where in (WORTH_A_LOOK.where, *(panel.where for panel in PANELS)):
        for key in re.findall(r"\{(\w+)}", where):
            use(field_of(key), "where")
    for name in WORTH_A_LOOK.columns:
        use(name, "shown")
    return used
