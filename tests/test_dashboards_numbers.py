"""The panels of the dashboards show the numbers that the report says, on real sessions."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pytest
from attrs import evolve
from boards import searches
from boards.grafana import ELASTICSEARCH
from boards.panels import PANELS, Bucket, Metric, Panel
from boards.real import Sessions, fill
from logs import tool
from summaries import Record, summary
from test_dashboards import boards, saved, states

Figures = dict[tuple[Any, ...], tuple[Any, ...]]
"""What a panel shows: the figures of each bucket, in the order of the panel's metrics."""

INTERVAL: Final = "1M"


@pytest.fixture(scope="module")
def report(sessions: Sessions, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the report on the same sessions."""
    path = tmp_path_factory.mktemp("report") / "sessions.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in sessions.records))
    said = tool("report", "--json", "--top", 1000, path)
    assert said.status == 0, said.err
    made: dict[str, Any] = json.loads(said.out)
    return made


def of_report(report: dict[str, Any], table: str, keys: str, *figures: str) -> Figures:
    """Return figures as a table of the report has them; rows without a key are no bucket."""
    rows = {
        tuple(row[key] for key in keys.split()): tuple(row[figure] for figure in figures)
        for row in report[table]
    }
    return {key: row for key, row in rows.items() if None not in key}


def grouped(records: list[Record], *keys: str) -> dict[tuple[Any, ...], list[Record]]:
    """Return records by the values of these keys; in a list each value counts."""
    found: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        values = [record.get(key) for key in keys]
        lists = [value if isinstance(value, list) else [value] for value in values]
        for key in set(itertools.product(*lists)):
            if None not in key:
                found[key].append(record)
    return found


def distinct(records: list[Record], key: str) -> int:
    """Return how many values there are."""
    return len({record[key] for record in records if record.get(key) is not None})


def is_new_with_files(record: Record) -> bool:
    """Return whether its script is new and it brought files."""
    return record.get("seen_before") == 0 and record["downloads"] + record["uploads"] > 0


def figure2(report: dict[str, Any]) -> Figures:
    """Return the report's bars by the numbers that they begin with."""
    return {(row["from"],): (row["sessions"],) for row in report["figure2"] if row["sessions"]}


def expected(inside: list[Record], report: dict[str, Any]) -> dict[str, Callable[[], Figures]]:
    """Return what each panel has to show: by the report where it says so, else by counting.

    In the place of a median stand all values: a search engine's is an estimate.
    """

    def counted(*keys: str, also: str | None = None) -> Figures:
        return {
            key: (distinct(of, "session"), *([distinct(of, also)] if also else []))
            for key, of in grouped(inside, *keys).items()
        }

    def seconds(key: str, *by: str) -> dict[tuple[Any, ...], list[float]]:
        return {
            keys: [record[key] for record in of if key in record]
            for keys, of in grouped(inside, *by).items()
        }

    def durations() -> Figures:
        every = seconds("duration", "command_events")
        rows = {  # the report leaves the rarest numbers out
            keys: (len(of), min(of), of, sum(of) / len(of), max(of)) for keys, of in every.items()
        }
        for row in report["figure6"]:
            number = (row["commands"],)
            said = (row["sessions"], row["min"], every[number], row["mean"], row["max"])
            rows[number] = said
        return rows

    def last_commands() -> Figures:
        sources = counted("last_command_template", also="src_ip")
        quiet = seconds("quiet_before_close", "last_command_template")
        return {
            (row["template"],): (
                row["sessions"],
                sources[(row["template"],)][1],
                quiet[(row["template"],)],
            )
            for row in report["figure8"]
        }

    def automation() -> Figures:
        every = seconds("duration", "automation", "ending")
        rows = of_report(report, "automation", "automation ending", "sessions")
        return {keys: (*figures, every[keys]) for keys, figures in rows.items()}

    def scripts() -> Figures:
        sources = grouped(inside, "fingerprint")
        return {
            (row["fingerprint"],): (
                row["sessions"],
                row["first_seen"],
                row["last_seen"],
                distinct(sources[(row["fingerprint"],)], "src_ip"),
                row["sensors"],
            )
            for row in report["scripts"]
        }

    return {
        "totals": lambda: {
            (): (
                report["figure1"]["sessions"],
                len(report["scripts"]),
                distinct(inside, "src_ip"),
            )
        },
        "interactive": lambda: {
            (): (
                sum(
                    row["sessions"]
                    for row in report["automation"]
                    if row["automation"] == "interactive"
                ),
            )
        },
        "new-scripts-with-files": lambda: {
            (): (distinct(list(filter(is_new_with_files, inside)), "fingerprint"),)
        },
        "over-time": lambda: {
            (month, automation): (distinct(of, "session"),)
            for (month, automation), of in grouped(
                [{**record, "month": record["end"][:7]} for record in inside], "month", "automation"
            ).items()
        },
        "endings": lambda: counted("ending"),
        "command-numbers": lambda: figure2(report),
        "durations": durations,
        "last-commands": last_commands,
        "scripts": scripts,
        "automation": automation,
        "sensors": lambda: of_report(
            report, "sensors", "sensor", "sessions", "first_seen", "last_seen", "scripts"
        ),
        "clients": lambda: counted("hassh", "client_version", also="src_ip"),
        "checks": lambda: of_report(report, "checks", "check", "sessions", "scripts"),
        "labels": lambda: counted("labels", also="fingerprint"),
        "techniques": lambda: counted("techniques", also="fingerprint"),
    }


def shown(panel: Panel, order: Sequence[Bucket], found: Iterable[searches.Row]) -> Figures:
    """Return the figures of a panel in the report's units, by the keys of the description.

    ``order`` is that of the buckets that were asked for.
    """
    made: Figures = {}
    for keys, values in found:
        of_metrics = zip(panel.metrics, values.values(), strict=True)
        figures = [in_units(metric, value) for metric, value in of_metrics]
        by_bucket = {bucket: as_key(bucket, key) for bucket, key in zip(order, keys, strict=True)}
        if figures[0]:
            made[tuple(by_bucket[bucket] for bucket in panel.buckets)] = tuple(figures)
    return made


def as_key(bucket: Bucket, key: Any) -> Any:
    """Return what the report calls a bucket: a month, a number, a name."""
    if bucket.kind == "time":
        return dt.datetime.fromtimestamp(key / 1000, dt.timezone.utc).isoformat()[:7]
    if bucket.kind == "every":
        return int(key)
    if bucket.kind == "counts":
        return int(float(str(key).partition("-")[0]))
    return key


def in_units(metric: Metric, value: Any) -> Any:
    """Return a figure as the report has it: seconds to two digits, times as text."""
    if value is None:
        return None
    if metric.is_time:
        when = dt.datetime.fromtimestamp(value / 1000, dt.timezone.utc)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if metric.key == "duration":
        return round(value / 1e9, 2)
    return round(value, 2)


def same(panel: Panel, found: Figures, known: Figures) -> None:
    """Fail unless a panel shows what is known; of many rows it shows those with most sessions."""
    assert found
    sizes = [bucket.size for bucket in panel.buckets if bucket.size]
    for keys, figures in found.items():
        for metric, figure, right in zip(panel.metrics, figures, known[keys], strict=True):
            assert is_right(metric, figure, right), (keys, metric, figure, right)
    missing = [figures for keys, figures in known.items() if keys not in found]
    if missing:
        assert len(found) >= min(sizes), missing
        fewest = min(figures[0] for figures in found.values())
        if len(panel.buckets) == 1:
            assert max(figures[0] for figures in missing) <= fewest


def is_right(metric: Metric, figure: Any, right: Any) -> bool:
    """Return whether a figure is right, as exactly as a search engine has it."""
    if metric.kind == "median":
        below = sum(value < figure - 0.01 for value in right)
        above = sum(value > figure + 0.01 for value in right)
        return (figure is None and not right) or max(below, above) <= 0.55 * len(right) + 1
    if metric.is_time:
        return bool(figure == f"{right[:23]}Z")  # milliseconds
    return bool(figure == pytest.approx(right, abs=0.011))


def asked_by(name: str) -> list[dict[str, Any]]:
    """Return the requests for the visualizations of a file, on its dashboard."""
    board = saved(name)[-1]["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]
    (logged_in,) = json.loads(board)["filter"]
    return [
        searches.of_visualization(each, INTERVAL, logged_in["query"]) for each, _ in states(name)
    ]


def test_visualizations_show_the_reports_numbers(
    sessions: Sessions, report: dict[str, Any]
) -> None:
    """Every panel, as its saved object asks for it, on real sessions of ten years."""
    known = expected(sessions.inside, report)
    assert set(known) == {panel.id for panel in PANELS}
    for panel, asked in zip(PANELS, asked_by("kibana"), strict=True):
        found = shown(panel, panel.buckets, searches.rows(asked, sessions.ask(asked)))
        same(panel, found, known[panel.id]())


def test_both_ask_for_the_same() -> None:
    """OpenSearch Dashboards ask what Kibana asks, and so show the same numbers."""
    assert asked_by("opensearch") == asked_by("kibana")


def test_grafanas_panels_show_the_reports_numbers(
    sessions: Sessions, report: dict[str, Any]
) -> None:
    """Every panel, as Grafana asks for it, with all sensors and the sessions that logged in."""
    known = expected(sessions.inside, report)
    by_number = grouped(sessions.inside, "command_events").items()
    known["command-numbers"] = lambda: {key: (len(of),) for key, of in by_number}
    chosen = {"sessions": "cowrie.logged_in:true", "sensor": "*"}
    for described, drawn in zip(PANELS, boards()[ELASTICSEARCH]["panels"], strict=False):
        panel = described
        (target,) = drawn["targets"]
        asked = searches.of_target(target, INTERVAL, chosen)
        rows = list(searches.rows(asked, sessions.ask(asked)))
        if not panel.buckets:  # Grafana's are by what is always the same
            rows = [((), values) for _, values in rows]
        elif panel.id == "command-numbers":  # and its bars by every number
            panel = evolve(panel, buckets=(evolve(panel.buckets[0], kind="every"),))
        order = sorted(panel.buckets, key=lambda bucket: bucket.kind == "time")
        same(panel, shown(panel, order, rows), known[panel.id]())


def test_the_list_holds_the_sessions_most_worth_a_look(sessions: Sessions) -> None:
    """Those in which somebody typed, and those of a new script that brought files."""
    wanted = {
        record["session"]
        for record in sessions.inside
        if record["automation"] == "interactive" or is_new_with_files(record)
    }
    assert wanted
    (search,) = [each for each in saved("kibana") if each["type"] == "search"]
    source = json.loads(search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    query = searches.as_query(source["query"])
    found = sessions.ask({"size": 1000, "query": query})["hits"]["hits"]
    assert {hit["_source"]["cowrie"]["session"] for hit in found} == wanted


def test_a_session_that_was_written_again_counts_once(sessions: Sessions) -> None:
    """A later revision is a further document, not a further session."""
    records = [summary("a", "id"), summary("a", "id", revision=1, downloads=1), summary("b", "id")]
    fill(sessions.search, records, "revised")
    for panel, asked in zip(PANELS, asked_by("kibana"), strict=True):
        if panel.id in ("totals", "scripts", "sensors", "last-commands", "command-numbers"):
            answer = sessions.ask(asked, "revised")
            assert answer["hits"]["total"]["value"] == 3
            ((_, values),) = searches.rows(asked, answer)
            assert values["1"] == 2
