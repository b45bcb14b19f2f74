"""What can be reported on: summaries of every kind, raw logs, and what is neither."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import COMMAND, COMPRESSED, as_lines, session, summarize, write_log
from ready import tool
from summaries import figures, summary, write_records

RECORDS = [
    summary("a", "id", "exit"),
    summary("b", "uname -a", at=5.0, client_version="SSH-2.0-Go"),
    summary("c", at=9.0, logged_in=False),
]


def sessions_in(*arguments: object) -> int:
    """Return how many sessions a report is about."""
    count: int = figures("--all-sessions", *arguments)["figure1"]["sessions"]
    return count


@pytest.mark.parametrize("ending", list(COMPRESSED))
def test_lines_of_json_however_packed(tmp_path: Path, ending: str) -> None:
    """Plain, gzip, bzip2, xz and zstd; the name need not say so."""
    plain = write_records(tmp_path / "plain", RECORDS).read_bytes()
    for name in (f"s.jsonl{ending}", "records"):
        (tmp_path / name).write_bytes(COMPRESSED[ending](plain))
        assert sessions_in(tmp_path / name) == 3


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet", ".msgpack"])
def test_every_kind_that_summarize_writes(tmp_path: Path, ending: str) -> None:
    """The same figures from each, and from the logs themselves."""
    events = [each for n in range(5) for each in session(f"{n:012x}", n * 60.0)]
    log = write_log(tmp_path / "cowrie.json", events)
    path = tmp_path / f"s{ending}"
    assert summarize("-o", path, log).status == 0
    assert figures(path) == figures(log)
    assert figures(log)["figure1"]["sessions"] == 5


def test_csv_is_for_spreadsheets(tmp_path: Path) -> None:
    """It is refused, and what to give instead is said."""
    log = write_log(tmp_path / "cowrie.json", session("000000000001"))
    assert summarize("-o", tmp_path / "s.csv", log).status == 0
    said = tool("report", tmp_path / "s.csv")
    assert said.status == 1
    assert "s.csv: CSV is for spreadsheets. Give JSON lines or Parquet" in said.err


def test_a_session_counts_once(tmp_path: Path) -> None:
    """Its summary in two files, in another kind, and its raw events: one session."""
    log = write_log(tmp_path / "cowrie.json", session("000000000001"))
    for name in ("s.jsonl", "s.parquet", "s.msgpack"):
        assert summarize("-o", tmp_path / name, log).status == 0
    twice = (tmp_path / "s.jsonl").read_bytes()
    (tmp_path / "twice.jsonl").write_bytes(twice + twice)
    assert sessions_in(tmp_path) == 1
    said = tool("report", tmp_path)
    assert "5 records that others repeat or replace are left out" in said.err


def test_sessions_of_one_name_are_two(tmp_path: Path) -> None:
    """At two sensors, or at one at two times."""
    records = [summary("a", "id"), summary("a", "id", sensor="b"), summary("a", "id", at=9.0)]
    path = write_records(tmp_path / "s.jsonl", records * 2)
    assert sessions_in(path) == 3
    assert len(tool("show", "a", "--json", path).records) == 3


def test_the_last_revision_of_a_record_counts(tmp_path: Path) -> None:
    """As the plugin's own log has them."""
    records = [
        summary("a", "id", downloads=0),
        summary("b", "id"),
        summary("a", "id", downloads=2, revision=2),
        summary("a", "id", downloads=1, revision=1),
    ]
    path = write_records(tmp_path / "sessionstats.json", records)
    assert sessions_in(path) == 2
    said = tool("sql", "--json", "SELECT downloads FROM sessions WHERE session = 'a'", path)
    assert json.loads(said.out) == {"downloads": 2}


def test_summaries_and_raw_logs_in_one_folder(tmp_path: Path) -> None:
    """As a sensor's log folder is: cowrie.json with records in it, and sessionstats.json."""
    events = session("000000000001")
    records = summarize(write_log(tmp_path / "x", events)).out
    (tmp_path / "x").unlink()
    (tmp_path / "cowrie.json").write_bytes(records + as_lines(events))
    (tmp_path / "sessionstats.json").write_bytes(records)
    (tmp_path / "notes.txt").write_text("not a log")
    assert sessions_in(tmp_path) == 1


