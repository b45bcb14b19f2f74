"""A standalone cluster of Apache Spark on loopback: one master, and workers that can be killed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from attrs import define, field
from ports import HOST, free_port

MEMORY: Final = "1g"
_WAIT: Final = 120.0  # seconds; 10 to 45 on a machine with time


def why_not() -> str:
    """Return why no cluster can be started here; empty if one can."""
    if importlib.util.find_spec("pyspark") is None:
        return "no pyspark (pip install 'pyspark>=4')"
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "no Java (apt-get install openjdk-17-jre-headless)"
    return ""


@define(eq=False)
class Cluster:
    """The master and its workers, each with one core and ``MEMORY``."""

    folder: Path
    port: int = field(factory=free_port, init=False)
    workers: list[subprocess.Popen[bytes]] = field(factory=list, init=False)
    _master: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        """Return the master's address, as ``--engine`` takes it."""
        return f"spark://{HOST}:{self.port}"

    def start(self, workers: int) -> None:
        """Start the master and so many workers; wait until it knows them."""
        self._master = self._run(
            "master", "org.apache.spark.deploy.master.Master", "--host", HOST, "--port",
            str(self.port), "--webui-port", str(free_port()),
        )  # fmt: skip
        log = self.folder / "master.log"
        self._wait(lambda: "I have been elected leader" in log.read_text(), log)
        for _ in range(workers):
            self.add()
        self.wait_for(workers)

    def add(self) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        name = f"worker{len(self.workers)}"
        worker = self._run(
            name, "org.apache.spark.deploy.worker.Worker", "--host", HOST, "-c", "1", "-m", MEMORY,
            "--webui-port", str(free_port()), "-d", str(self.folder / name), self.address,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def wait_for(self, workers: int) -> None:
        """Wait until so many workers have registered, in all."""
        log = self.folder / "master.log"
        self._wait(lambda: log.read_text().count("Registering worker") >= workers, log)

    def _wait(self, holds: Callable[[], bool], log: Path) -> None:
        end = time.monotonic() + _WAIT
        while not holds():
            assert time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.1)

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill a worker and all that runs in it, at once."""
        executors = _below(worker.pid)
        for pid in (worker.pid, *executors):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker.wait()

    def stop(self) -> None:
        """Stop everything."""
        running = [process for process in (*self.workers, self._master) if process is not None]
        for process in running:
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            self.kill(process)

    def _run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        import pyspark  # noqa: PLC0415 - not everywhere

        home = Path(pyspark.__file__).parent
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": HOST,
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [home / "bin/spark-class", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )  # fmt: skip


def _below(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_below(child)]
    return found


@contextmanager
def cluster(workers: int) -> Iterator[Cluster]:
    """Give a cluster; the test is skipped where none can be started."""
    if why_not():
        pytest.skip(why_not())
    with tempfile.TemporaryDirectory(prefix="spark-") as folder:
        made = Cluster(Path(folder))
        try:
            made.start(workers)
            yield made
        finally:
            made.stop()
