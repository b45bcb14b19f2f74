"""Which patterns a template matches: where commands begin, and at what cost."""

from __future__ import annotations

import random
import re
import string
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from logs import summarize

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary
from cowrie_sessionstats.commands._beginnings import LENGTH, beginnings
from cowrie_sessionstats.commands._places import COMMANDS, places
from cowrie_sessionstats.commands.marks import MATCHED, Marks, Pattern, pattern
from cowrie_sessionstats.findings.rules import default_rules

RULES = default_rules()
PATTERNS = RULES.patterns


def at(text: str) -> list[str]:
    """Return the first words of the commands in a template."""
    found = places(text)
    return [re.split(r"[\s;)'\"`]", found.text[place:], maxsplit=1)[0] for place in found.commands]


def plain(text: str, patterns: tuple[Pattern, ...] = PATTERNS) -> int:
    """Return what ``Marks`` has to find, by trying each pattern at each of its places."""
    text, commands, redirections = places(text[:MATCHED])
    found = 0
    for number, one in enumerate(patterns):
        match = one.regex.match
        if one.place == "anywhere":
            hit = one.regex.search(text) is not None
        else:
            starts = commands if one.place == "command" else redirections
            hit = any(match(text, start) is not None for start in starts)
        found |= hit << number
    return found


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("uname -a", ["uname"]),
        ("cd /tmp; wget <url> && sh <name1>", ["cd", "wget", "sh"]),
        ("a | b || c & d", ["a", "b", "c", "d"]),
        ("echo 'a; b'; c", ["echo", "c"]),
        ('echo "a; b"; c', ["echo", "c"]),
        ('echo "it\'s $(id) | x `w`"; c', ["echo", "id", "w", "c"]),
        ('echo `echo "a; b"` c; d', ["echo", "echo", "d"]),
        ("echo it\\'s; x", ["echo", "x"]),
        ("ls # uname; w", ["ls"]),
        ("ls a#b; w", ["ls", "w"]),
        ('bash -c "uname -a; w"', ["bash", "uname", "w"]),
        ("sh -c 'a && b' && c", ["sh", "a", "b", "c"]),
        ('eval "a; b"', ["eval", "a", "b"]),
        ("sudo -u root /usr/bin/uname -a", ["sudo", "/usr/bin/uname", "uname"]),
        ("X=1 Y=2 busybox wget", ["X=1", "Y=2", "busybox", "wget"]),
        ("nohup nice -n 19 ./<name1> -o", ["nohup", "nice", "./<name1>", "<name1>"]),
        ("find / -exec rm {} \\; ; x", ["find", "rm", "x"]),
        ("ps | xargs -n 1 kill -9", ["ps", "xargs", "kill"]),
        ("if [ -f /x ]; then uname; else w; fi", ["if", "[", "then", "uname", "else", "w", "fi"]),
        ("while true; do ps; done", ["while", "true", "do", "ps", "done"]),
        ("cat << EOF > /tmp/<name1>\nwget <url>; rm\nEOF\nls", ["cat", "ls"]),
        ("sh << EOF\nwget <url>\nEOF", ["sh", "wget", "EOF"]),
        ("a > /dev/null 2>&1; b", ["a", "b"]),
        ("awk '{print $2}' x | b", ["awk", "b"]),
        ("<var1>=$(cat x | w)", ["<var1>=$(cat", "cat", "w"]),
    ],
)  # fmt: skip
def test_where_commands_begin(template: str, wanted: list[str]) -> None:
    """Behind separators, wrappers and paths, in substitutions; not in texts and comments."""
    assert [word for word in at(template) if word] == wanted


def test_redirections_are_no_text() -> None:
    """A ``>`` between quotes, in a comment or a placeholder is none."""
    assert places("echo '> a' > b >> c 2> d # > e").redirections == [11, 15, 21]
    assert places("cat <name1> > <url>").redirections == [12]


def test_a_flood_of_commands_is_tried_up_to_a_bound() -> None:
    """What is behind it is not looked at."""
    assert len(places("a; " * 4000).commands) <= COMMANDS + 1


@pytest.mark.parametrize(
    ("regex", "wanted"),
    [
        ("wget ", {"wge"}),
        (r"(?:ba|da|z)?sh\b", {"bas", "das", "sh", "zsh"}),
        (r"pip3? x", {"pip"}),
        (r"[ef]?grep x", {"egr", "fgr", "gre"}),
        (r"w(?: -\S{1,20}){0,4}", {"w"}),
        (r"\[ -f", {"["}),
        (r"/etc/init\.d/", {"/et"}),
        (r"a+b", {"a"}),
        (r"\w+=", {""}),
        (r"(?i:xmrig)", {""}),
        (r"(?!x)y", {""}),
        (r"a|", {""}),
        ("", {""}),
    ],
)
def test_how_a_match_can_begin(regex: str, wanted: set[str]) -> None:
    """Up to three characters; the empty text where it could be any."""
    assert beginnings(regex) == wanted
    assert all(len(text) <= LENGTH for text in beginnings(regex))


@given(
    st.recursive(
        st.sampled_from(["a", "b", "sh", r"\.", "[ab]", r"\w", ".", r"\b", "(?!a)"]),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=1, max_size=3).map(lambda some: f"(?:{'|'.join(some)})"),
            st.tuples(st.just("(?:"), inner, st.sampled_from([")?", "){0,2}"])).map("".join),
        ),
        max_leaves=6,
    ),
    st.text("abhs.", max_size=6),
)  # fmt: skip
def test_no_match_begins_otherwise(regex: str, text: str) -> None:
    """Of all regular expressions and texts: a match begins with one of the beginnings."""
    found = re.match(regex, text)
    assert found is None or any(text.startswith(begun) for begun in beginnings(regex))


