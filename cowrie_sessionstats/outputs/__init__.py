"""Where records go: one module a destination, all behind one small interface."""

from __future__ import annotations

from typing import Protocol

from cowrie_sessionstats.summary import Summary


class Destination(Protocol):
    """Takes records in Cowrie's reactor thread: no method may raise, and only ``stop`` may wait."""

    def write(self, summary: Summary) -> None:
        """Take one record; deliver it later if delivering could wait for anything."""

    def flush(self) -> None:
        """Deliver at once what can be delivered without waiting: the reactor is shutting down."""

    def stop(self) -> None:
        """Deliver the rest, for at most ``STOP_SECONDS``; nothing is written after that."""


STOP_SECONDS = 2.0
"""Seconds that a stop may wait: DShield's sensors restart Cowrie every hour, and quickly."""
