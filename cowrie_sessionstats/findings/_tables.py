"""The rules of the package, read from TOML."""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def table(name: str) -> dict[str, Any]:
    """Return what the package's file ``name`` says."""
    text = files("cowrie_sessionstats.findings").joinpath(name).read_text("utf-8")
    known: dict[str, Any] = tomllib.loads(text)
    return known
