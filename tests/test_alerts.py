"""The alerts: that their files say one thing, and that they find the right sessions and sensors."""

from __future__ import annotations

import configparser
import datetime as dt
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from boards import alerts, searches
from boards.alerts_grafana import SOURCE
from boards.alerts_splunk import SOURCETYPE
from boards.panels import PATTERN
from boards.real import Sessions
from conftest import ROOT, run
from make_boards import ETC
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule
from sigma.validation import SigmaValidator
from sigma.validators.core import validators
from summaries import Record
from test_dashboards import TYPES, as_numbers, fields_of, problems

from cowrie_sessionstats.summary import KEYS

FACTS: Final = json.loads((ROOT / "tests/published/alerting.json").read_text())
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

RIGHT: Final[dict[str, Callable[[Record], bool]]] = {
    "cowrie_interactive_session": lambda record: record["automation"] == "interactive",
    "cowrie_new_script_with_files": lambda record: (
        record.get("seen_before") == 0 and bool(record["downloads"] or record["uploads"])
    ),
}
"""Which records each alert on a session is about."""
QUIET: Final = "cowrie_sensor_quiet"


def kibana() -> dict[str, Any]:
    """Return the rules by the names of the alerts."""
    lines = (ETC / "alerts/kibana-rules.ndjson").read_text().splitlines()
    return dict(zip(alerts.names(), map(json.loads, lines), strict=True))


def monitor(name: str) -> Any:
    """Return the monitor of that name."""
    return json.loads((ETC / f"alerts/opensearch/{name}.json").read_text())


def grafana() -> dict[str, Any]:
    """Return Grafana's rules by the names of the alerts."""
    (group,) = yaml.safe_load((ETC / "alerts/grafana-rules.yaml").read_text())["groups"]
    return dict(zip(alerts.names(), group["rules"], strict=True))


class Settings(configparser.ConfigParser):
    """Settings whose names have capitals."""

    def optionxform(self, optionstr: str) -> str:
        """Return the name as it is."""
        return optionstr


def splunk() -> configparser.ConfigParser:
    """Return the saved searches."""
    conf = Settings(interpolation=None, delimiters=("=",))
    conf.read(ETC / "splunk/savedsearches.conf")
    return conf


# ---------------------------------------------------------------- one description


def test_the_same_alerts_are_everywhere() -> None:
    """Each has the same title, words and id in all files."""
    known = {alert.name: alert for alert in alerts.alerts()} | {QUIET: alerts.QUIET}
    assert list(known) == [*RIGHT, QUIET] == alerts.names()
    titles = [alert.title for alert in known.values()]
    assert splunk().sections() == titles
    for name, alert in known.items():
        rule, drawn, searched = kibana()[name], grafana()[name], splunk()[alert.title]
        assert (rule["name"], rule["rule_id"]) == (alert.title, alert.id)
        assert monitor(name)["name"] == drawn["title"] == alert.title
        said = {rule["description"], drawn["annotations"]["description"], searched["description"]}
        assert said == {alert.description}


def test_sigma_rules_are_strict_and_name_keys_of_the_record() -> None:
    """They parse without a complaint; every field in them is a key."""
    for path in alerts.SIGMA.glob("*.yml"):
        collection = SigmaCollection.from_yaml(path.read_text(), collect_errors=True)
        assert collection.errors == []
        (rule,) = collection.rules
        assert rule.errors == []
        detection = yaml.safe_load(path.read_text())["detection"]
        named = set(re.findall(r"'(\w+)(?:\|\w+)?':", repr(detection)))
        assert named - set(detection) <= set(KEYS)


def test_sigmas_own_checks_find_nothing() -> None:
    """All that come with pySigma, but for those that load lists from the internet."""
    of_the_internet = ("attacktag", "d3_fendtag")
    checks = [check for name, check in validators.items() if name not in of_the_internet]
    assert len(checks) == len(validators) - len(of_the_internet)
    rules = [
        rule
        for path in alerts.SIGMA.glob("*.yml")
        for rule in SigmaCollection.from_yaml(path.read_text())
        if isinstance(rule, SigmaRule)
    ]
    assert len(rules) == len(RIGHT)
    assert SigmaValidator(checks).validate_rules(iter(rules)) == []