def test_what_comes_through_a_pipe(tmp_path: Path) -> None:
    """Summaries or events, by their content."""
    lines = write_records(tmp_path / "s", RECORDS).read_bytes()
    for given_lines in (lines, as_lines(session("000000000001"))):
        said = tool("report", "--json", "-", stdin=given_lines)
        assert said.status == 0, said.err
        assert json.loads(said.out)["figure1"]["sessions"] in (1, 2)


def test_broken_lines_are_counted_and_placed(tmp_path: Path) -> None:
    """The rest is read; each reason has its first place."""
    good = [json.dumps(record) for record in RECORDS]
    wrong = json.dumps(summary("w") | {"commands": "many"})
    lines = [good[0], "{", "[]", wrong, good[1], '{"eventid": "other"}', "", "\0", good[2]]
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join(lines))
    said = tool("report", "--json", "--all-sessions", path)
    assert json.loads(said.out)["figure1"]["sessions"] == 3
    assert said.status == 0
    for place, reason in (
        (2, "not JSON"),
        (3, "no JSON object"),
        (4, "a value of another type than the record's"),
        (6, "no summary of a session"),
    ):
        assert f"{reason} (first: {path}:{place})" in said.err
    strict = tool("report", "--strict", path)
    assert strict.status == 1
    assert f"{path}:2: not JSON" in strict.err


def test_what_is_no_summary_is_said(tmp_path: Path) -> None:
    """Another table, a damaged one, another program's JSON, nothing: no traceback, status 1."""
    other, damaged = tmp_path / "other.parquet", tmp_path / "damaged.parquet"
    duckdb.execute("COPY (SELECT 1 AS x) TO $1", [str(other)])
    damaged.write_bytes(b"PAR1 and no more")
    (tmp_path / "foreign.json").write_text('{"a": 1}\n')
    (tmp_path / "empty.json").write_text("")
    for path, reason in (
        (other, "is Parquet, but not of summaries"),
        (damaged, "damaged Parquet"),
        (tmp_path / "foreign.json", "no event of Cowrie"),
        (tmp_path / "empty.json", "nothing to report on"),
        (tmp_path / "absent", "No such file or directory"),
    ):
        said = tool("report", path)
        assert (said.status, said.out) == (1, b""), path
        assert reason in said.err
        assert "Traceback" not in said.err


def test_one_broken_file_does_not_hide_another(tmp_path: Path) -> None:
    """Of Parquet, too, whose columns can be of any type."""
    good = write_records(tmp_path / "good.jsonl", RECORDS)
    duckdb.execute(f"COPY (SELECT * FROM '{good}') TO '{tmp_path}/good.parquet'")
    whole = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    broken = bytearray(whole)
    broken[10:400] = b"\x0f" * 390
    (tmp_path / "broken.parquet").write_bytes(broken)
    duckdb.execute(
        "COPY (SELECT 'cowrie.sessionstats.summary' AS eventid, 'x' AS session, "
        "1 AS command_events, {'a': 1} AS logged_in, 'many' AS commands, "
        f"now() AS start) TO '{tmp_path}/types.parquet'"
    )
    said = tool("report", "--json", "--all-sessions", *sorted(tmp_path.glob("*.parquet")))
    assert said.status == 0, said.err
    assert json.loads(said.out)["figure1"]["sessions"] >= 3
    for name in ("cut", "broken"):
        assert f"{tmp_path / name}.parquet: damaged Parquet" in said.err
    assert "/sessionstats-" not in said.err


