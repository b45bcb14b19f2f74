"""``cowrie-sessionstats top`` as users run it: on terminals of all sizes, in a pipe."""

from __future__ import annotations

import io
import os
import random
import re
import signal
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pyte
import pytest
from attrs import evolve
from click.testing import CliRunner
from conftest import ROOT
from hostile_records import hostile_records
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import COMMAND, as_lines, tool
from nasty import NASTY
from rich.cells import cell_len
from rich.console import Console
from summaries import summary, write_records
from terminals import Terminal

from cowrie_sessionstats.cli import main
from cowrie_sessionstats.entries import Checkpoint, pack
from cowrie_sessionstats.forwarding.box import Standing
from cowrie_sessionstats.store import Store
from cowrie_sessionstats.timestamps import format_timestamp
from cowrie_sessionstats.watching.facts import Facts
from cowrie_sessionstats.watching.hour import MOST, PAST, Hour
from cowrie_sessionstats.watching.log import Follower
from cowrie_sessionstats.watching.page import page
from cowrie_sessionstats.watching.seen import seen_of
from cowrie_sessionstats.watching.state import State

NOW = 1_800_000_000.0


def ended(session: str, *lines: str, ago: float, now: float = NOW, **known: Any) -> dict[str, Any]:
    """Return the record of a session that ended so many seconds ago."""
    end = {"start": format_timestamp(now - ago - 10), "end": format_timestamp(now - ago)}
    return summary(session, *lines, **{"automation": "automated", "ending": "exit", **end, **known})


# ---------------------------------------------------------------- the hour


def test_rates_and_scripts_are_of_the_last_hour() -> None:
    """A minute, five, sixty; each script once with its sessions, new ones marked."""
    hour = Hour()
    for place in range(60):
        hour.add(
            ended(f"s{place}", *["uname -a", "id"][: place % 2 + 1], ago=place * 60 + 30,
                  seen_before=place == 59 or 5, src_ip=f"203.0.113.{place % 4}",
                  automation="interactive" if place == 3 else "automated"),
            NOW,
        )  # fmt: skip
    hour.add(ended("scan", ago=10, logged_in=False, automation="undetermined"), NOW)
    hour.add(ended("old", "w", ago=3700), NOW)
    figures = hour.figures(NOW)
    assert figures.sessions == 61
    assert [rate.minutes for rate in figures.rates] == [1, 5, 60]
    assert [rate.sessions for rate in figures.rates] == [2, 6 / 5, 61 / 60]
    assert [rate.logins for rate in figures.rates] == [1, 1, 1]
    assert [rate.commands for rate in figures.rates] == [1, 7 / 5, 1.5]
    assert figures.automation == [("automated", 59), ("interactive", 1), ("undetermined", 1)]
    assert [(each.sessions, len(each.sources)) for each in figures.scripts] == [(30, 2), (30, 2)]
    assert [seen.session for seen in hour.recent()][:2] == ["old", "scan"]
    assert [seen.session for seen in hour.interactive()] == ["s3"]
    assert hour.figures(NOW + 3600).sessions == 0


def test_a_new_script_is_marked_and_a_revision_counts_once() -> None:
    """The record that came first goes; what it said of who typed, too."""
    hour = Hour()
    hour.add(ended("a", "id", ago=5, seen_before=0, automation="interactive"), NOW)
    hour.add(ended("a", "id", ago=5, seen_before=0, revision=1, downloads=1), NOW)
    hour.add(ended("b", "id", ago=5, seen_before=1), NOW)
    figures = hour.figures(NOW)
    assert (figures.sessions, [each.is_new for each in figures.scripts]) == (2, [True])
    assert [(seen.session, seen.files) for seen in hour.recent()] == [("b", 0), ("a", 1)]
    assert hour.interactive() == []


