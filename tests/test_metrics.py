"""Figures for Prometheus: in a file, and at Cowrie's own endpoint."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from configparser import ConfigParser, ExtendedInterpolation
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import pytest_twisted
from cowrie.core.config import CowrieConfig
from cowrie.output.sessionstats import Output
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from samples import START, closed, command, connect, login
from waiting import until

from cowrie_sessionstats.entries import Backlog
from cowrie_sessionstats.metrics import Counts, exposition, figures
from cowrie_sessionstats.options import SECTION, OptionError, read_options
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.store import Store

VISIT = (connect(), login(), command("id", 2.0), closed(3.0))
BACKLOGS = {"siem": Backlog(3, 90.0, 17, 2, 1), "isc": Backlog(0, None, 20, 0, 0)}


def values(text: str) -> dict[tuple[str, str | None], float]:
    """Return each figure of a text, by name and destination; read by Prometheus's own library."""
    return {
        (sample.name.removeprefix("cowrie_sessionstats_"), sample.labels.get("destination")):
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }  # fmt: skip


@given(sensor=st.text(), names=st.lists(st.text(min_size=1), unique=True, max_size=3))
def test_any_name_is_read_as_it_was(sensor: str, names: list[str]) -> None:
    """Prometheus's own parser finds the sensor and the destinations, whatever they are called."""
    # Prometheus knows no other line end; its parser in Python splits at what Python takes for one.
    plain = {ord(char): "?" for char in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"}
    sensor, names = sensor.translate(plain), sorted({name.translate(plain) for name in names})
    text = exposition(
        figures(Counts(5.0), dict.fromkeys(names, Backlog(1, 2.0, 3, 4, 5)), 10), sensor
    )
    found = [
        sample.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert {labels["sensor"] for labels in found} == {sensor}
    assert {labels["destination"] for labels in found if "destination" in labels} == set(names)


def test_what_each_figure_says() -> None:
    """Counts as they are, and how far each destination is behind, the oldest by its age."""
    counts = Counts(50.0, 0.25, 40, 7, 6, 5, 4, 3, 2, 1, 8, 95.5)
    found = values(exposition(figures(counts, BACKLOGS, 100.0), "one"))
    assert found == {
        ("records_total", None): 7,
        ("revisions_total", None): 6,
        ("evictions_total", None): 5,
        ("dropped_events_total", None): 4,
        ("errors_total", None): 3,
        ("unlogged_records_total", None): 2,
        ("unstored_records_total", None): 1,
        ("open_sessions", None): 8,
        ("last_record_timestamp_seconds", None): 95.5,
        ("start_time_seconds", None): 50,
        ("write_seconds_count", None): 40,
        ("write_seconds_sum", None): 0.25,
        ("backlog_records", "siem"): 3,
        ("backlog_records", "isc"): 0,
        ("backlog_seconds", "siem"): 10,
        ("backlog_seconds", "isc"): 0,
        ("delivered_records_total", "siem"): 17,
        ("delivered_records_total", "isc"): 20,
        ("set_aside_records", "siem"): 2,
        ("set_aside_records", "isc"): 0,
        ("lost_records_total", "siem"): 1,
        ("lost_records_total", "isc"): 0,
    }


def test_prometheus_finds_nothing_to_object_to() -> None:
    """``promtool check metrics`` lints names, types and texts."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install prometheus")
    text = exposition(figures(Counts(1.0, last_record_timestamp_seconds=2.0), BACKLOGS, 3.0), "one")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---------------------------------------------------------------- in the plugin


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Path]:
    """Return the file of figures; Cowrie's configuration asks for it and for the endpoint."""
    path = tmp_path / "sessionstats.prom"
    CowrieConfig.read_dict(
        {
            "output_prometheus": {"enabled": "true"},
            SECTION: {
                "enabled": "true",
                "logfile": str(tmp_path / "sessionstats.json"),
                "store": str(tmp_path / "sessionstats.sqlite"),
                "metrics_file": str(path),
                "metrics_endpoint": "true",
            },
        }
    )
    before = set(prometheus_client.REGISTRY._collector_to_names)
    yield path
    for collector in set(prometheus_client.REGISTRY._collector_to_names) - before:
        prometheus_client.REGISTRY.unregister(collector)
    CowrieConfig.remove_section(SECTION)
    CowrieConfig.remove_section("output_prometheus")


@pytest_twisted.inlineCallbacks
def test_file_and_endpoint_have_what_the_plugin_did(configured: Path) -> Iterator[Any]:
    """While it runs, and the file after the end, too."""
    plugin = Output()
    for i, raw in enumerate((*VISIT, connect(session="b"), {"eventid": "cowrie.command.input"})):
        plugin.write({**raw, "time": START + i})
    yield until(lambda: plugin._counts.last_record_timestamp_seconds)
    plugin._metrics.read()
    plugin._worker.drain(10)
    served, thread = prometheus_client.start_http_server(0, "127.0.0.1")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.server_port}/metrics") as answer:
            at_endpoint = values(answer.read().decode())
    finally:
        served.shutdown()
        served.server_close()
        thread.join()
    in_file = values(configured.read_text())
    assert at_endpoint.items() >= in_file.items()
    assert in_file["records_total", None] == 1
    assert in_file["open_sessions", None] == 1
    assert in_file["dropped_events_total", None] == 1
    assert in_file["write_seconds_count", None] == 6
    assert 0 < in_file["write_seconds_sum", None] < 1
    assert in_file["last_record_timestamp_seconds", None] >= in_file["start_time_seconds", None]
    plugin.stop()
    at_the_end = values(configured.read_text())
    assert at_the_end["records_total", None] == 2
    assert at_the_end["open_sessions", None] == 0
    assert [each.name for each in configured.parent.glob("*prom*")] == [configured.name]


@pytest_twisted.inlineCallbacks
def test_a_file_that_cannot_be_written_costs_no_record(configured: Path) -> Iterator[Any]:
    """It is said, and the rest goes on."""
    plugin = Output()
    (configured.parent / f".{configured.name}.new").mkdir()
    plugin._metrics.read()
    yield until(lambda: plugin._metrics.complaints.count)
    for raw in VISIT:
        plugin.write({**raw, "time": START})
    yield until(lambda: plugin._counts.last_record_timestamp_seconds)
    plugin.stop()
    assert len((configured.parent / "sessionstats.json").read_text().splitlines()) == 1


@pytest_twisted.inlineCallbacks
def test_no_link_leads_the_figures_elsewhere(configured: Path) -> Iterator[Any]:
    """Whoever may write to the exporter's folder has nothing of Cowrie's overwritten."""
    kept = configured.with_name("kept")
    kept.write_text("kept")
    configured.with_name(f".{configured.name}.new").symlink_to(kept)
    plugin = Output()
    plugin._metrics.read()
    yield until(lambda: plugin._metrics.complaints.count)
    plugin.stop()
    assert kept.read_text() == "kept"


# ---------------------------------------------------------------- options


def config_of(**options: str) -> ConfigParser:
    """Return a configuration of Cowrie with options of ours."""
    config = ConfigParser(interpolation=ExtendedInterpolation())
    config.read_dict({"honeypot": {"log_path": "log"}, SECTION: options})
    return config


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics_file": "/var/lib/figures.txt"}, "has to end in .prom"),
        ({"metrics_endpoint": "true"}, r"enable \[output_prometheus\]"),
        ({"metrics_endpoint": "maybe"}, "has to be true or false"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, str], words: str) -> None:
    """With the option and the remedy."""
    with pytest.raises(OptionError, match=words):
        read_options(config_of(**options), {})


