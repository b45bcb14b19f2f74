"""Whether two answers are alike, but for what differs on any two machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final, Literal, TypeAlias, TypeVar

from attrs import frozen

from cowrie_sessionstats.compare.answers import Answer

Verdict: TypeAlias = Literal["differs", "missing", "varies", "same", "unknown"]
VERDICTS: Final[tuple[Verdict, ...]] = ("missing", "differs", "varies", "same", "unknown")
"""In the order in which they matter."""

SHOWN: Final = 40
"""Lines of an answer that are compared and shown: a difference further down gives nobody away."""

WORDS: Final = 200
"""Words of a line that are compared one by one: the flags of a processor are 130."""

PROGRAM: Final = 20
"""Characters of a program that are compared: its kind and the machine that it is for (ELF, e_ident,
e_type and e_machine). What follows differs from one build to the next.
"""

_MONTH: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_VARYING: Final = re.compile(
    rf"""
    \b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|{_MONTH})\b
    | \b[0-9a-f]{{1,4}}(?:::?[0-9a-f]{{1,4}}){{2,7}}\b  # a time, the address of a card, IPv6
    | [0-9]+(?:[.,:][0-9]+)*[KMGTiB%]{{0,3}}
    | \b[0-9a-f]{{8,}}\b
    """,
    re.VERBOSE,
)
_SPACES: Final = re.compile(" +")
"""Columns are as wide as the numbers in them."""
_LEFT_OUT: Final = re.compile(r"<(?:kernel|build|host|cpu)>")
"""What stands in a recording for the kernel, the name and the processor of its machine."""
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


@frozen
class Part:
    """Some words of a line, with the white space behind them."""

    text: str
    differs: bool


@frozen
class Pair:
    """Two lines side by side: ``same``, ``varies`` or ``differs``; None where there is no line."""

    ours: Sequence[Part] | None
    theirs: Sequence[Part] | None
    verdict: Verdict


def compared(honeypot: Answer | None, reference: Answer | None) -> Verdict:
    """Return how two answers differ.

    ``missing``: the honeypot does not know what the other does; ``varies``: only in numbers, as
    times, sizes and process ids do, or in what a recording leaves out; ``unknown``: one of them was
    not asked, or did not answer.
    """
    if honeypot is None or reference is None:
        return "unknown"
    if honeypot.is_late is not reference.is_late:
        return "differs"
    if "\0" in honeypot.output and "\0" in reference.output:
        heads = {answer.output[:PROGRAM] for answer in (honeypot, reference)}
        return "same" if len(heads) == 1 else "differs"
    status = (honeypot.status, reference.status)
    if honeypot.is_cut or reference.is_cut:  # what is behind the end of either nobody knows
        length = min(len(honeypot.output), len(reference.output))
        honeypot, reference = Answer(honeypot.output[:length]), Answer(reference.output[:length])
    ours, theirs = lines_of(honeypot), lines_of(reference)
    if _NOT_FOUND.search("\n".join(ours)) and not _NOT_FOUND.search("\n".join(theirs)):
        return "missing"
    if len(ours) != len(theirs) or (None not in status and status[0] != status[1]):
        return "differs"
    return min(map(_verdict, ours, theirs), key=VERDICTS.index)


def lines_of(answer: Answer) -> list[str]:
    """Return the lines of an answer that are compared; at least one."""
    lines = answer.output.replace("\r\n", "\n").rstrip("\n").split("\n")
    return [line.rstrip() for line in lines[:SHOWN]]


def shown_lines(answer: Answer, wide: int) -> list[str]:
    """Return the lines of an answer as they are shown, of each ``wide`` characters.

    Of a program, its beginning.
    """
    if "\0" in answer.output:
        return [f"{answer.output[:PROGRAM]}..."]
    return [
        (line if len(line) <= wide else f"{line[:wide]}...").expandtabs()
        for line in lines_of(answer)
    ]


def paired(ours: Sequence[str], theirs: Sequence[str]) -> list[Pair]:
    """Return the lines side by side, those beside each other that are most alike."""
    pairs = []
    for left, right in _aligned(ours, theirs, _plain):
        if left is None or right is None:
            ours_of = None if left is None else [Part(left, differs=True)]
            theirs_of = None if right is None else [Part(right, differs=True)]
            pairs.append(Pair(ours_of, theirs_of, "differs"))
        else:
            pairs.append(Pair(*_parts(left, right), _verdict(left, right)))
    return pairs


def _parts(ours: str, theirs: str) -> tuple[list[Part], list[Part]]:
    """Return two lines by their words, and which of these the other line has not there."""
    left, right = _words(ours), _words(theirs)
    matcher = SequenceMatcher(
        None, [word.strip() for word in left], [word.strip() for word in right], autojunk=False
    )
    parts: tuple[list[Part], list[Part]] = ([], [])
    for kind, a, b, c, d in matcher.get_opcodes():
        for side, words in ((parts[0], left[a:b]), (parts[1], right[c:d])):
            if words:
                side.append(Part("".join(words), kind != "equal"))
    return parts


def _words(line: str) -> list[str]:
    """Return the words of a line, each with the white space behind it; the last is the rest."""
    found = re.findall(r"\s*\S+\s*", line) or [line]
    return [*found[:WORDS], "".join(found[WORDS:])] if len(found) > WORDS else found


_T = TypeVar("_T")


def _aligned(
    ours: Sequence[_T], theirs: Sequence[_T], key: Callable[[_T], Hashable]
) -> Iterator[tuple[_T | None, _T | None]]:
    matcher = SequenceMatcher(None, list(map(key, ours)), list(map(key, theirs)), autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        for number in range(max(b - a, d - c)):
            yield (
                ours[a + number] if a + number < b else None,
                theirs[c + number] if c + number < d else None,
            )


def _verdict(ours: str, theirs: str) -> Verdict:
    """Return whether two lines differ, or only in numbers and what a recording left out."""
    if ours == theirs:
        return "same"
    kept = [part.strip() for part in _LEFT_OUT.split(theirs)]
    return "varies" if _fits(_plain(ours), [_plain(part) for part in kept]) else "differs"


def _fits(line: str, parts: Sequence[str]) -> bool:
    """Return whether a line is these parts one after the other, with anything between them."""
    first, *others = parts
    if not others:
        return line == first
    *inner, last = others
    end = len(line) - len(last)
    at = len(first)
    if not line.startswith(first) or not line.endswith(last):
        return False
    for part in inner:
        found = line.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def _plain(line: str) -> str:
    """Return a line with its numbers and days alike, and its spaces; a tab is no space."""
    return _SPACES.sub(" ", _VARYING.sub("0", line)).strip()
