"""How a text can begin that a regular expression matches."""

from __future__ import annotations

import re
from typing import Final

LENGTH: Final = 3
"""Characters that are told: enough for the names of nearly all programs to differ."""
_MOST: Final = 64
"""Beginnings of one expression at most; of one that has more, it is said that it can be any."""

_QUANTIFIER: Final = re.compile(r"(?:[?*+]|\{\d*,?\d*\})[?+]?")
_CLASS: Final = re.compile(r"\[([\w.]+)\]", re.ASCII)
_PLAIN: Final = re.compile(r"\\([][./!-])|([\w/~<!-])", re.ASCII)
_GROUP: Final = re.compile(r"\(\?(i?):")

_Begun = frozenset[tuple[str, bool]]
"""Texts, each with whether what comes next belongs directly behind it."""
_ANY: Final[_Begun] = frozenset({("", False)})


def beginnings(regex: str) -> frozenset[str]:
    """Return texts of up to ``LENGTH`` characters: each match begins with one of them.

    It knows what the beginnings of commands are written with: letters, groups, alternatives,
    classes of letters, and what may be absent. Of all else it says that it can be any: the empty
    text.
    """
    found = {text for text, _ in _of_alternatives(regex)}
    return frozenset({""}) if "" in found or len(found) > _MOST else frozenset(found)


def _of_alternatives(regex: str) -> _Begun:
    found: set[tuple[str, bool]] = set()
    for alternative in _alternatives(regex):
        found |= _of_items(alternative)
    return frozenset(found)


def _of_items(regex: str) -> _Begun:
    """Return how what has no ``|`` outside its groups can begin."""
    begun: _Begun = frozenset({("", True)})
    while regex and any(goes_on for _, goes_on in begun) and len(begun) <= _MOST:
        item, regex = _item(regex)
        begun = frozenset(
            joined
            for text, goes_on in begun
            for joined in (
                [((text + more)[:LENGTH], on and len(text + more) < LENGTH) for more, on in item]
                if goes_on
                else [(text, False)]
            )
        )
    return begun


def _item(regex: str) -> tuple[_Begun, str]:
    """Return how the first character, class or group can begin, and what is behind it."""
    plain, letters, group = _PLAIN.match(regex), _CLASS.match(regex), _GROUP.match(regex)
    if plain is not None:
        some: _Begun = frozenset({(plain[1] or plain[2], True)})
        regex = regex[plain.end() :]
    elif letters is not None:
        some = frozenset((letter, True) for letter in letters[1])
        regex = regex[letters.end() :]
    elif group is not None:
        end = _group_end(regex)
        some = _of_alternatives(regex[group.end() : end])
        if group[1]:
            return _ANY, ""  # letters of either case: more than is worth telling
        regex = regex[end + 1 :]
    else:
        return _ANY, ""
    quantifier = _QUANTIFIER.match(regex)
    if quantifier is None:
        return some, regex
    mark = quantifier[0]
    if mark[0] != "?":  # it can come again
        some = frozenset((text, False) for text, _ in some)
    if mark[0] in "?*" or mark.startswith(("{0", "{,")):
        some |= {("", True)}
    return some, regex[quantifier.end() :]


def _alternatives(regex: str) -> list[str]:
    """Return what stands between the ``|`` that are in no group and no class."""
    parts = [""]
    depth = at = 0
    while at < len(regex):
        end = _end(regex, at)
        depth += (regex[at] == "(") - (regex[at] == ")")
        if regex[at] == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += regex[at:end]
        at = end
    return parts


def _group_end(regex: str) -> int:
    """Return the index of the parenthesis that closes the group at the beginning."""
    depth = at = 0
    while at < len(regex):
        depth += (regex[at] == "(") - (regex[at] == ")")
        if not depth:
            break
        at = _end(regex, at)
    return at


def _end(regex: str, at: int) -> int:
    """Return the index behind the character or class at ``at``."""
    if regex[at] == "\\":
        return at + 2
    if regex[at] != "[":
        return at + 1
    end = at + 2 + regex.startswith("^", at + 1)  # a bracket that comes first is one of the class
    while end < len(regex) and regex[end] != "]":
        end += 2 if regex[end] == "\\" else 1
    return end + 1
