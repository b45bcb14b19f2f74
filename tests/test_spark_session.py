"""A session on a cluster of Spark, by its address."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from ports import HOST, free_port
from spark_cluster import Cluster, cluster, why_not

from cowrie_sessionstats.spark_session import SparkError, is_spark, spark_session

pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in")


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """Let go here of the sockets and files that PySpark leaves to the garbage collector."""
    yield
    gc.collect()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("spark://127.0.0.1:7077", True),
        ("spark", True),
        ("local[2]", True),
        ("yarn", True),
        ("k8s://https://10.0.0.1:6443", True),
        ("sc://127.0.0.1:15002", True),
        ("postgres://reader@db.example/honeypots", False),
        ("duckdb", False),
        ("sparkling://a", False),
    ],
)
def test_addresses_of_spark(address: str, *, expected: bool) -> None:
    """What Spark calls master URLs, and Spark Connect's, are told from other engines."""
    assert is_spark(address) is expected


def test_one_session_after_the_other(spark: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    """The workers work, the second has its own settings and not the first's, nothing is printed."""
    for name in ("the first", "another"):
        with spark_session(f"{spark.address}?spark.app.name={name}") as session:
            assert session.sparkContext.appName == name
            assert session.conf.get("spark.sql.session.timeZone") == "UTC"
            numbers = session.range(1000, numPartitions=4).selectExpr("sum(id)")
            assert numbers.collect()[0][0] == 499_500
    assert capfd.readouterr() == ("", "")


def test_a_master_that_is_not_there_is_said_at_once() -> None:
    """Spark itself would try for a minute and end the JVM."""
    address = f"spark://{HOST}:{free_port()}"
    with (
        pytest.raises(SparkError, match=r"no master of Spark answers.*refused"),
        spark_session(address),
    ):
        pass


def test_a_cluster_without_a_worker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark itself would wait for ever."""
    monkeypatch.setattr("cowrie_sessionstats.spark_session.PATIENCE", 1.0)
    with (
        cluster(0) as empty,
        pytest.raises(SparkError, match="no worker took the work within 1 s"),
        spark_session(empty.address),
    ):
        pass


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("spark.driver.memory=1k", "Too small"),
        ("spark.executor.memory=nonsense", "Executor memory must be"),
    ],
)
def test_what_spark_refuses_is_said(setting: str, said: str) -> None:
    """A setting that cannot be ends with Spark's own sentence, not with a stack."""
    if why_not():
        pytest.skip(why_not())
    with pytest.raises(SparkError) as told, spark_session(f"local[1]?{setting}"):
        pass
    assert said in str(told.value)
    assert "\n" not in str(told.value)
