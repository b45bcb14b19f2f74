"""Checks and labels: which command lines they are seen in, and which they are not."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import rules_table
from logs import summarize

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary
from cowrie_sessionstats.findings.rules import (
    Check,
    Counts,
    Label,
    RuleError,
    Rules,
    Seen,
    default_rules,
    read_rules,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

INNOCENT = tomllib.loads(Path(__file__).with_name("innocent.toml").read_text("utf-8"))
VARIANTS = tomllib.loads(Path(__file__).with_name("variants.toml").read_text("utf-8"))
RULES = default_rules()
BY_EXAMPLE = [rule for rule in (*RULES.checks, *RULES.labels) if rule.example]
STUDY = [
    ("df -h | head -n 2 | awk 'FNR == 2 {print $2;}'", "disk-size"),
    ("/bin/busybox cat /proc/self/exe || cat /bin/echo", "busybox-self-exe-or-echo"),
    ("kill %1", "kill-job"),
    ("cat /proc/uptime 2 > /dev/null | cut -d. -f1", "uptime-cut"),
    ("/bin/busybox cat /proc/self/exe || cat /proc/self/exe", "busybox-self-exe"),
]


def seen(lines: Iterable[str], counts: Counts | None = None, rules: Rules = RULES) -> Seen:
    """Return what the rules say of a session with these command lines."""
    templates = Templates(default_vocabulary(), marks=rules.marks)
    script = Script()
    for line in lines:
        script.add(line, templates)
    return rules.seen(script.marks, script.last_marks, counts or Counts())


def test_there_are_enough_rules() -> None:
    """At least 25 checks and 25 labels, each with a source that can be looked up."""
    assert len(RULES.checks) >= 25
    assert len({label.id for label in RULES.labels}) >= 25
    assert all(re.match("https?://", r.source) for r in (*RULES.checks, *RULES.labels))
    assert len({check.id for check in RULES.checks}) == len(RULES.checks)


@pytest.mark.parametrize("rule", BY_EXAMPLE, ids=lambda rule: f"{type(rule).__name__} {rule.id}")
def test_each_rule_is_seen_in_its_example(rule: Check | Label) -> None:
    """As it was published, in one session; a check there is also the last one."""
    found = seen(rule.example)
    assert rule.id in (found.checks if isinstance(rule, Check) else found.labels)
    if isinstance(rule, Check):
        assert found.check_last is not None


@pytest.mark.parametrize("rule", BY_EXAMPLE, ids=lambda rule: f"{type(rule).__name__} {rule.id}")
def test_a_rule_is_seen_among_other_commands_and_through_sudo(rule: Check | Label) -> None:
    """White space, what is before and behind in the session, and a path change nothing."""
    lines = [re.sub(" ", "  ", line) if "'" not in line else line for line in rule.example]
    found = seen(["cd /", *lines, "pwd"])
    assert rule.id in (found.checks if isinstance(rule, Check) else found.labels)
    assert found.check_last is None


def listed(tables: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Return kind of rule, its id, and each line or session that is given for it."""
    return [
        (kind, name, session)
        for kind, rules in tables.items()
        for name, sessions in rules.items()
        for session in sessions
    ]


@pytest.mark.parametrize(("kind", "name", "session"), listed(VARIANTS))
def test_a_rule_is_seen_however_it_is_written(
    kind: str, name: str, session: str | list[str]
) -> None:
    """Sessions of ``variants.toml``: other flags, paths, wrappers, quotes and chains."""
    found = seen([session] if isinstance(session, str) else session)
    assert name in (found.checks if kind == "check" else found.labels)


def test_each_rule_has_variants_and_innocents() -> None:
    """But those that counters alone decide."""
    for kind, rules in (("check", RULES.checks), ("label", RULES.labels)):
        ids = {rule.id for rule in rules if rule.any or rule.all}
        assert ids == set(VARIANTS[kind])
        assert ids == set(INNOCENT[kind]) - {"*"}


@pytest.mark.parametrize(("kind", "name", "line"), listed(INNOCENT))
def test_a_rule_is_not_seen_where_it_only_looks_so(kind: str, name: str, line: str) -> None:
    """Lines of ``innocent.toml``; a star stands for all rules of the kind."""
    found = seen([line]).checks if kind == "check" else seen([line]).labels
    assert not found if name == "*" else name not in found