def test_it_begins_at_the_end_of_a_long_log(tmp_path: Path) -> None:
    """A log of 10 GB, sparse as it is, is read for a moment only: its end has the last hour."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(10 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + as_lines([ended("typed", "w", ago=90_000, automation="interactive")]))
        file.write(as_lines(ended(f"o{i}", "w", ago=80_000 - i) for i in range(300)))
        file.write(as_lines(ended(f"n{i}", "w", ago=3000 - i) for i in range(50)))
    follower = Follower(log)
    follower.skip()
    hour = Hour()
    before = time.process_time()
    hour.begin(follower.past(PAST), NOW)
    assert time.process_time() - before < 5  # it takes 0.1 s; the whole log would take minutes
    follower.close()
    figures = hour.figures(NOW)
    assert (figures.sessions, figures.minutes) == (50, 60)
    assert [seen.session for seen in hour.interactive()] == ["typed"]
    assert len(hour.recent()) == 100


def test_more_than_it_keeps_is_a_shorter_time() -> None:
    """The rates are of the time that is known, and the page says how long that is."""
    hour = Hour()
    for place in range(MOST + 500):
        hour.add({**RECORD, "session": str(place), "end": _at(place * 0.1)}, NOW + place * 0.1)
    figures = hour.figures(NOW + (MOST + 500) * 0.1)
    assert figures.sessions == MOST
    assert figures.minutes == pytest.approx(MOST * 0.1 / 60, 0.01)
    assert figures.rates[2].sessions == pytest.approx(600, 0.01)


RECORD = ended("x", "id", ago=0)


def _at(seconds: float) -> str:
    return format_timestamp(NOW + seconds)


# ---------------------------------------------------------------- the page


def rendered(facts: Facts, width: int, height: int | None) -> list[str]:
    """Return the rows of the page."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, highlight=False, markup=False)
    console.print(page(facts, width, height))
    return out.getvalue().split("\n")[:-1]


def facts(records: list[dict[str, Any]], state: State, *texts: str) -> Facts:
    """Return what is known after some records."""
    hour = Hour()
    for record in records:
        hour.add(record, NOW)
    text = texts[0] if texts else "here"
    return Facts(
        NOW, NOW - 5, text, list(hour.sensors), NOW - 3, 7, text if texts else None,
        hour.figures(NOW), hour.recent(), hour.interactive(), state,
    )  # fmt: skip


UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@settings(max_examples=25)  # each makes whole records, which takes longest
@given(
    st.lists(hostile_records, max_size=6),
    st.sampled_from(
        [*NASTY, ":smile: [bold]", "\u4e2d" * 90, "e\u0301" * 90, "\U0001f468\u200d\U0001f469"]
    ),
    st.sampled_from([(20, 10), (80, 24), (81, 40), (150, 24), (200, 60), (80, None)]),
)  # fmt: skip
def test_the_page_fits_whatever_attackers_send(
    records: list[dict[str, Any]], nasty: str, size: tuple[int, int | None]
) -> None:
    """No row is wider than the terminal or more than it has, and all of it is text."""
    sessions = [seen_of(record) for record in records]
    named = ended(nasty, nasty, ago=1, src_ip=nasty, sensor=nasty, automation=nasty, ending=nasty)
    named |= {"protocol": nasty, "username": nasty, "fingerprint": nasty, "logged_in": True}
    sessions += [seen_of(named), evolve(seen_of(named), commands=0)]
    state = State(
        NOW, 9, tuple(sessions), (Standing(nasty, 5, NOW - 9, 0, None, 0.0, 0, 0, nasty, None),)
    )
    for known in (
        facts([*records, named], state),
        facts([], State(trouble=nasty), nasty),
    ):
        rows = rendered(known, *size)
        assert not UNSAFE.search("".join(rows))
        assert all(cell_len(row) <= size[0] for row in rows)
        assert size[1] is None or len(rows) <= size[1]


def test_columns_stand_below_each_other_behind_wide_letters() -> None:
    """What comes behind a text of any letters stands where it stands behind others."""
    texts = [
        "plain",
        "\u4e2d\u6587" * 20,
        "e\u0301" * 40,
        "[red]x[/red]",
        ":smile:",
        "\u1112\u1161",
    ]
    records = [
        ended(f"{n}", "id", ago=n + 1, ending=text, src_ip=text) for n, text in enumerate(texts)
    ]
    rows = rendered(facts(records, State()), 80, 24)
    (begin,) = [n for n, row in enumerate(rows) if row.startswith("Ended last")]
    shown = rows[begin + 1 : begin + 1 + len(texts)]
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed("\r\n".join(shown))
    for row in range(len(texts)):
        assert "".join(screen.buffer[row][column].data for column in range(28, 31)) == "ssh"
        assert "".join(screen.buffer[row][column].data for column in range(67, 69)) == "id"
    assert "[red]x[/red]" in "".join(shown)
    assert ":smile:" in "".join(shown)


