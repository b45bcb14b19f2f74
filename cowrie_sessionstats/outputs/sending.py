"""What a sender is: it takes batches of records to one receiver and tells what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar, overload

from attrs import field, frozen
from twisted.internet.defer import Deferred

Record: TypeAlias = Mapping[str, Any]
"""A record as ``summary.record`` returns it, or one of an older version: any key can be absent."""

_To = TypeVar("_To")

TIME: Final = "time"
"""Beside its own keys, a record from the outbox has this one: when the session closed, in seconds
since 1970, where that is known. A machine that is not set to UTC writes local time into the others
(see ``events.tick``)."""

REASON_LIMIT: Final = 300
"""Characters of a reason: it can quote what a receiver said, and is kept for each such record."""


@frozen
class Mapped(Sequence[_To]):
    """What a function makes of each item, made anew when it is asked for.

    Thousands of records take tens of megabytes when all are unpacked at once.
    """

    items: Sequence[Any]
    make: Callable[[Any], _To]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.items)

    @overload
    def __getitem__(self, place: int) -> _To: ...

    @overload
    def __getitem__(self, place: slice) -> Mapped[_To]: ...

    def __getitem__(self, place: int | slice) -> _To | Mapped[_To]:
        """Return one, or some."""
        if isinstance(place, slice):
            return Mapped(self.items[place], self.make)
        return self.make(self.items[place])


def without_time(record: Record) -> Record:
    """Return a record with its own keys only."""
    return {key: value for key, value in record.items() if key != TIME}


@frozen
class Limits:
    """How much goes into one batch; whichever is reached first ends it."""

    records: int = 500
    size: int = 1 << 20
    """Bytes of the records as they are kept, which is about what is sent. A larger record goes
    alone."""
    seconds: float = 1.0
    """How long the oldest record of a batch waits for others."""


@frozen
class Delivered:
    """The receiver has every record of the batch."""


@frozen
class Partly:
    """The receiver judged each record by itself; those not named here it has."""

    refused: Mapping[int, str] = field(factory=dict)
    """Records, by their place in the batch, that it will never take, and why."""
    again: Mapping[int, str] = field(factory=dict)
    """Those that it did not take now, and why."""
    retry_after: float | None = None
    """Seconds that the receiver asks to be left alone before those."""


@frozen
class Refused:
    """The receiver will not take this batch, because of what is in it or of its size."""

    reason: str


@frozen
class Failed:
    """The batch was not delivered, or nobody knows; it is no fault of a record's."""

    reason: str
    """What happened, where and what to do, in a sentence without secrets."""
    retry_after: float | None = None
    """Seconds that the receiver asks to be left alone."""


Verdict: TypeAlias = Delivered | Partly | Refused | Failed


class Sender(Protocol):
    """Takes records to one receiver. Its secrets are in no text that it returns or logs."""

    @property
    def limits(self) -> Limits:
        """Return how large batches may be."""

    @property
    def target(self) -> str:
        """Return where records go, for people, e.g. ``https://siem.example:9200`` (no secrets)."""

    def render(self, records: Sequence[Record]) -> Any:
        """Return the batch as ``send`` takes it; in the worker thread, so it may take its time.

        Raises ValueError if a record cannot be rendered, whatever is in it.
        """

    def send(self, batch: Any) -> Deferred[Verdict]:
        """Send a batch; in the reactor thread. Called again only when the verdict is there.

        Never raises, and the verdict always comes, within a bound of its own (a receiver that
        hangs is ``Failed``). If the Deferred is cancelled, the connection is dropped at once.
        """

    def stop(self) -> None:
        """Let go of connections; nothing is sent after that."""
