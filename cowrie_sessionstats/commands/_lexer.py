"""Shell text to words, operators, redirections and here-documents; any text gives some.

No library does this: ``shlex`` raises on a quote that is left open and knows no substitution,
``bashlex`` and the ``tree-sitter`` grammar refuse or repair what is not bash, and all are slower
than one pass of a regular expression, which is what this is. Grammar: POSIX.1-2017, Shell Command
Language, 2.2, 2.3, 2.6 and 2.7, with bash's ``&>``, ``<<<``, ``$'...'`` and ``<(...)``.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import define, field

from cowrie_sessionstats.commands._items import (
    PLACEHOLDER,
    WHITE,
    Comment,
    Compound,
    Cut,
    Document,
    Forged,
    Item,
    Operator,
    Parameter,
    Part,
    Quoted,
    Redirect,
    Substitution,
    is_document,
    unquoted,
)

DEPTH: Final = 16
"""Substitutions deeper than this are ordinary characters: people stop at three, recursion must."""
TOKENS: Final = 2048
"""Tokens of a line that are read, the rest is cut: the longest line of ten years of logs has
1,000, and what an attacker sends to be slow takes milliseconds of the reactor's time."""

# A repetition is bounded, since the engine's stack grows with each round; the loop goes on.
_ROUNDS: Final = 256
# A dollar sign that begins a crypt(3) hash begins no parameter.
CRYPT: Final = (
    r"\\?\$(?:1|2[abxy]?|5|6|7|y|gy|apr1|argon2(?:id?|d))\\?\$(?:[A-Za-z0-9./=,+-]|\\?\$){8,256}"
)
_PARAMETER: Final = r"\$\{[^}]*\}?|\$[A-Za-z_][A-Za-z0-9_]*|\$[0-9@*\#?$!-]|\$\(\([^()]*\)\)"

