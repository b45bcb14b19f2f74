"""How a session ended and who was at it, from its figures and its keys."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import as_lines, summarize
from samples import START, closed, command, connect, event, login, only

from cowrie_sessionstats.findings.automation import REASONS, automation, judged, rules
from cowrie_sessionstats.findings.ending import Timeouts, ending
from cowrie_sessionstats.findings.facts import Facts
from cowrie_sessionstats.findings.keys import PIECES_LIMIT, Keys, keys_of, read_recording
from cowrie_sessionstats.recordings import CHANNELS, Running, keys_live, keys_named

ROOT = Path(__file__).parents[1]
RHYTHM = rules().rhythm
HEADER = struct.Struct("<iLiiLL")


def entry(at: float, data: bytes, direction: int = 1, operation: int = 3) -> bytes:
    """Return what Cowrie writes into a recording for a piece that arrived ``at``."""
    seconds = int(at)
    return (
        HEADER.pack(operation, 0, len(data), direction, seconds, int((at - seconds) * 1e6)) + data
    )


def recording(*pieces: tuple[float, bytes], begin: float = START) -> bytes:
    """Return a recording of what arrived, each with the seconds after the beginning."""
    body = b"".join(entry(begin + at, data) for at, data in pieces)
    return entry(begin, b"", 0, 1) + body + entry(begin + 999, b"", 0, 2)


def keys(*pieces: tuple[float, bytes]) -> Keys:
    """Return how these came."""
    return keys_of([read_recording(recording(*pieces))], RHYTHM)


def typed(
    text: str, seed: int = 1, mean: float = 0.2, at: float = 1.0
) -> list[tuple[float, bytes]]:
    """Return keys as somebody types them."""
    chance = random.Random(seed)
    made = []
    for key in text:
        at += chance.lognormvariate(0, 0.4) * mean
        made.append((at, key.encode()))
    return made


def even(text: str, step: float) -> list[tuple[float, bytes]]:
    """Return keys as a program sends them one by one."""
    return [(1.0 + number * step, key.encode()) for number, key in enumerate(text)]


def people_and_programs() -> Sequence[tuple[str, Any, str]]:
    """Return what arrived, and the reason that has to be seen."""
    line = b"uname -a; cat /proc/cpuinfo\r"
    return [
        ("typed", typed("whoami\rexit\r"), "typed_keys"),
        ("a short word", typed("w\r"), "few_typed_keys"),
        ("with corrections", typed("whoamu\x7fi\r"), "edited_line"),
        ("an arrow", [*typed("ls\r"), (5.0, b"\x1b[A"), (5.4, b"\r")], "edited_line"),
        ("pasted", [(2.0, line[:-1]), (2.6, b"\r"), (9.0, line[:-1]), (9.9, b"\r")], "enter_apart"),
        ("whole lines", [(1.0, line), (4.0, line)], "whole_lines"),
        (
            "and their ends",
            [(1.0, line[:-1]), (1.001, b"\n"), (4.0, b"w"), (4.001, b"\n")],
            "whole_lines",
        ),
        ("all at once", [(1.0, line * 20)], "whole_lines"),
        ("key by key, evenly", even("uname -a\r", 0.1), "even_keys"),
        ("key by key, at once", typed("uname -a\r", mean=0.004), "keys_at_once"),
        ("in UTF-8", typed("échö ü\r"), "typed_keys"),
    ]


@pytest.mark.parametrize(
    ("pieces", "reason"), [each[1:] for each in people_and_programs()],
    ids=[each[0] for each in people_and_programs()],
)  # fmt: skip
def test_what_is_seen_of_keys(pieces: list[tuple[float, bytes]], reason: str) -> None:
    """Pieces as they arrive, from people and from programs."""
    assert reason in automation(Facts(protocol="ssh", commands=1), keys(*pieces)).reasons


@pytest.mark.parametrize("nudge", [b"\r", b"\n", b"\r\n", b"\x03", b"q"])
def test_a_key_before_each_whole_line_is_no_typing(nudge: bytes) -> None:
    """Loaders send an empty line, or what ends a program, to see whether there is a prompt."""
    pieces = [(2.0 * at, piece) for at, piece in enumerate([nudge, b"cat /proc/mounts\n"] * 5)]
    for protocol in ("ssh", "telnet"):
        said = automation(Facts(protocol=protocol, commands=10), keys(*pieces))
        assert said.verdict == "automated", said.reasons


def test_a_network_that_holds_keys_back_makes_nobody_a_program() -> None:
    """In a stall most of the keys may come at once; the others are a person's."""
    held = [(9.0, key.encode()) for key in "-alF /var/log/apache2"]
    pieces = [*typed("uname\rls "), *held, *typed("\r", at=9.5)]
    said = automation(Facts(protocol="ssh", commands=2), keys(*pieces))
    assert said.verdict == "interactive", said.reasons


