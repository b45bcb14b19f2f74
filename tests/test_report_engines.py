"""The same report, whatever engine computes it: DuckDB, Spark and PostgreSQL, each a real one."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from attrs import frozen
from clickhouse import ClickHouse
from logs import tool
from nasty import NASTY
from ports import HOST, free_port
from postgres_server import PASSWORD, Server
from spark_cluster import Cluster
from summaries import Record, summary, write_records

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.problems import NOT_JSON, Problems
from cowrie_sessionstats.report.computing import report
from cowrie_sessionstats.report.dialects import Spark
from cowrie_sessionstats.report.engine import Engine, EngineError
from cowrie_sessionstats.report.files import as_json
from cowrie_sessionstats.report.interest import rules
from cowrie_sessionstats.report.on_spark import Gathering
from cowrie_sessionstats.report.places import elsewhere
from cowrie_sessionstats.report.query import records_of, result, similar
from cowrie_sessionstats.report.records import NOT_A_SUMMARY, WRONG_TYPE
from cowrie_sessionstats.report.remote import Remote
from cowrie_sessionstats.report.sources import opened
from cowrie_sessionstats.report.tables import Choice

pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in")

CLUSTER_TAKES = 600.0  # seconds, on a machine that has other work


@frozen
class Data:
    """Sessions of several versions of the record, in several kinds of files."""

    folder: Path
    parquet: Path
    """One of the files, of public logs."""
    report: dict[str, Any]
    """What DuckDB makes of them."""
    without_nul: Path
    """The same sessions as an engine has them whose texts can have no NUL."""


def _records() -> Iterator[Record]:
    """Yield records in which attackers chose every text, and some that cannot be."""
    for number, text in enumerate(NASTY):
        known = {"sensor": text, "client_version": text, "hassh": text, "src_ip": text}
        yield summary(f"nasty{number:07x}", text, "uname -a", text, at=number * 3600.0, **known)
        yield summary(text, f"echo {text}", at=number * 60.0, fingerprint=text, templates=[text])
    for number, line in enumerate(
        ("exit", "exit\n", "logout 3", "x; exit", "exitus", "exit ;\r", "Z", "a", "ä")
    ):
        for times in range(3):
            yield summary(
                f"end{number}{times}00000000", line, at=number + times, last_command_template=line,
                quiet_before_close=(None, 0.5, 150.0)[times], downloads=times, uploads=number % 2,
                files=[f"{number % 3}" * 64], checks=["nproc", "uname"][:times],
                check_last=("nproc", None, "uname")[times], duration=17.26 + number / 100,
                gap_median=2.5 * times, gap_cv=0.9, command_rate_active=0.25, terminal="80x24",
                automation=("interactive", "automated", None)[times],
            )  # fmt: skip
    odd: list[Record] = [
        {"duration": 1e300}, {"duration": -1.0}, {"commands": -5}, {"command_events": 2**62},
        {"fingerprint": "csf1_1180591620717411303424_a_b"}, {"fingerprint": "csf1_"},
        {"fingerprint": "csf1_5\n"}, {"fingerprint": "csf1_6"},
        {"start": None}, {"start": "yesterday", "end": "\x1b[2J"}, {"templates": None},
        {"logged_in": None}, {"session": "", "sensor": ""}, {"sensor": None}, {"revision": None},
    ]  # fmt: skip
    for number, each in enumerate(odd):
        yield summary(f"odd{number:09x}", "id", at=86_400.0 * number) | each


def _later() -> Iterator[Record]:
    """Yield what comes after, in another file: revisions, repeats, a key that nobody knows yet."""
    yield summary("odd000000000", "id", downloads=7, revision=2, schema=1, of_tomorrow="x")
    yield summary("odd000000000", "id", downloads=3, revision=1)
    yield summary("end0000000000", "exit", at=0.0, message="says more")


def _of_next_year() -> Iterator[Record]:
    """Yield records of a schema that nobody knows yet, under which a key means another thing."""
    for number in range(5):
        yield summary(f"new{number:09x}", "id", schema=2, duration=17_000_000.0)


def _of_yesterday(record: Record) -> Record:
    """Return a record as a version without findings wrote it."""
    new = ("ending", "automation", "checks", "check_last", "labels", "templates")
    return {key: value for key, value in record.items() if key not in new}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Data:
    """Return records of attackers and of public logs, in files of which no two are alike."""
    folder = tmp_path_factory.mktemp("engines") / "a b%20[c]{d,e}*"
    folder.mkdir()
    records = list(_records())
    whole = [{key: value for key, value in each.items() if value is not None} for each in records]
    half = len(whole) // 2
    write_records(folder / "made.jsonl", whole[:half])
    write_records(folder / "sessionstats.json.2026-03-01", whole[half:])
    write_records(folder / "later.json", _later())
    old = [_of_yesterday(summary(f"old{n:09x}", "ls", at=n * 1e6)) for n in range(30)]
    write_records(folder / "old.jsonl", old)
    logs = tool("summarize", "--output", folder / "real.parquet", shared / "data/real")
    assert logs.status == 0, logs.err
    write_records(folder / "next.jsonl", _of_next_year())
    (folder / "notes.txt").write_text("no summaries")
    clean = folder.with_name("clean")
    clean.mkdir()
    tool("summarize", "--output", clean / "real.jsonl", shared / "data/real")
    for path in (*folder.glob("*json*"), *clean.iterdir()):
        (clean / path.name).write_text(path.read_text().replace("\\u0000", "\\ufffd"))
    return Data(folder, folder / "real.parquet", _local(folder), clean)


def _local(folder: Path) -> dict[str, Any]:
    """Return what DuckDB makes of a folder."""
    said = tool("report", "--json", "--all-sessions", "--top", "1000", folder)
    assert said.status == 0, said.err
    return said.records[0]


@pytest.fixture(scope="module")
def on_spark(spark: Cluster, data: Data) -> Iterator[Engine]:
    """Return Spark, asked about the files."""
    # Few sessions: 200 parts of them would be empty, and to compile queries takes longer than to
    # answer them. The other core is another application's.
    quick = "spark.sql.shuffle.partitions=2&spark.sql.codegen.wholeStage=false&spark.cores.max=1"
    with elsewhere(f"{spark.address}?{quick}", [str(data.folder)], Problems()) as engine:
        yield engine
    gc.collect()


@pytest.fixture(scope="module")
def loaded(postgres: Server, data: Data) -> str:
    """Return the address of a database into which the files were loaded."""
    postgres.sql("CREATE DATABASE loaded")
    said = tool("load", "--engine", postgres.address("loaded"), data.folder)
    assert said.status == 0, said.err
    return postgres.address("loaded")


def _differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yield where two reports differ: to show all of both would show nothing."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from _differences(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (each, its) in enumerate(zip(one, other, strict=True)):
            yield from _differences(each, its, f"{where}/{number}")
    elif one != other:
        yield f"{where}: {one!a:.200} {other!a:.200}"


def _reported(engine: Engine) -> dict[str, Any]:
    made = report(engine, rules(), Choice(all_sessions=True, top=1000, frequent=1000))
    return json.loads(as_json(made))  # type: ignore[no-any-return]


def test_spark_reports_the_same(on_spark: Engine, data: Data) -> None:
    """Every figure to the last digit, of Parquet and JSON lines of several versions together."""
    assert list(_differences(_reported(on_spark), data.report)) == []


def test_postgresql_reports_the_same(loaded: str, data: Data) -> None:
    """Though its texts sort as a language wants them, and a sum of integers is a decimal."""
    said = tool("report", "--json", "--all-sessions", "--top", "1000", "--engine", loaded)
    assert said.status == 0, said.err
    assert list(_differences(said.records[0], _local(data.without_nul))) == []


def test_an_engine_that_only_ibis_knows_reports_the_same(data: Data, tmp_path: Path) -> None:
    """A table ``sessions`` in a database file, of which nothing is known but what Ibis knows."""
    database = tmp_path / "other.duckdb"
    plain = tmp_path / "real.parquet"
    plain.symlink_to(data.parquet)
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE TABLE sessions AS FROM read_parquet('{plain}')")
    said = tool("report", "--json", "--engine", f"duckdb://{database}")
    assert said.status == 0, said.err
    assert said.out == tool("report", "--json", plain).out


def test_clickhouse_reports_the_same(data: Data, tmp_path: Path) -> None:
    """With the settings that let it tell NULL from nothing."""
    pytest.importorskip("chdb", reason="no chdb, which is ClickHouse in a process")
    whole = tmp_path / "all.parquet"
    with opened([str(data.folder)], 2, tmp_path, Settings.of(None, keep_passwords=True)) as sources:
        sources.connection.execute(f"COPY sessions TO '{whole}' (FORMAT parquet)")
    engine = ClickHouse(whole)
    try:
        assert list(_differences(_reported(engine), data.report)) == []
    finally:
        engine.close()


QUESTIONS = (
    # The README's; aggregates of texts that sort otherwise in a language; lists; what only
    # DuckDB's SQL has a name for.
    "SELECT last_command, count(*) AS n FROM sessions GROUP BY ALL ORDER BY n DESC, 1 LIMIT 10",
    "SELECT min(session) AS a, max(session) AS b, min(sensor) AS c FROM sessions",
    "SELECT coalesce(array_length(urls), 0) n, count(*) m FROM sessions GROUP BY ALL ORDER BY n",
    "SELECT count(*) FILTER (WHERE duration > 100) AS n, median(duration) AS m FROM sessions",
    "SELECT length(session) AS n, count(*) AS sessions FROM sessions GROUP BY 1 ORDER BY 1",
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_question_everywhere(
    data: Data, on_spark: Engine, loaded: str, question: str
) -> None:
    """A question in DuckDB's SQL has the same answer on every engine."""
    expected = tool("sql", "--json", question, data.folder).records
    assert expected
    assert _answer(on_spark, question) == expected
    said = tool("sql", "--json", question, "--engine", loaded)
    assert said.status == 0, said.err
    assert said.records == tool("sql", "--json", question, data.without_nul).records


