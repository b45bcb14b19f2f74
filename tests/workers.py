"""How two processes share the tests, by pytest-xdist: one waits while the other works."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

WORKERS = 2
"""On two cores, with the programs that tests start, more of them only push."""
ALONE = "alone"
"""The mark of a test that other tests at the same time would disturb."""

NEWEST = "newest"
COWRIES = os.environ.get("COWRIE_VERSIONS", f"3.0.0 {NEWEST}").split()
"""What to test: the oldest release that starts by itself and the newest, or those named; also what
pip installs from elsewhere, such as ``git+https://github.com/cowrie/cowrie.git@main``."""

SPLIT = frozenset({"test_report_sources.py"})
"""Files whose tests have nothing in common, and take long."""
TOGETHER = {
    **dict.fromkeys(("test_alerts.py", "test_dashboards_numbers.py"), "sessions"),
    **dict.fromkeys(
        ("test_report_engines.py", "test_spark_session.py", "test_summarize_spark.py"), "spark"
    ),
}
"""Files that share what takes long to make."""

HERE = Path(__file__)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes share the tests: no others where some are named or measured."""
    is_named = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if is_named or config.getoption("benchmark_enable") else WORKERS


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """What one process does in one go: a file, or all tests of one Cowrie, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        for cowrie in COWRIES:
            if f"[{cowrie}]" in nodeid or f"[{cowrie}-" in nodeid:
                return cowrie
        file, _, _ = nodeid.partition("::")
        name = PurePath(file).name
        return nodeid if name in SPLIT else TOGETHER.get(name, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Shares:
    """Return who hands out the tests; in their order, for the longest are not the most."""
    config.option.loadscopereorder = False
    return Shares(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Begin with a real Cowrie, for which others have to wait longest.

    Tests that are to be alone come last of these, when its environment is there.
    """
    items.sort(
        key=lambda item: (
            "environment" not in item.fixturenames,
            item.get_closest_marker(ALONE) is not None,
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test that is to be alone wait for the other process, and the other way round."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with _turn(alone=item.get_closest_marker(ALONE) is not None):
        return (yield)


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    """Hold a lock that all tests share, or that one has to itself.

    All queue at a door, so that who wants to be alone is not passed by the others for ever.
    """
    with HERE.open() as room, HERE.with_name("conftest.py").open() as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
        fcntl.flock(room, fcntl.LOCK_UN)  # also of children that a test left running
