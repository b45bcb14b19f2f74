"""The table of open sessions: one record each, whatever comes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import closed, command, connect, event, login, only, records

from cowrie_sessionstats import sessions as sessions_module
from cowrie_sessionstats.sessions import RECENT_SECONDS, Sessions
from cowrie_sessionstats.summary import Summary, json_schema, record, to_json

DOWNLOAD = "session.file_download"
SHA = "ab" * 32


def test_one_session_from_beginning_to_end() -> None:
    """Every figure of a small session, worked out by hand."""
    made = only(
        [
            connect(),
            event("client.version", 0.1, version="SSH-2.0-Go"),
            event("client.kex", 0.2, hassh="0a07365cc01fa9fc82608ba4019af499"),
            event("login.failed", 0.5, username="root", password="root"),
            login(1.0),
            event("client.size", 1.1, width=80, height=24),
            event("session.params", 1.2, arch="linux-x64-lsb"),
            command("uname -a", 2.0),
            command("id", 3.0),
            command("uname -a", 6.0),
            event(DOWNLOAD, 7.0, url="http://192.0.2.9/a", shasum=SHA),
            event(DOWNLOAD, 7.5, url="http://192.0.2.9/a", shasum=SHA),
            event("session.file_download.failed", 7.6, url="http://192.0.2.9/b"),
            event("session.file_upload", 7.7, shasum="cd" * 32),
            event("log.closed", 9.0, ttylog="tty/1", shasum="ef" * 32),
            closed(10.0),
        ]
    )
    assert made == {
        "eventid": "cowrie.sessionstats.summary",
        "schema": 1,
        "session": "5ca1ab1e0001",
        "sensor": "svr04",
        "uuid": "3e1d9a4c-0000-4000-8000-000000000001",
        "protocol": "ssh",
        "src_ip": "203.0.113.7",
        "src_port": 40000,
        "dst_ip": "198.51.100.2",
        "dst_port": 2222,
        "timestamp": "2026-03-18T10:00:10.000000Z",
        "message": "root@203.0.113.7 ssh 10.0 s, 3 commands, 2 downloads, 1 upload, last: uname -a",
        "start": "2026-03-18T10:00:00.000000Z",
        "end": "2026-03-18T10:00:10.000000Z",
        "duration": 10.0,
        "logged_in": True,
        "login_attempts": 2,
        "username": "root",
        "password": "admin",
        "auth": "password",
        "client_version": "SSH-2.0-Go",
        "hassh": "0a07365cc01fa9fc82608ba4019af499",
        "terminal": "80x24",
        "arch": "linux-x64-lsb",
        "commands": 3,
        "commands_failed": 0,
        "inputs": 0,
        "command_events": 3,
        "commands_distinct": 2,
        "first_command": "uname -a",
        "last_command": "uname -a",
        "last_command_template": "uname -a",
        "command_rate": 0.3,
        "command_rate_active": 0.75,
        "first_command_after": 1.0,
        "quiet_before_close": 4.0,
        "gap_median": 2.0,
        "gap_cv": 0.5,
        # printf 'uname -a\nid\nuname -a\n' | sha256sum
        "commands_sha256": "372d63183d28b7b1a52ace80b3073167202f47bcf71b871c30758411cdaeaa57",
        "fingerprint": "csf1_3_f3d97fe7c0eb_3b79310c58e1",
        "templates": ["uname -a", "id", "uname -a"],
        "downloads": 2,
        "uploads": 1,
        "files": [SHA, "cd" * 32],
        "urls": ["http://192.0.2.9/a", "http://192.0.2.9/b"],
        "forwards": 0,
        "forward_targets": [],
        "ttylogs": ["tty/1"],
        "ending": "client_closed",
        "automation": "automated",
        "automation_score": 75,
        "automation_reasons": ["library_client"],
        "checks": [],
        "labels": ["file-upload", "reconnaissance", "user-discovery"],
        "techniques": ["T1033", "T1082", "T1105"],
        "late_events": 0,
        "revision": 0,
    }


def test_more_than_max_sessions_closes_the_one_idle_longest() -> None:
    """The table is bounded: the session that was quiet longest makes room, marked."""
    made = records(
        [
            connect(0.0, "a"),
            connect(1.0, "b"),
            command("id", 2.0, "a"),
            connect(3.0, "c"),  # over the bound: b has been quiet since 1.0
            closed(4.0, "a"),
            closed(5.0, "c"),
        ],
        max_sessions=2,
        finish=False,
    )
    assert [(r["session"], r.get("partial")) for r in made] == [
        ("b", "evicted"),
        ("a", None),
        ("c", None),
    ]
    assert made[0]["duration"] == 0
    assert "quiet_before_close" not in made[0]


def test_an_evicted_session_goes_on_counting_in_revisions() -> None:
    """What it does after that is late, and its end is told in the last revision."""
    made = records(
        [
            connect(0.0, "a"),
            login(0.5, "a"),
            connect(1.0, "b"),
            command("id", 2.0, "a"),
            closed(4.0, "a"),
            closed(5.0, "b"),
        ],
        max_sessions=1,
    )
    of_a = [r for r in made if r["session"] == "a"]
    assert [r["revision"] for r in of_a] == [0, 1, 2]
    assert {r["start"] for r in of_a} == {"2026-03-18T10:00:00.000000Z"}
    assert of_a[-1]["partial"] == "evicted"
    assert of_a[-1]["commands"] == 1
    assert of_a[-1]["late_events"] == 2
    assert of_a[-1]["duration"] == 4.0


def test_an_evicted_session_that_stays_busy_is_followed_to_its_end() -> None:
    """Its records tell its last event so far, however long after the eviction, and its close."""
    busy = [command(f"echo {i}", 100.0 + 10 * i, "a") for i in range(65)]
    made = records(
        [connect(0.0, "a"), connect(1.0, "b"), *busy, closed(800.0, "a")], max_sessions=1
    )
    of_a = [r for r in made if r["session"] == "a"]
    assert of_a[-1]["duration"] == 800.0
    assert of_a[-1]["commands"] == 65
    assert of_a[-1]["quiet_before_close"] == 60.0
    assert of_a[-2]["late_events"] == 64
    assert of_a[-2]["end"] == "2026-03-18T10:12:10.000000Z"
    assert of_a[-2]["duration"] == 730.0


def test_a_flood_makes_no_flood_of_records() -> None:
    """Far more busy sessions than the table holds: one record each, and few revisions."""
    flood = [connect(0.0, f"{i}") for i in range(300)]
    for turn in range(5):
        flood += [command("id", 1.0 + turn, f"{i}") for i in range(300)]
    flood += [closed(9.0, f"{i}") for i in range(300)]
    made = records(flood, max_sessions=100, max_recent=50)
    firsts = [r["session"] for r in made if r["revision"] == 0]
    assert len(firsts) == len(set(firsts)) == 300
    assert max(r["revision"] for r in made) <= 5


def test_a_session_made_to_be_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lists would hold memory after the close; its late events are dropped instead."""
    monkeypatch.setattr(sessions_module, "RECENT_WEIGHT", 1000)
    fetch = [event(DOWNLOAD, 1.0, url=f"http://x/{i}" + "\U0001f600" * 500) for i in range(3)]
    late = event(DOWNLOAD, 3.0, url="http://x", late=True)
    assert only([connect(), *fetch, closed(2.0), late])["downloads"] == 3


