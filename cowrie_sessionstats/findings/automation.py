"""Whether a program or a person was at the other end, as far as what was seen tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from attrs import frozen

from cowrie_sessionstats._toml import packaged
from cowrie_sessionstats.findings.facts import Facts
from cowrie_sessionstats.findings.keys import Keys, Rhythm

Verdict: TypeAlias = Literal["automated", "interactive", "undetermined"]

Reason: TypeAlias = Literal[
    "typed_keys",
    "few_typed_keys",
    "edited_line",
    "enter_apart",
    "whole_lines",
    "telnet_lines",
    "even_keys",
    "keys_at_once",
    "same_keys",
    "exec",
    "no_terminal",
    "even_gaps",
    "faster_than_typing",
    "far_faster_than_typing",
    "commands_at_once",
    "first_command_at_once",
    "typing_speed",
    "seen_often",
    "library_client",
    "false_client",
    "typing_client",
    "own_window",
    "slow_login",
    "many_logins",
    "resized",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
"""In the order in which they stand in the record."""

NEUTRAL: Final = 50
"""The score of a session of which nothing tells."""


class Automation(NamedTuple):
    """What is to be said of a session."""

    verdict: Verdict
    score: int
    """From 0 (a person) to 100 (a program)."""
    reasons: tuple[Reason, ...]


@frozen
class Rules:
    """``automation.toml``."""

    automated: int
    interactive: int
    typing_seen: frozenset[str]
    points: Mapping[str, Mapping[str, float]]
    """By reason: its ``points``, and what it takes."""
    rhythm: Rhythm
    libraries: re.Pattern[str]
    typing: re.Pattern[str]
    hasshes: frozenset[str]
    windows: frozenset[str]


@cache
def rules() -> Rules:
    """Return the rules of the package."""
    known = packaged("cowrie_sessionstats.findings", "automation.toml")
    client: dict[str, Any] = known["client"]
    if known["points"].keys() != set(REASONS):
        raise ValueError("automation.toml: the reasons are not those of the record")
    return Rules(
        automated=known["automated"],
        interactive=known["interactive"],
        typing_seen=frozenset(known["typing_seen"]),
        points=known["points"],
        rhythm=Rhythm(**known["keys"]),
        libraries=re.compile(client["libraries"]),
        typing=re.compile(client["typing"]),
        hasshes=frozenset(client["hasshes"]),
        windows=frozenset(client["windows"]),
    )


def automation(facts: Facts, keys: Keys | None = None, seen_before: int = 0) -> Automation:
    """Return what the session's figures, its keys and its fingerprint's past suggest.

    ``keys`` is None where there is no recording; ``seen_before`` sessions had the same fingerprint.
    """
    found: set[Reason] = set(of_client(facts.client_version, facts.hassh))
    found.update(_of_connection(facts))
    if _is_slow_login(facts) and found.isdisjoint({"library_client", "false_client"}):
        found.add("slow_login")
    if facts.commands:
        found.update(_of_commands(facts))
    if keys is not None:
        found.update(_of_keys(keys, facts.protocol))
    if "whole_lines" in found:
        found.discard("typing_speed")
    if is_seen_often(seen_before, facts.scripted):
        found.add("seen_often")
    return judged(found)


def judged(found: Iterable[Reason]) -> Automation:
    """Return the verdict for reasons: 50 plus the points of each, kept within 0 and 100."""
    return _judged(frozenset(found))


@lru_cache(1024)
def _judged(found: frozenset[Reason]) -> Automation:
    known = rules()
    reasons = tuple(reason for reason in REASONS if reason in found)
    points = sum(int(known.points[reason]["points"]) for reason in reasons)
    score = max(0, min(100, NEUTRAL + points))
    verdict: Verdict = "undetermined"
    if score >= known.automated:
        verdict = "automated"
    elif score <= known.interactive and not known.typing_seen.isdisjoint(found):
        verdict = "interactive"
    return Automation(verdict, score, reasons)


def is_seen_often(seen_before: int, scripted: int) -> bool:
    """Return whether so many sessions had the same fingerprint of so many templates before.

    Short ones are left out: people type ``ls`` and ``exit``, too.
    """
    rule = rules().points["seen_often"]
    return seen_before >= rule["least"] and scripted >= rule["templates"]


_VERSION: Final = 64  # characters that tell what a client is
_KEPT: Final = 1024  # versions and sets of reasons: all that a sensor meets in a day, 200 kB


def of_client(version: str | None, hassh: str | None) -> tuple[Reason, ...]:
    """Return what the SSH client's version and HASSH suggest."""
    return _of_client(version and version[:_VERSION], hassh and hassh[:_VERSION])


