"""What a release is made of: the changelog, the workflows, the distributions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, requirement_of, run
from jsonschema import Draft7Validator
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from workers import NEWEST

from cowrie_sessionstats import _toml

GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")
GROUPS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def read(path: Path) -> dict[str, Any]:
    """Return a file of YAML as GitHub reads it, whose ``on`` is no truth value."""
    told = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in told.items()}


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each job of each workflow."""
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.stem}: {name}", job


@pytest.fixture(scope="module")
def tests_job() -> dict[str, Any]:
    """Return the job that runs the tests."""
    return dict(read(GITHUB / "workflows/ci.yml")["jobs"]["tests"])


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """Return what pyproject.toml says of the project."""
    return dict(_toml.loads((ROOT / "pyproject.toml").read_text())["project"])


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("distributions")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


# ---------------------------------------------------------------- the workflows


@pytest.mark.parametrize(
    ("path", "schema"),
    [(path, "github-workflow.json") for path in WORKFLOWS]
    + [(GITHUB / "dependabot.yml", "dependabot-2.0.json")],
    ids=lambda each: getattr(each, "name", each),
)
def test_github_can_read_it(path: Path, schema: str) -> None:
    """The published schema finds nothing."""
    told = json.loads((ROOT / "tests/published" / schema).read_text())
    assert [error.message for error in Draft7Validator(told).iter_errors(read(path))] == []


def test_the_schema_would_find_a_mistake() -> None:
    """So that the test above is one."""
    schema = json.loads((ROOT / "tests/published/github-workflow.json").read_text())
    wrong = read(WORKFLOWS[0])
    wrong["jobs"]["tests"]["timeout_minutes"] = 60
    assert list(Draft7Validator(schema).iter_errors(wrong))


def test_the_tests_are_those_of_ci_run(tests_job: dict[str, Any]) -> None:
    """One command, the one that is run everywhere; nothing calls pytest beside it."""
    assert [step["run"] for step in tests_job["steps"] if "run" in step][-1] == ".ci/run"
    for path in WORKFLOWS:
        assert not re.search(r"pytest|tox|nox|unittest", path.read_text())


def test_the_tests_run_on_every_python_that_is_named(
    tests_job: dict[str, Any], project: dict[str, Any]
) -> None:
    """The matrix, the classifiers and what pip accepts are the same."""
    pythons = tests_job["strategy"]["matrix"]["python"]
    begin = "Programming Language :: Python :: 3."
    classified = [c.removeprefix(begin) for c in project["classifiers"] if c.startswith(begin)]
    assert pythons == [f"3.{minor}" for minor in classified]
    assert Version(pythons[0]) in SpecifierSet(project["requires-python"])
    assert Version("3.9") not in SpecifierSet(project["requires-python"])


def test_the_tests_run_against_the_oldest_the_newest_and_the_next_cowrie(
    tests_job: dict[str, Any], project: dict[str, Any]
) -> None:
    """The oldest is the one that pyproject.toml names, the next is Cowrie's main branch."""
    matrix = tests_job["strategy"]["matrix"]
    assert tests_job["env"] == {"COWRIE_VERSIONS": "${{ matrix.cowrie }}"}
    (oldest,) = project["optional-dependencies"]["demo"]
    released, main = matrix["cowrie"]
    assert [requirement_of(each).replace("==", ">=") for each in released.split()] == [
        oldest, requirement_of(NEWEST),
    ]  # fmt: skip
    assert requirement_of(main) == "git+https://github.com/cowrie/cowrie.git@main"
    assert matrix["exclude"] == [{"python": "3.10", "cowrie": main}]


def test_every_action_is_pinned_and_every_job_may_little(project: dict[str, Any]) -> None:
    """By the whole hash, with the tag beside it; rights and a limit of time for each job."""
    for path in WORKFLOWS:
        text = path.read_text()
        used = re.findall(r"uses: (?!\./)(.*)", text)
        assert used
        assert [each for each in used if not PINNED.fullmatch(each)] == []
        assert read(path)["permissions"] == {}
        assert "secrets" not in text
    rights = {name: job["permissions"] for name, job in jobs()}
    assert {name: r for name, r in rights.items() if r != {"contents": "read"}} == {
        "release: pypi": {"id-token": "write"},
        "release: github": {"contents": "write"},
    }
    assert all("timeout-minutes" in job for _, job in jobs() if "uses" not in job)
    assert (
        f"/p/{project['name']}"
        in read(GITHUB / "workflows/release.yml")["jobs"]["pypi"]["environment"]["url"]
    )


# ---------------------------------------------------------------- the changelog


def test_the_changelog_is_kept() -> None:
    """Unreleased first, then releases with their days, the newest first; in the usual groups."""
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *released = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "[Unreleased]"
    matches = [re.fullmatch(r"\[(\S+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in released]
    versions = [Version(match[1]) for match in matches if match]
    days = [date.fromisoformat(match[2]) for match in matches if match]
    assert len(versions) == len(released)
    assert versions == sorted(versions, reverse=True)
    assert days == sorted(days, reverse=True)
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= set(GROUPS)


def test_the_notes_of_a_release_are_its_section(tmp_path: Path) -> None:
    """And a tag whose section is missing or empty makes no release."""
    (tmp_path / ".ci").mkdir()
    notes = shutil.copy(ROOT / ".ci/notes", tmp_path / ".ci")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- next\n\n## [1.1.0] - 2026-12-02\n\n"
        "## [1.0.0] - 2026-12-01\n\n### Added\n\n- All of it.\n  [It](#it) has `a $(line)`.\n\n"
        "## [0.1.0] - 2026-11-30\n\n- first\n\n[1.0.0]: https://example.org\n"
    )
    said = run(notes, "1.0.0").stdout
    assert said == "### Added\n\n- All of it.\n  [It](#it) has `a $(line)`.\n"
    assert run(notes, "0.1.0").stdout == "- first\n"
    for missing in ("1.1.0", "1.0", "0x1.0", "Unreleased", "2.0.0"):
        done = subprocess.run([notes, missing], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert f'no section "## [{missing}] - DATE"' in done.stderr


# ---------------------------------------------------------------- the distributions


def test_pypi_would_take_both(distributions: Path) -> None:
    """``twine check --strict``: the metadata is whole, and the README can be shown."""
    files = sorted(distributions.iterdir())
    assert [path.name.rsplit(".", 1)[1] for path in files] == ["whl", "gz"]
    said = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files).stdout
    assert said.count("PASSED") == len(files)


def test_the_sdist_has_what_the_tests_need_and_nothing_else(distributions: Path) -> None:
    """All files that are committed below its folders; no rest of a build, no environment."""
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"PKG-INFO", "pyproject.toml", ".gitignore"} <= packed
    junk = re.compile(r"(^|/)(__pycache__|\.venv|\.hypothesis|\.\w+_cache|dist|build)(/|$)|\.pyc$")
    assert [name for name in packed if junk.search(name)] == []
    if (ROOT / ".git").exists():
        committed = set(run("git", "ls-files", cwd=ROOT).stdout.splitlines())
        assert committed - packed == set()