def test_times_that_cannot_be_written_are_unknown() -> None:
    """A damaged log's year 9999 or 1969 costs no other session its record."""
    odd = [
        {**connect(0.0, name), "timestamp": stamp}
        for name, stamp in (
            ("a", "9999-12-31T23:59:59-14:00"),
            ("b", "1969-12-31T23:59:59.000000Z"),
            ("c", "0001-01-01T00:00:00.000000Z"),
        )
    ]
    made = records([*odd, connect(0.0, "d"), closed(1.0, "d")])
    assert {r["session"]: r.get("start") for r in made} == {
        "a": None, "b": None, "c": None, "d": "2026-03-18T10:00:00.000000Z",
    }  # fmt: skip


def test_start_and_end_are_in_utc_in_any_form_of_time() -> None:
    """Only what is as Cowrie writes UTC is taken over as it stands."""
    begun = {**connect(), "timestamp": "2026-03-18T11:00:00.1+01:00"}
    assert only([begun, closed(1.0)])["start"] == "2026-03-18T10:00:00.100000Z"


def test_no_rate_is_infinite() -> None:
    """A duration too short to have been measured gives none."""
    made = only([connect(), command("id", 0.0), closed(1.0, duration_ms=None, duration="1e-320")])
    assert "command_rate" not in made


