"""All that the page of ``top`` shows."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from cowrie_sessionstats.watching.hour import Figures
from cowrie_sessionstats.watching.seen import Seen
from cowrie_sessionstats.watching.state import State


@frozen
class Facts:
    """All that the page shows; times are in seconds since 1970."""

    now: float
    began: float
    """When this program began to look."""
    where: str
    sensors: Sequence[str]
    written: float | None
    """When the log was last written; None: it is not there."""
    skipped: int
    """Lines of it that are no records."""
    trouble: str | None
    """What is wrong with it."""
    figures: Figures
    recent: Sequence[Seen]
    interactive: Sequence[Seen]
    state: State
    hint: str = ""
    """What a person can do."""
