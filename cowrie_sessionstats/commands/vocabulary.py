"""What is known of command lines: words, paths and the arguments of programs, read from TOML."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import evolve, field, frozen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Role: TypeAlias = Literal[
    "value", "made", "run", "fetch", "url", "host", "port", "pid", "secret", "login", "script",
    "variable", "folders",
]  # fmt: skip
"""What an argument is; ``vocabulary.toml`` explains each."""
Stdin: TypeAlias = Literal["secret", "login", "base64", "hex", "script"]
Prompt: TypeAlias = Literal["secret", "login"]

FILE_LIMIT: Final = 1 << 20
"""Bytes of an operator's vocabulary that are read: ours has 33,000."""


_HOME: Final = re.compile(r"(?:\$HOME|\$\{HOME\}|/home/[^/]+|/root|~[\w-]*)/")
KERNEL: Final = ("/proc/", "/sys/")
SYSTEM: Final = (*KERNEL, "/bin/", "/sbin/", "/usr/", "/lib/", "/lib64/", "/etc/", "/boot/")
"""Where nothing is that the session brought, if it only runs it."""


class VocabularyError(Exception):
    """A vocabulary that cannot be used: says the file, what is wrong and what to do."""


@frozen
class Program:
    """What a program does with its arguments and its input."""

    operands: tuple[Role, ...] = ()
    """Roles of the first operands, of those between, and of the last."""
    between: Role = "value"
    last: Role | None = None
    options: Mapping[str, Role] = field(factory=dict)
    after: Mapping[str, Role] = field(factory=dict)
    stdin: Stdin | None = None
    stdin_with: frozenset[str] = frozenset()
    prompts: tuple[Prompt, ...] = ()
    wraps: bool = False
    feeds: bool = False
    assigns: bool = False

    def role(self, index: int, count: int) -> Role:
        """Return what operand ``index`` of ``count`` is."""
        if self.last is not None and index == count - 1 and index >= len(self.operands):
            return self.last
        return self.operands[index] if index < len(self.operands) else self.between


PLAIN: Final = Program()
"""A program of which nothing is known."""


@frozen(eq=False)
class Vocabulary:
    """Known words and programs. Made once, never changed."""

    applets: frozenset[str]
    """BusyBox's."""
    commands: frozenset[str]
    """Names of programs, applets and builtins."""
    words: frozenset[str]
    """Everything that is never taken for random, in lower case too."""
    variables: frozenset[str]
    paths: frozenset[str]
    files: frozenset[str]
    """Well-known from inside their directory, too."""
    key_types: frozenset[str]
    key_prefixes: tuple[str, ...]
    secret_names: frozenset[str]
    port_names: frozenset[str]
    made_names: frozenset[str]
    """Keys whose value is the name of a file that is made."""
    rare_pairs: frozenset[str]
    programs: Mapping[str, Program]
    pairs: frozenset[str]
    """First words of the programs that have two, e.g. ``openssl passwd``."""
    extension: str | None = None
    """First 12 hex digits of the SHA-256 of an operator's file; None: ours alone."""

    def is_known(self, path: str) -> bool:
        """Whether ``path`` is well-known, in whosever home it is: a person chose it."""
        if path in self.paths or path.startswith(KERNEL):
            return True
        home = _HOME.match(path)
        if home is not None and "~/" + path[home.end() :] in self.paths:
            return True
        directory, _, name = path.rpartition("/")
        if directory.endswith(("/bin", "/sbin")):
            return directory[0] == "/" and name in self.commands
        return path.startswith(("/etc/", "/var/")) and path.endswith((".conf", ".log"))

    def is_installed(self, path: str) -> bool:
        """Whether the file at ``path`` came with the system, not with the session."""
        if path in self.paths or path.startswith(SYSTEM):
            return True
        directory, _, name = path.rpartition("/")
        return path[:1] == "/" and name in self.commands and directory not in self.paths


_LISTS: Final = (
    "builtins", "applets", "programs", "others", "variables", "words", "paths", "files",
    "key_types", "key_prefixes", "secret_names", "port_names", "made_names", "rare_pairs",
)  # fmt: skip
_FLAGS: Final = ("wraps", "feeds", "assigns")
_FOR_PEOPLE: Final = "see the comments in vocabulary.toml of cowrie-sessionstats"


@cache
def default_vocabulary() -> Vocabulary:
    """Return the vocabulary that comes with fingerprint version 1."""
    text = files(__package__).joinpath("vocabulary.toml").read_bytes()
    return _vocabulary(_parsed(text, "vocabulary.toml"), "vocabulary.toml")