def test_a_session_whose_beginning_was_not_seen_says_so() -> None:
    """Its start is its close less its duration; whether a login worked is unknown."""
    made = only([command("id", 20.0), closed(30.0)])
    assert made["partial"] == "joined_late"
    assert made["start"] == "2026-03-18T10:00:00.000000Z"
    assert "logged_in" not in made
    assert "dst_port" not in made
    assert made["src_ip"] == "203.0.113.7"

    without_duration = closed(30.0)
    del without_duration["duration_ms"]
    assert only([command("id", 20.0), without_duration])["duration"] == 10.0


def test_a_beginning_that_comes_after_other_events_is_still_one() -> None:
    """Events out of order make one whole record."""
    made = only([login(), connect(), command("id", 2.0), closed(3.0)])
    assert "partial" not in made
    assert made["start"] == "2026-03-18T10:00:00.000000Z"
    assert made["dst_port"] == 2222
    assert made["logged_in"] is True


def test_the_same_beginning_twice_is_one_session() -> None:
    """A repeated event does not begin a second session."""
    assert only([connect(), connect(), closed(3.0)])["duration"] == 3.0


def test_an_id_that_begins_again_is_another_session() -> None:
    """The first, whose end was never seen, is closed as open."""
    made = records([connect(), login(), connect(100.0), closed(101.0), connect(200.0)])
    assert [(r["start"][14:19], r.get("partial")) for r in made] == [
        ("00:00", "open"),
        ("01:40", None),
        ("03:20", "open"),
    ]


def test_the_first_templates_are_listed() -> None:
    """32 of them, repeats in a row once; a longer row is said to be cut."""
    words = [["uname -a", "id"][n % 2] for n in range(32)]
    lines = [command(line, 1.0 + n) for n, line in enumerate(["uname -a", *words])]
    made = only([connect(), login(), *lines, closed(50.0)])
    assert made["templates"] == words
    assert "truncated" not in made
    made = only([connect(), login(), *lines, command("w", 40.0), closed(50.0)])
    assert made["templates"] == words
    assert made["truncated"] == ["templates"]
    assert made["last_command_template"] == "w"


def test_late_events_revise_the_record_now_and_then() -> None:
    """At the 1st, 2nd, 4th, 8th ... and at last: many late events make few records."""
    late = [event(DOWNLOAD, 3.0, url=f"http://192.0.2.9/{i}", late=True) for i in range(100)]
    made = records([connect(), closed(2.0), *late])
    assert [r["late_events"] for r in made] == [0, 1, 2, 4, 8, 16, 32, 64, 100]
    assert [r["revision"] for r in made] == list(range(9))
    assert {r["start"] for r in made} == {made[0]["start"]}
    assert {r["duration"] for r in made} == {2.0}
    assert made[-1]["downloads"] == 100
    assert len(made[-1]["urls"]) == 32
    assert made[-1]["truncated"] == ["urls"]


