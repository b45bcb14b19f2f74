"""Rules over templates, read from TOML: which checks were seen, and what a session was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from attrs import field, frozen

from cowrie_sessionstats._toml import TOMLDecodeError, loads
from cowrie_sessionstats.commands.marks import Marks, Pattern, pattern

FILE_LIMIT: Final = 1 << 20
"""Bytes of an operator's rules that are read: ours have 40,000."""

RULES_LIMIT: Final = 500
"""Rules at most: each costs the reactor a little for every command."""

PATTERNS_LIMIT: Final = 2_000
"""Patterns of all rules at most: a session has a bit for each, and ours have 300."""

PATTERN_LIMIT: Final = 1_000
"""Characters of a pattern: our longest has 340."""

_KEPT: Final = 4096
"""Answers that are remembered, 2 MB: nearly all sessions match the same few rules."""

_LISTED: Final = 32
"""Entries that a list of the record holds (``_bounded.LIST_LIMIT``)."""


class RuleError(Exception):
    """Rules that cannot be used: says the file and the line, what is wrong and what to do."""


class Counts(NamedTuple):
    """What a rule can ask for besides patterns."""

    commands: int = 0
    downloads: int = 0
    uploads: int = 0
    forwards: int = 0
    login_attempts: int = 0
    logged_in: bool = False


class Seen(NamedTuple):
    """What the rules say of a session, in the order in which they stand in their files."""

    checks: tuple[str, ...]
    check_last: str | None
    labels: tuple[str, ...]
    techniques: tuple[str, ...]


@frozen
class Rule:
    """What has to be found; masks of ``Marks``."""

    id: str
    source: str
    any: int = 0
    all: int = 0
    none: int = 0
    least: tuple[tuple[int, int], ...] = ()
    """Fields of ``Counts`` by their place, and what they have to reach."""
    logged_in: bool | None = None
    """What that has to be; None: it does not matter."""
    example: tuple[str, ...] = ()

    def holds(self, marks: int, counts: Counts) -> bool:
        """Return whether a session with these marks is one."""
        return (
            (not self.any or bool(marks & self.any))
            and marks & self.all == self.all
            and not marks & self.none
            and all(counts[place] >= number for place, number in self.least)
            and self.logged_in in (None, counts.logged_in)
        )


@frozen
class Check(Rule):
    """A command that tells a honeypot from a machine."""

    tests: str = ""
    reads_only: bool = False


@frozen
class Label(Rule):
    """What a session was."""

    techniques: tuple[str, ...] = ()


@frozen(eq=False)
class Rules:
    """The rules in force."""

    checks: tuple[Check, ...]
    labels: tuple[Label, ...]
    patterns: tuple[Pattern, ...]
    """All of theirs; the bits in their masks tell which."""
    marks: Marks = field(init=False)
    """What finds them in a template."""
    _most: tuple[int, ...] = field(init=False)
    """What is the most that a rule asks of each of ``Counts``: more makes no difference."""
    _seen: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        asked = [pair for rule in (*self.checks, *self.labels) for pair in rule.least]
        most = [
            max((number for where, number in asked if where == place), default=0)
            for place in range(len(_COUNTED))
        ]
        object.__setattr__(self, "marks", Marks(self.patterns))
        object.__setattr__(self, "_most", tuple(most))
        object.__setattr__(self, "_seen", lru_cache(_KEPT)(self._find))

    def seen(self, marks: int, last_marks: int, counts: Counts) -> Seen:
        """Return what the rules say of a session whose templates have ``marks``.

        ``last_marks`` are those of its last template. Answers are remembered.
        """
        few = [min(pair) for pair in zip(counts, self._most, strict=False)]
        found: Seen = self._seen(marks, last_marks, Counts._make([*few, counts.logged_in]))
        return found

    def _find(self, marks: int, last_marks: int, counts: Counts) -> Seen:
        checks = [check for check in self.checks if check.holds(marks, counts)]
        last = (check.id for check in checks if (check.any | check.all) & last_marks)
        labels = [label for label in self.labels if label.holds(marks, counts)]
        techniques = {technique for label in labels for technique in label.techniques}
        return Seen(
            tuple(dict.fromkeys(check.id for check in checks))[:_LISTED],
            next(last, None),
            tuple(dict.fromkeys(label.id for label in labels))[:_LISTED],
            tuple(sorted(techniques))[:_LISTED],
        )


# ---------------------------------------------------------------- reading