def read_vocabulary(path: str | Path) -> Vocabulary:
    """Return the default vocabulary with what the file at ``path`` adds to it.

    Raises VocabularyError if the file cannot be read or says something that has no meaning.
    """
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(FILE_LIMIT + 1)
    except OSError as error:
        raise VocabularyError(f"vocabulary {path}: {error.strerror or error}") from None
    if len(text) > FILE_LIMIT:
        raise VocabularyError(f"vocabulary {path}: more than {FILE_LIMIT} bytes; make it shorter")
    more = _vocabulary(_parsed(text, path), path)
    base = default_vocabulary()
    return Vocabulary(
        applets=base.applets | more.applets,
        commands=base.commands | more.commands,
        words=base.words | more.words,
        variables=base.variables | more.variables,
        paths=base.paths | more.paths,
        files=base.files | more.files,
        key_types=base.key_types | more.key_types,
        key_prefixes=base.key_prefixes + more.key_prefixes,
        secret_names=base.secret_names | more.secret_names,
        port_names=base.port_names | more.port_names,
        made_names=base.made_names | more.made_names,
        rare_pairs=base.rare_pairs | more.rare_pairs,
        programs={**base.programs, **more.programs},
        pairs=base.pairs | more.pairs,
        extension=hashlib.sha256(text).hexdigest()[:12],
    )


def _parsed(text: bytes, where: object) -> dict[str, Any]:
    try:
        found: dict[str, Any] = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VocabularyError(f"vocabulary {where}: this is no TOML: {error}") from None
    return found


def _vocabulary(found: dict[str, Any], where: object) -> Vocabulary:
    unknown = sorted(set(found) - {*_LISTS, "version", "program"})
    if unknown:
        raise VocabularyError(
            f"vocabulary {where}: unknown key `{unknown[0]}`; there are {', '.join(_LISTS)} "
            "and [program.NAME]"
        )
    if found.get("version", 1) != 1:
        raise VocabularyError(f"vocabulary {where}: version must be 1")
    lists = {}
    for name in _LISTS:
        value = found.get(name, "")
        if not isinstance(value, str):
            raise VocabularyError(
                f"vocabulary {where}: `{name}` must be a text, words with white space between them"
            )
        lists[name] = value.split()
    tables = found.get("program", {})
    if not isinstance(tables, dict):
        raise VocabularyError(f"vocabulary {where}: `program` must be a table; {_FOR_PEOPLE}")
    programs = {name: _program(name, table, where) for name, table in tables.items()}
    commands = frozenset(
        [*lists["builtins"], *lists["applets"], *lists["programs"], *lists["others"]]
    ) | {name for name in programs if " " not in name}
    words = commands.union(lists["words"], lists["variables"], lists["key_types"])
    for path in lists["paths"]:
        words = words.union(path.split("/"))
    return Vocabulary(
        applets=frozenset(lists["applets"]),
        commands=commands,
        words=words | {word.lower() for word in words},
        variables=frozenset(lists["variables"]),
        paths=frozenset(lists["paths"]),
        files=frozenset(lists["files"]),
        key_types=frozenset(lists["key_types"]),
        key_prefixes=tuple(lists["key_prefixes"]),
        secret_names=frozenset(lists["secret_names"]),
        port_names=frozenset(lists["port_names"]),
        made_names=frozenset(lists["made_names"]),
        rare_pairs=frozenset(lists["rare_pairs"]),
        programs=programs,
        pairs=frozenset(name.split()[0] for name in programs if " " in name),
    )


def _program(name: str, table: object, where: object) -> Program:  # noqa: C901  one check a key
    def refuse(key: str, expected: str) -> VocabularyError:
        return VocabularyError(
            f"vocabulary {where}: [program.{name}] {key}: {expected}; {_FOR_PEOPLE}"
        )

    if not isinstance(table, dict):
        raise refuse("is", "must be a table")
    known = {"operands", "options", "after", "stdin", "stdin_with", "prompts", *_FLAGS}
    for key in table:
        if key not in known:
            raise refuse(key, f"unknown key; there are {', '.join(sorted(known))}")

    def texts(key: str, allowed: tuple[str, ...] | None) -> list[str]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise refuse(key, "must be a list of texts")
        for text in value:
            if allowed is not None and text not in allowed:
                raise refuse(key, f"`{text}` is none of {', '.join(allowed)}")
        return value

    def roles(key: str) -> dict[str, Role]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise refuse(key, "must be a table")
        for text in value.values():
            if text not in get_args(Role):
                raise refuse(key, f"`{text}` is none of {', '.join(get_args(Role))}")
        return value

    operands: list[Any] = texts("operands", (*get_args(Role), "..."))
    between: Any = "value"
    last: Any = None
    if "..." in operands:
        at = operands.index("...")
        if at == 0 or len(operands) > at + 2:
            raise refuse("operands", '"..." stands after a role, and before at most one')
        between, last = operands[at - 1], (operands[at + 1] if len(operands) > at + 1 else None)
        operands = operands[:at]
    stdin = table.get("stdin")
    if stdin is not None and stdin not in get_args(Stdin):
        raise refuse("stdin", f"must be one of {', '.join(get_args(Stdin))}")
    flags = {}
    for key in _FLAGS:
        flags[key] = table.get(key, False)
        if not isinstance(flags[key], bool):
            raise refuse(key, "must be true or false")
    prompts: list[Any] = texts("prompts", get_args(Prompt))
    return evolve(
        Program(),
        operands=tuple(operands),
        between=between,
        last=last,
        options=roles("options"),
        after=roles("after"),
        stdin=stdin,
        stdin_with=frozenset(texts("stdin_with", None)),
        prompts=tuple(prompts),
        **flags,
    )