def _answer(engine: Engine, question: str) -> list[Any]:
    out = io.StringIO()
    result(engine.ask(question)).write_json(out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    "session", ["end0000000000", "__proto__", "'; DROP TABLE sessions; --", "\\", "%s%n%x"]
)
def test_one_session_everywhere(data: Data, on_spark: Engine, loaded: str, session: str) -> None:
    """Its record and what is like it are the same, whatever its name is."""
    shown = tool("show", "--json", session, data.folder)
    known = records_of(on_spark, session)
    assert [{k: v for k, v in each.items() if v is not None} for each in known] == shown.records
    there = tool("show", "--json", session, "--engine", loaded)
    assert (there.status, there.out) == (shown.status, shown.out)
    kin = tool("similar", "--json", session, data.folder)
    assert tool("similar", "--json", session, "--engine", loaded).out == kin.out
    if known:
        assert similar(on_spark, known[0], 20).rows == kin.records


def test_a_cluster_by_the_command_line(spark: Cluster, data: Data) -> None:
    """What Spark says of itself is not shown; what is no summary is counted."""
    said = tool(
        "sql", "--json", "SELECT count(*) AS n FROM sessions", data.folder,
        "--engine", spark.address, patience=CLUSTER_TAKES,
    )  # fmt: skip
    assert said.records == [{"n": data.report["figure1"]["sessions"]}]
    assert said.err == (
        "5 records are left out: their schema is newer than 1, which is all that this version "
        "knows. Update cowrie-sessionstats here\n"
        "3 records that others repeat or replace are left out\n"
    )