@pytest.mark.parametrize(
    "odd",
    [
        {"start": "0001-01-01T00:00:00Z", "end": "0001-01-01T00:00:00Z"},
        {"start": "2026-03-18T10:00:00", "end": "2026-03-18"},
        {"start": "\x1b[2J\x9b\u202e", "end": "\x1b[2J\x9b\u202e"},
        {"command_events": 2**63 - 1, "commands": 2**63 - 1},
        {"command_events": -1, "duration": -5.0, "uploads": 2**63 - 1, "downloads": 2**63 - 1},
        {"duration": 1e308},
        {"command_events": None},
        {"fingerprint": "csf1_"},
        {"fingerprint": f"csf1_{2**70}_a_b"},
        {"partial": "constructor"},
        {"partial": "\x01\x02"},
        {"session": "a\r\n\x00b"},
        {"session": "__proto__", "sensor": "constructor"},
        {"templates": [None, "x"]},
    ],
    ids=str,
)
def test_odd_values_stop_no_report(tmp_path: Path, odd: dict[str, object]) -> None:
    """Whatever one record says of itself, every rendering is made, also if there is no other."""
    records = [summary("b", "id", "uname -a") | odd for _ in range(2)]
    path = write_records(tmp_path / "s.jsonl", [*records, summary("c", "id", at=1.0)])
    alone = write_records(tmp_path / "alone.jsonl", records)
    with ThreadPoolExecutor() as threads:  # four programs, each of which loads for seconds
        told = [
            threads.submit(tool, "report", "--json", option, place, "--csv", f"{place}-csv", given)
            for option, place, given in (
                ("--html", tmp_path / "p.html", path),
                ("--plots", tmp_path / "plots", alone),
            )
        ]
        shown = [threads.submit(tool, "report", given) for given in (path, alone)]
    for said in (each.result() for each in told):
        assert said.status == 0, said.err
        assert "NaN" not in said.out.decode()
        assert "Infinity" not in said.out.decode()
    for said in (each.result() for each in shown):
        assert said.status == 0, said.err
        assert all(c.isprintable() or c == "\n" for c in said.out.decode())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"eventid": "cowrie.sessionstats.summary", "session": "x", "commands": 1e999}', None),
        (json.dumps(RECORDS[1] | {"commands": 2**63}).encode(), "a value of another type"),
        (b"[" * 5000 + b"]" * 5000, None),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, None),
        (json.dumps(RECORDS[1] | {"last_command": "x" * (5 << 20)}).encode(), None),
        (json.dumps(RECORDS[1]).encode()[:-1] + b', "session": "twice"}', None),
        (json.dumps(RECORDS[1] | {"last_command": "echo \ud800"}).encode(), None),
    ],
    ids=range(7),
)
@pytest.mark.parametrize("first", [True, False])
def test_odd_lines_hide_no_others(
    tmp_path: Path, line: bytes, reason: str | None, *, first: bool
) -> None:
    """Wherever they stand: the records around them are read."""
    good = [json.dumps(record).encode() for record in (RECORDS[0], RECORDS[2])]
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"\n".join([line, *good] if first else [*good, line]))
    said = tool("report", "--json", "--all-sessions", path)
    assert said.status == 0, said.err
    assert json.loads(said.out)["figure1"]["sessions"] >= 2
    assert reason is None or reason in said.err
    assert "Traceback" not in said.err


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    """Of a line that is too long nothing is kept; what is behind it is read."""
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"x" * (40 << 20) + b"\n" + json.dumps(RECORDS[0]).encode())
    path.write_bytes(json.dumps(RECORDS[1]).encode() + b"\n" + path.read_bytes())
    said = tool("report", "--json", path)
    assert json.loads(said.out)["figure1"]["sessions"] == 2
    assert f"longer than 16 MiB (first: {path}:2)" in said.err


def test_one_wrong_record_of_msgpack(tmp_path: Path) -> None:
    """The others are read, and its number is said."""
    records = [RECORDS[0], RECORDS[1] | {"commands": "many"}, RECORDS[2]]
    path = tmp_path / "s.msgpack"
    path.write_bytes(b"".join(msgpack.packb(record) for record in records))
    said = tool("report", "--json", "--all-sessions", path)
    assert json.loads(said.out)["figure1"]["sessions"] == 2
    assert f"(first: {path}:2)" in said.err


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """As some editors write it."""
    path = tmp_path / "s.jsonl"
    for records in (RECORDS[:1], RECORDS[:2]):
        path.write_bytes(b"\xef\xbb\xbf" + write_records(tmp_path / "x", records).read_bytes())
        assert sessions_in(path) == len(records)


def test_a_file_named_like_the_standard_input(tmp_path: Path) -> None:
    """It is a file."""
    write_records(tmp_path / "s.jsonl", RECORDS)
    assert tool("report", "--json", "<s.jsonl", cwd=tmp_path).status == 1
    (tmp_path / "s.jsonl").rename(tmp_path / "<s.jsonl")
    assert tool("report", "--json", "<s.jsonl", cwd=tmp_path).status == 0