_SHELL: Final = re.compile(
    rf"""
    (?P<space>[ \t\r\x0b\x0c]+)
    | (?P<forged>\\?{PLACEHOLDER})
    | (?P<text>(?:[^ \t\r\n\x0b\x0c'"\\$`;&|()<>0-9][^ \t\r\n\x0b\x0c'"\\$`;&|()<>]*))
    | (?P<operator>;;&|;;|;&|;|&&|&(?!>)|\|\||\|&|\||\(|\)|\n)
    | (?P<inner>[<>]\()
    | (?P<duplicate>[0-9]*[<>]&(?:[0-9]+|-)(?=[\s;&|()<>]|\Z))
    | (?P<redirect>[0-9]*(?!{PLACEHOLDER})(?:<<<|<<-|<<|<>|<&|<|>>|>\||>&|>)|&>>|&>)
    | (?P<single>'[^']*'?)
    | (?P<double>"[^"\\$`]*")
    | (?P<quote>"|\$')
    | (?P<crypt>{CRYPT})
    | (?P<parameter>{_PARAMETER})
    | (?P<open>\$\(|`)
    | (?P<escaped>(?:[^ \t\r\n\x0b\x0c'"\\$`;&|()<>]+|(?!\\{PLACEHOLDER})\\.){{1,{_ROUNDS}}})
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED: Final = {
    '"': re.compile(
        rf"""
        (?P<text>(?:[^"\\$`]+|\\.){{1,{_ROUNDS}}})
        | (?P<close>")
        | (?P<crypt>{CRYPT})
        | (?P<parameter>{_PARAMETER.replace("[^}]", '[^}"]')})
        | (?P<open>\$\(|`)
        | (?P<other>.)
        """,
        re.VERBOSE | re.DOTALL,
    ),
    "$'": re.compile(
        rf"(?P<text>(?:[^'\\]+|\\.){{1,{_ROUNDS}}})|(?P<close>')|(?P<other>.)", re.DOTALL
    ),
}


_OPERATORS: Final = {
    text: Operator(text)
    for text in (";;&", ";;", ";&", ";", "&&", "&", "||", "|&", "|", "(", ")", "\n")
}
_GROUPS: Final = _SHELL.groupindex
_SPACE: Final = _GROUPS["space"]
_TEXT: Final = _GROUPS["text"]
_OPERATOR: Final = _GROUPS["operator"]
_REDIRECTS: Final = (_GROUPS["duplicate"], _GROUPS["redirect"])
_QUOTE: Final = _GROUPS["quote"]
_OPENINGS: Final = (_GROUPS["open"], _GROUPS["inner"])


@define(eq=False)
class _Frame:
    """A script that is being read: the whole line, or what a substitution holds."""

    opening: str
    items: list[Item]
    parts: list[Part] | None = None
    """Those of the word that is open."""
    quoted: Quoted | None = None
    """The quotes that are open in this frame."""
    parentheses: int = 0
    delimiters: list[str] | None = None
    """Here-documents whose bodies have not come."""
    awaits_delimiter: bool = False

    def end_word(self) -> None:
        """End a word; one that stands behind ``<<`` is the delimiter of a here-document."""
        parts = self.parts
        if parts is None:
            return
        self.parts = None
        parts = _merged(parts)
        first = parts[0]
        word = first if len(parts) == 1 and first.__class__ is str else Compound(parts)
        self.items.append(word)
        if self.awaits_delimiter:
            self.awaits_delimiter = False
            if self.delimiters is None:
                self.delimiters = []
            self.delimiters.append(unquoted(word))

    def add(self, part: Part) -> None:
        """Take a part into the quotes or the word that is open, or begin a word."""
        if self.quoted is not None:
            self.quoted.parts.append(part)
        elif self.parts is not None:
            self.parts.append(part)
        else:
            self.parts = [part]


@define(eq=False)
class _Lexer:
    """One line being read."""

    line: str
    position: int = 0
    tokens: int = 0
    frames: list[_Frame] = field(factory=list)
    """The frames around the one that is read."""
    frame: _Frame = field(factory=lambda: _Frame("", []))

    def read(self) -> list[Item]:
        items = self.frame.items
        while self.position < len(self.line) and self.tokens < TOKENS:
            if self.frame.quoted is None:
                self._read_shell()
            else:
                self._read_quoted(self.frame.quoted)
        for frame in (self.frame, *self.frames):
            if frame.quoted is not None:
                frame.quoted.parts = _merged(frame.quoted.parts)
            frame.end_word()
        if self.position < len(self.line):
            items.append(Cut())
        return items

    def _read_shell(self) -> None:  # noqa: C901, PLR0912, PLR0915  one branch a token
        """Read until the quoting changes, a substitution begins or ends, or lines are taken."""
        frame = self.frame
        items = frame.items
        left = TOKENS - self.tokens
        for match in _SHELL.finditer(self.line, self.position):
            left -= 1
            kind = match.lastindex
            if kind == _SPACE:
                if frame.parts is not None:
                    frame.end_word()
            elif kind == _TEXT:
                text = match[0]
                if frame.parts is not None:
                    frame.parts.append(text)
                elif text[0] == "#":
                    self._comment(match.start())
                    break
                else:
                    frame.parts = [text]
            elif kind == _OPERATOR:
                text = match[0]
                frame.end_word()
                frame.awaits_delimiter = False
                if text == ")" and not frame.parentheses and frame.opening not in ("", "`"):
                    self.position = match.end()
                    self._close()
                    break
                if text == "(":
                    frame.parentheses += 1
                elif text == ")" and frame.parentheses:
                    frame.parentheses -= 1
                items.append(_OPERATORS[text])
                if text == "\n" and frame.delimiters:
                    self.position = match.end()
                    left -= self._documents(frame.delimiters, left)
                    break
            elif kind in _REDIRECTS:
                text = match[0]
                if frame.parts is not None and text[0] in "0123456789":
                    # "x"2>y: the digit belongs to the word
                    bare = text.lstrip("0123456789")
                    frame.parts.append(text[: -len(bare)])
                    text = bare
                frame.end_word()
                items.append(Redirect(text, kind == _REDIRECTS[0]))
                frame.awaits_delimiter = is_document(text)
            elif kind == _QUOTE or (
                kind in _OPENINGS and (len(self.frames) < DEPTH or match[0] == frame.opening == "`")
            ):
                self.position = match.end()
                self._open(match[0])
                break
            else:
                frame.add(_part(match.lastgroup, match[0]))
            if left <= 0:
                self.position = match.end()
                break
        else:
            self.position = len(self.line)
        self.tokens = TOKENS - left

    def _read_quoted(self, quoted: Quoted) -> None:
        """Read until the quotes end or a substitution begins in them."""
        parts = quoted.parts
        for match in _QUOTED[quoted.quote].finditer(self.line, self.position):
            self.tokens += 1
            kind = match.lastgroup
            text = match[0]
            if kind == "close":
                quoted.closed = True
                quoted.parts = _merged(parts)
                self.frame.quoted = None
                self.position = match.end()
                return
            if kind == "open" and (len(self.frames) < DEPTH or text == self.frame.opening == "`"):
                self.position = match.end()
                self._open(text)
                return
            parts.append(_part(kind, text))
            if self.tokens >= TOKENS:
                self.position = match.end()
                return
        self.position = len(self.line)

    def _open(self, opening: str) -> None:
        """Begin quotes or a substitution; a backquote ends the one that a backquote began."""
        frame = self.frame
        if opening in _QUOTED:
            quoted = Quoted(opening, [], closed=False)
            frame.add(quoted)
            frame.quoted = quoted
        elif opening == "`" == frame.opening:
            self._close()
        else:
            inside = Substitution(opening, [])
            frame.add(inside)
            self.frames.append(frame)
            self.frame = _Frame(opening, inside.items)

    def _close(self) -> None:
        """Go back to the frame in which the substitution began."""
        self.frame.end_word()
        self.frame = self.frames.pop()
        quoted = self.frame.quoted
        around = self.frame.parts if quoted is None else quoted.parts
        assert around is not None  # noqa: S101  the substitution is the last part of one of them
        inside = around[-1]
        assert isinstance(inside, Substitution)  # noqa: S101
        inside.closed = True

    def _comment(self, start: int) -> None:
        stop = self.line.find("\n", start)
        self.position = len(self.line) if stop < 0 else stop
        self.frame.items.append(Comment(self.line[start : self.position]))

    def _documents(self, delimiters: list[str], left: int) -> int:
        """Read the here-documents that the line before asked for; return how many lines."""
        count = 0
        for delimiter in delimiters:
            lines: list[str] = []
            closed = False
            while self.position < len(self.line) and count < left and not closed:
                count += 1
                stop = self.line.find("\n", self.position)
                stop = len(self.line) if stop < 0 else stop
                text = self.line[self.position : stop]
                self.position = min(stop + 1, len(self.line))
                # A template of ours has a backslash before what looks like a placeholder.
                closed = text.strip(" \t\r").replace("\\<", "<") == delimiter
                if not closed:
                    lines.append(text)
            self.frame.items.append(Document(lines, delimiter, closed))
        delimiters.clear()
        return count


def _part(kind: str | None, text: str) -> Part:
    if kind == "single":
        closed = len(text) > 1 and text[-1] == "'"
        return Quoted("'", [text[1:-1] if closed else text[1:]], closed)
    if kind == "double":
        return Quoted('"', [text[1:-1]], closed=True)
    if kind == "parameter":
        return Parameter(text)
    if kind == "forged":
        return Forged(text.lstrip("\\"))
    return text


def _merged(parts: list[Part]) -> list[Part]:
    """Return the parts with neighbouring texts made one."""
    if len(parts) == 1:
        return parts
    merged: list[Part] = []
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if texts:
            merged.append("".join(texts))
            texts = []
        merged.append(part)
    if texts:
        merged.append("".join(texts))
    return merged


def lex(line: str) -> list[Item]:
    """Return the items of ``line``, in time proportional to its length."""
    stripped = line.rstrip(WHITE)
    if stripped.endswith("\\") and line[len(stripped) : len(stripped) + 1] in (" ", "\t"):
        stripped += " "  # it is escaped; without it, the backslash would be
    line = stripped.lstrip(WHITE)
    if "\n" in line:
        line = line.replace("\r\n", "\n").replace("\\\n", "")
    return _Lexer(line).read()
