"""What a machine answered to a command."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

SECONDS: Final = 10.0
"""A command that takes longer is ended: those that only read take milliseconds."""

BYTES: Final = 65_536
"""Bytes of an answer that are kept: a screen has 4,000, a binary that is shown has no end."""


class UnusableError(Exception):
    """There is nothing to compare with; the text says what is wrong and what to do."""


@frozen
class Answer:
    """An answer: what was written, both streams together, and how it ended."""

    output: str
    status: int | None = None
    """None: it was not told, or the command was ended."""
    is_cut: bool = False
    """There was more."""
    is_late: bool = False
    """It had not ended after ``SECONDS``."""

    def to_json(self) -> dict[str, Any]:
        """Return it for a file."""
        found: dict[str, Any] = {"output": self.output}
        if self.status is not None:
            found["status"] = self.status
        if self.is_cut:
            found["cut"] = True
        if self.is_late:
            found["late"] = True
        return found

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Answer:
        """Return what ``to_json`` made."""
        status = found.get("status")
        return cls(
            str(found["output"]),
            None if status is None else int(status),
            bool(found.get("cut", False)),
            bool(found.get("late", False)),
        )


def answer_of(output: bytes, status: int | None, *, is_late: bool) -> Answer:
    """Return an answer within its bounds."""
    is_cut = len(output) > BYTES
    text = output[:BYTES].decode("utf-8", "replace")
    return Answer(text, None if is_cut or is_late else status, is_cut, is_late)


def ending(answer: Answer | None) -> str:
    """Return how an answer ended, in words."""
    if answer is None:
        return "not asked"
    if answer.is_late:
        return f"not ended after {SECONDS:.0f} s"
    if answer.is_cut:
        return "goes on"
    return "exit status unknown" if answer.status is None else f"exit status {answer.status}"
