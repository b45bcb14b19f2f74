"""Which of many patterns a template matches, as the bits of a number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from attrs import frozen

MATCHED: Final = 4096
"""Characters of a template that are looked at: of 70,000 real events the longest had 3,273."""

KEPT: Final = 4096
"""Templates of which the marks are remembered, 2 MB: nearly all sessions have the same few."""

_KEPT_LENGTH: Final = 512
"""Characters of those: longer ones are seldom the same again."""

COMMAND: Final = "@"
"""At the beginning of a pattern: where the name of a program stands, however it is called."""

_AT_COMMAND: Final = (
    r"(?:^|[;&|(`{\n]|\$\(|\b(?:then|do|else|if|while|!)(?= )) ?"
    r"(?:(?:sudo|nohup|exec|command|time|busybox|/bin/busybox|\w+=[\w/.:$<>-]*) )*"
    r"(?:/[\w./+-]*/)?"
)
_WORD: Final = re.compile(r"\w+", re.ASCII)


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern as it is searched for in a template; re.error if it is none.

    ``@`` at its beginning stands for the place where a program's name is: at the beginning of a
    command, behind ``sudo``, ``busybox`` or a path, too.
    """
    if pattern.startswith(COMMAND):
        pattern = f"{_AT_COMMAND}(?:{pattern.removeprefix(COMMAND)})"
    return re.compile(pattern)


@frozen
class Pattern:
    """Something that a template can match."""

    regex: re.Pattern[str]
    words: tuple[str, ...] = ()
    """It can only match a template that has one of these words (letters, digits and ``_``)."""


class Marks:
    """Tells which patterns a template matches.

    It is asked for every command of every attacker: for one that came before, the answer is
    remembered; else the template's words are looked up, and only patterns that can match it are
    searched for.
    """

    __slots__ = ("_always", "_by_word", "_regexes", "of_kept")

    def __init__(self, patterns: Sequence[Pattern] = ()) -> None:
        """Give each pattern its bit: the first has bit 0."""
        self._regexes = [pattern.regex for pattern in patterns]
        self._always = 0
        self._by_word: dict[str, int] = {}
        for number, pattern in enumerate(patterns):
            bit = 1 << number
            if not pattern.words:
                self._always |= bit
            for word in pattern.words:
                self._by_word[word] = self._by_word.get(word, 0) | bit
        self.of_kept = lru_cache(KEPT)(self._find)

    def of(self, template: str) -> int:
        """Return the bits of the patterns that ``template`` matches."""
        if len(template) > _KEPT_LENGTH:
            return self._find(template[:MATCHED])
        return self.of_kept(template)

    def of_all(self, templates: Iterable[str]) -> int:
        """Return the bits of the patterns that any of ``templates`` matches."""
        found = 0
        for template in templates:
            found |= self.of(template)
        return found

    def _find(self, template: str) -> int:
        candidates = self._always
        by_word = self._by_word
        for word in _WORD.findall(template):
            candidates |= by_word.get(word, 0)
        found = 0
        while candidates:
            bit = candidates & -candidates
            candidates ^= bit
            if self._regexes[bit.bit_length() - 1].search(template) is not None:
                found |= bit
        return found
