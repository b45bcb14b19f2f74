"""What pip installs, and what it leaves alone."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from conftest import Environment, run


@pytest.mark.cowrie
def test_installing_into_cowries_environment_changes_nothing_of_it(
    environment: Environment,
) -> None:
    """``pip freeze`` gains our packages only, ``pip check`` is content."""
    added = set(environment.after) - set(environment.before)
    assert set(environment.before) <= set(environment.after)
    assert {line.split("==")[0].split(" @ ")[0] for line in added} == {
        "click",
        "cowrie-sessionstats",
        "msgpack",
        *(["tomli"] if sys.version_info < (3, 11) else []),
    }
    assert "No broken requirements found" in run(environment.bin / "pip", "check").stdout


def test_the_wheel_carries_the_file_that_cowrie_looks_for(wheel: Path) -> None:
    """And the types, the schema and the licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        output = archive.read("cowrie/output/sessionstats.py").decode()
        metadata = next(n for n in names if n.endswith("METADATA"))
        described = archive.read(metadata).decode()
    assert "from cowrie_sessionstats.plugin import Output" in output
    assert "cowrie_sessionstats/py.typed" in names
    assert "cowrie_sessionstats/summary.schema.json" in names
    assert "cowrie_sessionstats/commands/vocabulary.toml" in names
    for name in ("interest.toml", "page.css", "page.html.jinja", "page.js"):
        assert f"cowrie_sessionstats/report/{name}" in names
    assert not [
        n for n in names if n.startswith("cowrie/") and n != "cowrie/output/sessionstats.py"
    ]
    required = [
        line.removeprefix("Requires-Dist: ")
        for line in described.splitlines()
        if line.startswith("Requires-Dist") and "extra ==" not in line
    ]
    assert sorted(r.split(">=")[0] for r in required) == [
        "attrs", "click", "msgpack", "tomli", "twisted",
    ]  # fmt: skip
    # No upper bounds; Python 3.11 on brings a reader of TOML of its own.
    assert all("<" not in r.split(";")[0] and "==" not in r for r in required)
    (tomli,) = (r for r in required if r.startswith("tomli"))
    assert 'python_version < "3.11"' in tomli.replace("'", '"')
    assert "License-Expression: BSD-3-Clause" in described


@pytest.mark.cowrie
def test_the_installed_command_serves_a_checkout(environment: Environment, tmp_path: Path) -> None:
    """``cowrie-sessionstats install`` of a real installation writes what the wheel carries."""
    outputs = tmp_path / "src/cowrie/output"
    outputs.mkdir(parents=True)
    (outputs / "jsonlog.py").touch()
    said = run(environment.bin / "cowrie-sessionstats", "install", tmp_path).stdout
    assert f"wrote {outputs / 'sessionstats.py'}" in said
    (installed,) = environment.bin.parent.glob("lib/python*/site-packages/cowrie/output")
    ours = (installed / "sessionstats.py").read_bytes()
    assert (outputs / "sessionstats.py").read_bytes() == ours
