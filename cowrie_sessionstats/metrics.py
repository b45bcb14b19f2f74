"""What the plugin did, as figures for Prometheus.

In a file for the node exporter's textfile collector, or through ``prometheus_client``: its figures
are what Cowrie's own output [output_prometheus] serves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from attrs import define, field, frozen
from twisted.internet.task import LoopingCall

from cowrie_sessionstats.complaints import ERROR_LIMIT, Complaints
from cowrie_sessionstats.entries import Backlog
from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.worker import Worker

METRICS_SECONDS: Final = 15.0
"""Seconds between two readings: Prometheus asks so often in most installations."""

_PREFIX: Final = "cowrie_sessionstats_"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@define
class Counts:
    """What was counted since the start, in the reactor thread."""

    start_time_seconds: float
    """Seconds since 1970; and so are all times here."""
    write_seconds: float = 0.0
    """Spent in ``write()``."""
    writes: int = 0
    records: int = 0
    revisions: int = 0
    evictions: int = 0
    dropped_events: int = 0
    errors: int = 0
    unlogged_records: int = 0
    unstored_records: int = 0
    open_sessions: int = 0
    last_record_timestamp_seconds: float | None = None


@frozen
class Figure:
    """One figure, with a value for each destination if it is of destinations."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    text: str
    values: tuple[tuple[str, float], ...]
    """Destination and value, the destination empty where there is none; of a summary the count
    and the sum."""


_COUNTED: Final[tuple[tuple[str, Literal["counter", "gauge"], str], ...]] = (
    ("records", "counter", "Records written, revisions not included."),
    ("revisions", "counter", "Records written again because something came late."),
    ("evictions", "counter", "Sessions closed because more than max_sessions were open."),
    ("dropped_events", "counter", "Events that belonged to no session or came too late."),
    ("errors", "counter", "Events that could not be counted."),
    ("unlogged_records", "counter", "Records that did not get into the log."),
    ("unstored_records", "counter", "Records that did not get into the store."),
    ("open_sessions", "gauge", "Sessions that are open now."),
    ("last_record_timestamp_seconds", "gauge", "When the last record was written."),
    ("start_time_seconds", "gauge", "When the plugin was started."),
)

_OF_DESTINATIONS: Final[tuple[tuple[str, Literal["counter", "gauge"], str], ...]] = (
    ("backlog_records", "gauge", "Records that wait for a destination."),
    ("backlog_seconds", "gauge", "For how long the oldest of those has been waiting."),
    ("delivered_records", "counter", "Records that a destination has."),
    ("set_aside_records", "gauge", "Records that a destination refused."),
    ("lost_records", "counter", "Records that had to go before a destination had them."),
)


def figures(counts: Counts, backlogs: Mapping[str, Backlog], now: float) -> list[Figure]:
    """Return all figures; ``backlogs`` by destination."""
    found = []
    for name, kind, text in _COUNTED:
        value = getattr(counts, name)
        if value is not None:
            found.append(Figure(name, kind, text, (("", value),)))
    spent = (("count", counts.writes), ("sum", counts.write_seconds))
    found.append(Figure("write_seconds", "summary", "Time spent in write(), by event.", spent))
    for name, kind, text in _OF_DESTINATIONS:
        values = tuple((each, _of(name, backlogs[each], now)) for each in sorted(backlogs))
        if values:
            found.append(Figure(name, kind, text, values))
    return found


def _of(name: str, backlog: Backlog, now: float) -> float:
    if name == "backlog_seconds":
        return 0.0 if backlog.oldest is None else max(0.0, now - backlog.oldest)
    value: float = getattr(backlog, name.removesuffix("_records").replace("backlog", "waiting"))
    return value


