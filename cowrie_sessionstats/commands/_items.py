"""What a line of shell text consists of, and what placeholders look like."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from attrs import define

PLACEHOLDERS: Final = (
    "secret", "ip", "port", "url", "host", "key", "bytes", "base64", "hex", "hash", "uuid", "mac",
    "wallet", "number", "pid", "applet", "random", "text", "cut",
)  # fmt: skip
PLACEHOLDER: Final = rf"<(?:{'|'.join(PLACEHOLDERS)}|(?:name|var)[0-9]*)>"
"""What stands in a template for what was there; as text of a command line it is escaped."""

WHITE: Final = " \t\r\n\x0b\x0c"
"""White space of shell text: what Unicode calls so besides is ordinary."""
LONG_WORD: Final = 4096
"""Characters from which a word's backslashes are left in: no name or option is that long."""


@define(eq=False)
class Quoted:
    """A quoted string: its opening (``'``, ``$'`` or a double quote) and what is between."""

    quote: str
    parts: list[Part]
    closed: bool


@define(eq=False)
class Parameter:
    """``$name``, ``${...}``, ``$1`` or ``$((...))`` as written."""

    text: str


@define(eq=False)
class Forged:
    """Text that looks like one of our placeholders, without a backslash before it."""

    text: str


@define(eq=False)
class Substitution:
    """``$(...)``, backquotes, ``<(...)`` or ``>(...)``: its opening and the script inside."""

    opening: str
    items: list[Item]
    closed: bool = False


Part: TypeAlias = "str | Quoted | Parameter | Forged | Substitution"
"""A text stands for itself: characters outside quotes, or between them, backslashes kept."""


@define(eq=False)
class Compound:
    """A word of other parts than one text."""

    parts: list[Part]


Word: TypeAlias = "str | Compound"
"""Characters without white space between them: nearly always one text."""


@define(eq=False)
class Operator:
    """``;``, ``&&``, ``|``, ``(``, a newline and their like."""

    text: str


@define(eq=False)
class Redirect:
    """``2>``, ``>>``, ``<<``, ``<<<`` and their like; ``2>&1`` is whole, others have a target."""

    text: str
    whole: bool


@define(eq=False)
class Comment:
    """From ``#`` at the beginning of a word to the end of the line."""

    text: str


@define(eq=False)
class Document:
    """A here-document: its lines and its delimiter; ``closed`` if the delimiter came."""

    lines: list[str]
    delimiter: str
    closed: bool


@define(eq=False)
class Cut:
    """The end of what is read of a line that has more."""


Item: TypeAlias = "Word | Operator | Redirect | Comment | Document | Cut"


def is_document(redirect: str) -> bool:
    """Whether a redirection announces a here-document."""
    return redirect.lstrip("0123456789") in ("<<", "<<-")


def beginning(word: Word) -> str:
    """Return the word up to the first quote or substitution."""
    first = word if isinstance(word, str) else word.parts[0]
    return first if isinstance(first, str) else ""


def unquoted(word: Word) -> str:
    """Return the word without its quotes and backslashes, substitutions as nothing."""
    if isinstance(word, str):
        if "\\" not in word or len(word) > LONG_WORD:
            return word
        return _ESCAPE.sub(_escaped, word)
    return "".join(unquoted(part) if isinstance(part, str) else _plain(part) for part in word.parts)


def _plain(part: Part) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Quoted):
        return "".join(map(_plain, part.parts))
    if isinstance(part, Substitution):
        return ""
    return part.text


_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


# A function, not a template: Python 3.11 loses some bytes each time a template is made.
def _escaped(match: re.Match[str]) -> str:
    return match[1]


def is_forged(word: Word) -> bool:
    """Whether there is text in the word that looks like a placeholder."""
    if isinstance(word, str):
        return False  # the lexer would have made a part of it
    return any(map(_looks_forged, word.parts))


def _looks_forged(part: Part) -> bool:
    if isinstance(part, str):
        return "<" in part and _PLACEHOLDER.search(part) is not None
    if isinstance(part, Quoted):
        return any(map(_looks_forged, part.parts))
    if isinstance(part, Parameter):
        return "<" in part.text and _PLACEHOLDER.search(part.text) is not None
    return isinstance(part, Forged)


def _is_inserted(part: Part) -> bool:
    return isinstance(part, (Parameter, Substitution))


def has_dynamic(word: Word) -> bool:
    """Whether the shell puts something into the word that is not written there."""
    return isinstance(word, Compound) and any(
        _is_inserted(part) or (isinstance(part, Quoted) and any(map(_is_inserted, part.parts)))
        for part in word.parts
    )


def is_dynamic(word: Word) -> bool:
    """Whether all of the word is put there by the shell."""
    return isinstance(word, Compound) and all(
        _is_inserted(part)
        or (isinstance(part, Quoted) and bool(part.parts) and all(map(_is_inserted, part.parts)))
        for part in word.parts
    )


def raw(word: Word) -> str | None:
    """Return the word as it was written; None if there is a substitution in it."""
    if isinstance(word, str):
        return word
    texts: list[str] = []
    for part in word.parts:
        if isinstance(part, Quoted):
            inner = raw(Compound(part.parts))
            if inner is None:
                return None
            texts += [part.quote, inner, part.quote[-1] if part.closed else ""]
        elif isinstance(part, Substitution):
            return None
        else:
            texts.append(part if isinstance(part, str) else part.text)
    return "".join(texts)


_PLACEHOLDER: Final = re.compile(PLACEHOLDER)