def test_typing_outweighs_a_client_and_lines_outweigh_a_pause() -> None:
    """The keys are the best evidence there is."""
    library = Facts(protocol="ssh", client_version="SSH-2.0-Go", commands=2)
    assert automation(library, keys(*typed("whoami\rls -la\r"))).verdict == "interactive"
    slow = Facts(
        protocol="ssh", client_version="SSH-2.0-OpenSSH_9.2", terminal="120x30", terminals=1,
        channels=1, commands=9, characters=60, active=100.0, gap_median=10.0, gap_cv=0.9,
    )  # fmt: skip
    assert automation(slow).verdict == "interactive"
    assert automation(slow, keys((1.0, b"ls\r"), (9.0, b"w -h\r"))).verdict == "automated"


def test_without_evidence_nothing_is_said() -> None:
    """And a client that people use is not enough to say that somebody typed."""
    assert automation(Facts()) == ("undetermined", 50, ())
    quiet = Facts(
        protocol="ssh", client_version="SSH-2.0-OpenSSH_9.2", terminal="120x30", terminals=1,
        duration=30.0, since_login=20.0, login_attempts=1,
    )  # fmt: skip
    assert automation(quiet).verdict == "undetermined"


def test_the_score_is_what_the_readme_says() -> None:
    """50 plus the points of each reason, kept within 0 and 100; and the README explains each."""
    readme = (ROOT / "README.md").read_text()
    points = rules().points
    for reason in REASONS:
        value = int(points[reason]["points"])
        assert judged([reason]).score == max(0, min(100, 50 + value))
        assert f"| `{reason}` | {value:+d} |" in readme
    assert judged(REASONS).reasons == REASONS


def test_a_script_that_is_well_known_was_not_typed() -> None:
    """Many sessions before it ran the same; but people run the same short things, too."""
    assert "seen_often" in automation(Facts(scripted=3), None, 10).reasons
    assert "seen_often" not in automation(Facts(scripted=2), None, 1_000_000).reasons


def test_the_slow_bot_and_the_commonest_session_of_the_study(seed_corpus: ModuleType) -> None:
    """46 commands 2.5 s apart, and 22 commands in 19.4 s: no person, from the log alone."""
    slow = [command(f"id {number}", 2.5 * number) for number in range(1, 47)]
    for client in ("SSH-2.0-OpenSSH_8.9p1", "SSH-2.0-Go"):
        made = only(
            [
                connect(), event("client.version", 0.1, version=client), login(0.5),
                event("client.size", 0.6, width=120, height=30), event("session.params", 0.7),
                *slow, closed(120.0),
            ]
        )  # fmt: skip
        assert made["automation"] == "automated", made["automation_reasons"]
    for seed in range(20):
        events = seed_corpus.session_events(
            random.Random(seed), "0123456789ab", 0, 1.7e9, "mdrfckr-22", 22, 19.4, 3
        )
        made = only([raw for at, raw in events if at is not None])
        assert made["automation"] == "automated", made["automation_reasons"]