def test_lines_that_are_no_records(on_spark: Engine, tmp_path: Path) -> None:
    """They are counted by reason, with the file of the first; the rest is read."""
    good = json.dumps(summary("a", "id"))
    wrong = json.dumps(summary("w") | {"commands": "many"})
    event = '{"eventid": "cowrie.session.closed"}'
    (tmp_path / "s.jsonl").write_text(f"{good}\n{{\n{wrong}\n{event}\n")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    problems = Problems()
    assert isinstance(on_spark, Remote)
    assert isinstance(on_spark.dialect, Spark)
    gathering = Gathering(on_spark.dialect.session, problems)
    assert gathering.frame([str(tmp_path / "s.jsonl")]).count() == 1 + 1  # another event's, too
    assert {reason: each.count for reason, each in problems.lines.items()} == {
        NOT_JSON: 1, WRONG_TYPE: 1, NOT_A_SUMMARY: 1,
    }  # fmt: skip
    assert problems.lines[NOT_JSON].first.endswith("s.jsonl")
    with pytest.raises(EngineError, match="no session was found"):
        gathering.frame([str(tmp_path / "x.parquet"), str(tmp_path / "nothing")])
    assert problems.files[1] == f"{tmp_path}/nothing: is not there"


# ---------------------------------------------------------------- a database


def test_loading_twice_changes_nothing(postgres: Server, tmp_path: Path) -> None:
    """A session is there once; a later revision takes its place, an earlier one does not."""
    postgres.sql("CREATE DATABASE twice")
    there = postgres.address("twice")
    records = [summary("a", "id"), summary("b", "ls", sensor=None), summary("c", start=None)]
    path = write_records(tmp_path / "s.jsonl", records)
    said = tool("load", "--engine", there, path)
    assert said.err == "3 sessions are new, 0 took the place of an earlier record, 0 were there\n"
    assert tool("load", "--engine", there, path).err.endswith(", 3 were there\n")
    write_records(path, [summary("a", "id", revision=2, downloads=5), summary("d", "w")])
    assert tool("load", "--engine", there, path).err.startswith("1 sessions are new, 1 took")
    write_records(path, [summary("a", "id", revision=1, downloads=9)])
    assert tool("load", "--engine", there, path).err.endswith(", 1 were there\n")
    assert postgres.sql("SELECT downloads FROM sessions WHERE session = 'a'", "twice") == "5"
    assert postgres.sql("SELECT count(*) FROM sessions", "twice") == "4"