@pytest.mark.parametrize(("line", "check"), STUDY)
def test_the_last_commands_of_the_study_are_checks(line: str, check: str) -> None:
    """Its figure 9: the session left after it."""
    assert seen(["uname -a", line]).check_last == check


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        (Counts(forwards=1), "proxy-use"),
        (Counts(uploads=1), "file-upload"),
        (Counts(login_attempts=3), "password-guessing"),
    ],
)
def test_labels_that_follow_from_counters(counts: Counts, label: str) -> None:
    """Without any command; and not one less."""
    assert label in seen([], counts).labels
    assert not seen([], Counts()).labels


def test_the_readme_has_the_tables_of_checks_and_labels() -> None:
    """As ``tests/rules_table.py`` prints them."""
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    for table in (rules_table.checks(), rules_table.labels()):
        assert "\n".join(table) in readme


def test_marks_reach_behind_the_templates_that_a_record_holds() -> None:
    """A rule is seen in the hundredth command, too."""
    found = seen([*(f"echo {number}a" for number in range(100)), "kill %1", "cd /"])
    assert found.checks == ("kill-job",)


def test_the_real_logs_are_labelled(shared: Path) -> None:
    """Of all sessions with commands in ten years of public logs, nine in ten have a label."""
    said = summarize(shared / "data/real")
    sessions = [record for record in said.records if record["commands"]]
    labelled = [record for record in sessions if record["labels"] or record["checks"]]
    assert len(labelled) > 0.9 * len(sessions)
    by_file = summarize(shared / "data/real/2021-mdrfckr.jsonl.gz").records
    assert sum("outlaw-mdrfckr" in record["labels"] for record in by_file) >= 48


# ---------------------------------------------------------------- an operator's own rules


def write(folder: Path, text: str) -> Path:
    """Write a file of rules."""
    path = folder / "own.toml"
    path.write_text(text)
    return path


OWN = """
[[check]]
id = "our-canary"
tests = "whether the canary sings"
source = "https://example.org/canary"
words = ["canary"]
any = ['@cat /opt/canary\\b']

[[label]]
id = "reconnaissance"
source = "https://example.org/own"
techniques = ["T1592"]
any = ['@lsb_release\\b']
"""


def test_own_rules_come_first_and_replace_those_of_the_package(tmp_path: Path) -> None:
    """By kind and id; what is not named stays."""
    rules = read_rules(write(tmp_path, OWN))
    found = seen(["cat /opt/canary", "uname -a", "lsb_release -a"], rules=rules)
    assert found.checks[0] == "our-canary"
    assert "T1592" in found.techniques
    assert "reconnaissance" not in seen(["uname -a"], rules=rules).labels
    assert "kill-job" in seen(["kill %1"], rules=rules).checks


def test_the_readmes_own_rules_do_what_it_says(tmp_path: Path) -> None:
    """As they stand there: each is seen in a session, and not without what it asks for."""
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (text,) = re.findall(r"```toml\n(\[\[check\]\]\n.*?)```", readme, re.DOTALL)
    (line,) = re.findall(r"the label is seen in `([^`]+)`", readme)
    rules = read_rules(write(tmp_path, text))
    assert seen(["sudo cat /opt/canary"], rules=rules).check_last == "our-canary"
    assert "our-camera-worm" in seen([line], Counts(downloads=1), rules).labels
    assert "our-camera-worm" not in seen([line], rules=rules).labels
    assert "our-camera-worm" not in seen(line.split("; ")[:1], Counts(downloads=1), rules).labels