def test_the_pipeline_in_etc_gives_the_names_of_documents() -> None:
    """Whoever converts the rules with it gets what the other files have."""
    text = (ETC / "sigma/pipelines/cowrie-sessionstats-ecs.yml").read_text()
    mapping = yaml.safe_load(text)["transformations"][0]["mapping"]
    assert set(mapping) == set(KEYS)
    assert set(mapping.values()) <= set(TYPES)
    backend = LuceneBackend(ProcessingPipeline.from_yaml(text))
    for path in sorted(alerts.SIGMA.glob("*.yml")):
        (query,) = backend.convert(SigmaCollection.from_yaml(path.read_text()))
        assert query == kibana()[path.stem]["query"]
        assert fields_of(query) <= set(TYPES)


def test_kibanas_rules_hold_what_an_import_takes() -> None:
    """Names, types and values are those of its published schema."""
    known = FACTS["kibana"]
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list}
    for rule in kibana().values():
        assert set(known["required"]) <= set(rule) <= set(known["properties"])
        for name, value in rule.items():
            assert type(value) is kinds[known["properties"][name]], name
        assert rule["severity"] in known["severity"]
        assert rule["language"] in known["language"][rule["type"]]
        assert 0 <= rule["risk_score"] <= 100
        assert ("index" in rule) == (rule["type"] in known["only"]["index"])
        assert re.fullmatch(r"now-\d+[smhd]", rule["from"])
        assert re.fullmatch(r"\d+[smhd]", rule["interval"])


def test_kibanas_rule_for_a_quiet_sensor_asks_for_what_is_there() -> None:
    """Its ES|QL, which nothing here runs, reads the index and names fields of the template."""
    query = kibana()[QUIET]["query"]
    parts = [part.strip() for part in query.split("|")]
    assert parts[0] == f"FROM {PATTERN}"
    made = re.fullmatch(r"STATS (\w+) = MAX\((\S+)\) BY (\S+)", parts[1])
    assert made is not None
    assert (TYPES[made[2]], TYPES[made[3]]) == ("date", "keyword")
    assert re.fullmatch(rf"WHERE {made[1]} < NOW\(\) - {alerts.QUIET_HOURS} hours", parts[2])
    assert len(parts) == 3


@pytest.mark.parametrize("name", [*RIGHT, QUIET])
def test_monitors_hold_what_the_api_takes(name: str) -> None:
    """Names are OpenSearch's; the trigger's paths lead to what the search asks for."""
    known, said = FACTS["opensearch"], monitor(name)
    assert set(said) == set(known["monitor"])
    assert said["monitor_type"] in known["monitor_type"]
    ((search,),) = (each.values() for each in said["inputs"])
    assert set(search) == set(known["search"])
    (trigger,) = (each["bucket_level_trigger"] for each in said["triggers"])
    assert set(trigger) <= set(known["bucket_level_trigger"])
    assert trigger["severity"] in known["severity"]
    condition = trigger["condition"]
    assert set(condition) <= set(known["condition"])
    aggs = search["query"]["aggregations"]
    assert list(aggs) == [condition["parent_bucket_path"]]
    for variable, path in condition["buckets_path"].items():
        assert f"params.{variable}" in condition["script"]["source"]
        inner = path.removesuffix("_count").rstrip(".")
        assert not inner or inner in aggs[condition["parent_bucket_path"]]["aggs"]


def test_grafanas_rules_are_rules_by_its_schema() -> None:
    """Each whole, its query and its steps; each step is of one before it."""
    sources = {
        known["uid"]: known
        for path in (ETC / "grafana/datasources").glob("*.yaml")
        for known in yaml.safe_load(path.read_text())["datasources"]
    }
    assert SOURCE in sources
    of_type = {"reduce": "TypeReduce", "resample": "TypeResample", "threshold": "TypeThreshold"}
    for rule in grafana().values():
        whole = {**rule, "folderUID": "cowrie", "orgID": 1, "ruleGroup": "cowrie-sessionstats"}
        assert problems(whole, "alerting.Rule") == []
        query, *steps = rule["data"]
        assert query["datasourceUid"] == SOURCE
        assert problems(query["model"], "elasticsearch.dataquery") == []
        before = [query["refId"]]
        for step in steps:
            model = step["model"]
            assert problems(model, f"expr.{of_type[model['type']]}") == []
            assert model["expression"] == before[-1]
            before.append(step["refId"])
        assert rule["condition"] == before[-1]
        assert len(rule["uid"]) <= 40