# ---------------------------------------------------------------- the command


@pytest.fixture
def cowrie(tmp_path: Path) -> Path:
    """Return the folder of a Cowrie that has just been busy: a log and a store."""
    now = time.time()
    (tmp_path / "cowrie.cfg").write_text(
        "[honeypot]\nlog_path = .\nstate_path = .\n[output_sessionstats]\nenabled = true\n"
    )
    rng = random.Random(5)
    write_records(
        tmp_path / "sessionstats.json",
        [
            ended(f"{place:04}", rng.choice(["uname -a", "id", "w"]), ago=1500 - place, now=now,
                  seen_before=rng.choice([0, 3]), logged_in=place % 2 == 0)
            for place in range(300)
        ]
        + [ended("typed", "cat /etc/passwd", ago=60, now=now, automation="interactive")],
    )  # fmt: skip
    store = Store(tmp_path / "sessionstats.sqlite", ("siem",), time.time, print)
    assert store.open()
    store.add(summary("waits", "id"))
    typing = ended("0123456789ab", "top -n 1", ago=40, now=now)
    store.keep_open([Checkpoint(("svr04", "0123456789ab"), "", pack(typing))])
    assert store.commit()
    store.close()
    return tmp_path


def test_a_page_in_a_pipe_is_text(cowrie: Path) -> None:
    """For cron and watch(1): everything that is known, nothing that steers."""
    said = tool("top", "--cowrie", cowrie, "--once")
    assert (said.status, said.err) == (0, "")
    page = said.out.decode()
    assert not UNSAFE.search(page.replace("\n", ""))
    for words in (
        "Open now  1, as of", " 0123456789ab ", "top -n 1", "Waiting for destinations", " siem ",
        "Scripts now", "uname -a", "Somebody typed", "cat /etc/passwd", "Ended last",
    ):  # fmt: skip
        assert words in page
    assert re.search(r"sessions +0\.0 +[0-9.]+ +5\.0 ", page)
    assert [path.name for path in cowrie.iterdir() if "sqlite-" in path.name] == []


def test_the_page_lives_and_gives_the_terminal_back(cowrie: Path) -> None:
    """It shows what comes, fits every size, and q leaves the terminal as it was."""
    log = cowrie / "sessionstats.json"
    terminal = Terminal("top", "--cowrie", cowrie, "--interval", "0.2").wait_for("Ended last")
    before = termios.tcgetattr(terminal.child.child_fd)
    terminal.wait_until(lambda t: len(t.lines[23]) > 40)  # the last row is used
    assert b"\x1b[?1049h" in terminal.raw
    with log.open("ab") as file:
        file.write(as_lines([ended("new", "echo \x1b[2Jhello", ago=0, now=time.time())]))
    terminal.wait_for("echo \\x1b[2J")
    log.rename(cowrie / "sessionstats.json.2026-11-25")
    write_records(log, [ended("newer", "echo rotated", ago=0, now=time.time())])
    terminal.wait_for("echo rotated")
    for columns, rows in ((200, 60), (40, 10), (100, 30)):
        terminal.resize(columns, rows)
        terminal.wait_until(lambda t: f"{t.screen.columns}" and "q leaves" in t.lines[1])
        terminal.wait_until(lambda t: ("Open now" in t.lines[7]) == (t.screen.lines >= 36))
        assert all(len(line) <= columns for line in terminal.lines)
    terminal.press("q")
    assert terminal.ended() == 0
    assert terminal.raw.rstrip().endswith((b"\x1b[?1049l", b"\x1b[?25h"))
    assert b"\x1b[?25h" in terminal.raw
    assert before[3] & termios.ICANON == 0
    assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize(
    ("end", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"]
)
def test_a_signal_gives_the_terminal_back(cowrie: Path, end: int, status: int) -> None:
    """Echo and lines are on again, the cursor is shown, the screen is the old one."""
    shell = (
        f"trap : INT; stty -a > before; {COMMAND} top --cowrie .; echo status=$?; stty -a > after; "
        "cmp before after && echo same; sleep 0.2"
    )
    terminal = Terminal("-c", f"cd '{cowrie}'; {shell}", program=Path("/bin/sh"))
    terminal.wait_for("Ended last")
    if end == signal.SIGINT:
        terminal.press("\x03")
    else:
        children = Path(f"/proc/{terminal.child.pid}/task/{terminal.child.pid}/children")
        os.kill(int(children.read_text().split()[0]), end)
    terminal.wait_until(lambda t: b"same" in t.raw)
    assert f"status={status}".encode() in terminal.raw
    assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"\x1b[?1049h")
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
    assert terminal.ended() == 0