_LISTS: Final = ("any", "all", "none")
_COUNTED: Final = ("commands", "downloads", "uploads", "forwards", "login_attempts")
"""The first fields of ``Counts``."""
_MOST: Final = 100_000
"""What a rule can ask of them: the study's longest session has 27,742 commands."""
_COMMON: Final = {"id", "source", "example", "words", "logged_in", *_LISTS, *_COUNTED}
_KEYS: Final = {
    "check": _COMMON | {"tests", "reads_only"},
    "label": _COMMON | {"techniques"},
}
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TECHNIQUE: Final = re.compile(r"T[0-9]{4}(?:\.[0-9]{3})?")
_WORD: Final = re.compile(r"\w+", re.ASCII)
_NO_CODE: Final = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*""",
    re.DOTALL,
)
"""TOML's strings and comments."""


@frozen
class _File:
    """One file of rules."""

    where: str
    text: str

    def refuse(self, kind: str, number: int, trouble: str, key: str, value: str) -> RuleError:
        """Return an error that names the line of a rule, of one of its keys, or of a value."""
        return RuleError(f"{self.where}, line {self.line(kind, number, key, value)}: {trouble}")

    def line(self, kind: str, number: int, key: str = "", value: str = "") -> int:
        """Return the line of the ``number``-th table of a kind, of ``key`` in it, or of a value.

        The parser does not tell, so it is looked for in the text without strings and comments.
        """
        lines = self.text.split("\n")
        code = _NO_CODE.sub(lambda found: "\n" * found[0].count("\n"), self.text).split("\n")
        head = re.compile(rf"\s*\[\[?\s*{kind}\b")
        starts = [at for at, line in enumerate(code) if head.match(line)]
        if number >= len(starts):
            whole = re.compile(rf"\s*{kind}\b")
            return next((at for at, line in enumerate(code, 1) if whole.match(line)), 1)
        first = starts[number]
        behind = (at for at in range(first + 1, len(code)) if code[at].lstrip().startswith("[["))
        rule = range(first + 1, next(behind, len(code)))
        found = next((at for at in rule if re.match(rf"\s*{re.escape(key)}\s*=", code[at])), None)
        if not key or found is None:
            return first + 1
        return next((at for at in rule if value and at >= found and value in lines[at]), found) + 1


@frozen
class _Raw:
    """A rule as its file has it, checked but for the patterns' numbers."""

    kind: str
    table: Mapping[str, Any]
    patterns: Mapping[str, tuple[tuple[str, Pattern], ...]]
    """Their texts and what these stand for."""


@cache
def default_rules() -> Rules:
    """Return the rules of the package."""
    return _numbered(_packaged())