def test_grafana_is_provisioned_with_one_source_of_sessions() -> None:
    """The files for Elasticsearch and for OpenSearch stand for one another."""
    for name in ("elasticsearch", "opensearch"):
        (known,) = yaml.safe_load((ETC / f"grafana/datasources/{name}.yaml").read_text())[
            "datasources"
        ]
        assert known["uid"] == SOURCE
        options = known["jsonData"]
        assert PATTERN in (options.get("index"), options.get("database"))
        assert TYPES[options["timeField"]] == "date"
    assert as_numbers(options["version"]) >= [2, 15]  # of the template's field types


def test_splunks_searches_have_its_settings() -> None:
    """No setting is misspelt, and each looks at the records of the sender."""
    for section in splunk().values():
        if section.name != "DEFAULT":
            assert set(section) == set(FACTS["splunk"])
            assert f'sourcetype="{SOURCETYPE}"' in section["search"]


# ---------------------------------------------------------------- what they find


def right(records: list[Record], name: str) -> set[str]:
    """Return the sessions that an alert is about."""
    found = {record["session"] for record in records if RIGHT[name](record)}
    assert found
    return found


@pytest.mark.parametrize("name", RIGHT)
def test_a_rule_finds_exactly_the_right_sessions(name: str, sessions: Sessions) -> None:
    """Of all real sessions, as the search engine understands the query."""
    query = {"query_string": {"query": kibana()[name]["query"]}}
    hits = sessions.ask({"size": 10_000, "query": query})["hits"]["hits"]
    found = [hit["_source"]["cowrie"]["session"] for hit in hits]
    assert set(found) == right(sessions.records, name)
    assert len(found) < len(sessions.records)


def seconds(record: Record) -> float:
    """Return when a session ended, which is the time of its document."""
    return dt.datetime.fromisoformat(record["end"].replace("Z", "+00:00")).timestamp()


def bucket_alerts(name: str, sessions: Sessions, now: float) -> set[str]:
    """Return what a monitor alerts on at that time: it searches, then its trigger judges."""
    said = monitor(name)
    search = said["inputs"][0]["search"]["query"]
    asked = json.loads(json.dumps(search).replace("{{period_end}}", str(int(now * 1000))))
    condition = said["triggers"][0]["bucket_level_trigger"]["condition"]
    found = sessions.ask(asked)["aggregations"][condition["parent_bucket_path"]]["buckets"]
    ((variable, path),) = condition["buckets_path"].items()
    inner = path.removesuffix("_count").rstrip(".")
    judged = re.fullmatch(rf"params\.{variable} (>|==) (\d+)", condition["script"]["source"])
    assert judged is not None
    operator, limit = judged[1], int(judged[2])
    alerted = set()
    for bucket in found:
        count = (bucket[inner] if inner else bucket)["doc_count"]
        if count > limit if operator == ">" else count == limit:
            alerted.add(bucket["key"]["key"])
    return alerted


def grafana_alerts(name: str, sessions: Sessions, now: float) -> set[str]:
    """Return what Grafana's rule alerts on at that time: it searches, then each step is done."""
    query, *steps = grafana()[name]["data"]
    since = now - query["relativeTimeRange"]["from"]
    limits = {"gte": int(since * 1000), "lte": int(now * 1000), "format": "epoch_millis"}
    asked = searches.of_series(query["model"], {"range": {"@timestamp": limits}})
    series: dict[str, list[tuple[float, float]]] = {}
    for (key, at), count in searches.series(asked, sessions.ask(asked)):
        series.setdefault(key, []).append((at / 1000, count))
    values: dict[str, float] = {}
    for step in (each["model"] for each in steps):
        if step["type"] == "resample":
            window = int(step["window"].removesuffix("h")) * HOUR
            series = {key: resampled(of, since, now, window) for key, of in series.items()}
        elif step["type"] == "reduce":
            values = {
                key: sum(value for _, value in of) if step["reducer"] == "sum" else of[-1][1]
                for key, of in series.items()
            }
        else:
            evaluator = step["conditions"][0]["evaluator"]
            (limit,) = evaluator["params"]
            values = {
                key: value
                for key, value in values.items()
                if (value > limit if evaluator["type"] == "gt" else value < limit)
            }
    return set(values)


def resampled(
    points: list[tuple[float, float]], since: float, now: float, window: float
) -> list[tuple[float, float]]:
    """Return the sums of windows that end at ``now``, at the one before, and so on."""
    ends = [since + index * window for index in range(round((now - since) / window) + 1)]
    return [(end, sum(value for at, value in points if end - window < at <= end)) for end in ends]


