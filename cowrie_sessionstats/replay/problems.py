"""What could not be read of the logs, by reason, with the first place of each."""

from __future__ import annotations

from typing import Final

from attrs import define, field

NOT_JSON: Final = "not JSON"
CUT: Final = "cut off at the end of the file"
NUL_BYTES: Final = "NUL bytes"
NO_OBJECT: Final = "no JSON object"
NOT_COWRIES: Final = "no event of Cowrie"
NO_SESSION: Final = "no session named"
TOO_LONG: Final = "longer than 16 MiB"
"""Reasons to skip a line."""


class StrictError(Exception):
    """The first problem, where none is to be passed over."""


class StateError(Exception):
    """A state that cannot be used; its text says why and what to do."""


@define
class Skipped:
    """The lines that were skipped for one reason."""

    count: int
    first: str
    """Where the first was: ``file:line``."""


@define
class Problems:
    """Counts what was skipped; with ``strict`` the first of anything is raised as StrictError."""

    strict: bool = False
    lines: dict[str, Skipped] = field(factory=dict)
    """Skipped lines by reason."""
    files: list[str] = field(factory=list)
    """What was wrong with files that could not be read, or not to their end."""

    def line(self, path: str, number: int, reason: str) -> None:
        """Take note of a line that is skipped."""
        self.skipped(reason, 1, f"{path}:{number}")

    def skipped(self, reason: str, count: int, first: str) -> None:
        """Take note of ``count`` lines that are skipped for one reason, and where the first is."""
        if self.strict:
            raise StrictError(f"{first}: {reason}")
        known = self.lines.get(reason)
        if known is None:
            self.lines[reason] = Skipped(count, first)
        else:
            known.count += count

    def file(self, path: str, trouble: str) -> None:
        """Take note of a file that cannot be read, or not to its end."""
        if self.strict:
            raise StrictError(f"{path}: {trouble}")
        self.files.append(f"{path}: {trouble}")

    def add(self, other: Problems) -> None:
        """Take what another has counted; what comes first here stays first."""
        self.files += other.files
        for reason, skipped in other.lines.items():
            self.skipped(reason, skipped.count, skipped.first)
