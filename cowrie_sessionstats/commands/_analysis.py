"""What each word of a command is: its program, options and operands, and what feeds what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from attrs import define, field

from cowrie_sessionstats.commands._items import (
    Comment,
    Compound,
    Cut,
    Document,
    Forged,
    Item,
    Operator,
    Part,
    Redirect,
    Word,
    beginning,
    is_document,
    unquoted,
)
from cowrie_sessionstats.commands.vocabulary import PLAIN, Program, Role, Stdin, Vocabulary

Kind: TypeAlias = Role | Literal["plain", "flag", "assignment", "program", "applet", "command"]
"""What a word of a command is: an argument's role, or what stands before the arguments."""
Argument: TypeAlias = tuple[Word, Kind, str]
"""A word, what it is, and the option that it is attached to."""


@define(eq=False)
class Command:
    """A simple command: words, redirections, and what it does with its input."""

    elements: list[Word | tuple[Redirect, Word | None]]
    arguments: list[Argument] = field(factory=list)
    """Each word of the elements, in order."""
    reserved: list[str] = field(factory=list)
    program: Program = PLAIN
    name: str = ""
    """The program's name, without its directory."""
    stdin: Stdin | None = None
    feed: Stdin | None = None
    """How the command that reads our output takes it."""
    fed: bool = False
    documents: list[Document] | None = None


Node: TypeAlias = "Command | Operator | Document | Comment | Cut"

_OPENING: Final = frozenset({"{", "if", "for", "while", "until", "case", "select"})
_CLOSING: Final = frozenset({"}", "done", "fi", "esac"})
_RESERVED: Final = _OPENING | _CLOSING | {"!", "do", "then", "else", "elif", "time", "in"}
ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?=)(.*)", re.DOTALL)
_HUMP: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
PADDED: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)")
"""Base64 with its padding, which is no key and its value."""
_PASSES_ON: Final = frozenset(
    {"awk", "cat", "cut", "head", "rev", "sed", "sort", "tail", "tee", "tr", "uniq", "xargs"}
)
"""Programs that write what they read, or nearly so."""


def commands_of(  # noqa: C901, PLR0912  one branch for each kind of item
    items: Sequence[Item], vocabulary: Vocabulary, feed: Stdin | None = None
) -> list[Node]:
    """Return the commands of a script, and what stands between them, in order.

    ``feed`` is how what reads the script's output takes it.
    """
    nodes: list[Node] = []
    command: Command | None = None
    awaiting: list[Command] = []
    target: Redirect | None = None
    for item in items:
        if isinstance(item, (str, Compound)):
            if command is None:
                command = Command([item])
                nodes.append(command)
            elif target is None:
                command.elements.append(item)
            else:
                command.elements[-1] = (target, item)
                target = None
        elif isinstance(item, Redirect):
            if command is None:
                command = Command([(item, None)])
                nodes.append(command)
            else:
                command.elements.append((item, None))
            target = None if item.whole else item
            if is_document(item.text):
                awaiting.append(command)
        else:
            if isinstance(item, Document) and awaiting:
                reader = awaiting.pop(0)
                reader.documents = [*(reader.documents or ()), item]
            command = target = None
            nodes.append(item)
    for node in nodes:
        if isinstance(node, Command):
            _analyse(node, vocabulary)
    if len(nodes) > 1 or feed is not None:
        _feed(nodes, feed)
    return nodes


def _analyse(command: Command, vocabulary: Vocabulary) -> None:
    words: list[Word] = [element for element in command.elements if not isinstance(element, tuple)]
    arguments = command.arguments
    index, count = 0, len(words)
    while index < count and words[index] in _RESERVED:
        text = str(words[index])
        arguments.append((text, "plain", ""))
        command.reserved.append(text)
        index += 1
        if text in ("for", "select", "case"):
            if text != "case" and index < count:
                arguments.append((words[index], "variable", ""))
                index += 1
            arguments += [(word, "value", "") for word in words[index:]]
            return
    while index < count:
        while index < count and is_assignment(words[index]):
            arguments.append((words[index], "assignment", ""))
            index += 1
        if index == count:
            return
        index = _program(command, words, index, vocabulary)
        if not command.program.wraps:
            break
    if index < count:
        _operands(command, words[index:], vocabulary)


