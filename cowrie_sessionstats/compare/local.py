"""Commands on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cowrie_sessionstats.compare.allowlist import may_run
from cowrie_sessionstats.compare.answers import BYTES, SECONDS, Answer, answer_of

_SHELL: Final = "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"
"""What root has on most machines."""
ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    "LC_ALL": "C",
    "TERM": "dumb",
}
"""All that a command on a reference finds, here and over SSH."""


def run(line: str, prefix: Sequence[str] = ()) -> Answer:
    """Return what a shell of this machine answers to a line that ``may_run``.

    In a process group of its own, with nothing of our environment, no input, and within bounds.
    """
    if not may_run(line):
        raise ValueError(line)
    return run_any(line, prefix)


def run_any(line: str, prefix: Sequence[str] = ()) -> Answer:
    """Return what a shell answers; for machines that are thrown away afterwards."""
    with subprocess.Popen(  # noqa: S603 - that is what it is for
        [*prefix, Path(_SHELL).name, "-c", line],  # as sshd calls it, which shows in its answers
        executable=None if prefix else _SHELL,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    ) as process:
        stdout = process.stdout
        if stdout is None:
            raise OSError("no output")
        timer = _Timer(process)
        with timer:
            output = stdout.read(BYTES + 1)
            if len(output) > BYTES:
                _end(process)
            status = process.wait()
        return answer_of(output, status, is_late=timer.rang)


class _Timer:
    """Ends a process that takes too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.rang = False
        self._process = process
        self._timer = threading.Timer(SECONDS, self._ring)

    def _ring(self) -> None:
        self.rang = True
        _end(self._process)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
