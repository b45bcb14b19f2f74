"""Reading events of every generation, seen in the records that they make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import START, closed, command, connect, event, login, only
from twisted.logger import formatTime

from cowrie_sessionstats import events, timestamps


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"duration": 33.729620933532715}, 33.729620933532715),
        ({"duration": 12}, 12.0),
        ({"duration": "9.8"}, 9.8),
        ({"duration_ms": 9812}, 9.812),
        ({"duration_ms": None, "duration": "3.5"}, 3.5),
        ({"duration": "long"}, 20.0),
        ({"duration": True}, 20.0),
        ({"duration": [1]}, 20.0),
        ({"duration": -5.0}, 20.0),
        ({"duration": float("nan")}, 20.0),
        ({"duration": float("inf")}, 20.0),
        ({"duration": "1e999"}, 20.0),
        ({"duration": 10**400}, 20.0),
        ({"duration_ms": "9" * 5000}, 20.0),
        ({}, 20.0),
    ],
)
def test_durations_of_all_generations(fields: dict[str, Any], seconds: float) -> None:
    """Float, text and milliseconds are read; what is none of them, the events' times replace."""
    end = closed(20.0)
    del end["duration_ms"]
    assert only([connect(), {**end, **fields}])["duration"] == seconds


@pytest.mark.parametrize(
    ("stamp", "micros"),
    [
        ("2026-03-18T10:00:00.123456Z", 123456),
        ("2026-03-18T10:00:00Z", 0),
        ("2026-03-18T10:00:00.5Z", 500000),
        ("2026-03-18T10:00:00.123456789Z", 123456),
        ("2026-03-18T12:00:00.123456+0200", 123456),
        ("2026-03-18T12:00:00.123456+02:00", 123456),
        ("2026-03-18T04:30:00.000000-0530", 0),
        ("2026-03-18 10:00:00,250000", 250000),
        ("2026-03-18T10:00:00.000001", 1),
    ],
)
def test_times_with_z_offset_or_neither(stamp: str, micros: int) -> None:
    """A time is read with ``Z``, with a numeric offset and with neither, which means UTC."""
    assert timestamps.parse_timestamp(stamp) == pytest.approx(START + micros / 1e6, abs=1e-7)


@pytest.mark.parametrize(
    "stamp",
    [
        "", "yesterday", "2026-13-18T10:00:00.123456Z", "2026-03-18T25:00:00.123456Z",
        "2026-03-18T10:00:00.12345+0Z", "2026-W12-3T10:00:00.123456Z",
        "٢٠٢٦-03-18T10:00:00.123456Z", "x" * 10_000, 1773828000, None, ["2026"], True,
        "0001-01-01T00:00:00.000000+0900",
    ],
)  # fmt: skip
def test_what_is_no_time_counts_as_unknown(stamp: Any) -> None:
    """Anything else is no time, and no error."""
    assert timestamps.parse_timestamp(stamp) is None


def test_written_times_read_back() -> None:
    """What is written of a time reads back as the same time."""
    for micros in (0, 1, 123456, 999999):
        when = START + micros / 1e6
        assert timestamps.parse_timestamp(timestamps.format_timestamp(when)) == pytest.approx(when)


@given(
    st.floats(min_value=1.4e9, max_value=2.2e9),
    st.floats(min_value=0, max_value=2e5),
    st.integers(min_value=0, max_value=127),
)
def test_live_times_and_logged_times_have_the_same_differences(
    begin: float, lasts: float, tie: int
) -> None:
    """Between the times that Cowrie has in memory lies what lies between those that it writes.

    Also where a time lies just between two microseconds, as every 128th of a second can.
    """
    for earlier in (begin, int(begin) + tie / 128):
        later = earlier + lasts
        live = [events.tick({"time": at}) for at in (earlier, later)]
        logged = [
            events.tick({"timestamp": formatTime(at, "%Y-%m-%dT%H:%M:%S.%fZ")})
            for at in (earlier, later)
        ]
        assert timestamps.between(*live) == timestamps.between(*logged)
        made = [
            only(
                [
                    {**connect(), "timestamp": None},
                    *({"eventid": "cowrie.command.input", "session": "5ca1ab1e0001",
                       "sensor": "svr04", "input": "id", **when} for when in times),
                ]
            )["gap_median"]
            for times in (
                [{"time": earlier}, {"time": later}],
                [{"timestamp": formatTime(at, "%Y-%m-%dT%H:%M:%S.%fZ")} for at in (earlier, later)],
            )
        ]  # fmt: skip
        assert made[0] == made[1]


