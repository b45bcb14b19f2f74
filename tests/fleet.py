"""What a cluster gains, by hand: the seed corpus summarized locally and by one and two workers.

    python tests/fleet.py ../shared/tools/seed_corpus.py FOLDER [SESSIONS...]

FOLDER gets the logs (10 GB for the largest); with those of another run in it they are used again.
Prints a table in Markdown. Workers are on this machine, each with one core and 1 GB, so that more
of them than it has processors tell nothing.
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

from attrs import define, field
from costs import family, proportional
from logs import COMMAND
from spark_cluster import Cluster, cluster

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
    """Make the logs, summarize them, print what it took."""
    generator, folder = Path(sys.argv[1]), Path(sys.argv[2])
    sizes = tuple(map(int, sys.argv[3:])) or SIZES
    print(
        "| sessions | where | seconds | of these Spark's start | MB of the driver |"
        " MB of the workers |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for size in sizes:
        logs = _logs(generator, folder / str(size), size)
        _row(size, "local", *_timed(logs, folder / f"{size}.parquet"))
        for workers in WORKERS:
            with cluster(workers) as made:
                start = _start(made)
                seconds, driver, executors = _timed(
                    logs, folder / f"{size}-{workers}.parquet", made
                )
                name = f"{workers} worker{'s' if workers > 1 else ''}"
                _row(size, name, seconds, driver, executors, start)


def _row(  # noqa: PLR0913, PLR0917 - one for each column
    size: int, where: str, seconds: float, driver: float, workers: float, start: float | None = None
) -> None:
    begun = "" if start is None else f"{start:.1f}"
    print(
        f"| {size:,} | {where} | {seconds:.1f} | {begun} | {driver:.0f} | {workers:.0f} |",
        flush=True,
    )


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


def _timed(logs: Path, output: Path, made: Cluster | None = None) -> tuple[float, float, float]:
    """Return seconds, and the most memory of the command and of the workers, in MB."""
    sensors = sorted(logs.glob("sensor*"))
    where = [] if made is None else ["--engine", made.address]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [COMMAND, "summarize", *where, "--output", output, *sensors], stderr=subprocess.DEVNULL
    )
    workers = [] if made is None else [worker.pid for worker in made.workers]
    peaks = Peaks({"driver": lambda: [process.pid], "workers": lambda: workers})
    with peaks.watched():
        status = process.wait()
    assert status == 0
    seconds = time.perf_counter() - begun
    return seconds, peaks.most.get("driver", 0.0), peaks.most.get("workers", 0.0)


if __name__ == "__main__":
    main()
