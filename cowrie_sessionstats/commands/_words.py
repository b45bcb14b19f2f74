"""How each word of a command is shown, by what it is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeGuard

from attrs import define, field

from cowrie_sessionstats.commands._analysis import ASSIGNMENT, PADDED, Kind, says
from cowrie_sessionstats.commands._items import (
    WHITE,
    Compound,
    Forged,
    Item,
    Parameter,
    Part,
    Quoted,
    Substitution,
    Word,
    has_dynamic,
    is_dynamic,
    is_forged,
    unquoted,
)
from cowrie_sessionstats.commands._lexer import lex
from cowrie_sessionstats.commands.values import (
    Name,
    Piece,
    Values,
    bindable,
    escaped,
    is_ip4,
    is_ip6,
)
from cowrie_sessionstats.commands.vocabulary import Stdin, Vocabulary

PIECES: Final = 4096
"""Words and names in a line that are looked at, those inside quotes included."""
SCRIPTS: Final = 4
"""Scripts inside scripts (``sh -c "sh -c ..."``) that are read as such."""

_KEY: Final = re.compile(r"(-{0,2}[A-Za-z][\w.-]*=)(.*)", re.DOTALL)
_VARIABLE: Final = re.compile(r"(\$\{?)([A-Za-z_][A-Za-z0-9_]*)(.*)", re.DOTALL)
_FLAG: Final = re.compile(r"-+[A-Za-z_]*(?:-[A-Za-z_]+)*=?")
_HOST: Final = re.compile(r"(?:([\w.-]+)@)?([A-Za-z0-9][\w.-]*?)(?::([0-9]{1,5}))?", re.ASCII)
_ADDRESS_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f]{8}|[0-9]{8,10}")
_PORTS: Final = re.compile(r"[0-9][0-9,:-]*")
_USER: Final = re.compile(r"[A-Za-z_][\w.-]{0,31}\$?", re.ASCII)
_PATHLIKE: Final = re.compile(r"[\w.+@~/-]+")
_SPACES: Final = re.compile(f"[{WHITE}]+")
_LINES: Final = re.compile(r"\\n|\n")
_SMALL: Final = re.compile("[a-z]+")
_NAMES_PROGRAM: Final = frozenset({"program", "applet", "command"})
_URL_END: Final = re.compile("[?#;&]")


@define(eq=False)
class Words(ABC):
    """Shows the words of one line."""

    vocabulary: Vocabulary
    values: Values
    verbs: list[Sequence[Piece]] = field(factory=list, init=False)
    """The programs that the line names."""
    binds: list[str] = field(factory=list, init=False)
    """Names that it makes without writing them."""
    scripts: int = field(default=0, init=False)
    """How deep in scripts inside scripts."""
    left: int = field(default=PIECES, init=False)

    @abstractmethod
    def script(self, items: Sequence[Item], feed: Stdin | None = None) -> list[Piece]:
        """Return the template of a script inside the line."""

    def show(self, word: Word, kind: Kind) -> Sequence[Piece]:
        """Return a word of a command as its template has it."""
        if kind not in _NAMES_PROGRAM:
            return self._shown(word, kind)
        at = len(self.verbs)
        shown = self._shown(word, kind)
        self.verbs.insert(at, self._verb(word, kind, shown))  # before what the word runs
        return shown

    def _shown(self, word: Word, kind: Kind) -> Sequence[Piece]:
        if isinstance(word, Compound) and kind != "script" and is_forged(word):
            return self._forged(word)
        return _SHOWN[kind](self, word)

    def _verb(self, word: Word, kind: Kind, shown: Sequence[Piece]) -> Sequence[Piece]:
        """Return what a word that names a program gives to the programs of the line."""
        if kind == "program":
            name = unquoted(word).rpartition("/")[2]
            if name in self.vocabulary.commands:
                return (name,)
        for index in range(len(shown) - 1, -1, -1):
            piece = shown[index]
            if isinstance(piece, str) and "/" in piece:
                return (piece.rpartition("/")[2], *shown[index + 1 :])
        return shown

    def pieces(self, text: str) -> Sequence[Piece]:
        """Return the pieces of a text, as long as the line has not too many."""
        if self.left <= 0:
            return [self.mask("cut", text, "more than is read of a line")]
        pieces = self.values.pieces(text, self.left)
        self.left -= len(pieces)
        return pieces

    def mask(self, kind: str, original: str, rule: str) -> str:
        return self.values.mask(kind, original, rule)

    def as_it_stands(self, word: Word) -> Sequence[Piece]:
        """Return a word with the values in it masked."""
        return self.pieces(word) if isinstance(word, str) else self.parts(word.parts)

    def _forged(self, word: Compound) -> list[Piece]:
        """Return a word with text in it that looks like a placeholder: it is left alone."""
        shown: list[Piece] = []
        for part in word.parts:
            if isinstance(part, str):
                shown.append(escaped(_SPACES.sub(" ", part)))
            elif isinstance(part, Quoted):
                shown.append(part.quote)
                shown += self._forged(Compound(part.parts))
                if part.closed:
                    shown.append(part.quote[-1])
            elif isinstance(part, Substitution):
                shown += self.substitution(part)
            elif isinstance(part, Forged):
                shown.append("\\" + part.text)
            else:
                shown.append(escaped(_SPACES.sub(" ", part.text)))
        return shown

    def word(self, word: Word) -> Sequence[Piece]:
        """Return an ordinary word; what ``key=`` says of a value counts."""
        first = word if isinstance(word, str) else word.parts[0]
        if isinstance(first, str) and "=" in first:
            key = _KEY.match(first)
            if key is not None and not (first[-1] == "=" and PADDED.fullmatch(first)):
                parts = [] if isinstance(word, str) else word.parts[1:]
                if key[2]:
                    parts = [key[2], *parts]
                if parts:
                    return self._keyed(key[1], parts)
        return self.as_it_stands(word)

    def _keyed(self, head: str, parts: list[Part]) -> Sequence[Piece]:
        """Return ``key=`` and a value, masked if the key says that it is a secret or a port."""
        first = parts[0]
        value: Word = first if len(parts) == 1 and isinstance(first, str) else Compound(parts)
        if says(head, self.vocabulary.secret_names):
            return [*self._head(head), *self._secret(value)]
        if says(head, self.vocabulary.port_names):
            return [*self._head(head), *self._port(value)]
        if head.strip("-=").lower() in self.vocabulary.made_names:
            return [*self._head(head), *self.made(value)]
        return [*self._head(head), *self.as_it_stands(value)]

    def _head(self, head: str) -> Sequence[Piece]:
        return [head] if head[0] == "-" else self.pieces(head)

    def _flag(self, word: Word) -> Sequence[Piece]:
        """Return an option of which nothing is known: its letters stay, whatever they look like."""
        first = word if isinstance(word, str) else word.parts[0]
        match = _FLAG.match(first) if isinstance(first, str) else None
        if match is None or not isinstance(first, str):
            return self.as_it_stands(word)
        head = match[0]
        rest: list[Part] = [] if isinstance(word, str) else word.parts[1:]
        if len(first) > len(head):
            rest = [first[len(head) :], *rest]
        if not rest:
            return [head]
        if head[-1] == "=":
            return self._keyed(head, rest)
        return [head, *self.parts(rest)]

    def parts(self, parts: Iterable[Part]) -> list[Piece]:
        pieces: list[Piece] = []
        for part in parts:
            if isinstance(part, str):
                pieces += self.pieces(part)
            elif isinstance(part, Quoted):
                pieces.append(part.quote)
                pieces += self.parts(part.parts)
                if part.closed:
                    pieces.append(part.quote[-1])
            elif isinstance(part, Parameter):
                pieces += self._parameter(part.text)
            elif isinstance(part, Forged):
                pieces.append("\\" + part.text)
            else:
                pieces += self.substitution(part)
        return pieces

    def _parameter(self, text: str) -> list[Piece]:
        match = _VARIABLE.match(text)
        if match is None:
            return list(self.pieces(text))
        return [match[1], self._variable_name(match[2]), *self.pieces(match[3])]

    def _variable_name(self, name: str, *, made: bool = False) -> Piece:
        if name in self.vocabulary.variables:
            return name
        return Name("$" + name, self.values.fallback(name), made)

    def substitution(self, part: Substitution, feed: Stdin | None = None) -> list[Piece]:
        inner = self.script(part.items, feed)
        if part.opening == "$(" and inner and str(inner[0])[:1] == "(":
            inner.insert(0, " ")  # else it would be arithmetic
        closing = "" if not part.closed else "`" if part.opening == "`" else ")"
        return [part.opening, *inner, closing]

    def _program_word(self, word: Word) -> Sequence[Piece]:
        if isinstance(word, str) and word in self.vocabulary.commands:
            # A file of that name may be the session's, the command of that name is not.
            return (word,)
        if isinstance(word, str) and _SMALL.fullmatch(word):
            return (Name(word, word),)  # small letters alone are a name that somebody chose
        pieces = self.as_it_stands(word)
        if unquoted(word).rpartition("/")[2] in self.vocabulary.commands:
            return ("".join(map(fallback, pieces)),)
        return pieces

    def _applet(self, word: Word) -> Sequence[Piece]:
        if has_dynamic(word):
            return self._program_word(word)
        return (self.mask("applet", unquoted(word), "it is none of BusyBox's applets"),)

    def made(self, word: Word) -> Sequence[Piece]:
        """Return a word that is the name of something the session makes."""
        return self._named(word, installed=False)

    def _run(self, word: Word) -> Sequence[Piece]:
        """Return a word that names a file of the session's which it runs or makes runnable."""
        text = unquoted(word)
        return self._named(word, installed="/" in text and self.vocabulary.is_installed(text))

    def _named(self, word: Word, *, installed: bool) -> Sequence[Piece]:
        """Return a word whose last part is a name that is made, if it can be one."""
        text = unquoted(word).rstrip("/")
        base = text.rpartition("/")[2]
        if installed or text in self.vocabulary.files or self.vocabulary.is_known(text):
            return self.word(word)
        if isinstance(word, Compound) and len(word.parts) > 1 and not _ends_in_path(word):
            return self.word(word)
        pieces = list(self.word(word))
        for index in range(len(pieces) - 1, -1, -1):
            piece = pieces[index]
            if isinstance(piece, Name):
                if piece.name[0] != "$" and piece.name in (base, base.rstrip(".")):
                    pieces[index] = Name(piece.name, piece.fallback, made=True)
                break
            if base.isdecimal() and piece == self.values.fallback(base):
                pieces[index] = Name(base, piece, made=True)
                break
            if piece not in ("/", "'", '"') and piece.strip("."):
                break
        return pieces

    def _folders(self, word: Word) -> Sequence[Piece]:
        """Return the path of a directory that is made with those above it."""
        pieces = list(self.made(word))
        if any(isinstance(piece, Name) and piece.made for piece in pieces):
            for index, piece in enumerate(pieces):
                if isinstance(piece, Name) and piece.name[0] != "$":
                    pieces[index] = Name(piece.name, piece.fallback, made=True)
        return pieces

    def _fetch(self, word: Word) -> Sequence[Piece]:
        """Return a URL, with or without its scheme, and remember the name of what it brings."""
        text = unquoted(word)
        base = _URL_END.split(text.rpartition("/")[2] if "/" in text else "")[0]
        if bindable(base) and not is_forged(word):
            self.binds.append(base.removesuffix(".git"))
        return self._url(word)

    def _url(self, word: Word) -> Sequence[Piece]:
        text = unquoted(word)
        if "://" in text or is_forged(word) or has_dynamic(word):
            return self.word(word)
        if not text or not (text[0].isalnum() or text[0] == "["):
            return self.word(word)
        return [self.mask("url", text, "it stands where a URL is wanted")]

    def _host(self, word: Word) -> Sequence[Piece]:
        text = unquoted(word)
        if is_forged(word) or has_dynamic(word) or "://" in text or text == "localhost":
            return self.word(word)
        rule = "it stands where a host is wanted"
        if is_ip6(text) or _ADDRESS_NUMBER.fullmatch(text):
            return [self.mask("ip", text, rule)]
        match = _HOST.fullmatch(text)
        if match is None:
            return self.word(word)
        user, host, port = match.groups()
        shown: list[Piece] = [*self.pieces(user), "@"] if user else []
        shown.append(self.mask("ip" if is_ip4(host) else "host", host, rule))
        if port:
            shown += [":", self.mask("port", port, "it stands where a port is wanted")]
        return shown

    def _port(self, word: Word) -> Sequence[Piece]:
        text = unquoted(word)
        if is_forged(word) or not _PORTS.fullmatch(text):
            return self.as_it_stands(word)
        return [self.mask("port", text, "it stands where a port is wanted")]

    def _pid(self, word: Word) -> Sequence[Piece]:
        text = unquoted(word)
        if text.isdecimal():
            return [self.mask("pid", text, "it stands where a process id is wanted")]
        return self.as_it_stands(word)

    def _secret(self, word: Word) -> Sequence[Piece]:
        text = unquoted(word)
        if not text or is_forged(word) or is_dynamic(word):
            return self.as_it_stands(word)
        masked = self.mask("secret", text, "it stands where a secret is wanted")
        return [masked, *self.substituted([word])]

    def _login(self, word: Word) -> Sequence[Piece]:
        text = unquoted(word)
        if ":" not in text or is_forged(word) or is_dynamic(word):
            return self.as_it_stands(word)
        return [*self.login_text(text), *self.substituted([word])]

    def substituted(self, words: Iterable[Word]) -> list[Piece]:
        """Return the substitutions in words that are masked: what they run is no secret."""
        shown: list[Piece] = []
        for word in words:
            for part in word.parts if isinstance(word, Compound) else ():
                inner = part.parts if isinstance(part, Quoted) else (part,)
                for each in inner:
                    if isinstance(each, Substitution):
                        shown += self.substitution(each)
        return shown

    def _variable(self, word: Word) -> Sequence[Piece]:
        if not isinstance(word, str) or not word.isidentifier() or not word.isascii():
            return self.as_it_stands(word)
        return [self._variable_name(word, made=True)]

    def _assigned(self, word: Word) -> Sequence[Piece]:
        first = word if isinstance(word, str) else word.parts[0]
        match = ASSIGNMENT.fullmatch(first) if isinstance(first, str) else None
        if match is None:
            return self.as_it_stands(word)
        name, operator, start = match.groups()
        known = name in self.vocabulary.variables
        shown: list[Piece] = [self._variable_name(name, made=True), operator]
        parts: list[Part] = [] if isinstance(word, str) else word.parts[1:]
        if start:
            parts = [start, *parts]
        if not parts:
            return shown
        first = parts[0]
        value: Word = first if len(parts) == 1 and isinstance(first, str) else Compound(parts)
        if not known and says(name, self.vocabulary.secret_names):
            return [*shown, *self._secret(value)]
        if not known and says(name, self.vocabulary.port_names):
            return [*shown, *self._port(value)]
        text = unquoted(value)
        if known or text in self.vocabulary.words or not _PATHLIKE.fullmatch(text):
            return [*shown, *self.as_it_stands(value)]
        return [*shown, *self._run(value)]

    def _shell_text(self, word: Word) -> Sequence[Piece]:
        """Return the script that an argument holds, if it is one text."""
        if isinstance(word, str):  # bash -c ./x
            return self.inner(word)
        part = word.parts[0]
        if len(word.parts) == 1 and isinstance(part, Quoted) and part.quote != "$'":
            text = part.parts[0] if len(part.parts) == 1 else None
            if isinstance(text, str) and self.scripts < SCRIPTS:
                return [part.quote, *self.inner(text), part.quote if part.closed else ""]
        return self._forged(word) if is_forged(word) else self.parts(word.parts)

    def inner(self, text: str) -> list[Piece]:
        """Return the template of shell text inside the line."""
        self.scripts += 1
        try:
            return self.script(lex(text))
        finally:
            self.scripts -= 1

    def login_text(self, text: str) -> list[Piece]:
        """Return ``user:<secret>`` for each line of ``text``, as chpasswd(8) reads them."""
        shown: list[Piece] = []
        for line in filter(None, (each.strip(WHITE) for each in _LINES.split(text))):
            if shown:
                shown.append("\\n")
            user, colon, secret = line.partition(":")
            named = bool(colon) and _USER.fullmatch(user) is not None
            if named:
                shown += [*self.pieces(user), ":"]
            shown.append(self.mask("secret", secret if named else line, "the password of a user"))
        return shown


