"""Cowrie's own event pipeline: every output that Cowrie has carries the record."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field

from cowrie_sessionstats.complaints import ERROR_LIMIT, Complaints
from cowrie_sessionstats.summary import Summary, printable, record


@define(eq=False)
class PipelineDestination:
    """Hands records to ``deliver`` on the next turn of the reactor.

    Not at once: Cowrie's dispatcher is still handing the closing event round, and outputs whose
    turn has not come would see the record before it. ``deliver`` takes an event as Cowrie's
    dispatcher does, ``later`` calls a function on the next turn.
    """

    deliver: Callable[[dict[str, Any]], None]
    later: Callable[[Callable[[], None]], object]
    complaints: Complaints
    limit: int
    """Records that may wait: as many as can be made in one turn."""
    _waiting: deque[Summary] = field(factory=deque, init=False)

    def write(self, summary: Summary) -> None:
        """Take one record."""
        if len(self._waiting) >= self.limit:
            self.complaints.complain("Cowrie's reactor does not come round, a record is dropped")
            return
        if not self._waiting:
            self.later(self.flush)
        self._waiting.append(summary)

    def flush(self) -> None:
        """Deliver everything that waits."""
        while self._waiting:
            summary = self._waiting.popleft()
            try:
                self.deliver(to_event(summary))
            except Exception as error:  # noqa: BLE001 - the next record may fare better
                self.complaints.complain(
                    f"Cowrie's outputs refused the record of session {summary.session!r}: "
                    f"{printable(str(error), ERROR_LIMIT)}"
                )

    def stop(self) -> None:
        """Deliver everything that waits."""
        self.flush()


def to_event(summary: Summary) -> dict[str, Any]:
    """Return the record as an event for Cowrie's outputs.

    With the ``time`` of the close, from which Cowrie makes the event's ``timestamp``; without it,
    for a session that was not closed, Cowrie takes the current time.
    """
    event = record(summary)
    if summary.time is not None:
        event["time"] = summary.time
    return event
