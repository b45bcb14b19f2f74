"""What Kibana, OpenSearch Dashboards and Grafana ask a search engine for a panel, for tests.

They put a request together from what the files say; here that is done anew, from the files alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = dict[str, Any]
Row = tuple[tuple[Any, ...], dict[str, Any]]
"""The keys of a bucket and of those around it, and the figures in it by their ids."""

EVERYTHING: Final[Json] = {"match_all": {}}


def of_visualization(saved: Json, interval: str, where: Json) -> Json:
    """Return the request for a saved visualization; ``where`` is the dashboard's own filter."""
    attributes = saved["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    aggs = json.loads(attributes["visState"])["aggs"]
    metrics = {agg["id"]: _metric(agg) for agg in aggs if agg["schema"] == "metric"}
    buckets = [(agg["id"], _bucket(agg, interval)) for agg in aggs if agg["schema"] != "metric"]
    asked = [where, as_query(source["query"])]
    return _body({"bool": {"filter": asked}}, buckets, metrics)


def as_query(query: Json) -> Json:
    """Return a query in Kibana's language, as far as the dashboards speak it."""
    assert query["language"] == "kuery"
    text = re.sub(r"\b(and|or)\b", lambda word: word[0].upper(), query["query"])
    text = text.replace(": ", ":").replace(" > ", ":>")
    return {"query_string": {"query": text}} if text else EVERYTHING


def _metric(agg: Json) -> Json:
    params, kind = agg["params"], agg["type"]
    asked = {"field": params["field"], **json.loads(params.get("json", "{}"))}
    if kind == "median":
        return {"percentiles": {**asked, "percents": [50]}}
    return {kind: asked}


def _bucket(agg: Json, interval: str) -> Json:
    params, kind = agg["params"], agg["type"]
    asked: Json = {"field": params["field"]}
    if kind == "terms":
        asked |= {"size": params["size"], "order": {params["orderBy"]: params["order"]}}
    elif kind == "histogram":
        asked |= {"interval": params["interval"], "min_doc_count": int(not params["min_doc_count"])}
    elif kind == "date_histogram":
        assert params["interval"] == "auto"
        asked |= {"calendar_interval": interval, "min_doc_count": params["min_doc_count"]}
    else:
        asked["ranges"] = params["ranges"]
    return {kind: asked}


def of_target(target: Json, interval: str, variables: Mapping[str, str]) -> Json:
    """Return the request for a target of a panel of Grafana's, over Elasticsearch."""
    text = re.sub(r"\$(\w+)", lambda name: variables[name[1]], target["query"])
    query = {"query_string": {"query": text, "analyze_wildcard": True}}
    metrics = {}
    for metric in target["metrics"]:
        settings = {
            name: [float(each) for each in value] if isinstance(value, list) else int(value)
            for name, value in metric.get("settings", {}).items()
        }
        if metric["type"] == "raw_data":
            return {"size": settings["size"], "query": query}
        metrics[metric["id"]] = {metric["type"]: {"field": metric["field"], **settings}}
    buckets = [(agg["id"], _group(agg, interval)) for agg in target["bucketAggs"]]
    return _body(query, buckets, metrics)


def _group(agg: Json, interval: str) -> Json:
    settings = agg["settings"]
    asked: Json = {"field": agg["field"], "min_doc_count": int(settings["min_doc_count"])}
    if agg["type"] == "terms":
        asked |= {"size": int(settings["size"]), "order": {settings["orderBy"]: settings["order"]}}
    elif agg["type"] == "histogram":
        asked["interval"] = int(settings["interval"])
    else:
        assert settings["interval"] == "auto"
        asked["calendar_interval"] = interval
    return {agg["type"]: asked}


def _body(query: Json, buckets: list[tuple[str, Json]], metrics: Json) -> Json:
    inner = dict(metrics)
    for name, bucket in reversed(buckets):
        inner = {name: {**bucket, "aggs": {**inner, **metrics}}}
    return {"size": 0, "track_total_hits": True, "query": query, "aggs": inner}


def rows(asked: Json, answer: Json) -> Iterator[Row]:
    """Yield a row for each of the innermost buckets of an answer that holds anything."""
    yield from _rows(asked["aggs"], answer["aggregations"], ())


def _rows(asked: Json, found: Json, keys: tuple[Any, ...]) -> Iterator[Row]:
    inner = next((name for name, agg in asked.items() if "aggs" in agg), None)
    if inner is None:
        yield keys, {name: _value(found[name]) for name in asked}
        return
    for bucket in found[inner]["buckets"]:
        if bucket["doc_count"]:
            yield from _rows(asked[inner]["aggs"], bucket, (*keys, bucket["key"]))


def _value(found: Json) -> Any:
    if "values" in found:
        (value,) = found["values"].values()
        return value
    return found["value"]


def of_series(target: Json, where: Json) -> Json:
    """Return the request of an alert rule of Grafana's, which counts by a name and by time."""
    group, by_time = target["bucketAggs"]
    terms = {"field": group["field"], "size": int(group["settings"]["size"])}
    every = {"field": by_time["field"], "fixed_interval": by_time["settings"]["interval"]}
    query = {"bool": {"filter": [where, {"query_string": {"query": target["query"]}}]}}
    inner = {by_time["id"]: {"date_histogram": {**every, "min_doc_count": 1}, "aggs": {}}}
    return {"size": 0, "query": query, "aggs": {group["id"]: {"terms": terms, "aggs": inner}}}


def series(asked: Json, answer: Json) -> Iterator[tuple[tuple[str, float], int]]:
    """Yield each count of a series, with the name and the time in milliseconds."""
    ((group, within),) = asked["aggs"].items()
    (by_time,) = within["aggs"]
    for bucket in answer["aggregations"][group]["buckets"]:
        for point in bucket[by_time]["buckets"]:
            yield (bucket["key"], point["key"]), point["doc_count"]
