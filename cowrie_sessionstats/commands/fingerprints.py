"""A session's fingerprint: a chain over the templates of its command lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from attrs import define, field

from cowrie_sessionstats.commands._items import PLACEHOLDER, WHITE
from cowrie_sessionstats.commands.names import Names
from cowrie_sessionstats.commands.templates import CACHED_LINE, Plan, Templates, is_chunk
from cowrie_sessionstats.commands.vocabulary import Prompt

VERSION: Final = "csf1"
"""What a fingerprint begins with."""
DIGITS: Final = 12
"""Hex digits of each part: 48 bits, at which a million sessions collide once in 500 cases."""
ROOT: Final = sha256(VERSION.encode("ascii")).digest()
"""Link 0 of both chains."""

ASKED: Final = 3
"""Prompts of a program at most; a here-document can have more lines."""
KEPT_LINKS: Final = 4096
"""Steps of chains that are remembered, 2 MB: nearly all sessions go the same few ways."""
KEPT_ROWS: Final = 512
"""Rows of lines of which the step is remembered, 1 MB as a rule; an attacker can make it 10 MB."""
ROW: Final = 64
"""Lines of such a row at most."""
_ROW_TEXT: Final = 4096  # characters of its templates at most
KEPT_TEMPLATES: Final = 32
"""Templates of a session that are kept: as many as a list of the record holds."""
PLACES: Final = 64
"""Places of a script that are told apart in its path: of the study's 1,206,566 sessions, 572 had
more commands than that."""
PLACE: Final = 4
"""Bytes of each: what they have to tell apart are the ways on from one place, which are few."""
_PATH: Final = PLACES * PLACE
_KEPT: Final = 1024
"""Characters up to which a template is kept itself, to be compared; then its hash."""
_COMMAND: Final = re.compile(rf"\A\.{{0,2}}/|\A[<>]|[{WHITE};&|`]|\$\(")
_DELIMITERS: Final = frozenset({"EOF", "EOL", "EOT", "END"})
_PLACEHOLDER: Final = re.compile(PLACEHOLDER)
_USER: Final = re.compile(r"[A-Za-z_][\w.-]{0,31}", re.ASCII)
_FIRST_WORD: Final = re.compile(rf"[{WHITE}]*([\w./+-]*)")


@define(eq=False)
class _Before:
    """What a line says of those after it."""

    prompts: tuple[Prompt, ...]
    """What the running program asks for."""
    goes_on: str | None
    """The command and the quote that are not at their end."""
    typed: str | None = None
    """The last answer."""


@define(eq=False, weakref_slot=False)
class Script:
    """What a session has run so far: the links of two chains, and at most 64 names."""

    links: bytes = field(default=ROOT + ROOT, init=False)
    """The last link over the templates and the last over the programs, 32 bytes each."""
    path: bytes = field(default=b"", init=False)
    """The beginnings of the first ``PLACES`` links over the templates, ``PLACE`` bytes each."""
    count: int = field(default=0, init=False)
    """Templates, repeats in a row counted once."""
    templates: list[str] = field(factory=list, init=False)
    """The first ``KEPT_TEMPLATES`` of those, each as ``template`` is."""
    long: bool = field(default=False, init=False)
    """Whether a template was longer than that."""
    marks: int = field(default=0, init=False)
    """Which patterns any of them matched (``Marks.of``)."""
    last_marks: int = field(default=0, init=False)
    """Which the last one did."""
    template: str | None = field(default=None, init=False)
    """The last one, up to 1,024 characters and one that tells there are more."""
    _last: str | bytes = field(default="", init=False)
    _names: Names | None = field(default=None, init=False)
    _before: _Before | None = field(default=None, init=False)
    """What the lines before say of the next one; nearly always nothing."""

    def add(self, line: str, templates: Templates) -> str:
        """Take one command line and return its template; a blank line has none and counts not."""
        if self._before is not None or self._last == "<base64>":
            plan = self._given_before(line, templates)
        else:
            plan = templates.plan(line)
        return self._take(plan, templates)

    def extend(self, lines: Sequence[str], templates: Templates) -> None:
        """Take command lines, as ``add`` does one by one."""
        plans: Iterable[Plan]
        if max(map(len, lines)) <= CACHED_LINE:
            plans = list(map(templates.plan_kept, lines))
            row = tuple([plan.alone for plan in plans])
            depends = self._names is not None or self._before is not None
            if not depends and self._last != "<base64>" and all(row):
                self._take_row(row, plans, templates)
                return
        else:
            plans = map(templates.plan, lines)  # one after the other: they can be large
        for line, plan in zip(lines, plans, strict=True):
            if self._before is not None or self._last == "<base64>":
                self._take(self._given_before(line, templates), templates)
            elif plan.alone and not plan.verbs and self._is_strange(plan):
                self._follow(plan.plain, plan.programs, templates)
            else:
                self._take(plan, templates)

    def _take_row(self, row: tuple[int, ...], plans: Iterable[Plan], templates: Templates) -> None:
        """Take plans that are what they are whatever was before them, as a step that is kept."""
        way = (self.links, row)
        step = _rows.get(way)
        if step is None:
            links, path, shown = _next(self.links, self._last, plans)
            last_marks = templates.marks.of(shown[-1]) if shown else 0
            step = _Step(links, path, shown, templates.marks.of_all(shown), last_marks)
            if len(row) <= ROW and sum(map(len, shown)) <= _ROW_TEXT:
                if len(_rows) >= KEPT_ROWS:
                    _rows.clear()
                _rows[way] = step
        self.links, path, shown, marks, last_marks = step
        if shown:
            self.path = (self.path + path)[:_PATH]
            self.marks |= marks
            self.last_marks = last_marks
            self._last = self.template = shown[-1]
            self.count += len(shown)
            self.templates += shown[: KEPT_TEMPLATES - len(self.templates)]

    def _take(self, plan: Plan, templates: Templates) -> str:
        """Take what a line is, after what was before it."""
        if plan.constant:
            template, programs = plan.plain, plan.programs
        else:
            if plan.prompts or plan.goes_on is not None:
                self._before = _Before(plan.prompts, plan.goes_on)
            template, programs = self._filled(plan)
            template = templates.shared(template)
        if len(template) > _KEPT:
            known = sha256(_encoded(template)).digest()
            if known != self._last:
                self._last = known
                self.long = True
                self.links = next_links(self.links, template, programs)
                self._keep(template[: _KEPT + 1], templates.marks.of(template))
        else:
            self._follow(template, programs, templates)
        return template

    def _follow(self, template: str, programs: str, templates: Templates) -> None:
        """Take a template that can be kept itself."""
        if template != self._last and template:
            self._last = template
            self.links = _kept_links(self.links, template, programs)
            self._keep(template, templates.marks.of(template))

    def _keep(self, template: str, marks: int) -> None:
        self.template = template
        if len(self.path) < _PATH:
            self.path += self.links[:PLACE]
        self.last_marks = marks
        self.marks |= marks
        self.count += 1
        if len(self.templates) < KEPT_TEMPLATES:
            self.templates.append(template)

    def _is_strange(self, plan: Plan) -> bool:
        """Return whether the session has made none of the names in a plan."""
        names = self._names
        if names is None:
            return True
        if plan.strangers[0] == names.numbered and plan.strangers[1] == names.waiting:
            return True
        if names.meet(plan.names):
            return False
        plan.strangers = (names.numbered, names.waiting)
        return True

    def prompted(self) -> None:
        """Take note that the running program has had its input: what follows are commands."""
        self._before = None

    def name(self, name: str) -> str | None:
        """Return what stands for a name that the session has made; None if it has not."""
        return None if self._names is None else self._names.placeholder(name)

    def fingerprint(self) -> str:
        """Return ``csf1_<n>_<verbs>_<templates>``."""
        link, verbs = self.links[: DIGITS // 2].hex(), self.links[32 : 32 + DIGITS // 2].hex()
        return f"{VERSION}_{self.count}_{verbs}_{link}"

    def _given_before(self, line: str, templates: Templates) -> Plan:
        """Return the plan of a line whose meaning depends on the lines before it."""
        before, self._before = self._before, None
        if before is not None and before.prompts:
            prompts = before.prompts
            answer = _answer(line, prompts[0], templates)
            if answer is not None:
                # A new password is typed twice: then the program has what it wants.
                if prompts[1:] and (line != before.typed or len(prompts) > ASKED):
                    self._before = _Before(prompts[1:], None, line[:_KEPT])
                templates.tell(line.strip(WHITE), "<secret>", "a line typed at a password prompt")
                return answer
        elif before is not None and before.goes_on is not None:
            if _continues(line, before.goes_on, templates):
                return templates.plan(f"{before.goes_on}{line}")
        elif _is_payload(line, templates):
            templates.tell(
                line.strip(WHITE), "<base64>", "the end of the lines of base64 before it"
            )
            return _PAYLOAD
        return templates.plan(line)

    def _filled(self, plan: Plan) -> tuple[str, str]:
        """Return the template and the programs, with the session's names in them."""
        names = self._names
        if names is None and (plan.makes or plan.binds):
            names = self._names = Names()
        template, programs = plan.plain, plan.programs
        if names is not None:
            if plan.makes or (plan.pieces and names.meet(plan.names)):
                template = names.fill(plan.pieces)
            if plan.verbs:
                programs = names.verbs(plan.verbs)
            for name in plan.binds:
                names.bind(name)
        if plan.chunk is not None and template != self._last:
            # The last chunk of a payload can be short enough to be a word.
            chunk = plan.chunk.plain
            if names is not None and (plan.makes or names.meet(plan.chunk.names)):
                chunk = names.fill(plan.chunk.pieces)
            if chunk == self._last:
                template = chunk
        return template, programs