@lru_cache(_KEPT)
def _of_client(version: str | None, hassh: str | None) -> tuple[Reason, ...]:
    known = rules()
    is_library, is_typing = (False, False) if version is None else _is_library(version)
    if is_library:
        return ("library_client",)
    if hassh in known.hasshes:
        return ("library_client",) if version is None else ("false_client",)
    return ("typing_client",) if is_typing else ()


def _is_library(version: str) -> tuple[bool, bool]:
    """Return whether a client calls itself a library, and whether a program for people."""
    known = rules()
    return known.libraries.search(version) is not None, known.typing.search(version) is not None


def _of_connection(facts: Facts) -> list[Reason]:
    points = rules().points
    found: list[Reason] = []
    if facts.login_attempts >= points["many_logins"]["least"]:
        found.append("many_logins")
    if facts.terminal is not None and facts.terminal not in rules().windows:
        found.append("own_window")
    if facts.channels and facts.terminals > facts.channels:
        found.append("resized")
    return found


def _is_slow_login(facts: Facts) -> bool:
    rule = rules().points["slow_login"]
    return (
        facts.duration is not None
        and facts.since_login is not None
        and facts.login_attempts <= rule["attempts"]
        and rule["least"] <= facts.duration - facts.since_login <= rule["most"]
    )


_FASTER: Final[tuple[Reason, ...]] = ("faster_than_typing", "far_faster_than_typing")


def _of_commands(facts: Facts) -> list[Reason]:
    points = rules().points
    found: list[Reason] = []
    if facts.is_exec():
        found.append("exec")
    elif facts.protocol == "ssh" and facts.channels and not facts.terminals:
        found.append("no_terminal")
    gaps = facts.commands - 1
    rate = facts.characters / facts.active if facts.active else None
    even, typing = points["even_gaps"], points["typing_speed"]
    if facts.gap_cv is not None and gaps >= even["least"] and facts.gap_cv <= even["most"]:
        found.append("even_gaps")
    for reason in _FASTER:
        faster = points[reason]
        if facts.commands >= faster["least"] and (
            facts.active == 0.0 or (rate is not None and rate > faster["rate"])
        ):
            found.append(reason)
    at_once = points["commands_at_once"]
    if (
        facts.commands >= at_once["least"]
        and facts.gap_median is not None
        and facts.gap_median <= at_once["most"]
    ):
        found.append("commands_at_once")
    after = facts.first_command_after
    if after is not None and after <= points["first_command_at_once"]["most"]:
        found.append("first_command_at_once")
    if (
        gaps >= typing["least"]
        and facts.gap_median is not None
        and facts.gap_cv is not None
        and rate is not None
        and facts.gap_median >= typing["gap_least"]
        and facts.gap_cv >= typing["uneven"]
        and rate <= typing["rate"]
        and facts.fast <= typing["fast"]
    ):
        found.append("typing_speed")
    return found


def _of_keys(keys: Keys, protocol: str | None) -> list[Reason]:
    points = rules().points
    found: list[Reason] = []
    if not keys.timed:
        return ["same_keys"] if keys.lines >= points["same_keys"]["least"] else []
    even, at_once = points["even_keys"], points["keys_at_once"]
    if keys.gaps >= even["least"] and (keys.evenness or 0.0) >= even["share"]:
        found.append("even_keys")
    elif _are_at_once(keys, at_once):
        found.append("keys_at_once")
    elif keys.typed >= points["typed_keys"]["least"]:
        found.append("typed_keys")
    elif keys.typed and keys.alone >= points["few_typed_keys"]["least"]:
        found.append("few_typed_keys")
    if found and found[0] in {"typed_keys", "few_typed_keys"} and keys.edits:
        found.append("edited_line")
    if keys.enters_apart >= points["enter_apart"]["least"]:
        found.append("enter_apart")
    lines: Reason = "telnet_lines" if protocol == "telnet" else "whole_lines"
    if keys.whole_lines >= points[lines]["least"] and not keys.typed:
        found.append(lines)
    return found


def _are_at_once(keys: Keys, points: Mapping[str, float]) -> bool:
    """Return whether so many keys came faster than anybody types, and hardly one slower."""
    return (
        keys.alone >= points["least"]
        and (keys.gap_median or 0.0) <= points["most"]
        and keys.typed <= points["share"] * keys.alone
    )
