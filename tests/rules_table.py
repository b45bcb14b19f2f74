"""Print the README's tables of the packaged checks and labels: ``python tests/rules_table.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cowrie_sessionstats.findings.rules import Label, default_rules

_NAMES = (
    (r"https://github\.com/(cowrie|desaster)/(\w+)/(?:issues|pull)/(\d+)", r"\2 #\3"),
    (r"https://isc\.sans\.edu/diary/(\d+)", r"ISC \1"),
    (r"https://attack\.mitre\.org/techniques/(T\d+)(?:/(\d+))?/", r"\1.\2"),
    (r"https://www\.usenix\.org/\S+/antonakakis", "Mirai, 2017"),
    (r"https://github\.com/SigmaHQ/\S+", "Sigma"),
    (r"https?://([^/]+)/\S*", r"\1"),
)


def link(source: str) -> str:
    """Return a link with a short name."""
    for pattern, name in _NAMES:
        found = re.fullmatch(pattern, source)
        if found is not None:
            return f"[{found.expand(name).rstrip('.')}]({source})"
    return source


def checks() -> Iterator[str]:
    """Yield the lines of the table of checks."""
    yield "| check | what it tests | published |"
    yield "| --- | --- | --- |"
    for check in default_rules().checks:
        yield f"| `{check.id}` | {check.tests} | {link(check.source)} |"


def labels() -> Iterator[str]:
    """Yield the lines of the table of labels: one for all rules of a label."""
    yield "| label | techniques | source |"
    yield "| --- | --- | --- |"
    known: dict[str, Label] = {}
    for label in default_rules().labels:
        known.setdefault(label.id, label)
    for name, label in known.items():
        yield f"| `{name}` | {', '.join(label.techniques)} | {link(label.source)} |"


if __name__ == "__main__":
    print("\n".join(checks()), "\n".join(labels()), sep="\n\n")