def test_nobody_logged_in(tmp_path: Path) -> None:
    """Then there is nothing to report on, and the option that would is named."""
    path = write_records(tmp_path / "s.jsonl", RECORDS[2:])
    said = tool("report", path)
    assert said.status == 1
    assert "--all-sessions" in said.err


def test_records_without_the_newest_keys(tmp_path: Path) -> None:
    """Keys that a record does not have are unknown; keys that we do not know are passed over."""
    old = {k: v for k, v in RECORDS[0].items() if k not in ("templates", "hassh", "files")}
    path = write_records(tmp_path / "s.jsonl", [old | {"a_new_key": {"x": 1}}, RECORDS[1]])
    assert sessions_in(path) == 2
    duckdb.execute(
        "COPY (SELECT 'cowrie.sessionstats.summary' AS eventid, 'a' AS session, "
        "1 AS command_events, true AS logged_in, 2.5 AS duration) TO $1",
        [str(tmp_path / "s.parquet")],
    )
    assert sessions_in(tmp_path / "s.parquet") == 1


def test_names_of_files_are_no_patterns(tmp_path: Path) -> None:
    """Brackets, quotes, stars and line ends in a name mean themselves."""
    for number, name in enumerate(
        ["a[1].jsonl", "b'c.jsonl", 'd"e.jsonl', "f*.jsonl", "g\nh.jsonl"]
    ):
        write_records(tmp_path / name, [summary(f"s{number}", "id")])
        assert sessions_in(tmp_path / name) == 1
    assert sessions_in(tmp_path) == 5


def test_nothing_is_written_where_it_cannot_be(tmp_path: Path) -> None:
    """A folder that is not there, a file in the way: a line says so; what was there stays."""
    path = write_records(tmp_path / "s.jsonl", RECORDS)
    said = tool("report", "--html", tmp_path / "no" / "p.html", path)
    assert said.status == 2
    assert f"there is no folder {tmp_path / 'no'}" in said.err.replace("\n", "")
    (tmp_path / "file").write_text("mine")
    for option in ("--csv", "--plots"):
        said = tool("report", option, tmp_path / "file", path)
        assert said.status == 2
        assert "Traceback" not in said.err
    assert (tmp_path / "file").read_text() == "mine"
    said = tool("report", "--html", path, path)
    assert said.status == 2
    assert "one of the files to read" in said.err


def test_wrong_usage(tmp_path: Path) -> None:
    """Status 2, and what was wrong."""
    path = write_records(tmp_path / "s.jsonl", RECORDS)
    for arguments in (
        ("report",),
        ("report", "--count", "words", path),
        ("report", "--top", 0, path),
        ("sql", "SELECT", path),
        ("sql", "", path),
        ("sql", " ; ", path),
        ("show", b"\xff".decode("utf-8", "surrogateescape"), path),
        ("sql", "SELECT 1"),
        ("show", "a"),
    ):
        said = tool(*arguments)
        assert said.status == 2, arguments
        assert said.err
        assert "Traceback" not in said.err


