"""``summarize --engine spark://...``: the records of a local run, made by a cluster."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import spark_corpus
from costs import family
from logs import COMMAND, Said, as_lines, session, summarize, tool, write_log
from ports import HOST, free_port
from spark_cluster import Cluster

SMALL = (
    "?spark.sql.files.maxPartitionBytes=1000000&spark.sql.files.openCostInBytes=1000"
    "&spark.sql.shuffle.partitions=4"
)
"""Settings by which small logs are read in many pieces."""


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """Let go here of the sockets and files that PySpark leaves to the garbage collector."""
    yield
    gc.collect()


def on(cluster: Cluster, output: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """Start the command on a cluster."""
    return subprocess.Popen(
        [COMMAND, "summarize", "--engine", cluster.address + SMALL, "--output", output,
         *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> Said:
    """Wait for its end."""
    out, err = process.communicate(timeout=300)
    return Said(process.returncode, out, err.decode())


def said_alike(one: str, other: str) -> bool:
    """Return whether two runs said the same, but for the order of what was wrong with files."""
    return sorted(one.splitlines()) == sorted(other.splitlines())


def test_a_worker_that_is_killed_changes_nothing(
    spark: Cluster, tmp_path: Path, seed_corpus: ModuleType, shared: Path
) -> None:
    """All that is hard at once, a worker killed in the middle: records and counts are the same.

    And what was in the folder before is replaced at the end; `report` reads the folder.
    """
    logs = spark_corpus.make(tmp_path, shared)
    spark_corpus.long_lines(logs / "long.json")
    subprocess.run(
        [sys.executable, str(seed_corpus.__file__), "--out", logs / "seed", "--sessions", "600",
         "--days", "3"],
        check=True, capture_output=True,
    )  # fmt: skip
    output = tmp_path / "out.parquet"
    output.mkdir()
    (output / "_SUCCESS").touch()
    doomed = spark.add()
    spark.wait_for(3)
    words = tmp_path / "words.toml"
    words.write_text('[program.step]\noperands = ["value"]\n')
    options = [logs, "--open", "--passwords", "drop", "--vocabulary", words]
    options += ["--interactive-timeout", 20]
    process = on(spark, output, *options)
    _wait_for(lambda: _stage_files(spark.folder / "local"))
    spark.kill(doomed)
    assert process.poll() is None  # it was in the middle
    said = end(process)
    local = summarize(*options, "-o", tmp_path / "local.parquet")
    assert said.status == local.status == 0, said.err
    assert said_alike(said.err, local.err), f"{said.err}\n{local.err}"
    assert spark_corpus.table(output) == spark_corpus.table(tmp_path / "local.parquet")
    assert _columns(next(output.glob("day=*/*.parquet"))) == _columns(tmp_path / "local.parquet")
    assert not list(tmp_path.glob(".out*"))
    figures = [
        json.loads(tool("report", "--json", path).out)
        for path in (output, tmp_path / "local.parquet")
    ]
    assert figures[0] == figures[1]


def _wait_for(holds: Callable[[], object]) -> None:
    end_of_patience = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end_of_patience
        time.sleep(0.02)


def _stage_files(folder: Path) -> bool:
    """Return whether a task has written what the next stage reads."""
    return any(folder.glob("*/*/*/*/shuffle_*.data"))


def _columns(path: Path) -> Any:
    import pyarrow.parquet as pq  # noqa: PLC0415 - where it is installed

    return pq.read_schema(path).remove_metadata()


def test_strict_writes_nothing(tmp_path: Path) -> None:
    """The first line that cannot be read ends it, with its place; a file by its address, too."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    with log.open("ab") as out:
        out.write(b"nonsense\n")
    said = summarize(
        f"file://{log}", "--strict", "--engine", "local[1]", "--out", tmp_path / "out.parquet"
    )
    assert (said.status, said.err) == (1, f"error: file:{log}:6: not JSON\n")
    assert list(tmp_path.iterdir()) == [log]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--history", "h"], "--history and --engine exclude each other"),
        (["x", "--jobs", "2"], "--jobs and --engine exclude each other"),
        (["x", "--follow"], "--follow and --engine exclude each other"),
        (["x", "--ttylogs", "."], "--ttylogs and --engine exclude each other"),
        (["-"], "--engine reads files that workers see"),
        (["x"], "name it with --output FOLDER.parquet"),
        (["x", "--out", "x.jsonl"], "a cluster writes a folder of Parquet"),
        (["x", "--out", "/nowhere/x.parquet"], "there is no folder /nowhere"),
        (["x", "kafka://a/b", "--out", "x.parquet"], "a topic of Kafka's is read by itself"),
    ],
)
def test_what_a_cluster_cannot_do_is_said(arguments: list[str], said: str, tmp_path: Path) -> None:
    """At once, in the words of the command line."""
    done = summarize(*arguments, "--engine", f"spark://{HOST}:{free_port()}", cwd=tmp_path)
    assert done.status == 2
    assert said in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("engine", "said"), [("duckdb", "is no address of Spark's"), ("sc://h", "Spark Connect")]
)
def test_other_engines_are_refused(engine: str, said: str, tmp_path: Path) -> None:
    """With what to write instead."""
    done = summarize("x", "--engine", engine, "--out", "x.parquet", cwd=tmp_path)
    assert done.status == 2
    assert said in done.err


def test_without_an_engine_addresses_and_folders_are_refused(tmp_path: Path) -> None:
    """Only a cluster reads and writes them."""
    folder = tmp_path / "out.parquet"
    folder.mkdir()
    log = write_log(tmp_path / "cowrie.json", session("a"))
    for arguments in (["hdfs://nn/logs"], [log, "--out", folder]):
        done = summarize(*arguments)
        assert done.status == 2
        assert "add --engine ADDRESS" in " ".join(done.err.split())


def test_a_folder_that_is_read_is_left_alone(tmp_path: Path) -> None:
    """One that is read, whatever its name."""
    log = write_log(tmp_path / "logs.parquet/cowrie.json", session("a"))
    done = summarize(log.parent, "--engine", "local[1]", "--out", log.parent)
    assert done.status == 2
    assert "it would be replaced" in done.err
    assert log.read_bytes() == as_lines(session("a"))


def test_a_signal_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    """Whenever it comes: here when Spark has just begun."""
    log = write_log(tmp_path / "cowrie.json", session("a"))
    process = subprocess.Popen(
        [COMMAND, "summarize", "--engine", "local[1]", "--out", tmp_path / "out.parquet", log],
        stderr=subprocess.PIPE,
    )
    _wait_for(lambda: len(list(family(process.pid))) > 1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, b"interrupted: nothing was written\n")
    assert list(tmp_path.iterdir()) == [log]