def read_rules(path: Path) -> Rules:
    """Return the package's rules with those of an operator's file, which come first.

    A rule of the same kind and ``id`` takes the place of the package's. RuleError names the line
    of the first mistake.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RuleError(f"{path} cannot be read: {reason}. Name a file of rules") from None
    if len(content) > FILE_LIMIT:
        raise RuleError(f"{path} has more than {FILE_LIMIT} bytes. Name a file of rules")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RuleError(f"{path}, line {line}: this is no UTF-8. Save it as UTF-8") from None
    file = _File(str(path), text.replace("\r\n", "\n"))
    own = _read(file)
    replaced = {(raw.kind, raw.table["id"]) for raw in own}
    kept = [raw for raw in _packaged() if (raw.kind, raw.table["id"]) not in replaced]
    return _numbered([*own, *kept])


@cache
def _packaged() -> tuple[_Raw, ...]:
    folder = files("cowrie_sessionstats.findings")
    found: list[_Raw] = []
    for name in ("checks.toml", "labels.toml"):
        found += _read(_File(name, folder.joinpath(name).read_text("utf-8")))
    return tuple(found)


def _read(file: _File) -> list[_Raw]:
    try:
        tables = loads(file.text)
    except (TOMLDecodeError, RecursionError) as error:
        at = re.search(r"at line (\d+)", str(error))
        line = at[1] if at else str(max(1, file.text.rstrip().count("\n") + 1))
        raise RuleError(
            f"{file.where}, line {line}: this is no TOML: {error}. Correct the line"
        ) from None
    for key in tables:
        if key not in _KEYS:
            raise RuleError(
                f"{file.where}, line {file.line(re.escape(key), 0)}: `{key:.40}` is unknown: rules "
                "stand in [[check]] and [[label]]"
            )
    found: list[_Raw] = []
    patterns = 0
    for kind in _KEYS:
        rules = tables.get(kind, [])
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise RuleError(
                f"{file.where}, line {file.line(kind, 0)}: each {kind} needs a head of its own: "
                f"[[{kind}]]"
            )
        ids: set[str] = set()
        for number, rule in enumerate(rules):
            raw = _checked(file, kind, number, rule)
            patterns += sum(map(len, raw.patterns.values()))
            if len(found) >= RULES_LIMIT or patterns > PATTERNS_LIMIT:
                raise RuleError(
                    f"{file.where}, line {file.line(kind, number)}: more than {RULES_LIMIT} rules "
                    f"or {PATTERNS_LIMIT} patterns. Remove some"
                )
            if kind == "check" and rule["id"] in ids:
                raise file.refuse(
                    kind, number, f"there is a check `{rule['id']}` before. Name it otherwise",
                    "id", "",
                )  # fmt: skip
            ids.add(rule["id"])
            found.append(raw)
    return found


def _checked(  # noqa: C901, PLR0912  one check a key
    file: _File, kind: str, number: int, rule: dict[str, Any]
) -> _Raw:
    def refuse(trouble: str, key: str = "", value: str = "") -> RuleError:
        return file.refuse(kind, number, trouble, key, value)

    for key in rule:
        if key not in _KEYS[kind]:
            raise refuse(
                f"`{key:.40}` is unknown; a {kind} can have {', '.join(sorted(_KEYS[kind]))}", key
            )
    for key in ("id", "source", *(["tests"] if kind == "check" else [])):
        if not isinstance(rule.get(key), str) or not rule[key]:
            raise refuse(f'`{key}` is missing or no text: add {key} = "..."', key)
    if _ID.fullmatch(rule["id"]) is None:
        raise refuse("`id` must be of small letters, digits and -, 64 at most", "id")
    for key in ("words", "techniques"):
        _texts(rule.get(key, []), key, refuse)
    for word in rule.get("words", []):
        if _WORD.fullmatch(word) is None:
            raise refuse(f"`{word:.40}` is no word: letters, digits and _ only", "words", word)
    for technique in rule.get("techniques", []):
        if _TECHNIQUE.fullmatch(technique) is None:
            raise refuse(
                f"`{technique:.40}` is no technique's id, such as T1059 or T1059.004",
                "techniques", technique,
            )  # fmt: skip
    example = rule.get("example", [])
    _texts([example] if isinstance(example, str) else example, "example", refuse)
    for key in _COUNTED:
        value = rule.get(key, 1)
        if type(value) is not int or not 1 <= value <= _MOST:
            raise refuse(f"`{key}` must be a whole number from 1 to {_MOST}", key)
    for key in ("reads_only", "logged_in"):
        if not isinstance(rule.get(key, False), bool):
            raise refuse(f"`{key}` must be true or false", key)
    patterns = {key: _patterns(rule, key, refuse) for key in _LISTS}
    if not patterns["any"] and not patterns["all"] and not rule.keys() & set(_COUNTED):
        raise refuse(f"there is nothing to look for: add any = [...], all = [...] or {_COUNTED[1]}")
    return _Raw(kind, rule, patterns)


def _texts(value: object, key: str, refuse: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise refuse(f"`{key}` must be a list of texts", key)


def _patterns(rule: dict[str, Any], key: str, refuse: Any) -> tuple[tuple[str, Pattern], ...]:
    value = rule.get(key, [])
    _texts(value, key, refuse)
    found = []
    for text in value:
        if not text or len(text) > PATTERN_LIMIT:
            raise refuse(
                f"`{key}`: a pattern has from 1 to {PATTERN_LIMIT} characters", key, text[:40]
            )
        try:
            one = pattern(text, rule.get("words", ()))
        except (re.error, RecursionError, OverflowError) as error:
            raise refuse(
                f"`{key}`: {text!r:.80} is no regular expression: {error}", key, text
            ) from None
        if one.regex.search("") is not None:
            raise refuse(
                f"`{key}`: {text!r:.80} matches nothing at all, too: make it longer", key, text
            )
        found.append((text, one))
    return tuple(found)


def _numbered(raws: Iterable[_Raw]) -> Rules:
    """Return the rules with a number for each of their patterns."""
    patterns: list[Pattern] = []
    known: dict[tuple[str, tuple[str, ...]], int] = {}

    def mask(raw: _Raw, key: str) -> int:
        found = 0
        for text, one in raw.patterns[key]:
            number = known.setdefault((text, one.words), len(patterns))
            if number == len(patterns):
                patterns.append(one)
            found |= 1 << number
        return found

    checks: list[Check] = []
    labels: list[Label] = []
    for raw in raws:
        table = raw.table
        example = table.get("example", ())
        common: dict[str, Any] = {
            "id": table["id"],
            "source": table["source"],
            **{key: mask(raw, key) for key in _LISTS},
            "least": tuple((at, table[key]) for at, key in enumerate(_COUNTED) if key in table),
            "logged_in": table.get("logged_in"),
            "example": (example,) if isinstance(example, str) else tuple(example),
        }
        if raw.kind == "check":
            reads_only = table.get("reads_only", False)
            checks.append(Check(**common, tests=table["tests"], reads_only=reads_only))
        else:
            labels.append(Label(**common, techniques=tuple(table.get("techniques", ()))))
    return Rules(tuple(checks), tuple(labels), tuple(patterns))
