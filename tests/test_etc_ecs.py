"""Collectors that read the log make the documents that our own format makes of its records."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import collectors
import pytest
from collectors import ID, Document
from conftest import ROOT
from hostile_records import cleaned, hostile_records
from hypothesis import HealthCheck, Phase, given, settings
from receivers_http import opensearch
from samples import closed, command, connect, login, records
from summaries import summary

from cowrie_sessionstats import summarize
from cowrie_sessionstats.outputs.formats.ecs import ecs_document
from cowrie_sessionstats.outputs.formats.ecs_collectors import with_names
from cowrie_sessionstats.outputs.formats.ndjson import ndjson
from cowrie_sessionstats.summary import record
from cowrie_sessionstats.timestamps import parse_timestamp

FILES: Final = (
    "filebeat/filebeat.yml",
    "fluent-bit/fluent-bit.yaml",
    "logstash/cowrie-sessionstats.conf",
    "vector/vector.yaml",
)
COLLECTORS: Final = (
    collectors.filebeat,
    collectors.fluent_bit,
    collectors.logstash,
    collectors.vector,
)
Collector = Callable[[Sequence[str]], list[Document]]
of_each = pytest.mark.parametrize("collector", COLLECTORS, ids=lambda each: str(each.__name__))


def log_line(record: Any) -> str:
    """Return a record as the log has it, lone surrogates and all."""
    return json.dumps(record)


def wanted(record: Any) -> Document:
    """Return the document of our own format, as it is sent of what the log says."""
    document = ecs_document(json.loads(log_line(record)))
    return {**cleaned(document), ID: document["event"]["id"]}


def differences(made: Any, expected: Any, place: str = "") -> list[Any]:
    """Return where two values differ for Elasticsearch: 1.0 is 1, a double has 15 digits."""
    if expected == {} and made is None:  # an object without fields is none
        return []
    if isinstance(expected, dict) and isinstance(made, dict):
        return [
            each
            for key in sorted({*made, *expected})
            for each in differences(made.get(key), expected.get(key), f"{place}.{key}")
        ]
    if isinstance(expected, float) or (isinstance(expected, int) and abs(expected) > 1 << 50):
        same = isinstance(made, (int, float)) and math.isclose(made, expected, rel_tol=1e-14)
    else:
        same = type(made) is type(expected) and made == expected
    return [] if same else [(place, made, expected)]


def moment(value: Any) -> float | None:
    """Return a time in seconds, as a text or as Fluent Bit has it."""
    if isinstance(value, tuple):
        seconds, nanoseconds = value
        return float(round(seconds + nanoseconds / 1e9, 6))
    parsed: float | None = parse_timestamp(value)
    return None if parsed is None else round(parsed, 6)


def check(made: Sequence[Document], known: Sequence[Any]) -> None:
    """Compare documents with those of our own format."""
    assert len(made) == len(known)
    for got, each in zip(made, known, strict=True):
        expected = wanted(each)
        assert moment(got.pop("@timestamp", None)) == moment(expected.pop("@timestamp", None))
        assert differences(got, expected) == []


# ---------------------------------------------------------------- one table of names


@pytest.mark.parametrize("name", FILES)
def test_the_names_are_those_of_our_own_format(name: str) -> None:
    """``python -m cowrie_sessionstats.outputs.formats.ecs_collectors FILE`` makes them anew."""
    text = (ROOT / "etc" / name).read_text("utf-8")
    assert text == with_names(text)


def test_a_file_without_a_place_for_names_is_refused() -> None:
    """So that nobody believes that a table is kept that is not there."""
    with pytest.raises(ValueError, match="0 places"):
        with_names("input { }\n")


# ---------------------------------------------------------------- the same documents


def usual() -> list[dict[str, Any]]:
    """Return records of every kind that a sensor writes."""
    events = [
        *[connect(), login(), command("uname -a 😀", 2), command('id "\\', 3.123), closed(5.25)],
        *[connect(9, "b", src_ip="2001:db8::7"), closed(10, "b")],
        *[connect(11, "c"), login(12, "c", username='r\udcff"session": "x"'), closed(13, "c")],
        *[connect(14, "d", src_ip="fe80::1%eth0", dst_ip="::ffff:192.0.2.1"), closed(15, "d")],
        *[connect(16, "e", sensor="sensör\n", uuid='a"b\\'), closed(17, "e")],
        *[connect(18, "f"), command("curl http://x/\x00\x7f\u2028", 19, "f")],
    ]
    late = [
        summary(why, "id", partial=why, hassh="ab", files=["cd"]) for why in ("open", "evicted")
    ]
    return [*records(events), *[dict(record) for record in late], *records([connect(20, "h")])]


@of_each
def test_a_line_of_the_log_becomes_our_own_document(collector: Collector) -> None:
    """With the same id, so that whoever sends a record once more adds nothing."""
    known = usual()
    check(collector([log_line(record) for record in known]), known)


@of_each
def test_so_does_what_the_forwarder_sends(collector: Collector) -> None:
    """`format = ndjson` has no spaces, and its lone surrogates are put right."""
    known = usual()
    check(collector([ndjson(record) for record in known]), [cleaned(record) for record in known])


@pytest.fixture(scope="module")
def real(shared: Path) -> list[dict[str, Any]]:
    """Return records of public honeypots' logs."""
    known = [record(each) for each in summarize(str(shared / "data/real/2021-mdrfckr*"))]
    known += [record(each) for each in summarize(str(shared / "data/real/2026-duration-ms*"))]
    assert len(known) > 50
    return known[:200]


@of_each
def test_real_logs(collector: Collector, real: list[dict[str, Any]]) -> None:
    """The same of what attackers did."""
    check(collector([log_line(each) for each in real]), real)