def test_late_events_make_no_session() -> None:
    """Long after the close, or of a session never seen, they are dropped and counted."""
    made: list[Summary] = []
    table = Sessions(made.append)
    for raw in [
        connect(),
        closed(2.0),
        event(DOWNLOAD, RECENT_SECONDS + 3, late=True),
        event(DOWNLOAD, 2.0, "never seen", late=True),
    ]:
        table.feed(raw)
    assert len(table) == 0
    assert len(made) == 1
    assert table.counters.dropped == 2


def test_memory_of_closed_sessions_is_bounded() -> None:
    """Only so many are kept for late events; a later one of the first is dropped."""
    made: list[Summary] = []
    table = Sessions(made.append, max_recent=2)
    for name in "abc":
        table.feed(connect(0.0, name))
        table.feed(closed(1.0, name))
    table.feed(event(DOWNLOAD, 1.5, "c", late=True))
    table.feed(event(DOWNLOAD, 1.5, "a", late=True))
    assert [(s.session, s.late_events) for s in made] == [("a", 0), ("b", 0), ("c", 0), ("c", 1)]
    assert table.counters.dropped == 1


def test_sessions_of_two_sensors_with_one_id_are_two() -> None:
    """The sensor's name is part of what tells sessions apart."""
    pair = [connect(), {**connect(), "sensor": "other"}]
    assert len(records([*pair, closed(1.0), {**closed(2.0), "sensor": "other"}])) == 2


def test_passwords_are_dropped_if_the_operator_wants_that() -> None:
    """With ``keep_passwords`` off the record has none, and nothing is said to be cut."""
    events = [connect(), login(password="x" * 5000), closed(2.0)]
    assert only(events)["truncated"] == ["password"]
    made = only(events, keep_passwords=False)
    assert "password" not in made
    assert "truncated" not in made
    assert made["auth"] == "password"


def test_the_login_that_worked_is_the_one_told() -> None:
    """Else the last one tried; name, password and method are of the same login."""
    key = {"fingerprint": "aa:bb", "key": "ssh-rsa A", "type": "ssh-rsa"}
    tries = [
        event("login.failed", 1.0, username="admin", password="1"),
        event("client.fingerprint", 1.5, username="root", **key),
        event("login.failed", 2.0, username="root", **key),
    ]
    failed = only([connect(), *tries, closed(5.0)])
    assert (failed["username"], failed["auth"]) == ("root", "publickey")
    assert "password" not in failed
    assert failed["message"] == "203.0.113.7 ssh 5.0 s, 2 failed logins"

    worked = only(
        [connect(), *tries, login(3.0), event("login.failed", 4.0, password="2"), closed(5.0)]
    )
    assert (worked["username"], worked["password"], worked["auth"]) == ("root", "admin", "password")
    assert worked["key_fingerprint"] == "aa:bb"
    assert worked["login_attempts"] == 4


def test_an_unreadable_command_counts_and_leaves_its_text_unknown() -> None:
    """A line of another type than text is a command, but no hash can be exact."""
    made = only([connect(), command("id", 1.0), command(["id"], 2.0), closed(3.0)])
    assert made["commands"] == 2
    assert made["first_command"] == "id"
    assert "last_command" not in made
    assert "commands_sha256" not in made


def test_blank_commands_and_newlines_are_commands() -> None:
    """A blank line was sent, and a line may hold another."""
    made = only([connect(), command("", 1.0), command("a\nb", 2.0), command("", 3.0), closed(4.0)])
    assert made["commands"] == 3
    assert made["commands_distinct"] == 2
    assert made["first_command"] == ""
    assert made["last_command"] == ""


def test_a_clock_set_back_makes_no_negative_figure() -> None:
    """Times that go backwards leave out what they would falsify."""
    made = only([connect(), login(50.0), command("a", 40.0), command("b", 30.0), closed(20.0)])
    for key in ("first_command_after", "quiet_before_close", "gap_median", "command_rate_active"):
        assert key not in made
    assert made["commands"] == 2


