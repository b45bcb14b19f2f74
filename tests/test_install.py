"""``cowrie-sessionstats install``: the plugin's file in a Cowrie that runs from a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT

from cowrie_sessionstats.cli import main

OURS = (ROOT / "cowrie_sessionstats/_cowrie_output.py").read_bytes()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder laid out as a checkout of Cowrie."""
    outputs = tmp_path / "cowrie/src/cowrie/output"
    outputs.mkdir(parents=True)
    (outputs / "jsonlog.py").touch()
    return tmp_path / "cowrie"


def install(checkout: Path) -> tuple[int, str]:
    """Run the command; return its exit status and what it said."""
    done = CliRunner().invoke(main, ["install", str(checkout)])
    return done.exit_code, done.output


def test_the_file_is_put_there_once(checkout: Path) -> None:
    """The first run writes and says so, the second changes nothing, a later one updates."""
    target = checkout / "src/cowrie/output/sessionstats.py"
    status, said = install(checkout)
    assert status == 0
    assert f"wrote {target}" in said
    assert "cowrie-sessionstats enable" in said
    assert target.read_bytes() == OURS
    before = target.stat()

    status, said = install(checkout)
    assert (status, "nothing was changed" in said) == (0, True)
    assert target.stat() == before

    target.write_bytes(b"from cowrie_sessionstats.old import Output\n")
    status, said = install(checkout)
    assert (status, "brought up to date" in said) == (0, True)
    assert target.read_bytes() == OURS
    assert sorted(p.name for p in target.parent.iterdir()) == ["jsonlog.py", "sessionstats.py"]


def test_a_file_of_somebody_else_is_left_alone(checkout: Path) -> None:
    """An output of that name that is not ours stays."""
    target = checkout / "src/cowrie/output/sessionstats.py"
    target.write_text("mine")
    status, said = install(checkout)
    assert status == 1
    assert "left alone" in said
    assert target.read_text() == "mine"


def test_a_folder_without_cowrie_is_named(tmp_path: Path) -> None:
    """The error says which folder, and what would be one."""
    status, said = install(tmp_path)
    assert status == 1
    assert str(tmp_path) in said
    assert "git clone" in said
    assert "Traceback" not in said


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    """Exit status 2, as for every wrong call."""
    assert install(tmp_path / "nowhere")[0] == 2
