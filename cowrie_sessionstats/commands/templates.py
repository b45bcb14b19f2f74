"""A command line's template: what a person chose, with the values of one victim taken out.

A line becomes a ``Plan`` once (it is kept, since lines recur); a session's names are filled in
for each session.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import count
from typing import Final, TypeAlias

from attrs import define, evolve, field

from cowrie_sessionstats.commands._analysis import (
    Argument,
    Command,
    Node,
    commands_of,
    reads_file,
)
from cowrie_sessionstats.commands._canonical import SCRIPT, canonical, script_of
from cowrie_sessionstats.commands._items import (
    PLACEHOLDER,
    WHITE,
    Comment,
    Compound,
    Cut,
    Document,
    Item,
    Operator,
    Quoted,
    Redirect,
    Substitution,
    Word,
    has_dynamic,
    is_document,
    is_dynamic,
    is_forged,
    raw,
    unquoted,
)
from cowrie_sessionstats.commands._lexer import lex
from cowrie_sessionstats.commands._words import SCRIPTS, Words, fallback, is_port
from cowrie_sessionstats.commands.marks import Marks
from cowrie_sessionstats.commands.values import (
    Name,
    Note,
    Piece,
    Values,
    bindable,
    escaped,
    is_bytes,
)
from cowrie_sessionstats.commands.vocabulary import PLAIN, Prompt, Stdin, Vocabulary

LINE_LIMIT: Final = 1 << 16
"""Characters of a line that are read, the rest is cut: twenty times the longest in the logs."""
CACHED_LINE: Final = 512
CACHED_LINES: Final = 1024
"""Lines up to CACHED_LINE characters whose plans are kept: nearly all lines are the same few."""
CACHED_LONG_LINE: Final = 4096
CACHED_LONG_LINES: Final = 64
"""The same for longer ones. Filled by an attacker with as many names as fit, both hold 46 MB."""
PROMPTED: Final = 16
"""Lines of a here-document that are taken for passwords, if they come as lines of their own."""
_ECHO_OPTION: Final = re.compile(r"-[neE]{1,3}")
_BASE64_WORD: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_PLACEHOLDER: Final = re.compile(PLACEHOLDER)
_ARCHIVE: Final = re.compile(r"\.(?:tar|tar\.\w{2,3}|t[bgx]z|zip|service|timer|ko)\Z")
_PEERS: Final = (["<ip>"], ["<host>"])
_PAYLOADS: Final = frozenset({"<bytes>", "<base64>", "<hex>"})
_LISTED: Final = _PAYLOADS | {"<pid>"}
"""Placeholders of which several words in a row count as one: payloads and lists of processes have
no fixed length."""
_LISTED_TO_OWN: Final = _LISTED | {"<ip>", "<host>"}
"""The same for programs of which nothing is known: a worm is told its peers."""


Replaced: TypeAlias = dict[int, Sequence[Piece] | Callable[[], Sequence[Piece]]]
"""What is shown for some words of a command, by their index; or what tells when it is its turn."""


_numbers: Final = count(1)


@define
class Plan:
    """What a line's template is, but for the names that the session has made so far.

    Kept from line to line, so never changed but for what it remembers of the last session.
    """

    plain: str
    """The template if the session has made none of the names in it."""
    programs: str = ""
    """The programs that the line names, in order, with a space between them."""
    pieces: Sequence[Piece] = ()
    """The template's pieces, if there are places for names in it."""
    names: frozenset[str] = frozenset()
    """The names in them."""
    makes: bool = False
    """Whether one of them is made here."""
    binds: tuple[str, ...] = ()
    """Names that the line makes without writing them."""
    verbs: Sequence[Piece] = ()
    """The programs, if one of them may be the session's."""
    prompts: tuple[Prompt, ...] = ()
    """What its last program asks for, if nothing is fed to it."""
    goes_on: str | None = None
    """If a quoted text is not at its end: the command and the quote that the next line is in."""
    chunk: Plan | None = None
    """What it is if it belongs to an encoded payload, as the line before may tell."""
    strangers: tuple[str, str] = field(default=("", ""), init=False, eq=False)
    """The names of the session that last had none of ``names``: another such session has the same.
    """
    constant: bool = field(init=False)
    """Whether neither the session's names nor the lines around matter."""
    alone: int = field(init=False, eq=False)
    """A number that no other plan has, if of what was before only the session's names matter, and
    nothing behind depends on the line; else 0."""

    def __attrs_post_init__(self) -> None:
        says_more = self.binds or self.prompts or self.goes_on or self.chunk
        self.constant = not (self.pieces or says_more)
        acts = self.makes or says_more or self.plain == "<base64>" or len(self.plain) > CACHED_LINE
        self.alone = 0 if acts else next(_numbers)

    def renamed(self, old: str, new: str, shown: str) -> Plan:
        """Return the plan of a line with the name ``new``, that is ``shown`` so, for ``old``."""

        def rename(pieces: Sequence[Piece]) -> list[Piece]:
            return [
                Name(new, shown, piece.made)
                if piece.__class__ is Name and piece.name == old
                else piece
                for piece in pieces
            ]

        pieces, verbs = rename(self.pieces), rename(self.verbs)
        return evolve(
            self,
            plain="".join(map(fallback, pieces)) if pieces else self.plain,
            programs="".join(map(fallback, verbs)) if verbs else self.programs,
            pieces=pieces or (),
            names=frozenset([new if name == old else name for name in self.names]),
            binds=tuple([new if name == old else name for name in self.binds]),
            verbs=tuple(verbs),
        )


