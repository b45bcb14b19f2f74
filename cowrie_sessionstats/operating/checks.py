"""What ``doctor`` finds: one thing looked at, and how it is."""

from __future__ import annotations

from typing import Literal

from attrs import frozen


@frozen
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warning", "error"]
    """``warning``: it works, but somebody should know; ``error``: it does not."""
    message: str
    remedy: str = ""
    """What to do; empty where nothing has to be done."""


def ok(name: str, message: str) -> Check:
    """Return that something is as it should be."""
    return Check(name, "ok", message)


def warning(name: str, message: str, remedy: str) -> Check:
    """Return that somebody should look at something."""
    return Check(name, "warning", message, remedy)


def wrong(name: str, message: str, remedy: str) -> Check:
    """Return that something does not work."""
    return Check(name, "error", message, remedy)
