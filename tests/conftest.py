"""What several tests share: the data beside the project, and Cowrie in environments of its own."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from attrs import frozen
from boards.real import Sessions, fill, real_records
from hypothesis import HealthCheck, settings
from postgres_server import Server, server
from receivers_http import opensearch
from spark_cluster import Cluster, cluster
from workers import (  # noqa: F401 - pytest finds them here
    COWRIES,
    NEWEST,
    pytest_collection_modifyitems,
    pytest_runtest_protocol,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
)

from cowrie_sessionstats.launch import Installation

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what it lets run in the background so, and programs that tests start and then
    # end with Ctrl-C would not hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "suite", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """Leave our variable out of the environment of programs, where it looks like Cowrie's.

    Not before: the processes that share the tests know by it what to collect.
    """
    os.environ.pop("COWRIE_VERSIONS", None)


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it said; an exit status other than 0 fails the test."""
    done = subprocess.run(  # type: ignore[call-overload]
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done  # type: ignore[no-any-return]


def module_of(path: Path) -> ModuleType:
    """Return a program that is not part of any package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of data beside the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no {SHARED.name}/data beside the project")
    return SHARED


@pytest.fixture(scope="session")
def sessions(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    """Return the sessions of the public logs, in an emulated search engine."""
    with opensearch() as search:
        records = real_records(shared, tmp_path_factory.mktemp("sessions"))
        fill(search, records)
        yield Sessions(records, search)


@pytest.fixture(scope="session")
def spark() -> Iterator[Cluster]:
    """Return a cluster of Spark with two workers, on loopback."""
    with cluster(2) as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a PostgreSQL server on loopback."""
    with server() as made:
        yield made


@pytest.fixture(scope="session")
def seed_corpus(shared: Path) -> ModuleType:
    """Return the generator of logs with a published study's statistics."""
    return module_of(shared / "tools/seed_corpus.py")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that is built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


@frozen
class Environment:
    """A virtual environment with Cowrie from PyPI, then with the plugin beside it."""

    bin: Path
    before: list[str]
    """What ``pip freeze`` said before the plugin was installed."""
    after: list[str]
    installation: Installation


def _environment(folder: Path, requirement: str, wheel: Path) -> Environment:
    venv.create(folder, with_pip=True, symlinks=True)
    pip = folder / "bin/pip"
    quiet = {"env": {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}}
    run(pip, "install", "--quiet", requirement, **quiet)
    before = run(pip, "freeze", **quiet).stdout.split("\n")
    run(pip, "install", "--quiet", wheel, **quiet)
    after = run(pip, "freeze", **quiet).stdout.split("\n")
    return Environment(folder / "bin", before, after, Installation(folder / "bin"))


def requirement_of(named: str) -> str:
    """Return what pip installs for a release, for ``newest``, or for a place (with a slash)."""
    if named == NEWEST:
        return "cowrie"
    return named if "/" in named else f"cowrie=={named}"


@pytest.fixture(scope="session", params=COWRIES)
def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wheel: Path
) -> Environment:
    """Return an environment with each of the Cowries to test."""
    folder = tmp_path_factory.mktemp("cowrie")  # a place's address is no name for one
    return _environment(folder, requirement_of(request.param), wheel)
