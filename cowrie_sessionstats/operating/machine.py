"""Checks of the machine: its clock and its disks."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cowrie_sessionstats.operating.checks import Check, ok, warning, wrong

LEAST_BYTES: Final = 100 << 20
"""Free bytes below which a flood of an hour fills the disk."""

LOW_BYTES: Final = 1 << 30
"""Free bytes below which a week of records and recordings may."""

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronized
_TIMEX_BYTES: Final = 256  # of struct timex, with room


def clock() -> Check:
    """Return whether the kernel's clock is kept by somebody, as adjtimex(2) tells."""
    state = _adjtimex()
    if state is None:
        return ok("clock", "whether anything sets it cannot be told here")
    if state == _TIME_ERROR:
        return warning(
            "clock",
            "nothing synchronizes it: times of records drift",
            "apt-get install systemd-timesyncd (in a container: on its host)",
        )
    return ok("clock", "synchronized")


def _adjtimex() -> int | None:
    try:
        found = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if found < 0 else int(found)


def disk(files: Sequence[Path]) -> list[Check]:
    """Return how much room there is where these files are, each file system once."""
    checks = {}
    for path in files:
        folder = next((each for each in path.parents if each.is_dir()), Path("/"))
        device = folder.stat().st_dev
        if device not in checks:
            checks[device] = _room(folder)
    return list(checks.values())


def _room(folder: Path) -> Check:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    told = f"{free / (1 << 30):,.1f} GiB free at {folder}"
    if free < LEAST_BYTES or (found.f_files and not found.f_favail):
        return wrong("disk", told if free < LEAST_BYTES else f"no inode free at {folder}", _REMEDY)
    if free < LOW_BYTES:
        return warning("disk", told, _REMEDY)
    return ok("disk", told)


_REMEDY: Final = "delete old logs and recordings: the plugin and Cowrie delete none"
