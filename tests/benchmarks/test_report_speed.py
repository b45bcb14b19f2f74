"""The report on a study's number of summaries: times, ratios and memory of one run.

    python -m pytest tests/benchmarks --benchmark-enable -s -k report

Summaries of 12,066 sessions, a hundred times over with other names: 1.2 million that logged in. The
suite runs it on the 12,066 and asserts nothing of time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import duckdb
import pytest
from costs import Cost, cost
from logs import COMMAND

TIMES = 100
MEGABYTES = 1024

# What the study's author had: figures 4, 6 and 8 by SQL, here by DuckDB with two threads.
BY_HAND = """
import duckdb, sys
c = duckdb.connect(config={"threads": 2})
c.execute("create view s as select * from read_parquet('" + sys.argv[1] + "') where logged_in")
c.execute("select command_events, count(*), min(duration), max(duration), avg(duration) "
          "from s group by 1").fetchall()
c.execute("select last_command, count(*) from s group by 1 order by 2 desc limit 10").fetchall()
"""


def test_report_on_a_study(shared: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Tables and page, from Parquet and from JSON lines."""
    full = bool(request.config.getoption("benchmark_enable"))
    logs, few = tmp_path / "logs", tmp_path / "few.parquet"
    tool = shared / "tools/seed_corpus.py"
    subprocess.run([sys.executable, tool, "--out", logs, "--days", "30"], check=True)
    cost(COMMAND, "summarize", "-o", few, *sorted(logs.glob("sensor*")))
    parquet, lines = tmp_path / "s.parquet", tmp_path / "s.jsonl"
    many = (
        f"SELECT * REPLACE (session || '-' || n AS session, sha256(commands_sha256 || n) "
        f"AS commands_sha256) FROM '{few}', range({TIMES if full else 1}) AS t(n)"
    )
    duckdb.execute(f"COPY ({many}) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
    duckdb.execute(f"COPY ({many}) TO '{lines}' (FORMAT json)")
    page = tmp_path / "page.html"
    commands: dict[str, list[object]] = {
        "three tables by hand, from Parquet": [sys.executable, "-c", BY_HAND, parquet],
        "all tables, from Parquet": [COMMAND, "report", "--json", parquet],
        "the page, from Parquet": [COMMAND, "report", "--html", page, parquet],
        "all tables, from JSON lines": [COMMAND, "report", "--json", lines],
        "the page, from JSON lines": [COMMAND, "report", "--html", page, lines],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(3 if full else 1):
        for name, command in commands.items():
            costs[name].append(cost(*command))
    middle = {name: median(each.seconds for each in of) for name, of in costs.items()}
    for name, of in costs.items():
        seconds = [each.seconds for each in of]
        print(
            f"\n{name:36} {middle[name]:5.2f} s (from {min(seconds):.2f} to {max(seconds):.2f}), "
            f"{max(each.megabytes for each in of):4.0f} MB",
            end="",
        )
    for what in ("all tables", "the page"):
        ratio = middle[f"{what}, from JSON lines"] / middle[f"{what}, from Parquet"]
        print(f"\n{what}: JSON lines take {ratio:.1f} times as long as Parquet", end="")
    kinds = ("Parquet", "JSON lines")
    first, again = (costs[f"all tables, from {kind}"][0].output for kind in kinds)
    assert first == again
    if full:
        assert max(each.megabytes for of in costs.values() for each in of) < MEGABYTES