@define(eq=False)
class Templates:
    """Makes plans of lines, with one vocabulary."""

    vocabulary: Vocabulary
    note: Note | None = None
    """Told of each replacement, for people; then nothing is kept for the next time."""
    marks: Marks = field(factory=Marks)
    """Tells which patterns a template matches."""
    _values: Values = field(init=False)
    plan_kept: Callable[[str], Plan] = field(init=False)
    """As ``plan``, of lines up to CACHED_LINE characters, where nobody is told of anything."""
    _kept_long: Callable[[str], Plan] = field(init=False)
    _same: Callable[[str], str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._values = Values(self.vocabulary, self.note)
        self.plan_kept = lru_cache(CACHED_LINES)(self._plan_kept)
        self._kept_long = lru_cache(CACHED_LONG_LINES)(self._plan)
        self._same = lru_cache(CACHED_LINES)(str)

    def plan(self, line: str) -> Plan:
        """Return the plan of ``line``; any text has one. Time is proportional to its length."""
        if self.note is None:
            if len(line) <= CACHED_LINE:
                return self.plan_kept(line)
            if len(line) <= CACHED_LONG_LINE:
                return self._kept_long(line)
        return self._plan(line)

    def tell(self, original: str, placeholder: str, rule: str) -> None:
        """Tell whoever wants to know what was replaced."""
        if self.note is not None:
            self.note(original, placeholder, rule)

    def shared(self, template: str) -> str:
        """Return the text itself, the same object for all sessions that hold it."""
        return self._same(template) if len(template) <= CACHED_LINE else template

    def _plan_kept(self, line: str) -> Plan:
        # Not with an operator's vocabulary: it may know more of what is replaced here.
        if self.vocabulary.extension is not None:
            return self._plan(line)
        same = canonical(line)
        if same != line:
            return self.plan_kept(same)
        script = script_of(line)
        if script is None or script in self.vocabulary.words or script in self.vocabulary.files:
            return self._plan(line)
        return self.plan_kept(line.replace(script, SCRIPT)).renamed(
            SCRIPT, script, self._values.fallback(script)
        )

    def _plan(self, line: str) -> Plan:
        return _Maker(self.vocabulary, self._values).plan(line)


@define(eq=False)
class _Maker(Words):
    """Makes the plan of one line."""

    chunk: bool = False
    """Whether what may be a chunk of a payload is taken for one."""
    prompts: tuple[Prompt, ...] = field(default=(), init=False)
    goes_on: str | None = field(default=None, init=False)
    maybe_chunk: bool = field(default=False, init=False)

    def plan(self, line: str) -> Plan:
        items = lex(line[:LINE_LIMIT] if len(line) > LINE_LIMIT else line)
        if len(line) > LINE_LIMIT:
            items.append(Cut())
        nodes = commands_of(items, self.vocabulary)
        pieces = self._rendered(nodes)
        if nodes and isinstance(nodes[-1], Command) and not nodes[-1].fed:
            self._asks(nodes[-1])
        places = [piece for piece in pieces if piece.__class__ is Name]
        made = set(self.binds)
        made.update(piece.name for piece in places if piece.made)
        if made:
            self._hold(made)
        names = {piece.name for piece in places}
        shown = _joined(pieces, made) if places else ()
        chunk = None
        if self.maybe_chunk and not self.chunk:
            chunk = _Maker(self.vocabulary, self.values, chunk=True).plan(line)
        verbs: list[Piece] = []
        for verb in self.verbs:
            if verbs:
                verbs.append(" ")
            verbs += verb
        return Plan(
            "".join(map(fallback, shown or pieces)),
            "".join(map(fallback, verbs)),
            shown,
            frozenset(names),
            not made.isdisjoint(names),
            tuple(dict.fromkeys(name for name in self.binds if name not in names)),
            tuple(verbs) if any(verb.__class__ is Name for verb in verbs) else (),
            self.prompts,
            self.goes_on,
            chunk,
        )

    def _hold(self, made: set[str]) -> None:
        """Add what archives among the names that are made hold: it has their name, as a rule."""
        for name in sorted(made):
            stem = _ARCHIVE.sub("", name)
            if stem != name and bindable(stem):
                self.binds.append(stem)
                made.add(stem)

    def script(self, items: Sequence[Item], feed: Stdin | None = None) -> list[Piece]:
        return self._rendered(commands_of(items, self.vocabulary, feed))

    def _asks(self, command: Command) -> None:
        """Remember what the line's last command asks for, if it reads the terminal."""
        prompts = command.program.prompts
        if prompts and _awaits_document(command):
            self.prompts = (prompts[0],) * PROMPTED
        elif prompts and not reads_file(command):
            words = {word for word, _, _ in command.arguments if word.__class__ is str}
            if command.program.stdin_with.isdisjoint(words):
                self.prompts = prompts

    def _rendered(self, nodes: list[Node]) -> list[Piece]:  # noqa: C901, PLR0912
        """Return the script's text, with as little white space as reads well."""
        tokens: list[tuple[list[Piece], str]] = []
        before: list[Piece] | None = None
        between = 0
        for node in nodes:
            if node.__class__ is Command:
                verbs = len(self.verbs)
                pieces = self._command(node)
                # Chunks of one payload in one line count as one, as they do on lines of their own.
                if between == 1 and pieces == before and not _PAYLOADS.isdisjoint(_texts(pieces)):
                    tokens.pop()
                    del self.verbs[verbs:]
                else:
                    tokens.append((pieces, "word"))
                before, between = pieces, 0
            elif node.__class__ is Operator:
                text = node.text
                between += 1 if text not in ("(", ")") else 2
                if text != "\n" or (tokens and tokens[-1][1] not in ("\n", "document")):
                    tokens.append(([text], text))
            elif isinstance(node, Comment):
                tokens.append((["#", *self.pieces(node.text[1:].rstrip(WHITE))], "word"))
            elif isinstance(node, Document):
                if tokens and tokens[-1][1] == "\n":
                    tokens.pop()
                tokens.append((self._document(node, nodes), "document"))
            else:
                tokens.append(([self.mask("cut", "", "more than is read of a line")], "word"))
        while tokens and tokens[-1][1] == "\n":
            tokens.pop()
        out: list[Piece] = []
        last = "\n"
        for token, kind in tokens:
            if last == "document" and kind != "document":
                out.append("\n")
            elif not (
                last in ("\n", "(")
                or kind in ("\n", ")", "document")
                or (kind == ";" and last in ("word", ")"))
            ):
                out.append(" ")
            out += token
            last = kind
        return out

    def _command(self, command: Command) -> list[Piece]:
        """Return the command's text: its words, with one space between them."""
        arguments = command.arguments
        feeds = command.program.feeds and _program_at(arguments)
        replaced: Replaced | None = None
        listed = _LISTED_TO_OWN if command.program is PLAIN else _LISTED
        pieces: list[Piece] = []
        last: Sequence[Piece] | None = None
        index = 0
        for element in command.elements:
            if element.__class__ is tuple:
                last = None
                shown = self._redirect(command, *element)
            else:
                if feeds is not False and index == feeds + 1:
                    replaced = self._fed_text(command)
                if replaced and index in replaced:
                    made = replaced[index]
                    shown = made() if callable(made) else made
                else:
                    word, kind, head = arguments[index]
                    if kind == "value" and not head and last in _PEERS and is_port(word):
                        shown = [self.mask("port", word, "a number behind an address")]
                    else:
                        shown = self.show(word, kind)
                    if head:
                        shown = [head, *shown]
                index += 1
                if not shown or (len(shown) == 1 and shown[0] in listed and shown == last):
                    continue
                last = shown
            if pieces:
                pieces.append(" ")
            pieces += shown
        return pieces

    def _fed_text(  # noqa: C901  one branch for each way to read it
        self, command: Command
    ) -> Replaced | None:
        """Return what stands for the arguments of echo and its like, by their index."""
        operands: list[int] = []
        for index, (word, kind, _) in enumerate(command.arguments):
            if kind in ("program", "command"):
                operands = []  # what stood before is a wrapper's
            elif kind == "value" or (
                kind == "flag" and not (isinstance(word, str) and _ECHO_OPTION.fullmatch(word))
            ):
                operands.append(index)
        if not operands:
            return None
        words = [command.arguments[index][0] for index in operands]
        tail = words[-1].parts[-1] if isinstance(words[-1], Compound) else None
        if isinstance(tail, Quoted) and not tail.closed:
            self.goes_on = f"{command.name} {tail.quote}"
            if not any(map(is_forged, words)):
                return self._unfinished(operands[-1], words[-1], tail)
            return None
        if command.name == "printf" and len(words) > 1 and "%" in unquoted(words[0]):
            operands, words = operands[1:], words[1:]
        if command.feed in (None, "script"):
            return self._written_bytes(operands, words) or self._chunk(command, operands, words)
        if any(map(is_forged, words)) or all(map(is_dynamic, words)):
            return None
        text = " ".join(map(unquoted, words))
        if command.feed == "login":
            shown = self.login_text(text)
        elif command.feed == "secret":
            shown = [self.mask("secret", text, "it is fed to a program that reads a password")]
        else:
            shown = [self.mask(str(command.feed), text, "it is fed to a program that decodes it")]
        shown += self.substituted(words)
        return {index: shown if index == operands[0] else [] for index in operands}

    def _written_bytes(self, operands: list[int], words: list[Word]) -> Replaced:
        """Mask escaped bytes that are written, be it only one."""
        replaced: Replaced = {}
        for index, word in zip(operands, words, strict=True):
            part = word if isinstance(word, str) else word.parts[0]
            text = unquoted(word) if isinstance(part, Quoted) else part
            if (
                isinstance(text, str)
                and "\\" in text
                and (isinstance(word, str) or len(word.parts) == 1)
                and not is_forged(word)
                and not has_dynamic(word)
                and is_bytes(text, 1)
            ):
                masked = self.mask("bytes", text, "escaped bytes that are written")
                replaced[index] = (
                    [part.quote, masked, part.quote[-1]] if isinstance(part, Quoted) else [masked]
                )
        return replaced

    def _unfinished(self, index: int, word: Word, tail: Quoted) -> Replaced | None:
        """Mask a quoted text of which the rest is in the next line."""
        text = unquoted(Compound(tail.parts))
        if not text or isinstance(word, str):
            return None
        masked = self.mask("text", text, "a quoted text that the line does not end")
        # When it is its turn: the programs of substitutions are in the order of the words.
        return {index: lambda: [*self.parts(word.parts[:-1]), tail.quote, masked]}

    def _chunk(self, command: Command, operands: list[int], words: list[Word]) -> Replaced | None:
        """Take a short word of base64's alphabet that goes to a file for the end of a payload."""
        if len(words) != 1 or not any(
            isinstance(element, tuple) and ">" in element[0].text for element in command.elements
        ):
            return None
        word = words[0]
        part = word if isinstance(word, str) else word.parts[0]
        text = unquoted(word)
        if (isinstance(word, Compound) and len(word.parts) > 1) or not is_chunk(
            text, self.vocabulary
        ):
            return None
        self.maybe_chunk = True
        if not self.chunk:
            return None
        shown: list[Piece] = [self.mask("base64", text, "a chunk like those before it")]
        if isinstance(part, Quoted):
            shown = [part.quote, *shown, part.quote[-1]]
        return {operands[0]: shown}

    def _document(self, document: Document, nodes: Sequence[Node]) -> list[Piece]:
        """Return a here-document, its first line end and its delimiter included."""
        stdin = next(
            (
                node.stdin or node.feed
                for node in nodes
                if isinstance(node, Command) and node.documents and document in node.documents
            ),
            None,
        )
        text = "\n".join(document.lines)
        shown: list[Piece] = []
        if stdin == "script" and text.strip(WHITE):
            if self.scripts < SCRIPTS:
                shown = ["\n", *self.inner(text)]
        elif stdin is not None and text.strip(WHITE) and _PLACEHOLDER.search(text) is None:
            if stdin == "login":
                shown = ["\n", *self.login_text(text)]
            else:
                rule = "a here-document for a program that reads it as such"
                shown = ["\n", self.mask(stdin, text, rule)]
        if not shown:
            last: Sequence[Piece] = ()
            for line in document.lines:
                pieces = self.pieces(line.strip(WHITE))
                if pieces and not (len(pieces) == 1 and pieces[0] in _PAYLOADS and pieces == last):
                    shown += ["\n", *pieces]
                last = pieces
        if document.closed:
            shown += ["\n", escaped(document.delimiter)]
        return shown

    def _redirect(
        self, command: Command, redirect: Redirect, target: Word | None
    ) -> Sequence[Piece]:
        text = redirect.text
        if target is None:
            return [text]
        if is_forged(target) and not is_document(text):
            shown = self.show(target, "plain")
        elif text.endswith("<<<") and command.stdin not in (None, "script"):
            given = unquoted(target)
            rule = "a here-string for a program that reads it as such"
            if is_dynamic(target) or not given.strip(WHITE):
                shown = self.word(target)
            elif command.stdin == "login":
                shown = [*self.login_text(given), *self.substituted([target])]
            else:
                masked = self.mask(str(command.stdin), given, rule)
                shown = [masked, *self.substituted([target])]
        elif isinstance(target, Compound) and isinstance(target.parts[0], Substitution):
            shown = self.substitution(target.parts[0], command.stdin)
            shown = [*shown, *self.parts(target.parts[1:])]
        elif is_document(text):
            written = raw(target)
            shown = self.show(target, "plain") if written is None else [escaped(written)]
        elif ">" in text:
            shown = self.made(target)
        else:
            shown = self.word(target)
        return [text, " ", *shown]


def _program_at(arguments: Sequence[Argument]) -> int:
    """Return which word is the program, not one that wraps it."""
    return max(
        index for index, (_, kind, _) in enumerate(arguments) if kind in ("program", "command")
    )


def _awaits_document(command: Command) -> bool:
    """Whether the here-document that the command reads comes as the lines after it."""
    return command.documents is None and any(
        isinstance(element, tuple) and is_document(element[0].text) for element in command.elements
    )


def is_chunk(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a word can be the short end of a payload in base64."""
    return (
        len(text) % 4 == 0
        and _BASE64_WORD.fullmatch(text) is not None
        and text[0] != "/"
        and text not in vocabulary.words
    )


def _texts(pieces: Iterable[Piece]) -> set[str]:
    return {piece for piece in pieces if isinstance(piece, str)}


def _joined(pieces: Iterable[Piece], made: set[str]) -> list[Piece]:
    """Return the pieces with neighbouring texts made one.

    A name that the line makes has its number also where the line uses it before.
    """
    out: list[Piece] = []
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        if texts:
            out.append("".join(texts))
            texts = []
        if not piece.made and piece.name in made:
            piece = Name(piece.name, piece.fallback, made=True)  # noqa: PLW2901
        out.append(piece)
    if texts:
        out.append("".join(texts))
    return out
