"""What a command takes: time, and memory of all its processes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen


@frozen
class Cost:
    """What a command took."""

    seconds: float
    megabytes: float
    """Of all its processes together, what they share counted once; the peak."""
    cpu: float = 0.0
    """Seconds of it, of all its processes that ended, and of the command's start."""
    output: bytes = b""


def cost(*command: object) -> Cost:
    """Run a command to its end."""
    with tempfile.TemporaryFile() as out:
        used = os.times()
        begun = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=subprocess.DEVNULL)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(map(proportional, family(process.pid))))
            time.sleep(0.05)
        seconds = time.perf_counter() - begun
        assert process.returncode == 0
        out.seek(0)
        after = os.times()
        spent = after.children_user + after.children_system
        return Cost(seconds, peak, spent - used.children_user - used.children_system, out.read())


def cpu(process: int) -> float:
    """Return the seconds of CPU that a running process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family(process: int) -> Iterator[int]:
    """Yield a process and all its children."""
    yield process
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))
    except OSError:
        return


def proportional(process: int) -> float:
    """Return a process's share of the memory, in megabytes."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0
    )
