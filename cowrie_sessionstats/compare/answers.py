"""What a machine answered to a command."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

SECONDS: Final = 10.0
"""A command that takes longer is ended: those that only read take milliseconds."""

BYTES: Final = 65_536
"""Bytes of an answer that are kept: a screen has 4,000, a binary that is shown has no end."""


@frozen
class Answer:
    """An answer: what was written, both streams together, and how it ended."""

    output: str
    status: int | None = None
    """None: it was not told, or the command was ended."""
    is_cut: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for a file."""
        found: dict[str, Any] = {"output": self.output}
        if self.status is not None:
            found["status"] = self.status
        if self.is_cut:
            found["cut"] = True
        return found

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Answer:
        """Return what ``to_json`` made."""
        return cls(str(found["output"]), found.get("status"), bool(found.get("cut", False)))


def text_of(output: bytes) -> tuple[str, bool]:
    """Return what was written as text, and whether it was cut."""
    return output[:BYTES].decode("utf-8", "replace"), len(output) > BYTES
