"""Reads the tables beside the formats."""

from __future__ import annotations

import sys
from importlib import resources
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def table(name: str) -> dict[str, Any]:
    """Return the table ``name.toml``."""
    text = (resources.files(__package__ or __name__) / f"{name}.toml").read_text("utf-8")
    tables: dict[str, Any] = tomllib.loads(text)
    return tables
