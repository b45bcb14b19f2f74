"""Years of logs: ``summarize`` beside DuckDB and a loop that only counts, in the same run.

    python -m pytest tests/benchmarks --benchmark-enable -s -k summarize

That makes logs of 12,066, 120,656 and 500,000 sessions (5 GB) in pytest's temporary folder and
takes a quarter of an hour. The suite runs it on a small log and asserts nothing of time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from costs import Cost, cost
from logs import COMMAND

SIZES = (12_066, 120_656, 500_000)
SMALL = 300
MEGABYTES = 150

# What decodes each line into a struct and counts the commands of each session, and nothing else.
COUNTING = """
import collections, glob, msgspec, sys
class Event(msgspec.Struct):
    eventid: str
    session: str
    sensor: str
    timestamp: str
    input: str | None = None
decode = msgspec.json.Decoder(Event).decode
counts = collections.Counter()
for path in sys.argv[1:]:
    with open(path, "rb") as log:
        for line in log:
            event = decode(line)
            if event.eventid == "cowrie.command.input":
                counts[event.sensor, event.session] += 1
"""

# Grouping by session as SQL does it. Of the figures of the record: those that are a GROUP BY away,
# or, in the second, all that SQL has.
COUNTS = """
select sensor, session, count(*), count(*) filter (eventid = 'cowrie.command.input'),
    min(timestamp), max(timestamp), arg_max(input, timestamp)
from {source} group by sensor, session
"""
FIGURES = """
with events as (select *, timestamp::timestamp as moment from {source}),
gaps as (
    select *, case when eventid = 'cowrie.command.input' then epoch(moment - lag(moment)
        over (partition by sensor, session, eventid order by moment)) end as gap
    from events
)
select sensor, session, any_value(src_ip), any_value(src_port), any_value(dst_ip),
    any_value(dst_port), any_value(protocol), any_value(uuid), min(timestamp), max(timestamp),
    any_value(duration_ms), max(eventid = 'cowrie.login.success'), any_value(username),
    any_value(password), any_value(version), any_value(hassh),
    count(*) filter (eventid = 'cowrie.command.input'),
    count(*) filter (eventid like 'cowrie.command.%'),
    count(distinct input) filter (eventid = 'cowrie.command.input'),
    arg_min(input, timestamp) filter (eventid = 'cowrie.command.input'),
    arg_max(input, timestamp) filter (eventid = 'cowrie.command.input'),
    median(gap), stddev_pop(gap) / avg(gap),
    sha256(string_agg(input, chr(10) order by timestamp)
        filter (eventid = 'cowrie.command.input'))
from gaps group by sensor, session
"""
# The columns of the first files, or of all: logs of several years do not have the same.
FIRST = "read_json_auto('{logs}/*/cowrie.json*', format = 'newline_delimited')"
ALL = "read_json_auto('{logs}/*/cowrie.json*', format = 'newline_delimited', union_by_name = true)"
DUCKDB = """
import duckdb, sys
print(len(duckdb.connect(config={"threads": 2}).execute(sys.argv[1]).fetchall()))
"""


def corpus(shared: Path, folder: Path, sessions: int) -> Path:
    """Return logs with a published study's statistics."""
    logs = folder / str(sessions)
    tool = shared / "tools/seed_corpus.py"
    words = [sys.executable, str(tool), "--out", str(logs), "--sessions", str(sessions)]
    if sessions == SMALL:
        words += ["--days", "3"]
    subprocess.run(words, check=True)
    (logs / "truth.jsonl").unlink()
    return logs


def test_summarize_beside_duckdb(
    shared: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All figures of one run: times, ratios, memory."""
    full = bool(request.config.getoption("benchmark_enable"))
    logs = corpus(shared, tmp_path, SIZES[1] if full else SMALL)
    files = sorted(logs.glob("*/cowrie.json*"))
    first, all_ = (source.format(logs=logs) for source in (FIRST, ALL))
    commands: dict[str, list[object]] = {
        "a loop that counts": [sys.executable, "-c", COUNTING, *files],
        "DuckDB, counts, columns of the first file": [
            sys.executable, "-c", DUCKDB, COUNTS.format(source=first)
        ],
        "DuckDB, counts, columns of all files": [
            sys.executable, "-c", DUCKDB, COUNTS.format(source=all_)
        ],
        "DuckDB, figures, columns of the first file": [
            sys.executable, "-c", DUCKDB, FIGURES.format(source=first)
        ],
        "DuckDB, figures, columns of all files": [
            sys.executable, "-c", DUCKDB, FIGURES.format(source=all_)
        ],
        "summarize --jobs 1": [COMMAND, "summarize", logs, "--jobs", 1, "-o", tmp_path / "1.jsonl"],
        "summarize --jobs 2": [COMMAND, "summarize", logs, "--jobs", 2, "-o", tmp_path / "2.jsonl"],
    }  # fmt: skip
    rounds = 3 if full else 1
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(cost(*command))
    ours = {}
    for name, each in costs.items():
        seconds = median(c.seconds for c in each)
        ours[name] = seconds
        print(
            f"\n{name:44} {seconds:6.2f} s (from {min(c.seconds for c in each):.2f} to "
            f"{max(c.seconds for c in each):.2f}), {max(c.megabytes for c in each):5.0f} MB",
            end="",
        )
    for jobs in (1, 2):
        for name, seconds in ours.items():
            if name.startswith("DuckDB"):
                ratio = seconds / ours[f"summarize --jobs {jobs}"]
                print(f"\n--jobs {jobs}: {ratio:.2f} times as fast as {name}", end="")
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()
    if full:
        assert (
            max(c.megabytes for n in ("1", "2") for c in costs[f"summarize --jobs {n}"]) < MEGABYTES
        )


def test_summarize_of_every_size(
    shared: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Time in proportion to the log, memory flat."""
    full = bool(request.config.getoption("benchmark_enable"))
    for sessions in SIZES if full else (SMALL,):
        logs = corpus(shared, tmp_path, sessions)
        size = sum(path.stat().st_size for path in logs.glob("*/*"))
        for jobs in (1, 2):
            took = cost(COMMAND, "summarize", logs, "--jobs", jobs, "-o", tmp_path / "out.jsonl")
            print(
                f"\n{sessions:,} sessions, {size / 1e6:,.0f} MB, --jobs {jobs}: "
                f"{took.seconds:.1f} s, {size / 1e6 / took.seconds:.0f} MB/s, "
                f"{took.megabytes:.0f} MB of memory",
                end="",
            )
            if full:
                assert took.megabytes < MEGABYTES
        for path in logs.glob("*/*"):
            path.unlink()
