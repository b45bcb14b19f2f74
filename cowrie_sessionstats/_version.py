"""Which version of this package is installed, as pip knows it."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Final

UNKNOWN: Final = "0.0+unknown"
"""Of a folder that nobody installed; pyproject.toml has it for one that is no clone."""


@cache
def installed() -> str:
    """Return the version in the metadata; without one, UNKNOWN."""
    try:
        found: str | None = metadata.version("cowrie-sessionstats")
    except (metadata.PackageNotFoundError, KeyError):
        return UNKNOWN
    # Older Pythons return None where a file of metadata is cut off.
    return found or UNKNOWN
