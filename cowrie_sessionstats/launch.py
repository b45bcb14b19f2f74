"""Starts and stops a Cowrie in the foreground, also as root, which Cowrie itself refuses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import define, field

LOG: Final = Path("var/log/cowrie/cowrie.log")
CONSOLE: Final = Path("var/log/cowrie/console.log")
SUMMARIES: Final = Path("var/log/cowrie/sessionstats.json")

_READY: Final = (b"Ready to accept SSH connections", b"Ready to accept Telnet connections")
_START_SECONDS: Final = 60.0  # the first start makes host keys; seen to take 2 s
_STOP_SECONDS: Final = 15.0  # after that, a process that ignores SIGTERM is killed
_POLL_SECONDS: Final = 0.1
_TAIL: Final = 15  # lines of Cowrie's log that explain a failed start


class LaunchError(Exception):
    """Cowrie cannot be run; the text says why and what to do."""


@define
class Installation:
    """An environment that has Cowrie: the folder with its ``cowrie`` and ``twistd``."""

    bin: Path
    prefix: list[str] = field(init=False)
    """What goes before a command of Cowrie so that it does not run as root."""

    def __attrs_post_init__(self) -> None:
        """Raise LaunchError unless Cowrie is there and may run."""
        for name in ("cowrie", "twistd"):
            if not (self.bin / name).is_file():
                raise LaunchError(
                    f"there is no {name} in {self.bin}: install Cowrie into the same environment "
                    f"({self.bin / 'pip'} install cowrie)"
                )
        self.prefix = _unprivileged()

    def init(self, folder: Path) -> None:
        """Make ``folder`` a state folder of Cowrie unless it is one."""
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "etc/cowrie.cfg").exists():
            return
        done = subprocess.run(  # noqa: S603 - a program of the environment we run in
            [*self.prefix, str(self.bin / "cowrie"), "init"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=self._environment({}),
        )
        if done.returncode:
            raise LaunchError(f"cowrie init in {folder} failed: {done.stdout}{done.stderr}".strip())

    def start(self, folder: Path, environment: Mapping[str, str] | None = None) -> RunningCowrie:
        """Start Cowrie in its state folder and wait until SSH and Telnet are open."""
        log = folder / LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        before = log.stat() if log.exists() else None
        command = [
            *self.prefix,
            str(self.bin / "twistd"),
            *("--nodaemon", "--umask=0022", "--pidfile="),
            *("--logger", "cowrie.python.logfile.logger", "cowrie"),
        ]
        with (folder / CONSOLE).open("ab") as console:
            process = subprocess.Popen(  # noqa: S603 - a program of the environment we run in
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=self._environment(environment or {}),
                # A Ctrl-C in the terminal is for us; we stop Cowrie ourselves.
                start_new_session=True,
            )
        running = RunningCowrie(folder, process)
        try:
            running.wait_until_ready(before)
        except BaseException:
            running.kill()
            raise
        return running

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        path = f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path, **more}


@define
class RunningCowrie:
    """A Cowrie process in its state folder."""

    folder: Path
    process: subprocess.Popen[bytes]

    def wait_until_ready(self, before: os.stat_result | None) -> None:
        """Wait until the log, which was ``before`` then, says so; LaunchError if it does not."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            log = self._log(before)
            if all(line in log for line in _READY):
                return
            if self.process.poll() is not None:
                raise LaunchError(f"Cowrie ended at its start:\n{self._tail()}")
            time.sleep(_POLL_SECONDS)
        raise LaunchError(f"Cowrie is not ready after {_START_SECONDS:.0f} s:\n{self._tail()}")

    def stop(self) -> int:
        """Stop Cowrie as ``cowrie stop`` does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait()

    def kill(self) -> None:
        """End the process without asking."""
        self.process.kill()
        self.process.wait()

    def _log(self, before: os.stat_result | None) -> bytes:
        """Return what the log gained; all of it if it was rotated since."""
        try:
            with (self.folder / LOG).open("rb") as log:
                now = os.fstat(log.fileno())
                if before is not None and now.st_ino == before.st_ino:
                    log.seek(before.st_size)
                return log.read()
        except FileNotFoundError:
            return b""

    def _tail(self) -> str:
        lines: list[str] = []
        for name in (CONSOLE, LOG):
            path = self.folder / name
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-_TAIL:]
        return "\n".join(lines)


def _unprivileged() -> list[str]:
    """Return what goes before a command so that it does not run as root."""
    if os.getuid() != 0:
        return []
    unshare = shutil.which("unshare")
    prefix = [unshare or "unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if unshare is not None:
        tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)  # noqa: S603
        if tried.returncode == 0:
            return prefix
    raise LaunchError(
        "Cowrie refuses to run as root, and this machine does not let root give up its rights "
        "(unshare --user). Run this as an ordinary user, for instance one made by "
        "`adduser --disabled-password cowrie`"
    )