@pytest.mark.parametrize(
    ("fields", "auth", "password", "fingerprint"),
    [
        ({"password": "x"}, "password", "x", None),
        ({"password": ""}, "password", "", None),
        ({}, "none", None, None),
        ({"key": "ssh-rsa AAAA", "fingerprint": "aa:bb", "type": "ssh-rsa"}, "publickey", None,
         "aa:bb"),
        ({"password": 12345}, "password", None, None),
    ],
)  # fmt: skip
def test_logins_by_password_key_and_none(
    fields: dict[str, Any], auth: str, password: str | None, fingerprint: str | None
) -> None:
    """The fields that a login has tell how it was made."""
    tried = event("login.failed", 1.0, username="root", **fields)
    made = only([connect(), tried, closed(2.0)])
    assert made["auth"] == auth
    assert made.get("password") == password
    assert made.get("key_fingerprint") == fingerprint
    assert made["logged_in"] is False
    assert made["login_attempts"] == 1


@pytest.mark.parametrize(
    ("fields", "protocol"),
    [
        ({"protocol": "telnet"}, "telnet"),
        ({"protocol": "ssh"}, "ssh"),
        ({"system": "cowrie.ssh.factory.CowrieSSHFactory"}, "ssh"),
        ({"system": "cowrie.telnet.transport.HoneyPotTelnetFactory"}, "telnet"),
        ({"system": 7}, None),
        ({"protocol": ["ssh"]}, None),
    ],
)
def test_the_protocol_is_where_each_generation_has_it(
    fields: dict[str, Any], protocol: str | None
) -> None:
    """``protocol``, or in 2017 the name of the transport's class in ``system``."""
    begun = connect()
    del begun["protocol"]
    ended = closed(1.0)
    del ended["protocol"]
    assert only([{**begun, **fields}, ended]).get("protocol") == protocol


def test_a_forwarding_does_not_change_where_the_session_went() -> None:
    """A tunnel's addresses stand under the session's own names, and are not the session's."""
    asked = event(
        "direct-tcpip.request", 1.0, dst_ip="192.0.2.1", dst_port=25, src_port=1, orig_ip="::1"
    )
    seen = only([connect(), asked, closed(2.0)])
    assert (seen["dst_ip"], seen["dst_port"], seen["src_port"]) == ("198.51.100.2", 2222, 40_000)
    assert seen["forward_targets"] == ["192.0.2.1:25"]

    unseen = only([asked, {**asked, "dst_ip": "2001:db8::1"}, closed(2.0)])
    assert not {"dst_ip", "dst_port", "src_port"} & unseen.keys()
    assert unseen["src_ip"] == "203.0.113.7"
    assert unseen["forward_targets"] == ["192.0.2.1:25", "[2001:db8::1]:25"]


def test_a_client_version_written_as_bytes() -> None:
    """Cowrie of 2018 to 2021 wrote ``b'...'`` round the version."""
    for written in ("b'SSH-2.0-Go'", 'b"SSH-2.0-Go"', "SSH-2.0-Go"):
        said = event("client.version", 0.5, version=written)
        assert only([connect(), said, closed(1.0)])["client_version"] == "SSH-2.0-Go"


def test_lines_fed_to_a_command_are_inputs() -> None:
    """Whatever id Cowrie reports them under: a ``realm`` tells, or ``session.input``."""
    made = only(
        [
            connect(),
            login(),
            command("passwd", 2.0),
            event("command.success", 3.0, realm="passwd", input="secret"),
            event("command.input", 4.0, realm="grep", input="a line"),
            event("session.input", 5.0, realm="cat", input="a line"),
            event("command.success", 6.0, input="ls"),
            event("command.chpasswd", 7.0, realm="chpasswd", username="root"),
            event("command.failed", 8.0, input="nosuch"),
            event("command.somethingnew", 9.0),
            closed(10.0),
        ]
    )
    assert made["commands"] == 1
    assert made["inputs"] == 3
    assert made["commands_failed"] == 1
    assert made["command_events"] == 7
    assert made["last_command"] == "passwd"


def test_lookups_of_other_outputs_are_no_activity() -> None:
    """What VirusTotal or a name server answers makes no session, nor a late event."""
    lookups = [
        event(name, at)
        for at in (0.5, 3.0)
        for name in ("virustotal.scanfile", "reversedns.connect", "sessionstats.summary")
    ]
    made = only([lookups[0], connect(), *lookups, closed(1.0), *lookups])
    assert made["late_events"] == 0
    assert made["revision"] == 0
    assert made["start"] == "2026-03-18T10:00:00.000000Z"


def test_a_message_of_any_kind_is_not_looked_at() -> None:
    """Text, list, empty, or a ``format`` in its place."""
    for message in ({"message": ["a"]}, {"message": ""}, {"format": "%(x)s"}, {}):
        event_ = {**event("session.params", 0.5, arch="linux-x64-lsb"), **message}
        assert only([connect(), event_, closed(1.0)])["arch"] == "linux-x64-lsb"
