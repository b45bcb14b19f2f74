"""Files of another user's, written by an administrator: never through a link that is put there."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO


def create(path: Path, content: BinaryIO, like: os.stat_result, mode: int | None = None) -> None:
    """Make a file with the owner of another and its rights, or ``mode``.

    OSError if there is anything of that name, or if we may not.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    handle = os.open(path, flags, 0o600)
    try:
        _fill(handle, content, like, mode)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, content: BinaryIO) -> None:
    """Give a file another content, whole or not at all, and leave it owner and rights."""
    like = path.stat()
    handle, name = tempfile.mkstemp(".new", f".{path.name}.", path.parent)
    try:
        _fill(handle, content, like, None)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _fill(handle: int, content: BinaryIO, like: os.stat_result, mode: int | None) -> None:
    with os.fdopen(handle, "wb") as file:
        if (os.geteuid(), os.getegid()) != (like.st_uid, like.st_gid):
            try:
                os.fchown(handle, like.st_uid, like.st_gid)
            except PermissionError:
                if os.getuid() != 0:  # else root acts as the folder's owner, who may replace it
                    raise
        os.fchmod(handle, stat.S_IMODE(like.st_mode) if mode is None else mode)
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(handle)
