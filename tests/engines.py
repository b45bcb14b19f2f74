"""Container engines: docker, podman, or a program that brings one to a machine without."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import frozen

CA = "/run/host-ca.pem"


class EngineError(Exception):
    """The engine cannot be used, or did not do what it was told; the text is what it said."""


@frozen
class Engine:
    """How to build and run with it; everything is on the host's network."""

    builds: tuple[str, ...]
    runs: tuple[str, ...]
    does: tuple[str, ...]
    """What goes before any other command."""
    may_mount_in_builds: bool

    def build(self, dockerfile: Path, context: Path, tag: str, *options: str) -> None:
        """Build an image; what the engine says is shown if that fails."""
        self._call(
            *self.builds, *self._certificates(), *options, "-t", tag, "-f", dockerfile, context
        )

    def run(self, *arguments: str) -> str:
        """Run a container and return what it said; EngineError if it ends with another status."""
        return self._call(*self.runs, *arguments)

    def tried(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run any other command, which may fail."""
        return _tried(*self.does, *arguments)

    def do(self, *arguments: str) -> str:
        """Run any other command."""
        return self._call(*self.does, *arguments)

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """Return what the engine knows of an image or container."""
        found: dict[str, Any] = json.loads(self.do(kind, "inspect", name))[0]
        return found

    def _certificates(self) -> tuple[str, ...]:
        """Give pip in a build this machine's CA bundle, where pip out of it has one."""
        bundle = os.environ.get("PIP_CERT")
        if not (bundle and self.may_mount_in_builds):
            return ()
        return ("-v", f"{bundle}:{CA}:ro", "--build-arg", f"PIP_CERT={CA}")

    @staticmethod
    def _call(*command: str | Path) -> str:
        done = _tried(*command)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-3000:]
            raise EngineError(f"{shlex.join(str(part) for part in command)}\n{said}")
        return done.stdout


def find(command: str) -> Engine:
    """Return the engine that ``command`` is or sets up: docker, podman, a path to a program."""
    name = Path(command).name
    if name in {"docker", "podman"}:
        runs = (command, "run", "--network", "host")
        if name == "docker":
            return Engine((command, "build"), runs, (command,), may_mount_in_builds=False)
        builds = (command, "build", "--format", "docker", "--layers")
        return Engine(builds, runs, (command,), may_mount_in_builds=True)
    program = str(Path(command).resolve())
    if not os.access(program, os.X_OK):
        raise EngineError(f"there is no program {program}: name docker, podman or such a program")
    print(f"{program} setup", file=sys.stderr)
    done = _tried(program, "setup")
    if done.returncode:
        raise EngineError(f"{program} setup\n{done.stdout}{done.stderr}".strip())
    return Engine(
        (program, "build", "--format", "docker", "--layers"),
        (program, "run"),
        ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"),
        may_mount_in_builds=True,
    )


def _tried(*command: str | Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise EngineError(f"there is no program {command[0]}") from None
