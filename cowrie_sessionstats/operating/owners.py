"""What an administrator does with files of Cowrie's user is done as that user."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def groups_of(uid: int) -> list[int]:
    """Return a user's groups, the first one first."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return [uid]
    others = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return [entry.pw_gid, *(each for each in others if each != entry.pw_gid)]


def owner_of(path: Path, top: Path) -> int:
    """Return who can put something else in the place of ``path``, which is below ``top``.

    The owner of a folder on the way, other than root; else root.
    """
    for folder in path.parents:
        try:
            uid = folder.stat().st_uid
        except FileNotFoundError:
            continue
        if uid != 0:
            return uid
        if folder == top:
            break
    return 0


@contextmanager
def as_owner(path: Path, top: Path) -> Iterator[None]:
    """Be who owns the folders of ``path``, up to ``top``, where we are root.

    Who owns a folder can put links in it, and change them while we look: root would read and write
    wherever they lead. Their owner gets no further than before.
    """
    uid = owner_of(path, top) if os.geteuid() == 0 else 0
    if uid == 0:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    others = groups_of(uid)
    os.setgroups(others)
    os.setegid(others[0])
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