# ---------------------------------------------------------------- how far a destination is behind


def test_the_backlog_counts_what_is_in_memory_and_in_the_file(tmp_path: Path) -> None:
    """Also what was refused, and what one destination alone is to have once more."""
    now = [1000.0]
    store = Store(tmp_path / "s.sqlite", ("a", "b"), lambda: now[0], print)
    assert store.open()
    for number in range(4):
        store.add({"session": str(number), "revision": 0})
        now[0] += 1
    store.commit()
    entries, _ = store.batch("a", Limits(2, 1 << 20, 0))
    store.delivered("a", 2, entries[-1].seq)
    store.set_aside("b", store.batch("b", Limits(1, 1 << 20, 0))[0][0], "no")
    store.commit()
    assert store.backlogs() == {"a": Backlog(2, 1002.0, 2, 0, 0), "b": Backlog(4, 1000.0, 0, 1, 0)}
    store._put(b"packed", b"key", 0, "b")
    assert store.backlogs()["a"].waiting == 2
    assert store.backlogs()["b"].waiting == 5
    store.commit()
    assert store.backlogs()["a"].waiting == 2
    assert store.backlogs()["b"].waiting == 5
    store.add({"session": "new", "revision": 0})
    store.delivered("a", 2, entries[-1].seq + 2)
    assert store.backlogs()["a"] == Backlog(1, now[0], 4, 0, 0)
    store.close()