def test_the_people_of_the_real_logs_are_never_automated(shared: Path) -> None:
    """Whoever typed in 2021 and 2026."""
    said = summarize(*(shared / f"data/real/{year}-lab.jsonl.gz" for year in (2021, 2026)))
    verdicts = [record["automation"] for record in said.records]
    assert "automated" not in verdicts
    assert verdicts.count("interactive") >= 3


# ---------------------------------------------------------------- recordings


@given(st.binary(max_size=400))
def test_any_bytes_can_be_read_as_a_recording(content: bytes) -> None:
    """What is broken says nothing, and is no error."""
    read = read_recording(content)
    assert keys_of([read], RHYTHM).typed >= 0


pieces = st.lists(
    st.tuples(
        st.floats(0, 900),
        st.one_of(
            st.binary(min_size=1, max_size=9), st.sampled_from([b"\r", b"\x1b[A", b"l", b"ls\r"])
        ),
    ),
    max_size=30,
)


@given(pieces, st.integers(0, 200), st.binary(max_size=30))
def test_a_recording_reads_back_and_its_end_may_be_missing(
    arrived: list[tuple[float, bytes]], cut: int, junk: bytes
) -> None:
    """All pieces in their order; of one that is cut, those before."""
    whole = recording(*arrived)
    read = read_recording(whole)
    assert [piece.data for piece in read.pieces] == [data for _, data in arrived]
    assert read.begin == START
    part = read_recording(whole[: max(0, len(whole) - cut)])
    assert [p.data for p in part.pieces[:-1]] == [p.data for p in read.pieces[: len(part.pieces)]][
        :-1
    ]
    read_recording(whole + junk)
    found = keys_of([read], RHYTHM)
    assert found.typed <= found.alone <= len(arrived)


def facts_of(begin: float, duration: float) -> Facts:
    """Return the figures of a session by its time."""
    return Facts(protocol="ssh", close=begin + duration, duration=duration, commands=1)


def test_a_recording_of_another_session_tells_no_times(tmp_path: Path) -> None:
    """Cowrie keeps one of those with the same keys: it can be a program's, and this a person."""
    path = tmp_path / "e3b0"
    path.write_bytes(recording((1.0, b"ls\r"), (2.0, b"id\r"), (3.0, b"exit\r")))
    own = keys_named(facts_of(START - 1, 10.0), [path], RHYTHM)
    other = keys_named(facts_of(START + 5000, 10.0), [path], RHYTHM)
    assert own is not None
    assert other is not None
    assert (own.timed, own.whole_lines, other.timed) == (True, 3, False)
    assert automation(facts_of(START, 10.0), other).reasons == ("same_keys",)
    local = keys_named(facts_of(START - 1 + 2 * 3600, 10.0), [path], RHYTHM)
    assert local is not None
    assert local.timed, "a log in local time is two hours off"


def test_recordings_that_cannot_be_read_are_no_error(tmp_path: Path) -> None:
    """Absent, a folder, empty, a named pipe, a name with a NUL."""
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    os_fifo = tmp_path / "pipe"
    __import__("os").mkfifo(os_fifo)
    paths = [tmp_path / "none", tmp_path / "folder", tmp_path / "empty", os_fifo, Path("a\0b")]
    assert keys_named(facts_of(START, 1.0), paths, RHYTHM) is None


def running_name(session: str, channel: int = 0, at: float = START) -> str:
    """Return how Cowrie names a recording that is running."""
    import time  # noqa: PLC0415

    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(at))}-{session}-{channel}i.log"


def test_a_recording_that_cowrie_deletes_was_open_in_time(tmp_path: Path) -> None:
    """Of a person who typed what a program had sent before."""
    running = Running(tmp_path)
    path = tmp_path / running_name("0123456789ab")
    path.write_bytes(recording(*typed("whoami\r")[:3]))
    running.begin("0123456789ab", START + 0.3, is_telnet=False)
    path.write_bytes(recording(*typed("whoami\rexit\r")))
    path.unlink()
    named = tmp_path / "named"
    named.write_bytes(recording((1.0, b"whoami\r"), begin=START - 1000))
    facts = facts_of(START - 1, 9.0)
    found = keys_live("0123456789ab", facts, [str(named)], running, RHYTHM)
    assert found is not None
    assert found.typed > 5
    again = keys_live("0123456789ab", facts, [str(named)], running, RHYTHM)
    assert again is not None
    assert not again.timed