def exposition(found: list[Figure], sensor: str) -> str:
    """Return figures in Prometheus's text format, version 0.0.4.

    Source: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    return "".join(f"{line}\n" for figure in found for line in _lines(figure, sensor))


def _lines(figure: Figure, sensor: str) -> Iterator[str]:
    name = _PREFIX + figure.name + ("_total" if figure.kind == "counter" else "")
    yield f"# HELP {name} {figure.text}"
    yield f"# TYPE {name} {figure.kind}"
    here = f'sensor="{sensor.translate(_ESCAPES)}"'
    for which, value in figure.values:
        if figure.kind == "summary":
            yield f"{name}_{which}{{{here}}} {value!r}"
        elif which:
            yield f'{name}{{{here},destination="{which.translate(_ESCAPES)}"}} {value!r}'
        else:
            yield f"{name}{{{here}}} {value!r}"


@define(eq=False)
class Metrics:
    """Publishes the figures of one ``sensor``: to the file ``path``, if there is one.

    ``count`` is asked in the reactor thread, ``backlogs`` in the worker's. ``clock`` is the
    reactor.
    """

    sensor: str
    path: Path | None
    count: Callable[[], Counts]
    backlogs: Callable[[], Mapping[str, Backlog]]
    worker: Worker
    clock: Any
    complaints: Complaints
    _loop: LoopingCall | None = field(default=None, init=False)
    _latest: list[Figure] = field(factory=list, init=False)

    def start(self) -> None:
        """Read the figures now and from time to time; in the running reactor."""
        self._loop = LoopingCall(self.read)
        self._loop.clock = self.clock
        self._loop.start(METRICS_SECONDS)

    def clock_set_back(self) -> None:
        """Set the timer anew; in the reactor thread."""
        if self._loop is not None and self._loop.running:
            self._loop.reset()

    def stop(self) -> None:
        """Read the figures once more, as far as the worker has time for it."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
            self.read()

    def read(self) -> None:
        """Have the figures of now published; in the reactor thread."""
        counts = self.count()
        self.worker.submit(lambda: self._publish(counts))

    def _publish(self, counts: Counts) -> None:
        """Publish figures; the file is whole at any time."""
        try:
            self._latest = figures(counts, self.backlogs(), time.time())
            if self.path is None:
                return
            text = exposition(self._latest, self.sensor).encode("utf-8", "replace")
            new = self.path.with_name(f".{self.path.name}.new")  # the exporter reads *.prom only
            # Others may write to that folder, too: a link of theirs must not lead us elsewhere.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(new, flags, 0o666), "wb") as file:
                file.write(text)
            new.replace(self.path)
        except Exception as error:  # noqa: BLE001 - the next reading may succeed
            why = printable(str(getattr(error, "strerror", None) or error), ERROR_LIMIT)
            self.clock.callFromThread(
                self.complaints.complain,
                f"[output_sessionstats] metrics_file = {self.path} cannot be written: {why}. Free "
                "the disk, or mend the folder's rights",
            )

    def collect(self) -> Iterator[Any]:
        """Yield the figures of the last reading, as ``prometheus_client`` asks for them."""
        return (_family(figure, self.sensor) for figure in self._latest)


def _family(figure: Figure, sensor: str) -> Any:
    from prometheus_client import core  # noqa: PLC0415 - only where it serves them

    name = _PREFIX + figure.name
    if figure.kind == "summary":
        (_, count), (_, total) = figure.values
        summary = core.SummaryMetricFamily(name, figure.text, labels=["sensor"])
        summary.add_metric([sensor], count_value=int(count), sum_value=total)
        return summary
    kind = {"counter": core.CounterMetricFamily, "gauge": core.GaugeMetricFamily}[figure.kind]
    is_of_destinations = bool(figure.values[0][0])
    made = kind(
        name, figure.text, labels=["sensor", "destination"] if is_of_destinations else ["sensor"]
    )
    for which, value in figure.values:
        made.add_metric([sensor, which] if is_of_destinations else [sensor], value)
    return made


def serve(metrics: Metrics) -> None:
    """Have ``prometheus_client`` collect these figures with those of Cowrie."""
    from prometheus_client import REGISTRY  # noqa: PLC0415 - only where it serves them

    REGISTRY.register(metrics)


def check_writable(path: Path) -> None:
    """Raise OSError unless the file can be written."""
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(0, "its folder is not there, or Cowrie's user may not write to it")
