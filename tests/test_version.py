"""The version: from the tag, and something sensible where there is none."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from email import message_from_bytes
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from conftest import ROOT, run
from packaging.version import Version

from cowrie_sessionstats import _version

SAY = "from cowrie_sessionstats import __version__; print(__version__)"


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone of this tree's files, committed and tagged v9.8.7."""
    folder = tmp_path_factory.mktemp("released") / "tree"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitattributes", ".git_archival.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "cowrie_sessionstats",
        folder / "cowrie_sessionstats",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message=First")
    _git(folder, "tag", "v9.8.7")
    return folder


def _git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "tag.gpgSign=false")
    return run("git", *who, "-c", "commit.gpgSign=false", *words, cwd=folder).stdout


def _version_of(folder: Path, **environment: str) -> Version:
    """Return what the folder would be built as; InvalidVersion unless it is as PEP 440 has it."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SETUPTOOLS_SCM_")}
    said = run(
        sys.executable, "-m", "hatchling", "version", cwd=folder, env={**inherited, **environment}
    )
    return Version(said.stdout.strip())


def _copy(released: Path, folder: Path) -> Path:
    return Path(shutil.copytree(released, folder / "copy"))


def _tagged(released: Path, folder: Path) -> Path:
    return _copy(released, folder)


def _a_commit_later(released: Path, folder: Path) -> Path:
    clone = _copy(released, folder)
    _git(clone, "commit", "--quiet", "--allow-empty", "--message=Second")
    return clone


def _without_tags(released: Path, folder: Path) -> Path:
    clone = _copy(released, folder)
    _git(clone, "tag", "--delete", "v9.8.7")
    return clone


def _shallow(released: Path, folder: Path) -> Path:
    _git(folder, "clone", "--quiet", "--depth=1", "--no-tags", released.as_uri(), "copy")
    return folder / "copy"


def _copied_without_git(released: Path, folder: Path) -> Path:
    copy = _copy(released, folder)
    shutil.rmtree(copy / ".git")
    return copy


def _inside_another_repository(released: Path, folder: Path) -> Path:
    """A folder that somebody keeps in a repository of his own, which has tags of its own."""
    copy = _copied_without_git(released, folder)
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message=Theirs")
    _git(folder, "tag", "v1.1.1")
    return copy


def _downloaded(released: Path, folder: Path) -> Path:
    """What "Download ZIP" of a tag gives, which git itself packs."""
    _git(released, "archive", "v9.8.7", f"--output={folder / 'tree.zip'}")
    with ZipFile(folder / "tree.zip") as archive:
        archive.extractall(folder / "copy")
    return folder / "copy"


@pytest.mark.parametrize(
    ("made", "version"),
    [
        (_tagged, "9.8.7"),
        (_a_commit_later, "9.8.8.dev1"),
        (_without_tags, "0.1.dev1"),
        (_shallow, "0.1.dev1"),
        (_copied_without_git, "0.0"),
        (_inside_another_repository, "0.0"),
        (_downloaded, "9.8.7"),
    ],
)
def test_what_a_folder_is_built_as(
    made: Callable[[Path, Path], Path], version: str, released: Path, tmp_path: Path
) -> None:
    """A tag's version; above it one that is before the next; a lone folder's says it is unknown."""
    found = _version_of(made(released, tmp_path))
    assert found.public == version
    assert ("unknown" in str(found)) == version.startswith("0.")


def test_a_machine_without_git_builds_a_clone(released: Path, tmp_path: Path) -> None:
    """As in the images of Python that are called slim."""
    assert str(_version_of(released, PATH=str(tmp_path))) == _version.UNKNOWN


def test_who_builds_without_git_can_say_the_version(released: Path, tmp_path: Path) -> None:
    """As for an image, whose files come without it."""
    copy = _copied_without_git(released, tmp_path)
    assert str(_version_of(copy, SETUPTOOLS_SCM_PRETEND_VERSION="1.2.3")) == "1.2.3"


def test_the_distributions_of_a_tag_have_its_version(released: Path, tmp_path: Path) -> None:
    """The wheel that is built from the sdist, without git; and nothing is written into the tree."""
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    run(*build, tmp_path, released)  # the sdist, and from it the wheel
    assert {path.name for path in tmp_path.iterdir()} == {
        "cowrie_sessionstats-9.8.7-py3-none-any.whl",
        "cowrie_sessionstats-9.8.7.tar.gz",
    }
    assert _git(released, "status", "--porcelain", "--ignored") == ""


def test_an_installed_wheel_knows_its_version(wheel: Path, tmp_path: Path) -> None:
    """Whoever reads ``__version__`` reads what pip knows; the import alone does not look for it."""
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)  # what pip does with it
        described = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        version = message_from_bytes(archive.read(described))["Version"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert run(sys.executable, "-c", SAY, env=env, cwd=tmp_path).stdout.strip() == version
    lazily = "import sys, cowrie_sessionstats; print('importlib.metadata' in sys.modules)"
    assert run(sys.executable, "-S", "-c", lazily, env=env).stdout == "False\n"


@pytest.mark.parametrize("left", [None, "", "Metadata-Version: 2.4\n"])
def test_missing_metadata_is_no_trouble(left: str | None, tmp_path: Path) -> None:
    """Neither a folder that was only copied, nor an installation that was cut off, fails."""
    package = tmp_path / "cowrie_sessionstats"
    package.mkdir()
    for name in ("__init__.py", "_version.py"):
        shutil.copy(ROOT / "cowrie_sessionstats" / name, package)
    if left is not None:
        described = tmp_path / "cowrie_sessionstats-9.8.7.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(left)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = run(sys.executable, "-S", "-c", SAY, env=env, cwd=tmp_path)
    assert said.stdout.strip() == _version.UNKNOWN


def test_the_command_says_it() -> None:
    """``--version`` says what pip says of the environment."""
    said = run(Path(sys.executable).parent / "cowrie-sessionstats", "--version").stdout
    assert said.strip().endswith(f"version {metadata.version('cowrie-sessionstats')}")