def test_a_table_of_an_older_version(postgres: Server, tmp_path: Path) -> None:
    """It is reported on as it is, and gets the columns that it lacks when something is loaded."""
    postgres.sql("CREATE DATABASE older")
    there = postgres.address("older")
    postgres.sql(
        "CREATE TABLE sessions (eventid text, session text, sensor varchar(20), duration real, "
        "logged_in boolean, commands int, command_events int, tenant text)",
        "older",
    )
    postgres.sql(
        "INSERT INTO sessions VALUES "
        "('cowrie.sessionstats.summary', 'a', 's', 1.5, true, 2, 2, 't'), "
        "('cowrie.session.closed', 'b', 's', 1, true, 1, 1, 't')",
        "older",
    )
    said = tool("report", "--json", "--engine", there)
    assert said.status == 0, said.err
    assert said.records[0]["figure1"]["sessions"] == 1
    path = write_records(tmp_path / "s.jsonl", [summary("n", "id")])
    assert tool("load", "--engine", there, path).status == 0
    assert tool("report", "--json", "--engine", there).records[0]["figure1"]["sessions"] == 2
    assert postgres.sql("SELECT tenant FROM sessions WHERE session = 'a'", "older") == "t"


def test_a_question_changes_nothing(postgres: Server, loaded: str) -> None:
    """What would write is refused, and the database is as it was."""
    before = postgres.sql("SELECT count(*) FROM sessions", "loaded")
    for question in (
        "DELETE FROM sessions",
        "DROP TABLE public.sessions",
        "SELECT 1; SELECT 2",
        "",
    ):
        said = tool("sql", question, "--engine", loaded)
        assert said.status == 2, question
        assert said.err.startswith("error in the SQL: ")
    assert postgres.sql("SELECT count(*) FROM sessions", "loaded") == before
    left = "SELECT count(*) FROM pg_class WHERE relname ~ 'sessionstats'"
    assert postgres.sql(left, "loaded") == "0"


def test_who_may_only_read(postgres: Server, loaded: str) -> None:
    """A reader's rights suffice for a report, and a password in the address is in no message."""
    secret = quote(PASSWORD, safe="")
    postgres.sql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'", "loaded")
    postgres.sql("GRANT SELECT ON sessions TO reader", "loaded")
    as_reader = loaded.replace("//postgres@", f"//reader:{secret}@")
    assert tool("report", "--engine", as_reader).status == 0
    said = tool("report", "--engine", as_reader.replace(secret, secret + "x"))
    assert said.status == 1
    assert "password authentication failed" in said.err
    assert "pass" not in said.err.replace("password authentication failed", "")
    postgres.sql("REVOKE SELECT ON sessions FROM reader", "loaded")
    said = tool("report", "--engine", as_reader)
    assert (said.status, "permission denied" in said.err) == (1, True)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mongo", "--engine mongo: there is no such engine"),
        ("nothing://x", "nothing://x cannot be asked"),
        ("postgres://a:geheim@{}/b", "refused"),
        ("spark://{}", "no master of Spark answers"),
        ("sc://{}/;token=geheim", "no master of Spark answers"),
        ("duckdb:///nonexistent/x", "cannot be asked"),
    ],
)
def test_an_engine_that_is_not_there(address: str, said: str) -> None:
    """It ends with one sentence, which no password is in, and status 1."""
    done = tool("report", "--engine", address.format(f"{HOST}:{free_port()}"))
    assert done.status == 1
    assert said in done.err
    assert done.err.count("\n") == 1
    assert "geheim" not in done.err


def test_what_a_database_cannot_be_asked(postgres: Server, tmp_path: Path) -> None:
    """No files, and no table that is not one of sessions."""
    postgres.sql("CREATE DATABASE odd")
    there = postgres.address("odd")
    assert "has no table or view sessions" in tool("report", "--engine", there).err
    assert "leave out" in tool("report", "--engine", there, tmp_path).err
    postgres.sql("CREATE TABLE sessions (id int)", "odd")
    assert "it is not one of summaries" in tool("report", "--engine", there).err
    assert tool("report").status == 2


def test_where_nothing_can_be_loaded(postgres: Server, data: Data, tmp_path: Path) -> None:
    """It is wrong usage, said before anything is read."""
    there = tmp_path / "lake.parquet"
    for arguments, said in (
        (("--engine", "duckdb"), "load fills a table of PostgreSQL"),
        (("--engine", "spark://x"), "--output FOLDER.parquet says where"),
        (("--engine", "spark://x", "--output", tmp_path / "lake"), "whose name ends in .parquet"),
        (("--engine", "spark://x", "--output", there / "x.parquet"), "there is no folder"),
        (("--engine", "sc://x/;token=geheim", "--output", there), "sc://x: Spark Connect puts no"),
        (("--engine", postgres.address(), "--output", there), "--output is for Spark"),
    ):
        done = tool("load", *arguments, data.parquet)
        assert (done.status, said in done.err) == (2, True), done.err
    assert not there.exists()