def test_an_exception_gives_the_terminal_back(tmp_path: Path) -> None:
    """Whatever goes wrong, it is said on the terminal as it was before."""
    program = tmp_path / "program.py"
    program.write_text(
        "import time\n"
        "from rich.console import Console\n"
        "from cowrie_sessionstats.watching import screen\n"
        "pages = iter(['a page'])\n"
        "screen.show(Console(), lambda: next(pages), 0.1, time.monotonic)\n"
    )
    shell = f"stty -a > before; {sys.executable} program.py; stty -a > after; cmp before after"
    terminal = Terminal("-c", f"cd '{tmp_path}'; {shell} && echo same", program=Path("/bin/sh"))
    terminal.wait_until(lambda t: b"same" in t.raw)
    assert b"a page" in terminal.raw
    assert terminal.raw.rindex(b"\x1b[?1049l") < terminal.raw.rindex(b"StopIteration")
    assert terminal.ended() == 0


def test_evil_lines_are_text_on_the_page(cowrie: Path) -> None:
    """Of all sequences in what it writes none is an attacker's; emoji and markup stay text."""
    now = time.time()
    evil = [*NASTY, ":smile:", *(ROOT / "tests/evil_lines.txt").read_text().splitlines()[::8]]
    write_records(
        cowrie / "sessionstats.json",
        [
            ended(f"{place}", text, ago=9, now=now, src_ip=text, sensor=text)
            for place, text in enumerate(evil)
        ],
    )
    terminal = Terminal("top", "--cowrie", cowrie, columns=200, rows=90).wait_for("Ended last")
    terminal.press("q")
    assert terminal.ended() == 0
    sequences = set(re.findall(rb"\x1b\[[0-9;?]*[A-Za-z]", terminal.raw))
    assert {each for each in sequences if not each.endswith(b"m")} <= {
        b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?25l", b"\x1b[H",
    }  # fmt: skip
    rest = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", terminal.raw).decode().replace("\r\n", "")
    assert not UNSAFE.search(rest)
    assert terminal.screen.title == ""


def test_without_a_log_it_says_so_and_waits(tmp_path: Path) -> None:
    """A page in a pipe has status 1; on a terminal, what comes is shown."""
    log = tmp_path / "log"
    said = CliRunner().invoke(main, ["top", str(log)])
    assert said.exit_code == 1
    assert "error: there is no" in said.output
    terminal = Terminal("top", log, "--interval", "0.2").wait_for("there is no")
    write_records(log, [ended("first", "uptime", ago=0, now=time.time())])
    terminal.wait_for("uptime")
    terminal.press("q")
    assert terminal.ended() == 0


def test_without_rich_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tail`` needs no extra, ``top`` says which."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("rich", "msgspec", "pyarrow"):
            monkeypatch.setitem(sys.modules, name, None)
        elif name.startswith("cowrie_sessionstats.watching"):
            monkeypatch.delitem(sys.modules, name)
    said = CliRunner().invoke(main, ["tail", str(tmp_path / "log"), "--no-follow"])
    assert (said.exit_code, "there is no" in said.output) == (1, True)
    said = CliRunner().invoke(main, ["top", str(tmp_path / "log")])
    line = f"{sys.executable} -m pip install 'cowrie-sessionstats[cli]'"
    assert (said.exit_code, line in said.output.replace("\n", " ")) == (1, True)
