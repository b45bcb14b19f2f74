"""What a cluster gains, by hand: the seed corpus summarized and reported on, here and there.

    python tests/fleet.py ../shared/tools/seed_corpus.py FOLDER [SESSIONS...]

FOLDER gets the logs (10 GB for the largest); with those of another run in it they are used again.
Each size is summarized by this machine, by a cluster of one worker and by one of two, and reported
on by DuckDB, by both clusters and by PostgreSQL. What they give is compared: the records one by
one, the reports byte by byte; where something differs, it ends with that. Prints tables in
Markdown. Workers are on this machine, each with one core and 1 GB, so that more of them than it
has processors tell nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
from attrs import define, field, frozen
from costs import family, proportional
from logs import COMMAND
from postgres_server import server
from spark_cluster import Cluster, cluster

from cowrie_sessionstats.summary import KEYS

SIZES: Final = (12_066, 120_656, 1_206_566)
WORKERS: Final = (1, 2)
_LOOK: Final = 0.2


@define(eq=False)
class Peaks:
    """The most memory, in MB, that groups of processes had at once."""

    groups: dict[str, Callable[[], list[int]]]
    most: dict[str, float] = field(factory=dict, init=False)
    _stop: threading.Event = field(factory=threading.Event, init=False)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at them, from time to time, within the block."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK):
            for name, processes in self.groups.items():
                now = sum(proportional(each) for process in processes() for each in family(process))
                self.most[name] = max(self.most.get(name, 0.0), now)


def main() -> None:
    """Make the logs, summarize them, report on them, print what it took."""
    generator, folder = Path(sys.argv[1]), Path(sys.argv[2])
    sizes = tuple(map(int, sys.argv[3:])) or SIZES
    rows = [row for size in sizes for row in _measured(generator, folder, size)]
    print(
        "\n| sessions | what | where | seconds | of these Spark's start | MB | MB of the workers |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(row)


def _measured(generator: Path, folder: Path, size: int) -> Iterator[str]:
    logs = sorted(_logs(generator, folder / str(size), size).glob("sensor*"))
    local = folder / f"{size}.parquet"
    yield _row(size, "summarize", "2 processes", _cost("summarize", "-o", local, *logs))
    report = _cost("report", "--json", local)
    yield _row(size, "report", "DuckDB", report)
    for workers in WORKERS:
        with cluster(workers) as made:
            name = f"{workers} worker{'s' if workers > 1 else ''}"
            start = _start(made)
            there = folder / f"{size}-{workers}.parquet"
            did = _cost("summarize", "--engine", made.address, "-o", there, *logs, on=made)
            yield _row(size, "summarize", name, did, start)
            _compare(local, there)
            did = _cost("report", "--json", "--engine", made.address, there, on=made)
            yield _row(size, "report", name, did, start)
            _same(report, did, name)
    with server() as postgres:
        address = postgres.address()
        yield _row(size, "load", "PostgreSQL", _cost("load", "--engine", address, local))
        did = _cost("report", "--json", "--engine", address)
        yield _row(size, "report", "PostgreSQL", did)
        _same(report, did, "PostgreSQL")


@frozen
class Did:
    """What a command took and gave."""

    seconds: float
    megabytes: float
    of_workers: float
    output: bytes


def _row(size: int, what: str, where: str, did: Did, start: float | None = None) -> str:
    begun = "" if start is None else f"{start:.1f}"
    workers = f"{did.of_workers:.0f}" if did.of_workers else ""
    row = (
        f"| {size:,} | {what} | {where} | {did.seconds:.1f} | {begun} | {did.megabytes:.0f} | "
        f"{workers} |"
    )
    print(row, file=sys.stderr, flush=True)
    return row


def _compare(local: Path, there: Path) -> None:
    """End unless two summaries have the same records, each as often."""
    columns = ", ".join(f'"{key}"' for key in KEYS)
    one = f"SELECT {columns} FROM '{local}'"
    other = f"SELECT {columns} FROM read_parquet('{there}/**/*.parquet')"
    with duckdb.connect() as connection:
        for left, right in ((one, other), (other, one)):
            query = f"SELECT count(*) FROM (({left}) EXCEPT ALL ({right}))"
            (differing,) = connection.execute(query).fetchall()[0]
            if differing:
                raise SystemExit(f"{there}: {differing:,} records differ from {local}")
    print(f"{there}: the records of {local}", file=sys.stderr, flush=True)


def _same(report: Did, other: Did, name: str) -> None:
    if report.output != other.output:
        raise SystemExit(f"the report of {name} differs from DuckDB's")
    print(f"{name}: the report of DuckDB, to the last byte", file=sys.stderr, flush=True)


def _logs(generator: Path, logs: Path, sessions: int) -> Path:
    if not (logs / "truth.jsonl").exists():
        subprocess.run(
            [sys.executable, generator, "--out", logs, "--sessions", str(sessions), "--days", "30"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return logs


def _start(made: Cluster) -> float:
    """Return the seconds from a session's start to the end of its first task, in Python."""
    program = (
        "import sys\n"
        "from cowrie_sessionstats.spark_session import spark_session\n"
        "with spark_session(sys.argv[1]) as session:\n"
        "    session.range(1).mapInArrow(lambda batches: batches, 'id bigint').collect()\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", program, made.address], check=True, cwd=folder)
        return time.perf_counter() - begun


def _cost(*arguments: object, on: Cluster | None = None) -> Did:
    """Return what a command of ours took, and the most memory of it and of the workers."""
    with tempfile.TemporaryFile() as out:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [COMMAND, *map(str, arguments)], stdout=out, stderr=subprocess.PIPE
        )
        workers = [] if on is None else [worker.pid for worker in on.workers]
        peaks = Peaks({"own": lambda: [process.pid], "workers": lambda: workers})
        with peaks.watched():
            _, said = process.communicate()
        seconds = time.perf_counter() - begun
        if process.returncode:
            raise SystemExit(said.decode())
        out.seek(0)
        most = peaks.most
        return Did(seconds, most.get("own", 0.0), most.get("workers", 0.0), out.read())


if __name__ == "__main__":
    main()