_SHOWN: Final[dict[Kind, Callable[[Words, Word], Sequence[Piece]]]] = {
    "plain": Words.as_it_stands,
    "value": Words.word,
    "flag": Words._flag,
    "assignment": Words._assigned,
    "program": Words._program_word,
    "applet": Words._applet,
    "command": Words._run,
    "made": Words.made,
    "folders": Words._folders,
    "run": Words._run,
    "fetch": Words._fetch,
    "url": Words._url,
    "host": Words._host,
    "port": Words._port,
    "pid": Words._pid,
    "secret": Words._secret,
    "login": Words._login,
    "script": Words._shell_text,
    "variable": Words._variable,
}


def _ends_in_path(word: Compound) -> bool:
    """Whether the word's last text has a slash, so that what follows it is a whole name."""
    last = word.parts[-1]
    if isinstance(last, Quoted) and last.parts:
        last = last.parts[-1]
    return isinstance(last, str) and "/" in last


def is_port(word: Word) -> TypeGuard[str]:
    """Whether a word is a number that can be a port."""
    return isinstance(word, str) and word.isdecimal() and word.isascii() and 2 <= len(word) <= 5  # noqa: PLR2004


def fallback(piece: Piece) -> str:
    """Return what stands in a template if the session has made no name."""
    return piece if isinstance(piece, str) else piece.fallback