@pytest.mark.parametrize("what", ['sql --csv "SELECT * FROM sessions"', "report --top 1000"])
def test_a_closed_pipe_is_no_error(tmp_path: Path, what: str) -> None:
    """``| head -1``: no traceback."""
    path = write_records(tmp_path / "s.jsonl", [summary(f"{n}", "id") for n in range(3000)])
    done = subprocess.run(
        ["sh", "-c", f'("$0" {what} "$1"; echo $? >&2) | head -1', COMMAND, path],  # noqa: S607
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b"141\n"


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a page nor a temporary folder."""
    path = write_records(tmp_path / "s.jsonl", [summary(f"{n}", "id") for n in range(60_000)])
    room = tmp_path / "room"
    room.mkdir()
    process = subprocess.Popen(
        [COMMAND, "report", "--html", tmp_path / "p.html", path],
        stderr=subprocess.PIPE,
        env={"TMPDIR": str(room), "PATH": "/usr/bin:/bin"},
    )
    # Not any file: Python makes one to see whether it may, and Ctrl-C in that moment leaves it.
    while not list(room.glob("sessionstats-*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == b"interrupted\n"
    assert list(room.iterdir()) == []
    assert not (tmp_path / "p.html").exists()


def test_sql_show_and_similar(tmp_path: Path) -> None:
    """A question, a record, and what is like it."""
    records = [
        summary("a", "id", "uname -a", "w"),
        summary("b", "id", "uname -a", "w", at=1.0),
        summary("c", "id", "uname -r", "w"),
        summary("d", "id", "free -m"),
        summary("e", "nproc"),
        summary("f"),
    ]
    path = write_records(tmp_path / "s.jsonl", records)
    said = tool("sql", "--csv", "SELECT count(*) AS n FROM sessions WHERE commands > 1", path)
    assert said.out == b"n\r\n4\r\n"
    odd = "SELECT 'nan'::DOUBLE AS a, 2 AS a, MAP {DATE '2026-01-01': 1} AS m, '=1' AS \"=x\""
    said = tool("sql", "--json", odd, path)
    assert json.loads(said.out) == {"a": None, "a_2": 2, "m": {"2026-01-01": 1}, "=x": "=1"}
    assert tool("sql", "--csv", odd, path).out.splitlines()[0] == b"a,a_2,m,'=x"
    said = tool("sql", "SELECT last_command, count(*) AS n FROM sessions GROUP BY 1", path)
    assert said.status == 0
    assert b"last_command" in said.out
    said = tool("show", "a", "--json", path)
    shown = json.loads(said.out)
    assert {key: shown[key] for key in records[0]} == records[0]
    assert b"last_command " in tool("show", "a", path).out
    said = tool("similar", "a", "--json", path)
    assert [(row["like"], row["shared"], row["sessions"]) for row in said.records] == [
        ("the same commands", 3, 2),
        ("the same script", 3, 2),
        ("the same programs", 1, 1),
        ("a shared beginning", 1, 1),
    ]
    foreign = write_records(tmp_path / "f.jsonl", [records[0] | {"fingerprint": "csf1_x_y"}])
    assert sessions_in(foreign) == 1
    assert tool("similar", "a", foreign).status == 0
    other = summary("f", "id", "uname -a", sensor="b", at=1.0)
    path = write_records(tmp_path / "s.jsonl", [*records[:-1], other])
    assert b"Like session f of 2026-03-18T10:00:01.000000Z, b" in tool("similar", "f", path).out
    path = write_records(tmp_path / "s.jsonl", records)
    for arguments in (("show", "nobody"), ("similar", "nobody"), ("similar", "f")):
        said = tool(*arguments, path)
        assert said.status == 1
        assert said.err


# ---------------------------------------------------------------- anything at all

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
mistyped = st.dictionaries(st.sampled_from([*RECORDS[0], "fingerprint", "end"]), values, max_size=4)


@settings(max_examples=20)
@given(st.lists(mistyped | st.binary(max_size=20), max_size=5))
def test_whatever_stands_between_good_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[object]
) -> None:
    """Good records are found, and nothing else is an error of ours."""
    from cowrie_sessionstats.replay.counting import Settings  # noqa: PLC0415
    from cowrie_sessionstats.report.computing import report  # noqa: PLC0415
    from cowrie_sessionstats.report.embedded import embedded  # noqa: PLC0415
    from cowrie_sessionstats.report.interest import rules  # noqa: PLC0415
    from cowrie_sessionstats.report.sources import opened  # noqa: PLC0415
    from cowrie_sessionstats.report.tables import Choice  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("any")
    good = json.dumps(RECORDS[0]).encode()
    between = [
        line if isinstance(line, bytes) else json.dumps(RECORDS[1] | line).encode()  # type: ignore[operator]
        for line in lines
    ]
    path = folder / "s.jsonl"
    path.write_bytes(b"\n".join([good, *between, json.dumps(RECORDS[2]).encode()]))
    with opened([str(path)], 1, folder, Settings.of(None, keep_passwords=True)) as sources:
        made = report(embedded(sources.connection), rules(), Choice(all_sessions=True))
    assert 2 <= made.overview.sessions <= 2 + len(lines)
