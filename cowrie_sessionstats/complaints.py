"""Says that something keeps failing, once a minute however often it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, field
from twisted.logger import Logger

INTERVAL: Final = 60.0
"""Seconds between two lines about the same trouble: an attacker must not fill the log with it."""

ERROR_LIMIT: Final = 80
"""Characters shown of an error's own text, which may quote what an attacker sent."""


@define(eq=False)
class Complaints:
    """Counts failures of one kind and logs the first, then at most one line a minute.

    ``clock`` returns seconds that only go forward. What a line says is data, never a format: it
    may carry an attacker's words.
    """

    log: Logger
    clock: Callable[[], float]
    count: int = field(default=0, init=False)
    _said: int = field(default=0, init=False)
    _next: float | None = field(default=None, init=False)

    def complain(self, trouble: str) -> None:
        """Count one failure that ``trouble`` describes."""
        self.count += 1
        now = self.clock()
        if self._next is not None and now < self._next:
            return
        self._next = now + INTERVAL
        more = self.count - self._said - 1
        self._said = self.count
        if more:
            trouble = f"{trouble} (and {more} more since the last such line)"
        self.log.error("sessionstats: {trouble}", trouble=trouble)