@pytest.mark.parametrize("alerted", [bucket_alerts, grafana_alerts])
@pytest.mark.parametrize("name", RIGHT)
def test_a_look_finds_the_sessions_of_its_hour(
    name: str, alerted: Callable[[str, Sessions, float], set[str]], sessions: Sessions
) -> None:
    """Of the right sessions, those that ended within the hour before, and no other."""
    due = sorted(seconds(record) for record in sessions.records if RIGHT[name](record))
    for ended in (due[0], due[len(due) // 2], due[-1]):
        for now in (ended + 60, ended + 2 * HOUR):
            lately = [record for record in sessions.records if now - HOUR <= seconds(record) <= now]
            wanted = {record["session"] for record in lately if RIGHT[name](record)}
            assert alerted(name, sessions, now) == wanted


@pytest.mark.parametrize("alerted", [bucket_alerts, grafana_alerts])
def test_a_sensor_that_sends_nothing_any_more_is_found(
    alerted: Callable[[str, Sessions, float], set[str]], sessions: Sessions
) -> None:
    """Six hours after its last record, for a week; those that still send are not."""
    ends: dict[str, list[float]] = {}
    for record in sessions.records:
        ends.setdefault(record["sensor"], []).append(seconds(record))
    last = sorted(max(times) for times in ends.values())
    cases = []
    for ended in (last[0], last[len(last) // 2], last[-1]):
        for now in (ended + HOUR, ended + 6.5 * HOUR, ended + 8 * DAY):
            quiet = {
                sensor
                for sensor, times in ends.items()
                if any(now - 7 * DAY <= time <= now for time in times)
                and not any(now - 6 * HOUR < time <= now for time in times)
            }
            assert alerted(QUIET, sessions, now) == quiet
            cases.append(quiet)
    assert any(cases)
    assert not all(cases)


def splunk_matches(search: str, record: Record) -> bool:
    """Return whether a search's conditions hold, as Splunk reads them: OR binds before AND."""
    conditions = search.partition(" | ")[0].replace(f'index=* sourcetype="{SOURCETYPE}" ', "")
    terms = re.findall(r'(\bOR )?(\w+)(>=|=)"?([\w.]+)"?', conditions)
    groups: list[bool] = []
    for joined, key, operator, text in terms:
        value = record.get(key)
        holds = value is not None and (
            value >= int(text) if operator == ">=" else str(value) == text
        )
        if joined:
            groups[-1] |= holds
        else:
            groups.append(holds)
    return all(groups)


@pytest.mark.parametrize("name", RIGHT)
def test_splunks_conditions_hold_for_exactly_the_right_sessions(
    name: str, sessions: Sessions
) -> None:
    """Of all real sessions, as its manual says that conditions are read."""
    titles = {alert.name: alert.title for alert in alerts.alerts()}
    search = splunk()[titles[name]]["search"]
    found = {each["session"] for each in sessions.records if splunk_matches(search, each)}
    assert found == right(sessions.records, name)


# ---------------------------------------------------------------- Prometheus


def promtool(*arguments: object) -> None:
    """Run promtool; a complaint of it fails the test."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool here: apt-get install --no-install-recommends prometheus")
    run(program, *map(str, arguments))


def test_prometheus_takes_configuration_and_rules() -> None:
    """By its own tool."""
    promtool("check", "config", ETC / "prometheus/prometheus.yml")
    promtool("check", "rules", ETC / "prometheus/cowrie-sessionstats.rules.yml")


def test_rules_fire_when_they_should() -> None:
    """Each alert is there in time and not before, on series made for it."""
    promtool("test", "rules", ROOT / "tests/prometheus_rules.yml")
    tested = set(re.findall(r"alertname: (\w+)", (ROOT / "tests/prometheus_rules.yml").read_text()))
    rules = (ETC / "prometheus/cowrie-sessionstats.rules.yml").read_text()
    assert tested == set(re.findall(r"- alert: (\w+)", rules))


def test_the_tests_of_rules_can_fail(tmp_path: Path) -> None:
    """With other limits they do."""
    rules = (ETC / "prometheus/cowrie-sessionstats.rules.yml").read_text()
    cases = (ROOT / "tests/prometheus_rules.yml").read_text().replace("../etc/prometheus/", "")
    (tmp_path / "cases.yml").write_text(cases)
    for known, other in (("6 * 3600", "60 * 3600"), ("> 0.001", "> 1")):
        assert known in rules
        changed = rules.replace(known, other)
        (tmp_path / "cowrie-sessionstats.rules.yml").write_text(changed)
        with pytest.raises(AssertionError, match="FAILED"):
            promtool("test", "rules", tmp_path / "cases.yml")
