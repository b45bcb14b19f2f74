"""The Cowrie that runs in a folder, as Linux tells of it, and its Python."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from attrs import frozen

from cowrie_sessionstats import regular

_PID_FILES: Final = ("var/run/cowrie.pid", "cowrie.pid")
"""Of ``cowrie start`` and of a DShield sensor."""

_ENVIRONMENTS: Final = ("cowrie-env", ".venv", "venv")
"""Where installers and Cowrie's own instructions put its environment, seen from its folder."""


_WORDS_LIMIT: Final = 1 << 16
"""Bytes of a command line that are read: a process chooses its own, up to gigabytes."""

_PID_LIMIT: Final = 100
"""Bytes of a file with a number."""


@frozen
class Process:
    """A running Cowrie."""

    pid: int
    started: float
    """Seconds since 1970."""
    python: Path | None
    """What it was started with; None if that cannot be told."""
    uid: int = 0
    """As who it runs; root for a program that changed who it is."""


def running(folder: Path) -> Process | None:
    """Return the Cowrie that runs in ``folder``; None if none does, or nobody may know."""
    for pid in (*_noted(folder), *_there(folder)):
        with suppress(OSError, ValueError):
            words = _words(pid)
            if "cowrie" in words and any("twistd" in word for word in words):
                uid = Path(f"/proc/{pid}/stat").stat().st_uid
                return Process(pid, _started(pid), _python(words[0], uid), uid)
    return None


def _python(word: str, uid: int) -> Path | None:
    """Return the Python that a process says it was started with, as far as that can be trusted.

    Any user can start a program of root's (``su``) under another name: what that says is not run.
    """
    path = Path(word)
    is_python = path.is_absolute() and path.name.startswith("python")
    return path if is_python and (uid != 0 or os.geteuid() != 0) else None


def _words(pid: int) -> list[str]:
    with Path(f"/proc/{pid}/cmdline").open("rb") as file:
        return file.read(_WORDS_LIMIT).decode(errors="replace").split("\0")


def _noted(folder: Path) -> Iterator[int]:
    for name in _PID_FILES:
        with suppress(OSError, ValueError):
            yield int(regular.content(Path(folder, name), _PID_LIMIT))


def _there(folder: Path) -> Iterator[int]:
    here = folder.resolve()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == here:
                yield int(entry.name)


def _started(pid: int) -> float:
    """Return when a process was started (proc(5): field 22 of stat, btime of /proc/stat)."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    booted = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime ")
    )
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def python_of(folder: Path, process: Process | None) -> Path | None:
    """Return the Python that runs the Cowrie in ``folder``, or would; None if none is found."""
    candidates = [] if process is None or process.python is None else [process.python]
    candidates += [Path(folder, name, "bin/python") for name in _ENVIRONMENTS]
    if getattr(find_spec("cowrie"), "origin", None) is not None:  # not the plugin's file alone
        candidates.append(Path(sys.executable))
    program = shutil.which("cowrie")
    if program is not None:
        candidates.append(Path(program).with_name("python"))
    return next((path for path in candidates if path.is_file()), None)