def test_texts_are_cut_and_named() -> None:
    """1,024 characters stay of a text; counters and hashes take all of it."""
    long = "x" * 5000
    made = only(
        [
            connect(),
            login(username=long),
            event("client.version", 1.0, version=long),
            command(long, 1.0),
            command("y" * 1024, 2.0),
            closed(4.0),
        ]
    )
    assert made["truncated"] == ["client_version", "first_command", "templates", "username"]
    for text in ("client_version", "first_command", "username"):
        assert made[text] == "x" * 1024
    assert made["templates"] == ["x" * 1024, "y" * 1024]
    assert made["last_command"] == "y" * 1024


# ---------------------------------------------------------------- anything at all

texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["\ud800", "\0", "\x1b[2J", "x" * 1_000_000, "2026-03-18T10:00:00.000000Z"]),
)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary(max_size=8),
        st.just(10**400),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)  # fmt: skip
EVENTIDS = [
    *(f"cowrie.{name}" for name in (
        "session.connect", "session.closed", "session.params", "session.input", DOWNLOAD,
        "session.file_download.failed", "session.file_upload", "login.success", "login.failed",
        "client.fingerprint", "client.version", "client.kex", "client.size", "command.input",
        "command.failed", "command.success", "command.new", "direct-tcpip.request",
        "direct-tcpip.data", "log.closed", "telnet.option", "virustotal.scanfile",
    )),
    "cowrie", "", "other.thing",
]  # fmt: skip
FIELDS = [
    "session", "sensor", "uuid", "timestamp", "time", "src_ip", "src_port", "dst_ip", "dst_port",
    "protocol", "system", "username", "password", "key", "fingerprint", "version", "hassh",
    "width", "height", "arch", "input", "realm", "url", "shasum", "ttylog", "duration",
    "duration_ms", "late", "message",
]  # fmt: skip
wild = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, values),
        "eventid": st.sampled_from(EVENTIDS) | values,
        "session": st.sampled_from(["a", "b", "c"]) | values,
        "sensor": st.just("svr04") | values,
    },
)
likely = st.builds(
    lambda name, at, session, more: {**event(name[7:], at, session), **more},
    st.sampled_from([name for name in EVENTIDS if name.startswith("cowrie.")]),
    st.floats(min_value=0, max_value=1000),
    st.sampled_from("abc"),
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[5:], values)),
)


def check(made: list[dict[str, Any]]) -> None:
    """Records are JSON of our schema, revised in order, one a session and start."""
    validator = jsonschema.Draft202012Validator(json_schema())
    revisions: dict[Any, int] = {}
    for one in made:
        validator.validate(one)
        key = (one.get("sensor"), one["session"], one.get("start"))
        assert one["revision"] in (0, revisions.get(key, 0) + 1)
        revisions[key] = one["revision"]


@given(st.lists(wild | likely, max_size=30), st.integers(min_value=1, max_value=3))
def test_no_event_whatsoever_raises(raw_events: list[Any], max_sessions: int) -> None:
    """Missing and mistyped fields, any order, lone surrogates, NULs, 1 MB texts: records only."""
    made: list[Summary] = []
    table = Sessions(made.append, max_sessions=max_sessions)
    for raw in raw_events:
        table.feed(raw)
        assert len(table) <= max_sessions
    table.finish()
    assert len(table) == 0
    check([json.loads(to_json(summary)) for summary in made])
    assert [json.loads(to_json(s)) for s in made] == [record(s) for s in made]
    assert table.counters.written == table.counters.opened


@given(st.permutations([connect(), login(), command("id", 2.0), command("w", 3.0), closed(9.0)]))
def test_the_order_of_events_does_not_change_what_is_counted(order: list[Any]) -> None:
    """Whatever comes first, the last record of the session has everything."""
    last = records(order)[-1]
    assert (last["commands"], last["login_attempts"]) == (2, 1)
    assert last["username"] == "root"
