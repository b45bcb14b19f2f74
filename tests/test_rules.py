"""Checks and labels: which command lines they are seen in, and which they are not."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import summarize

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary
from cowrie_sessionstats.commands.marks import MATCHED, Marks, Pattern, compiled
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


def innocents() -> list[tuple[str, str, str]]:
    """Return kind of rule, its id or a star, and a line."""
    return [
        (kind, name, line)
        for kind, tables in INNOCENT.items()
        for name, lines in tables.items()
        for line in lines
    ]


@pytest.mark.parametrize(("kind", "name", "line"), innocents())
def test_a_rule_is_not_seen_where_it_only_looks_so(kind: str, name: str, line: str) -> None:
    """Lines of ``innocent.toml``; a star stands for all rules of the kind."""
    found = seen([line]).checks if kind == "check" else seen([line]).labels
    assert not found if name == "*" else name not in found


def test_the_innocents_are_of_rules_that_exist() -> None:
    """A rule that is renamed takes its lines along."""
    known = {"check": {c.id for c in RULES.checks}, "label": {c.id for c in RULES.labels}}
    assert not [(k, n) for k, n, _ in innocents() if n != "*" and n not in known[k]]


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


def test_the_readme_names_every_check_and_label() -> None:
    """With what it tests, or its techniques."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for check in RULES.checks:
        assert f"| `{check.id}` | {check.tests} |" in readme
    for label in RULES.labels:
        assert f"| `{label.id}` | {', '.join(label.techniques)} |" in readme


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
        ("[[label]]\nid = 'a'\nsource = 'x'\nany = 'a'\n", 4, "must be a list"),
        ("check = 3\n", 1, "needs a head of its own"),
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
    if "head of its own" not in what:
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


# ---------------------------------------------------------------- hostile templates


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                [
                    ";",
                    "&",
                    "|",
                    "(",
                    "$(",
                    "`",
                    "/",
                    "//",
                    "echo",
                    "-e",
                    "<bytes>",
                    ">",
                    "cat",
                    "/bin/",
                    "/proc/",
                    "busybox",
                    "rm",
                    "-rf",
                    "wget",
                    "<url>",
                    "<name1>",
                    "lspci",
                    "dmesg",
                    "kvm",
                    "cpuinfo",
                    "crontab",
                    "nohup",
                    "sudo",
                    "x=1",
                    "ps",
                ]
            ),
            max_size=60,
        ).map(" ".join),
    )
)
def test_any_text_can_be_marked(text: str) -> None:
    """Nothing raises, and what is remembered is what is found anew."""
    assert RULES.marks.of(text) == RULES.marks._find(text[:MATCHED])


@pytest.mark.parametrize(
    "piece",
    ["; ", "/", "busybox ", "sudo ", "echo -e <bytes> > a ", "wget <url> ", "a=b ", "rm -r ", "(",
     "lspci ", "ps ", "echo $((", "> /a/b ", "kill -9 "],
)  # fmt: skip
def test_no_text_takes_out_of_proportion(piece: str) -> None:
    """The dearest text that fits takes milliseconds, not seconds: twice as long, not four times."""
    words = " wget rm ps echo busybox kill cat cpuinfo lspci dmesg crontab name1 log iptables"
    short, long = ((piece * 4096)[:n] + words for n in (MATCHED // 2, MATCHED - len(words)))
    marks = RULES.marks

    def least(text: str) -> float:
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            marks._find(text)
            times.append(time.perf_counter() - begin)
        return min(times)

    assert least(long) < 12 * least(short) + 0.01


def test_words_and_patterns_agree_with_a_plain_search() -> None:
    """A pattern with words matches exactly what a search for all patterns would."""
    chance = random.Random(3)
    tokens = ["alpha", "beta", "gamma", ";", "x"]
    patterns = [
        Pattern(compiled("@alpha"), ("alpha",)),
        Pattern(compiled("beta gamma"), ("gamma",)),
        Pattern(compiled("x$")),
    ]
    marks = Marks(patterns)
    texts: Sequence[str] = [
        " ".join(chance.choices(tokens, k=chance.randint(0, 6))) for _ in range(500)
    ]
    for text in texts:
        plain = sum(1 << n for n, p in enumerate(patterns) if p.regex.search(text))
        assert marks.of(text) == plain