# ---------------------------------------------------------------- what is found

TEXTS = st.one_of(
    st.text(),
    st.text("abc $(){}[]<>'\"`\\;&|#\n/.=-"),
    st.lists(
        st.sampled_from(
            [
                ";",
                "&&",
                "||",
                "|",
                "&",
                "(",
                ")",
                "$(",
                "`",
                "{",
                "}",
                "'",
                '"',
                "#",
                "\\",
                ">",
                ">>",
                "2>",
                "<<",
                "EOF",
                "\n",
                "/",
                "echo",
                "-e",
                "<bytes>",
                "cat",
                "/bin/echo",
                "/proc/self/exe",
                "busybox",
                "<applet>",
                "rm",
                "-rf",
                "wget",
                "<url>",
                "<name1>",
                "./<name1>",
                "lspci",
                "dmesg",
                "kvm",
                "cpuinfo",
                "crontab",
                "-",
                "nohup",
                "sudo",
                "x=1",
                "ps",
                "sh",
                "-c",
                "ssh",
                "chmod",
                "+x",
                "777",
                "/etc/passwd",
            ]
        ),
        max_size=60,
    ).map(" ".join),
)


@settings(max_examples=300)
@given(TEXTS)
@example("\ud800\0 uname")
@example("'" * 5000)
@example('"$(' * 2000)
def test_any_text_can_be_marked(text: str) -> None:
    """Nothing raises; each pattern is found that is there, at its places, and no other.

    But those whose words are absent: they cannot be there.
    """
    marks = RULES.marks.of(text)
    assert marks == RULES.marks.of(text)
    assert marks & ~plain(text) == 0
    without_words = Marks([Pattern(one.regex, (), one.place) for one in PATTERNS])
    assert without_words.of(text) == plain(text)


def test_the_words_of_a_pattern_are_those_that_it_needs(shared: Path) -> None:
    """In ten years of logs no pattern is there without one of its words, as the rules say."""
    templates = Templates(default_vocabulary())
    found = {text for r in summarize(shared / "data/real").records for text in r["templates"] or ()}
    for rule in (*RULES.checks, *RULES.labels):
        script = Script()
        found.update(script.add(line, templates) for line in rule.example)
    for text in found:
        assert RULES.marks.of(text) == plain(text), text


def test_marks_reach_behind_what_is_kept() -> None:
    """A template of more characters than are kept is looked at up to a bound."""
    marks = Marks([pattern("@kill ", ["kill"])])
    assert marks.of("x" * (MATCHED - 10) + "; kill 1")
    assert not marks.of("x" * MATCHED + "; kill 1")


def test_none_is_marked_by_default() -> None:
    """Who has no rules pays for none."""
    assert Marks().of("uname -a; rm -rf /") == 0
    assert Templates(default_vocabulary()).marks.of("uname") == 0


# ---------------------------------------------------------------- what it costs


def pieces() -> list[str]:
    """Return what a hostile text can be made of, again and again."""
    chance = random.Random(7)
    templates = Templates(default_vocabulary())
    found = [
        "; ",
        "/",
        "busybox ",
        "sudo ",
        "a=b ",
        "(",
        "$(",
        "`",
        "'",
        '"',
        "\\",
        "> /a/b ",
        "x",
        " ",
    ]
    for rule in (*RULES.checks, *RULES.labels):
        for line in rule.example:
            template = Script().add(line, templates)
            found += [template[: chance.randint(1, 80)] + chance.choice(["", " ", ";", "| "])] * 2
    return found


def test_no_text_takes_out_of_proportion() -> None:
    """Four times as much of anything takes less than nine times as long, whatever it is made of.

    In proportion it would be four; what grows as the square takes sixteen.
    """
    worst = []
    for piece in pieces():
        part, text = lengths(piece)
        took = [min(once(part), once(part)), once(text)]
        if took[1] > 0.001 and took[1] > 9 * took[0]:
            worst.append(piece)
    # A machine that is busy elsewhere makes a ratio once, not again.
    assert not [piece for piece in worst if ratio(*lengths(piece)) > 9]


def lengths(piece: str) -> tuple[str, str]:
    """Return a text of so many pieces, and one of four times as many; a part of one is another."""
    count = MATCHED // 4 // len(piece)
    return piece * count, piece * (4 * count)


def ratio(part: str, text: str) -> float:
    """Return how much longer a text takes than its part, the least of several tries."""
    pairs = [(once(text), once(part)) for _ in range(20)]
    return min(whole for whole, _ in pairs) / min(part for _, part in pairs)


def once(text: str) -> float:
    """Return the processor's seconds that it takes to mark a text that was never seen before."""
    begin = time.thread_time()
    RULES.marks._find(text)
    return time.thread_time() - begin


def test_no_packaged_pattern_can_match_without_end() -> None:
    """No gap that goes on over words is unbounded: that is what makes it so."""
    boundless = re.compile(r"(?<!\\)(?:\.|\\[Ds]|\[\^(?!\\s| )(?:\\.|[^\]])*\])[*+]")
    assert not [one.regex.pattern for one in PATTERNS if boundless.search(one.regex.pattern)]


def test_letters_for_names() -> None:
    """Random names of programs mark nothing."""
    chance = random.Random(5)
    for _ in range(200):
        name = "".join(chance.choices(string.ascii_lowercase, k=9))
        assert RULES.marks.of(f"{name} -x; ./{name} | {name}") == 0