def _program(  # noqa: C901
    command: Command, words: list[Word], index: int, vocabulary: Vocabulary
) -> int:
    """Take the word that names the program, and what a wrapper has before its program."""
    word = words[index]
    applet = command.name == "busybox"
    text = word if word.__class__ is str and "\\" not in word else unquoted(word)
    name = text.rpartition("/")[2] if "/" in text else text
    command.name = name
    program = PLAIN if "://" in text else vocabulary.programs.get(name, PLAIN)
    index += 1
    kind: Kind = "program"
    if applet and name not in vocabulary.applets and text[:1] != "-":
        kind = "applet"
    elif name is not text and name != "busybox" and not vocabulary.is_installed(text):
        # The session's own, whatever it is called: of its arguments nothing is known.
        kind = "command"
        program = PLAIN
    command.arguments.append((word, kind, ""))
    if index < len(words) and name in vocabulary.pairs:
        pair = f"{name} {words[index]}"
        if pair in vocabulary.programs:
            program = vocabulary.programs[pair]
            command.arguments.append((words[index], "plain", ""))
            index += 1
    command.program = program
    if program.stdin is not None and not program.stdin_with:
        command.stdin = program.stdin
    if not program.wraps:
        return index
    stop = index
    left = len(program.operands)
    while stop < len(words):
        text = beginning(words[stop])
        if text[:1] == "-" and words[stop] != "-":
            role, attached = _option(program, text)
            alone = attached or words[stop].__class__ is not str or text[-1] == "="
            stop += 1 if role is None or alone else 2
        elif left or is_assignment(words[stop]):
            left -= not is_assignment(words[stop])
            stop += 1
        else:
            break
    if stop > index:
        _operands(command, words[index:stop], vocabulary)
    return stop


def _operands(command: Command, words: list[Word], vocabulary: Vocabulary) -> None:
    """Say what the options and operands of a program are."""
    program = command.program
    arguments = command.arguments
    operands: list[int] = []
    awaited: Role | None = None
    after: Role | None = None
    options, sure = True, True
    for word in words:
        text = word if word.__class__ is str else beginning(word)
        if awaited is not None and (sure or text[:1] != "-"):
            arguments.append((word, awaited, ""))
            awaited = None
            continue
        awaited = None
        if options and text[:1] == "-" and word != "-":
            if word == "--":
                options = False
                arguments.append((word, "plain", ""))
                continue
            # Of an option that is not known, a secret is only its argument if it can be one.
            awaited, sure = _take_option(command, word, text, vocabulary)
        elif program.assigns:
            kind: Kind = "assignment" if is_assignment(word) else "variable"
            arguments.append((word, kind, ""))
        elif after is not None:
            arguments.append((word, after, ""))
            after = None
        elif text in program.after:
            arguments.append((word, "plain", ""))
            after = program.after[text]
        else:
            operands.append(len(arguments))
            arguments.append((word, "value", ""))
    if program.operands or program.last or program.between != "value":
        for index, at in enumerate(operands):
            arguments[at] = (arguments[at][0], program.role(index, len(operands)), "")


def _take_option(
    command: Command, word: Word, text: str, vocabulary: Vocabulary
) -> tuple[Role | None, bool]:
    """Take an option; return what the next word is, if it is its argument, and whether it must."""
    program = command.program
    if word is text and program.stdin_with and _reads_stdin(program, text):
        command.stdin = program.stdin
    role, attached = _option(program, text)
    if role is None:
        command.arguments.append((word, "flag", ""))
        if word is text and _LONG_OPTION.match(text) and says(text, vocabulary.secret_names):
            return "secret", False
        return None, True
    rest: list[Part] = [] if isinstance(word, str) else word.parts[1:]
    if attached:
        rest = [text[-attached:], *rest]
        text = text[:-attached]
    if not rest:
        command.arguments.append((word, "flag", ""))
        return None if text[-1] == "=" else role, True
    first = rest[0]
    value = first if len(rest) == 1 and isinstance(first, str) else Compound(rest)
    command.arguments.append((value, role, text))
    return None, True


