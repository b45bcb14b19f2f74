"""TOML, on every Python: what stands beside the code as data."""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOMLDecodeError = tomllib.TOMLDecodeError


def loads(text: str) -> dict[str, Any]:
    """Return what a text says; TOMLDecodeError if it is no TOML."""
    known: dict[str, Any] = tomllib.loads(text)
    return known


def packaged(package: str, name: str) -> dict[str, Any]:
    """Return what the file ``name`` beside the code of ``package`` says."""
    return loads(files(package).joinpath(name).read_text("utf-8"))