def test_a_telnet_recording_is_found_among_others(tmp_path: Path) -> None:
    """By when it began: no session is in its name."""
    for number in range(30):
        (tmp_path / f"{number:064x}").touch()
    (tmp_path / running_name("None", 1)).write_bytes(recording((1.0, b"id\r"), begin=START - 0.4))
    (tmp_path / running_name("None", 2)).write_bytes(recording((1.0, b"ls\r"), begin=START))
    (tmp_path / running_name("None", 3)).write_bytes(recording((1.0, b"w\r"), begin=START + 0.1))
    running = Running(tmp_path, steady=lambda: 0.0)
    running.begin("ba9876543210", START + 0.001, is_telnet=True)
    running.begin("ba9876543211", START + 0.101, is_telnet=True)
    running.begin("ba9876543212", START + 0.102, is_telnet=True)
    taken = [running.take(f"ba987654321{number}") for number in range(3)]
    arrived = [[p.data for p in read_recording(c).pieces] for each in taken for c in each]
    assert arrived == [[b"ls\r"], [b"w\r"]]


def test_a_flood_of_telnet_sessions_does_not_keep_the_thread_busy(tmp_path: Path) -> None:
    """Looking through the folder takes a twentieth of its time: some go without a recording."""
    times = iter([0.0, 0.1, 1.0, 2.1, 2.1])
    running = Running(tmp_path, steady=lambda: next(times))
    (tmp_path / running_name("None", 1)).write_bytes(recording((1.0, b"id\r")))
    running.begin("ba9876543210", START, is_telnet=True)  # took 0.1 s
    (tmp_path / running_name("None", 2)).write_bytes(recording((1.0, b"ls\r")))
    running.begin("ba9876543211", START, is_telnet=True)  # at 1.0, too early
    running.begin("ba9876543212", START, is_telnet=True)  # at 2.1
    assert [len(running.take(f"ba987654321{number}")) for number in range(3)] == [1, 0, 1]


def test_a_recording_of_many_pieces_is_read_in_part() -> None:
    """Its beginning tells as much as all of it; what came last then is not known."""
    read = read_recording(recording(*((0.001 * n, b"x") for n in range(9_000)), (20.0, b"\x04")))
    assert (len(read.pieces), read.is_cut) == (PIECES_LIMIT, True)
    assert keys_of([read], RHYTHM).last is None


def test_recordings_are_open_within_bounds(tmp_path: Path) -> None:
    """Sessions by the thousand, channels by the dozen, names that are none."""
    running = Running(tmp_path, limit=10)
    for number in range(50):
        name = f"{number:012x}"
        (tmp_path / running_name(name)).write_bytes(recording())
        running.begin(name, START, is_telnet=False)
    assert sum(map(len, running._open.values())) == 10
    assert not running.take("000000000000")
    for channel in range(20):
        (tmp_path / running_name("cccccccccccc", channel)).write_bytes(recording())
        running.begin("cccccccccccc", START, is_telnet=False)
    assert len(running.take("cccccccccccc")) <= CHANNELS
    running.begin("../../etc/passwd", START, is_telnet=False)
    running.begin("../../etc/passwd", START, is_telnet=True)
    assert not running.take("../../etc/passwd")
    running.close()
    assert not running._open


