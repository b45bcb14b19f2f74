"""Which of many patterns a template matches, as the bits of a number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

from attrs import frozen

from cowrie_sessionstats.commands._beginnings import beginnings
from cowrie_sessionstats.commands._places import places

MATCHED: Final = 4096
"""Characters of a template that are looked at: of 70,000 real events the longest had 3,273."""

KEPT: Final = 4096
"""Templates of which the marks are remembered, 2 MB: nearly all sessions have the same few."""

_KEPT_LENGTH: Final = 512
"""Characters of those: longer ones are seldom the same again."""

Place: TypeAlias = Literal["command", "redirection", "anywhere"]
"""Where a pattern has to begin."""

COMMAND: Final = "@"
"""At the beginning of a pattern: where the name of a program stands, however it is called; at the
end: where the command ends, or what it writes is redirected."""

_END: Final = r"""(?= ?(?:\Z|[;&|)}`"'\n<>]|\d>))"""
_WORD: Final = re.compile(r"\w+", re.ASCII)


@frozen
class Pattern:
    """Something that a template can match."""

    regex: re.Pattern[str]
    words: tuple[str, ...] = ()
    """It can only match a template that has one of these words (letters, digits and ``_``)."""
    place: Place = "anywhere"


def pattern(text: str, words: Iterable[str] = ()) -> Pattern:
    r"""Return what a text of a rule stands for: a regular expression, searched for in a template.

    ``@`` at its beginning: only where a command begins (also behind ``sudo``, a path, in ``$(``,
    in the text of ``sh -c``), not in a quoted text or a comment. ``>`` at its beginning: only
    where the output is redirected. ``@`` at its end: where a command's words end. An ``@`` that
    stands for itself there is written ``[@]``.

    Raises re.error, RecursionError or OverflowError if it is no regular expression.
    """
    place: Place = "anywhere"
    if text.startswith(COMMAND):
        place, text = "command", text[1:]
    elif text.startswith(">"):
        place = "redirection"
    if text.endswith(COMMAND):
        text = f"(?:{text[:-1]}){_END}"
    return Pattern(re.compile(text), tuple(words), place)


class _Numbered(NamedTuple):
    """Patterns of one place, each with its bit."""

    mask: int
    regexes: dict[int, re.Pattern[str]]


class Marks:
    """Tells which patterns a template matches.

    It is asked for every command of every attacker: for one that came before, the answer is
    remembered; else the template's words are looked up, and only patterns that can match it are
    tried, those of commands only where a command begins.
    """

    __slots__ = (
        "_always",
        "_anywhere",
        "_beginnings",
        "_by_word",
        "_commands",
        "_redirections",
        "of_kept",
    )

    def __init__(self, patterns: Sequence[Pattern] = ()) -> None:
        """Give each pattern its bit: the first has bit 0."""
        self._always = 0
        self._by_word: dict[str, int] = {}
        for number, one in enumerate(patterns):
            bit = 1 << number
            if not one.words:
                self._always |= bit
            for word in one.words:
                self._by_word[word] = self._by_word.get(word, 0) | bit
        self._commands = _numbered(patterns, "command")
        self._beginnings = _by_beginning(patterns)
        self._redirections = _numbered(patterns, "redirection")
        self._anywhere = _numbered(patterns, "anywhere")
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
        for word in by_word.keys() & _WORD.findall(template):
            candidates |= by_word[word]
        if not candidates:
            return 0
        text, commands, redirections = places(template)
        found = _in(text, self._anywhere, candidates)
        if candidates & self._commands.mask:
            one, two, three = self._beginnings
            for start in commands:
                name = text[start : start + 3]
                fit = one.get(name[:1], 0) | two.get(name[:2], 0) | three.get(name, 0) | one[""]
                fit &= candidates & ~found
                if fit:
                    found |= _at(start, text, self._commands, fit)
        if candidates & self._redirections.mask:
            for start in redirections:
                found |= _at(start, text, self._redirections, candidates & ~found)
        return found


def _numbered(patterns: Sequence[Pattern], place: Place) -> _Numbered:
    regexes = {1 << n: one.regex for n, one in enumerate(patterns) if one.place == place}
    return _Numbered(sum(regexes), regexes)


def _by_beginning(patterns: Sequence[Pattern]) -> tuple[dict[str, int], ...]:
    """Return the bits of the patterns of commands by how they begin: by one character, two, three.

    The empty text has those that can begin with any.
    """
    found: tuple[dict[str, int], ...] = ({"": 0}, {}, {})
    for number, one in enumerate(patterns):
        if one.place == "command":
            for text in beginnings(one.regex.pattern):
                known = found[max(0, len(text) - 1)]
                known[text] = known.get(text, 0) | 1 << number
    return found


def _at(start: int, text: str, patterns: _Numbered, candidates: int) -> int:
    """Return the bits of those candidates that match at ``start``."""
    found = 0
    candidates &= patterns.mask
    regexes = patterns.regexes
    while candidates:
        bit = candidates & -candidates
        candidates ^= bit
        if regexes[bit].match(text, start) is not None:
            found |= bit
    return found


def _in(text: str, patterns: _Numbered, candidates: int) -> int:
    """Return the bits of those candidates that match somewhere."""
    found = 0
    candidates &= patterns.mask
    while candidates:
        bit = candidates & -candidates
        candidates ^= bit
        if patterns.regexes[bit].search(text) is not None:
            found |= bit
    return found
