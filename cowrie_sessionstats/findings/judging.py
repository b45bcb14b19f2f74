"""All findings of a finished session."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from attrs import field, frozen

from cowrie_sessionstats.commands import Templates, default_vocabulary
from cowrie_sessionstats.findings.automation import Reason, Verdict, automation
from cowrie_sessionstats.findings.ending import Ending, Timeouts, ending
from cowrie_sessionstats.findings.facts import Facts
from cowrie_sessionstats.findings.keys import Keys
from cowrie_sessionstats.findings.rules import Counts, Rules, default_rules


class Findings(NamedTuple):
    """What a session's figures suggest, in the order of the record's keys."""

    ending: Ending
    automation: Verdict
    automation_score: int
    automation_reasons: tuple[Reason, ...]
    checks: tuple[str, ...]
    check_last: str | None
    labels: tuple[str, ...]
    techniques: tuple[str, ...]


@frozen
class Judge:
    """Makes findings, by the rules and with Cowrie's timeouts."""

    rules: Rules = field(factory=default_rules)
    timeouts: Timeouts = field(factory=Timeouts)

    def findings(self, facts: Facts, keys: Keys | None = None, seen_before: int = 0) -> Findings:
        """Return all findings; ``keys`` is None where no recording of the session is there."""
        counts = Counts(
            facts.commands,
            facts.downloads,
            facts.uploads,
            facts.forwards,
            facts.login_attempts,
            bool(facts.logged_in),
        )
        verdict, score, reasons = automation(facts, keys, seen_before)
        checks, last, labels, techniques = self.rules.seen(facts.marks, facts.last_marks, counts)
        how = ending(facts, self.timeouts, None if keys is None else keys.last)
        return Findings(how, verdict, score, reasons, checks, last, labels, techniques)


def default_templates() -> Templates:
    """Return what makes templates and marks them, by the package's vocabulary and rules."""
    return Templates(default_vocabulary(), marks=default_rules().marks)


@cache
def default_judge() -> Judge:
    """Return what judges by the package's rules and Cowrie's default timeouts."""
    return Judge()
