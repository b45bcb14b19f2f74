"""Waiting in the reactor for what a thread brings, however busy the machine is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

PATIENCE = 30.0
"""Seconds: whatever is not there by then never comes."""


def until(condition: Callable[[], object]) -> Deferred[Any]:
    """Return what fires when the condition holds; TimeoutError if it does not."""
    clock: Any = reactor
    deadline = clock.seconds() + PATIENCE

    def look() -> Any:
        if condition():
            return None
        if clock.seconds() > deadline:
            raise TimeoutError
        return task.deferLater(clock, 0.01, look)

    return task.deferLater(clock, 0, look)