_PAYLOAD: Final = Plan("<base64>")
_SECRET: Final = Plan("<secret>")


def _answer(line: str, prompt: Prompt, templates: Templates) -> Plan | None:
    """Return what a line is at a password prompt; None if it is a command after all.

    Cowrie's shell logs both alike. A password has no white space and nothing that begins or ends
    a command, and is no command's name.
    """
    text = line.strip(WHITE)
    if not text or _COMMAND.search(text) or text in templates.vocabulary.commands | _DELIMITERS:
        return None
    if _PLACEHOLDER.search(text) is not None:
        return None
    user, colon, _ = text.partition(":")
    if prompt == "login":
        return Plan(f"{user}:<secret>") if colon and _USER.fullmatch(user) else _SECRET
    return _SECRET


def _continues(line: str, goes_on: str, templates: Templates) -> bool:
    """Whether a line goes on with the quoted text that the line before did not end.

    A shell would say so of every line up to the quote; Cowrie's runs each line by itself, and
    whoever sends one stray quote must not hide what comes after it. So a line that begins with
    a known command is a command, and one without the quote has to be a single word.
    """
    match = _FIRST_WORD.match(line)
    if match is not None and match[1].rpartition("/")[2] in templates.vocabulary.commands:
        return False
    return goes_on[-1] in line or not any(map(line.strip(WHITE).count, WHITE))