def test_summarize_reads_recordings_by_their_name_only(tmp_path: Path) -> None:
    """A path out of a log leads nowhere else."""
    folder = tmp_path / "tty"
    folder.mkdir()
    (folder / "good").write_bytes(recording(*typed("whoami\rexit\r")))
    (tmp_path / "secret").write_bytes(recording((1.0, b"whoami\r")))
    for path, reason in (("var/tty/good", "typed_keys"), ("../secret", None)):
        log = tmp_path / "cowrie.json"
        raws = [
            connect(), login(0.5), command("whoami", 3.0), command("exit", 5.0),
            event("log.closed", 5.1, ttylog=path), closed(5.2),
        ]  # fmt: skip
        log.write_bytes(as_lines(raws))
        (record,) = summarize(log, "--ttylogs", folder).records
        assert (reason in record["automation_reasons"]) == (reason is not None)
        assert "whole_lines" not in record["automation_reasons"]


# ---------------------------------------------------------------- endings

LOGGED_IN = Facts(protocol="ssh", logged_in=True, duration=60.0, since_login=50.0, quiet=20.0)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "client_closed"),
        ({"logged_in": False}, "never_logged_in"),
        ({"logged_in": False, "duration": 120.02}, "login_timeout"),
        ({"logged_in": None}, "unknown"),
        ({"partial": "evicted"}, "unknown"),
        ({"partial": "open"}, "unknown"),
        ({"partial": "recovered"}, "sensor_stopped"),
        ({"stopped": True}, "sensor_stopped"),
        ({"stopped": True, "logged_in": False}, "sensor_stopped"),
        ({"quiet": 180.4}, "idle_timeout"),
        ({"quiet": 179.0}, "client_closed"),
        ({"quiet": 190.0, "quiet_before_channel": 180.01}, "idle_timeout"),
        ({"quiet": 5.0, "since_login": 300.1}, "idle_timeout"),
        ({"quiet": 5.0, "since_login": 300.1, "protocol": "telnet"}, "client_closed"),
        ({"quiet": 5.0, "since_login": 180.1, "protocol": "telnet"}, "idle_timeout"),
        ({"last_template": "exit", "quiet": 0.1}, "exit"),
        ({"last_template": "uname -a; exit 0", "quiet": 0.1}, "exit"),
        ({"last_template": "exit", "quiet": 180.1, "quiet_before_channel": 0.01}, "exit"),
        ({"last_template": "exit", "quiet": 180.1}, "idle_timeout"),
        ({"last_template": "echo exit", "quiet": 0.1}, "client_closed"),
        ({"last_template": "sudo reboot", "quiet": 3.1}, "exit"),
        ({"commands": 1, "channels": 1, "quiet": 0.1, "quiet_before_channel": 0.01}, "exit"),
        ({"commands": 1, "channels": 1, "quiet": 9.0, "quiet_before_channel": 9.0,
          "channel_before_close": 0.001}, "client_closed"),
        ({"commands": 2, "channels": 1, "quiet": 0.1}, "client_closed"),
        ({"commands": 1, "channels": 1, "quiet": 0.1, "terminals": 1}, "client_closed"),
    ],
)  # fmt: skip
def test_how_a_session_ended(changes: dict[str, Any], wanted: str) -> None:
    """From the last command, the quiet before the close and Cowrie's timers."""
    assert ending(LOGGED_IN._replace(**changes), Timeouts()) == wanted


def test_ctrl_d_leaves_a_shell() -> None:
    """Only the recording knows of it."""
    assert ending(LOGGED_IN, Timeouts(), last_key=4) == "exit"


def test_timeouts_of_ones_own() -> None:
    """As in cowrie.cfg, and in replay by options of the same name."""
    facts = LOGGED_IN._replace(quiet=45.02)
    assert ending(facts, Timeouts(idle=45)) == "idle_timeout"
    assert ending(facts, Timeouts(idle=0)) == "client_closed"


def test_the_timeouts_of_the_study_are_no_attackers_choice(tmp_path: Path) -> None:
    """Whole rows of its figure 6 lie at 181 s: a login, a command, and nothing for 180 s."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(as_lines([connect(), login(0.5), command("id", 1.0), closed(181.1)]))
    (record,) = summarize(log).records
    assert record["ending"] == "idle_timeout"
    (record,) = summarize(log, "--idle-timeout", "60").records
    assert record["ending"] == "client_closed"