@pytest.fixture(scope="module")
def hostile() -> list[dict[str, Any]]:
    """Return records in which an attacker chose every text, for all programs to start once."""
    known: list[dict[str, Any]] = []

    @given(hostile_records)
    @settings(
        max_examples=80, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def collect(record: dict[str, Any]) -> None:
        known.append(record)

    collect()
    return known


@of_each
def test_hostile_records(collector: Collector, hostile: list[dict[str, Any]]) -> None:
    """Whatever an attacker sent: no field of his own, no other id, and nothing that is lost."""
    lines = (ROOT / "tests/evil_lines.txt").read_text("utf-8", "surrogateescape").split("\n")
    evil = [dict(summary(f"s{n}", "id", last_command=line)) for n, line in enumerate(lines[::6])]
    check(collector([log_line(record) for record in hostile + evil]), hostile + evil)


@of_each
def test_what_is_no_address_is_in_no_field_for_addresses(collector: Collector) -> None:
    """Elasticsearch would refuse the whole document."""
    luck = random.Random(7)
    right = ["192.0.2.1", "::", "1::", "::1", "1:2:3:4:5:6:7:8", "::1.2.3.4", "1::8", "2001:db8::7"]
    right += ["1:2:3:4:5:6:192.0.2.1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1:2:3:4:5:6:7::"]
    wrong = ["", ":", ":::", "1.2.3", "1.2.3.4.", ".1.2.3.4", "01.2.3.4", "256.1.1.1", "1::2::3"]
    wrong += ["1:2:3:4:5:6:7:8:9", "1::3:4:5:6:7:8:9", "12345::", "1.2.3.4::", "::1.2.3.256", "::g"]
    wrong += ["1.2.3.4\n", "::1%lo", "1.2.3.4/8", "[::1]", "localhost", "1:2:3:4:5:6:7", "٣.1.1.1"]
    for text in right * 12:
        place = luck.randrange(len(text))
        cut = text[:place] + luck.choice(["", ":", ".", "0", "a", "::"])
        wrong.append(cut + text[place + luck.randrange(2) :])
    known = [dict(summary(f"s{place}", src_ip=text)) for place, text in enumerate(right + wrong)]
    check(collector([log_line(record) for record in known]), known)


@of_each
def test_what_is_no_record_is_marked(collector: Collector) -> None:
    """A line that was cut, or that another program wrote, becomes no session."""
    for document in collector(["{", "[]", "null", '"text"', '{"eventid": "cowrie.login.success"}']):
        assert "cowrie" not in document
        assert not document or document["tags"] == ["_no_record"]


# ---------------------------------------------------------------- Fluent Bit itself


@pytest.fixture
def fluent_bit() -> str:
    """Return the program, where it is."""
    found = os.environ.get("FLUENT_BIT") or shutil.which("fluent-bit")
    if found is None:
        pytest.skip("no fluent-bit here: name it in FLUENT_BIT")
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return where the log is."""
    return tmp_path / "sessionstats.json"


@pytest.fixture
def documents(
    fluent_bit: str, tmp_path: Path, log: Path
) -> Iterator[Callable[[int], dict[str, Document]]]:
    """Run Fluent Bit with an emulator of OpenSearch; return what asks that for its documents."""
    with opensearch() as searching:
        place = searching.url.removeprefix("http://")
        host, port = place.split(":")
        given = {
            "SESSIONSTATS_LOG": str(log), "ELASTICSEARCH_HOST": host, "ELASTICSEARCH_PORT": port,
            "ELASTICSEARCH_TLS": "off", "FLUENT_BIT_STATE": str(tmp_path),
        }  # fmt: skip
        with (tmp_path / "output").open("wb") as output:
            running = subprocess.Popen(
                [fluent_bit, "-c", ROOT / "etc/fluent-bit/fluent-bit.yaml"],
                stdout=output, stderr=output, env={**os.environ, **given},
            )  # fmt: skip

        def ask(count: int) -> dict[str, Document]:
            end = time.monotonic() + 20
            found: list[Any] = []
            while len(found) < count:
                assert time.monotonic() < end, (tmp_path / "output").read_text()[-3000:]
                time.sleep(0.2)
                try:
                    body = {"size": 1000, "query": {"match_all": {}}}
                    searching.ask("POST", "/cowrie-sessions/_refresh")
                    answer = searching.ask("POST", "/cowrie-sessions/_search", body)
                    found = answer["hits"]["hits"]
                except OSError as error:
                    print(error, getattr(error, "read", lambda: b"")())
                    continue
            return {hit["_id"]: hit["_source"] for hit in found}

        try:
            yield ask
        finally:
            running.terminate()
            running.wait(20)


def test_fluent_bit_reads_the_log_over_its_rotation(
    documents: Callable[[int], dict[str, Document]], log: Path
) -> None:
    """Every record once, with the document and the id of our own format."""
    known = usual()
    long = dict(summary("long", "id", templates=["😀" * 1024] * 32, urls=["\udcff" * 1024] * 32))
    first, second = [*known[:4], long], known[4:]
    log.write_text("".join(f"{log_line(record)}\n" for record in first))
    documents(len(first))
    log.rename(log.with_name(f"{log.name}.2026-03-18"))
    log.write_text("{ cut\n" + "".join(f"{log_line(record)}\n" for record in second))
    found = documents(len(first + second) + 1)
    (cut,) = [found.pop(key) for key, document in list(found.items()) if "tags" in document]
    assert cut["message"] == "{ cut"
    ids = [wanted(record)[ID] for record in first + second]
    assert set(found) == set(ids)
    check([{**found[each], ID: each} for each in ids], first + second)
