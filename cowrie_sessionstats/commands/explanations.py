"""What was replaced in a command line, and by which rule, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import asdict, frozen

from cowrie_sessionstats.commands.fingerprints import Script
from cowrie_sessionstats.commands.templates import Templates
from cowrie_sessionstats.commands.vocabulary import Vocabulary


@frozen
class Replacement:
    """A part of a command line, what stands for it in the template, and why."""

    original: str
    placeholder: str
    rule: str


@frozen
class Explained:
    """A command line, its template, and what was replaced."""

    command: str
    template: str
    replaced: tuple[Replacement, ...] = ()

    def as_json(self, *, explain: bool) -> dict[str, Any]:
        """Return what ``fingerprint --json`` prints of a command."""
        shown: dict[str, Any] = {"command": self.command, "template": self.template}
        if explain:
            shown["replaced"] = [asdict(each) for each in self.replaced]
        return shown


def templated(lines: Iterable[str], templates: Templates) -> tuple[list[Explained], str]:
    """Return each line of a session with its template, and the fingerprint."""
    script = Script()
    shown = [Explained(line, script.add(line, templates)) for line in lines]
    return shown, script.fingerprint()


def explain(lines: Iterable[str], vocabulary: Vocabulary) -> tuple[list[Explained], str]:
    """Return each line of a session with its template explained, and the fingerprint."""
    noted: list[Replacement] = []
    templates = Templates(
        vocabulary,
        note=lambda original, placeholder, rule: noted.append(
            Replacement(original, placeholder, rule)
        ),
    )
    plain = Templates(vocabulary)
    script = Script()
    explained = []
    for line in lines:
        noted.clear()
        template = script.add(line, templates)
        made = [
            Replacement(name.lstrip("$"), shown, "a name that the session made")
            for name in sorted(plain.plan(line).names)
            if (shown := script.name(name)) is not None
        ]
        # A random word that is part of a name the session made stands nowhere in the template.
        parts = [
            each
            for each in noted
            if each.placeholder in template
            and not (
                each.placeholder in ("<random>", "<number>", "<hex>", "<base64>")
                and any(each.original in name.original for name in made)
            )
        ]
        replaced = [*parts, *(name for name in made if name.placeholder in template)]
        explained.append(Explained(line, template, tuple(dict.fromkeys(replaced))))
    return explained, script.fingerprint()