FOLDED = OWN.replace('"whether the canary sings"', "'''\n[[check]]\nid = 1 '''")
"""With a text over lines that look like the head of a rule."""
MANY = "\n".join(f"[[label]]\nid = 'a{n}'\nsource = 'x'\nany = ['b{n}']" for n in range(501))


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[[check]]\nid = 'a", 2, "this is no TOML"),
        ("\n\n[[chekc]]\nid = 'a'\n", 3, "`chekc` is unknown"),
        ("[[check]]\nid = 'a'\nsource = 'x'\nany = ['a']\n", 1, "`tests` is missing"),
        (OWN.replace("our-canary", "Our Canary"), 3, "`id` must be"),
        (OWN.replace("'@cat /opt/canary\\b'", "'(a'"), 7, "is no regular expression"),
        (OWN.replace("'@cat /opt/canary\\b'", "'a*'"), 7, "matches nothing at all"),
        (OWN.replace("'@cat /opt/canary\\b'", "''"), 7, "a pattern has from 1"),
        (OWN.replace('"canary"]', '"two words"]'), 6, "is no word"),
        (OWN.replace("T1592", "TA0043"), 12, "is no technique's id"),
        (OWN.replace("any = ['@lsb", "some = ['@lsb"), 13, "`some` is unknown"),
        (OWN + "downloads = 0\n", 14, "must be a whole number"),
        ("[[label]]\nid = 'a'\nsource = 'x'\n", 1, "nothing to look for"),
        (OWN + OWN.split("[[label]]", maxsplit=1)[0], 16, "there is a check `our-canary` before"),
        (OWN.replace("['@cat", "[\n  '@ls (/opt)',\n  '(a'] #"), 9, "expression: missing )"),
        ("note = '''\n[[check]]\n'''\n" + OWN, 1, "`note` is unknown"),
        (f"{OWN}''", 14, "this is no TOML"),
        (FOLDED.replace("['@cat", "['(@cat"), 9, "is no regular expression"),
        (OWN.replace("[[label]]", "[[label]]\nlogged_in = 1"), 10, "must be true or false"),
        ("[check]\nid = 'a'\n", 1, "needs a head of its own"),
        ("label = [\n  {id = 'A', source = 'x', any = ['b']},\n]\n", 1, "`id` must be"),
        (MANY, 2001, "more than 500 rules"),
        (OWN.replace("'@cat", "'" + "x" * 1001), 7, "from 1 to 1000 characters"),
        (OWN.replace('"T1592"', '"T1592.1"'), 12, "is no technique's id"),
        (OWN.replace('"T1592"', "1592"), 12, "must be a list of texts"),
        (OWN.replace("@cat", "a{1,99999999999999999999}"), 7, "is no regular expression"),
        (OWN.replace("@cat", "(" * 900), 7, "is no regular expression"),
        ("[[label]]\nid = 'a'\nsource = 'x'\nany = 'a'\n", 4, "must be a list"),
        ("\ncheck = 3\n", 2, "needs a head of its own"),
    ],
)
def test_a_broken_rule_is_named_with_file_and_line(
    tmp_path: Path, text: str, line: int, what: str
) -> None:
    """And with what to do."""
    path = write(tmp_path, text)
    with pytest.raises(RuleError) as caught:
        read_rules(path)
    assert str(caught.value).startswith(str(path))
    assert what in str(caught.value)
    assert f"line {line}:" in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    """Absent, a folder, too large, of another encoding: one sentence each."""
    broken = tmp_path / "x.toml"
    for content in (b"#" * (1 << 20) + b"##", b"\xff\xfe"):
        broken.write_bytes(content)
        with pytest.raises(RuleError):
            read_rules(broken)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(RuleError, match="cannot be read"):
            read_rules(path)


def test_the_command_line_takes_own_rules(tmp_path: Path) -> None:
    """``summarize --rules``; a mistake in them is one line and wrong usage."""
    log = tmp_path / "cowrie.json"
    common = {"sensor": "s", "session": "a" * 12, "src_ip": "203.0.113.9", "protocol": "ssh"}
    events = [
        {"eventid": "cowrie.session.connect", "timestamp": "2026-03-18T10:00:00.000000Z"},
        {"eventid": "cowrie.command.input", "timestamp": "2026-03-18T10:00:01.000000Z",
         "input": "cat /opt/canary"},
        {"eventid": "cowrie.session.closed", "timestamp": "2026-03-18T10:00:02.000000Z"},
    ]  # fmt: skip
    log.write_text("".join(json.dumps(common | event) + "\n" for event in events))
    (record,) = summarize(log, "--rules", write(tmp_path, OWN)).records
    assert record["checks"] == ["our-canary"]
    assert record["check_last"] == "our-canary"
    said = summarize(log, "--rules", write(tmp_path, "[[check]]\n"))
    assert (said.status, said.out) == (2, b"")
    assert "own.toml, line 1" in said.err
    assert "Traceback" not in said.err
