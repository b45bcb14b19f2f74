"""What may run on a reference machine: a small grammar, in which everything else is refused.

A line is simple commands with ``|``, ``||``, ``&&`` or ``;`` between them, and perhaps a ``;`` at
its end. Their words have no expansion of any kind but ``$(which NAME)``, which stands for an
argument and never for a program: where there is no ``which``, the next word would be the program.
Redirections go to ``/dev/null`` only. Each program and its arguments have to be known to do nothing
but read (``allowed.toml``), and only those that do nothing but read take what a pipe feeds them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from attrs import frozen

from cowrie_sessionstats._toml import packaged

LINE_MAX: Final = 500
"""Characters of a line: the study's longest that only reads has 90."""

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t]+)
    | (?P<null>(?:[012]?|&)>>?[ \t]*/dev/null(?=[ \t|;&]|$) | 2>&1(?=[ \t|;&]|$))
    | (?P<operator>\|\||&&|\||;)
    | (?P<which>\$\([ ]?which[ ](?P<name>[a-z0-9_-]{1,30})[ ]?\)(?=[ \t|;&]|$))
    | '(?P<single>[^'\n\r\0]*)'
    | "(?P<double>(?:[^"$`\\!\n\r\0]|\\[A-Za-z0-9\\])*)"
    | (?P<word>[A-Za-z0-9_./:,=+@%^\\-]+)
    """,
    re.VERBOSE,
)
_FOLDERS: Final = ("/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/")
_MADE_UP: Final = re.compile(r"[A-Z][A-Z0-9]{3,15}")
"""An applet that BusyBox does not have; real ones are of small letters."""


@frozen
class _Allowed:
    plain: frozenset[str]
    fed: frozenset[str]
    arguments: dict[str, re.Pattern[str]]


@cache
def _allowed() -> _Allowed:
    known = packaged("cowrie_sessionstats.compare", "allowed.toml")
    parts = {f"{{{name}}}": known[name] for name in ("files", "listed", "words")}
    arguments = {}
    for name, pattern in known["arguments"].items():
        for part, regex in parts.items():
            pattern = pattern.replace(part, regex)  # noqa: PLW2901 - one after the other
        arguments[name] = re.compile(pattern)
    plain, fed = frozenset(known["plain"].split()), frozenset(known["fed"].split())
    return _Allowed(plain, fed, arguments)


def may_run(line: str) -> bool:
    """Return whether ``line`` is known to do nothing but read, and to end soon."""
    if len(line) > LINE_MAX or not line.isascii() or not line.isprintable():
        return False
    commands = _commands(line)
    return commands is not None and all(
        _is_harmless(words, is_fed=is_fed) for words, is_fed in commands
    )


def _commands(  # noqa: C901, PLR0911, PLR0912  one case a kind of token
    line: str,
) -> list[tuple[list[str], bool]] | None:
    """Return the words of each simple command, and whether a pipe feeds it.

    None for anything beyond the grammar.
    """
    commands: list[list[str]] = [[]]
    fed = [False]
    word: str | None = None
    at = 0

    def end_word() -> None:
        nonlocal word
        if word is not None:
            commands[-1].append(word)
            word = None

    while at < len(line):
        token = _TOKEN.match(line, at)
        if token is None:
            return None
        at = token.end()
        kind = token.lastgroup
        if token["null"] is not None and word is not None:
            return None  # as of a2>/dev/null: whose number is that?
        if kind in {"space", "null", "operator"}:
            end_word()
        if kind == "operator":
            if not commands[-1]:
                return None
            commands.append([])
            fed.append(token["operator"] == "|")
        elif token["which"] is not None:
            if word is not None or not commands[-1]:
                return None
            word = f"/bin/{token['name']}"
        elif token["single"] is not None or token["double"] is not None:
            if not commands[-1] and word is None:
                return None  # a program's name needs no quotes
            double = (token["double"] or "").replace(r"\\", "\\")  # as the shell does it
            word = (word or "") + (token["single"] or double)
        elif token["word"] is not None:
            if "\\" in token["word"]:
                return None
            word = (word or "") + token["word"]
    end_word()
    if not commands[-1] and line.rstrip().endswith(";") and len(commands) > 1:
        commands.pop()
        fed.pop()
    if not all(commands):
        return None
    return list(zip(commands, fed, strict=True))


def _is_harmless(words: list[str], *, is_fed: bool) -> bool:  # noqa: PLR0911 - one a kind
    name, *arguments = words
    if "=" in name:
        return False  # LD_PRELOAD=...
    folder = next((folder for folder in _FOLDERS if name.startswith(folder)), "")
    name = name.removeprefix(folder)
    if name == "busybox":
        if not arguments:
            return not is_fed
        if len(arguments) == 1 and _MADE_UP.fullmatch(arguments[0]):
            return not is_fed
        return (
            arguments[0] != "busybox"
            and "/" not in arguments[0]
            and _is_harmless(arguments, is_fed=is_fed)
        )
    allowed = _allowed()
    if is_fed and name not in allowed.fed:
        return False  # tftp takes commands from a pipe
    if name in allowed.plain and not arguments:
        return True
    has_file = any(argument.startswith("/") for argument in arguments)
    if name in allowed.fed and not is_fed and not has_file:
        return False  # it would wait for somebody to type
    pattern = allowed.arguments.get(name)
    text = "".join(f"\t{argument}" for argument in arguments)
    return pattern is not None and pattern.fullmatch(text) is not None