def _reads_stdin(program: Program, text: str) -> bool:
    """Whether an option, or one of several letters behind one dash, is among ``stdin_with``."""
    if text in program.stdin_with:
        return True
    return text[:2] != "--" and any(f"-{letter}" in program.stdin_with for letter in text[1:])


_LONG_OPTION: Final = re.compile(r"--(?!no-|skip-|ask-|disabled-)[^=]+\Z")


def says(text: str, names: frozenset[str]) -> bool:
    """Whether the last word of an option or a key is one of ``names``."""
    humps = _HUMP.findall(text)
    return bool(humps) and (
        humps[-1].lower() in names or text.strip("-=+").lower().replace("-", "_") in names
    )


def is_assignment(word: Word) -> bool:
    """Whether a word is ``name=value``."""
    if isinstance(word, str):
        return (
            "=" in word
            and ASSIGNMENT.match(word) is not None
            and (word[-1] != "=" or PADDED.fullmatch(word) is None)
        )
    first, *rest = word.parts
    if isinstance(first, Forged):  # one of ours, in a template that is read again
        return first.text.startswith("<var") and bool(rest) and _starts_assignment(rest[0])
    return isinstance(first, str) and ASSIGNMENT.match(first) is not None


def _starts_assignment(part: Part) -> bool:
    return isinstance(part, str) and part.startswith(("=", "+="))


def reads_file(command: Command) -> bool:
    """Whether one of its redirections gives the command its input."""
    return any(
        element.__class__ is tuple and "<" in element[0].text for element in command.elements
    )


def _option(program: Program, text: str) -> tuple[Role | None, int]:
    """Return what an option's argument is, and how many characters of ``text`` are its argument.

    The role is None for an option that takes no argument, or none that is known.
    """
    options = program.options
    if not options:
        return None, 0
    if text in options:
        return options[text], 0
    name, equals, value = text.partition("=")
    if equals and name in options:
        return options[name], len(value)
    if text[:2] == "--":
        return None, 0
    for index in range(1, len(text)):
        role = options.get("-" + text[index])
        if role is not None:
            return role, len(text) - index - 1
        if not text[index].isalpha():
            break
    return None, 0


def _feed(nodes: Sequence[Node], enclosing: Stdin | None) -> None:  # noqa: C901
    """Tell each command what reads its output, from the right to the left."""
    pending = enclosing
    around: list[Stdin | None] = []
    right: Command | None = None
    for node in reversed(nodes):
        if isinstance(node, Command):
            for word in node.reserved:
                if word in _CLOSING:
                    around.append(enclosing)
                    enclosing = pending
            node.feed = pending
            right = node
            for word in node.reserved:
                if word in _OPENING:
                    enclosing = around.pop() if around else None
        elif isinstance(node, Operator):
            text = node.text
            if text in ("|", "|&"):
                if right is not None:
                    right.fed = True
                    pending = right.stdin or (right.feed if right.name in _PASSES_ON else None)
            elif text == ")":
                around.append(enclosing)
                enclosing = pending
            elif text == "(":
                enclosing = around.pop() if around else None
                pending = enclosing
            else:
                pending = enclosing
    _feed_by_file([node for node in nodes if isinstance(node, Command)])


def _feed_by_file(commands: Sequence[Command]) -> None:
    """Tell a command that writes a file what a later one takes from it: a password, say."""
    readers: dict[str, Stdin] = {}
    for command in reversed(commands):
        for element in command.elements:
            if not isinstance(element, tuple) or element[1] is None:
                continue
            redirect, target = element[0], unquoted(element[1])
            if redirect.text == "<" and command.stdin in ("secret", "login"):
                readers[target] = command.stdin
            elif ">" in redirect.text and command.feed is None and readers:
                command.feed = readers.get(target)
        if command.name == "cat" and command.feed in ("secret", "login"):
            for word, kind, _ in command.arguments:
                if kind == "value":
                    readers[unquoted(word)] = command.feed