def _is_payload(line: str, templates: Templates) -> bool:
    """Whether a line can be the short end of the lines of base64 before it."""
    return is_chunk(line.strip(WHITE), templates.vocabulary)


def next_links(links: bytes, template: str, programs: str) -> bytes:
    """Return the links of both chains behind ``links``."""
    return (
        sha256(links[:32] + _encoded(template)).digest()
        + sha256(links[32:] + _encoded(programs)).digest()
    )


_kept_links: Final = lru_cache(KEPT_LINKS)(next_links)


class _Step(NamedTuple):
    """What a row of plans does to a chain."""

    links: bytes
    path: bytes
    shown: list[str]
    """The templates that count."""
    marks: int
    last_marks: int


def _next(links: bytes, last: str | bytes, plans: Iterable[Plan]) -> tuple[bytes, bytes, list[str]]:
    """Return the links behind plans in a row, their path, and the templates that count."""
    shown = []
    path = []
    for plan in plans:
        template = plan.plain
        if template != last and template:
            last = template
            shown.append(template)
            links = _kept_links(links, template, plan.programs)
            path.append(links[:PLACE])
    return links, b"".join(path), shown


_rows: Final[dict[tuple[bytes, tuple[int, ...]], _Step]] = {}
"""The steps of rows of plans, by the links before them."""


def _encoded(text: str) -> bytes:
    # A lone surrogate is no text, yet it can stand in a log; it hashes as its code point.
    return text.encode("utf-8", "surrogatepass")


def fingerprint(lines: Iterable[str], templates: Templates) -> str:
    """Return the fingerprint of a session's command lines."""
    script = Script()
    for line in lines:
        script.add(line, templates)
    return script.fingerprint()
