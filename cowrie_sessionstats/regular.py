"""Files that others can put there, opened without waiting: pipes and devices are refused."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path


def opened(path: Path) -> io.FileIO:
    """Return an open file to read; OSError also for what is no regular file.

    A pipe would keep us until somebody writes into it, and a device may never end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return io.FileIO(handle, "rb")


def content(path: Path, limit: int) -> bytes:
    """Return what is in a file; OSError as ``opened``, and for one of more than ``limit`` bytes."""
    with opened(path) as file, io.BufferedReader(file) as reader:
        found = reader.read(limit + 1)
    if len(found) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return found
