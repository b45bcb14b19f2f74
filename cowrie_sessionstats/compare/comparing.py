"""Whether two answers are alike, but for what differs on any two machines."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from attrs import frozen

from cowrie_sessionstats.compare.answers import Answer

Verdict: TypeAlias = Literal["differs", "missing", "varies", "same", "unknown"]
VERDICTS: Final[tuple[Verdict, ...]] = ("missing", "differs", "varies", "same", "unknown")
"""In the order in which they matter."""

SHOWN: Final = 40
"""Lines of an answer that are compared and shown: a difference further down gives nobody away."""

_NUMBER: Final = re.compile(r"[0-9]+(?:[.,:][0-9]+)*[KMGTi%]{0,3}|\b[0-9a-f]{8,}\b")
_LEFT_OUT: Final = re.compile(r"<(?:kernel|build|host)>")
"""What stands in a recording for the kernel and the name of the machine on which it was made."""
_NOT_FOUND: Final = re.compile(r"(?:command )?not found|No such file or directory|applet not found")


@frozen
class Row:
    """One command, and what came of it."""

    command: str
    check: str | None
    """The id of the check that it is."""
    sessions: int
    """That ended on it."""
    honeypot: Answer | None
    reference: Answer | None
    verdict: Verdict


def compared(honeypot: Answer | None, reference: Answer | None) -> Verdict:
    """Return how two answers differ.

    ``missing``: the honeypot does not know what the other does; ``varies``: only in numbers, as
    times, sizes and process ids do; ``unknown``: one of them was not asked.
    """
    if honeypot is None or reference is None:
        return "unknown"
    if honeypot.is_cut or reference.is_cut:  # what is behind the end of either nobody knows
        length = min(len(honeypot.output), len(reference.output))
        honeypot, reference = Answer(honeypot.output[:length]), Answer(reference.output[:length])
    ours, theirs = lines_of(honeypot), lines_of(reference)
    if ours == theirs:
        return "same"
    if _NOT_FOUND.search("\n".join(ours)) and not _NOT_FOUND.search("\n".join(theirs)):
        return "missing"
    if len(ours) == len(theirs) and all(map(_is_alike, ours, theirs)):
        return "varies"
    return "differs"


def lines_of(answer: Answer) -> list[str]:
    """Return the lines of an answer that are compared."""
    lines = answer.output.replace("\r\n", "\n").rstrip("\n").split("\n")
    return [line.rstrip() for line in lines[:SHOWN]]


def shown_lines(answer: Answer) -> list[str]:
    """Return the lines of an answer as they are shown: of a program, its beginning."""
    if "\0" in answer.output:
        return [f"{answer.output[:_HEAD]}..."]
    return lines_of(answer)


_HEAD: Final = 24  # characters that tell an ELF file's kind


def _is_alike(ours: str, theirs: str) -> bool:
    """Return whether two lines differ only in numbers, or in what a recording left out."""
    plain = _plain(theirs)
    if not _LEFT_OUT.search(plain):
        return _plain(ours) == plain
    parts = [re.escape(part) for part in _LEFT_OUT.split(plain)]
    return re.fullmatch(".*".join(parts), _plain(ours)) is not None


def _plain(line: str) -> str:
    """Return a line with its numbers alike, and its white space."""
    return " ".join(_NUMBER.sub("0", line).split())


def differing(ours: list[str], theirs: list[str]) -> list[tuple[str | None, str | None, bool]]:
    """Return the lines side by side, and whether they differ."""
    import difflib  # noqa: PLC0415 - only where somebody looks

    rows: list[tuple[str | None, str | None, bool]] = []
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for number in range(max(b - a, d - c)):
            left = ours[a + number] if a + number < b else None
            right = theirs[c + number] if c + number < d else None
            rows.append((left, right, kind != "equal"))
    return rows
