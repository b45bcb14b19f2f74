r"""Where the commands of a template begin, and where their output is redirected.

A template is shell text with one space between its words, so one pass over the few characters
that mean something to a shell is enough: quotes, separators, substitutions, comments. What stands
between quotes is no command, unless a shell is told to run it (``sh -c '...'``).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

COMMANDS: Final = 256
"""Places of commands in a template at most, at which all patterns are tried: the longest line of
the real logs has 55."""

_WRAPPED: Final = 8
"""Wrappers around a command at most (``sudo nohup env ...``)."""

_CODE: Final = re.compile(
    r"""\\.|<\w+>|'[^']*'?|"(?:[^"\\`$]|\\.|\$(?!\())*"|<<<|(?P<document><<-?[ ]?(?P<end>\S+))
    |\$\(|["`#;\n()]|\|\|?|>>?|(?<!>)&(?!>)&?|(?<![\w$]){(?=[ ])|\ -exec(?=[ ])""",
    re.VERBOSE | re.DOTALL,
)
"""What means something outside a text; a text that no shell looks into is one piece."""
_TEXT: Final = re.compile(r"""\\.|\$\(|["`]""", re.DOTALL)
"""What means something between double quotes."""
_SEPARATORS: Final = frozenset({";", "\n", "|", "||", "&", "&&", "{", " -exec"})
_WRAPPER: Final = re.compile(
    r"(?:sudo|doas|nohup|setsid|exec|command|builtin|time|env|nice|ionice|stdbuf|timeout|busybox"
    r"|toybox|xargs|then|do|else|elif|if|while|until|!)"
    r"(?: -[ugnICP] ?[^\s-]\S*| -\S+| \d+[smhd]?)* "
    r"|\w+\+?=[^\s'\"`(]* "
    r"|(?:~|\.{1,2}|\$\w+)?/(?:[\w.+<>$~-]+/)*(?=[\w.<])",
    re.ASCII,
)
_RUNS_TEXT: Final = re.compile(
    r"(?:\b(?:ba|da|a|k|z|c)?sh (?:-\w+ )*-\w*c|\beval|\bsu (?:\S+ )?-c) \Z"
)
_SHELL: Final = re.compile(r"\b(?:ba|da|a|k|z|c)?sh(?: -\w+)* \Z")
_BEFORE: Final = 40  # characters before a text in which the shell that runs it has to stand


class Places(NamedTuple):
    """Where patterns can begin in a template."""

    text: str
    """The template without its comments."""
    commands: list[int]
    """Where a program's name stands: with its wrappers and path, and behind each of them."""
    redirections: list[int]
    """Where a ``>`` stands that is no text."""


def places(template: str) -> Places:  # noqa: C901, PLR0912  one branch for each character
    """Return where the commands of a template begin. Any text has an answer, in linear time."""
    begun = [0]
    redirections: list[int] = []
    inside: list[tuple[str, bool]] = []  # what ends it, and whether it is in a text
    quoted, at, end = False, 0, ""
    while (found := (_TEXT if quoted else _CODE).search(template, at)) is not None:
        start, at = found.span()
        piece = found[0]
        first = piece[0]
        if inside and first == inside[-1][0] and not quoted:
            at, quoted = start + 1, inside.pop()[1]
        elif piece in _SEPARATORS:
            if piece == "\n" and end:
                at, end = _behind(template, start, end), ""
            begun.append(at)
        elif piece in ("$(", "`", "("):
            inside.append(("`" if piece == "`" else ")", quoted))
            quoted = False
            begun.append(at)
        elif first == ">":
            redirections.append(start)
        elif first in "'\"":
            if not quoted and _is_run(template, start):
                inside.append((first, False))
                at = start + 1
                begun.append(at)
            elif piece == '"':
                quoted = not quoted
        elif first == "#":
            if not start or template[start - 1] in " \n;":
                line_end = template.find("\n", start)
                stop = len(template) if line_end < 0 else line_end
                template = template[:start] + " " * (stop - start) + template[stop:]
        elif found.lastgroup is not None and not _is_shell(template, start):
            end = found["end"].strip("'\"\\")
        if len(begun) > COMMANDS:
            break
    return Places(template, _commands(template, begun), redirections)


def _is_run(template: str, start: int) -> bool:
    """Return whether the text that begins at ``start`` is for a shell to run."""
    if template[start - 2 : start] not in ("c ", "l "):
        return False
    return _RUNS_TEXT.search(template[max(0, start - _BEFORE) : start]) is not None


def _is_shell(template: str, start: int) -> bool:
    """Return whether the here-document that ``start`` announces is for a shell to run."""
    return _SHELL.search(template[max(0, start - _BEFORE) : start]) is not None


def _behind(template: str, start: int, end: str) -> int:
    """Return where the here-document is at its end that begins with the newline at ``start``."""
    stop = template.find(f"\n{end}", start)
    return len(template) if stop < 0 else stop + 1 + len(end)


def _commands(template: str, begun: list[int]) -> list[int]:
    """Return all places at which the commands that begin there can be said to begin."""
    commands = []
    for start in begun:
        at = start + 1 if template.startswith(" ", start) else start
        for _ in range(_WRAPPED):
            commands.append(at)
            wrapper = _WRAPPER.match(template, at)
            if wrapper is None:
                break
            at = wrapper.end()
        if len(commands) >= COMMANDS:
            break
    return commands
