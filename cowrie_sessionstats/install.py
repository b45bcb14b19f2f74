"""Puts the file that Cowrie looks for into a Cowrie that runs from a checkout."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path
from typing import Final

_NAME: Final = "sessionstats.py"
_INSTALLED: Final = f"cowrie/output/{_NAME}"
_FOLDERS: Final = ("src/cowrie/output", "cowrie/output")
"""Where a checkout has its outputs, and the folder of the package itself."""


class InstallError(Exception):
    """The file could not be put there; the text says why and what to do."""


def install(checkout: Path) -> str:
    """Put the file into ``checkout`` and return what was done.

    A file of that name that is not ours is left alone.
    """
    folder = _outputs(checkout)
    target = folder / _NAME
    ours = _ours()
    try:
        before = target.read_bytes() if target.exists() else None
        if before == ours:
            return f"{target} is in place already, nothing was changed"
        if before is not None and b"cowrie_sessionstats" not in before:
            raise InstallError(f"{target} is not ours and was left alone: move it away first")
        beside = target.with_name(f".{_NAME}.new")
        beside.write_bytes(ours)
        beside.replace(target)
    except OSError as error:
        raise InstallError(
            f"cannot write {target}: {error.strerror}. Run this as the user who owns the checkout"
        ) from None
    done = "wrote" if before is None else "brought up to date:"
    return (
        f"{done} {target}\n"
        "Now enable it, in the folder in which Cowrie runs: cowrie-sessionstats enable. The "
        "environment that runs this Cowrie needs cowrie-sessionstats installed, too"
    )


def _ours() -> bytes:
    """Return the file as pip put it where a Cowrie from pip would find it."""
    for path in files("cowrie-sessionstats") or ():
        if path.as_posix() == _INSTALLED:
            return path.read_binary()
    raise InstallError(
        f"this installation has no {_INSTALLED}: install cowrie-sessionstats with pip again"
    )


def _outputs(checkout: Path) -> Path:
    for name in _FOLDERS:
        folder = checkout / name
        if (folder / "jsonlog.py").is_file():
            return folder
    raise InstallError(
        f"{checkout.absolute()} holds no Cowrie (no {_FOLDERS[0]}/jsonlog.py): name the folder "
        "that `git clone` made. A Cowrie installed by pip needs no such step"
    )
