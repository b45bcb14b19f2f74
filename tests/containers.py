"""A container of one of the two images under test: starts it, asks it, reads its volume."""

from __future__ import annotations

import json
import time
from typing import Any

import attackers
import engines
from attrs import define, frozen

READY_SECONDS = 60
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


@frozen
class Image:
    """One of the two images."""

    tag: str
    var: str
    etc: str


@define
class Report:
    """A line for each check."""

    failed: int = 0

    def say(self, what: str, *, is_so: bool, detail: object = "") -> None:
        """Say whether ``what`` holds."""
        self.failed += not is_so
        print(
            f"{'ok    ' if is_so else 'FAILED'} {what}{f': {detail}' if detail else ''}", flush=True
        )


@define
class Bench:
    """An image on an engine, with a volume, free ports and what has to be removed afterwards."""

    engine: engines.Engine
    image: Image
    report: Report
    name: str
    ports: attackers.Ports
    started: int = 0

    def start(self, *options: str, volume: str = "") -> str:
        """Start a sensor with everything taken from it that can be; return its name."""
        self.started += 1
        name = f"{self.name}-{self.started}"
        self.engine.run(
            *("-d", "--name", name, *HARDENED),
            *("-v", f"{volume or self.name}:{self.image.var}"),
            *("-e", f"COWRIE_SSH_LISTEN_ENDPOINTS=tcp:{self.ports.ssh}:interface=127.0.0.1"),
            *("-e", f"COWRIE_TELNET_LISTEN_ENDPOINTS=tcp:{self.ports.telnet}:interface=127.0.0.1"),
            *("-e", "COWRIE_TELNET_ENABLED=true", *options, self.image.tag),
        )
        return name

    def wait(self, name: str) -> str:
        """Wait until a sensor serves; return its log."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            log = self.log(name)
            if "Ready to accept Telnet" in log and "Ready to accept SSH" in log:
                return log
            if not self.engine.inspect("container", name)["State"]["Running"]:
                break
            time.sleep(0.2)
        raise engines.EngineError(f"{name} does not serve:\n{self.log(name)[-3000:]}")

    def log(self, name: str) -> str:
        """Return what a container said."""
        done = self.engine.tried("logs", name)
        return done.stdout + done.stderr

    def health(self, name: str, *options: str) -> tuple[int, str]:
        """Do the image's health check in a container; return its status and what it said."""
        test = self.engine.inspect("image", self.image.tag)
        command = (test.get("Healthcheck") or test["Config"]["Healthcheck"])["Test"]
        done = self.engine.tried("exec", *options, name, *command[1:])
        return done.returncode, done.stdout.strip()

    def records(self) -> list[dict[str, Any]]:
        """Return the records in the volume, as another container reads it."""
        said = self.engine.run(
            *("--rm", *HARDENED, "-v", f"{self.name}:/volume:ro", "--entrypoint", "python3"),
            *(self.image.tag, "-c"),
            "import pathlib; path = pathlib.Path('/volume/log/cowrie/sessionstats.json'); "
            "print(path.read_text() if path.exists() else '')",
        )
        return [json.loads(line) for line in said.splitlines() if line]

    def record(self, port: int) -> list[dict[str, Any]]:
        """Return the records of one client, which may take a moment."""
        for _ in range(10):
            found = [record for record in self.records() if record["src_port"] == port]
            if found:
                return found
            time.sleep(0.5)
        return []

    def clean(self) -> None:
        """Remove the containers and the volume."""
        for number in range(1, self.started + 1):
            self.engine.tried("rm", "-f", "-v", f"{self.name}-{number}")
        self.engine.tried("volume", "rm", "-f", self.name)
