"""The record: its schema, its documentation and its one readable line."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from samples import closed, command, connect, event, login, only

from cowrie_sessionstats import events
from cowrie_sessionstats.summary import KEYS, Summary, json_schema, printable

DESIGN = """
eventid schema session sensor uuid protocol src_ip src_port dst_ip dst_port timestamp message
start end duration
logged_in login_attempts username password auth key_fingerprint
client_version hassh terminal arch
commands commands_failed inputs command_events commands_distinct first_command last_command
last_command_template
command_rate command_rate_active first_command_after quiet_before_close gap_median gap_cv
commands_sha256 fingerprint templates vocabulary
downloads uploads files urls forwards forward_targets ttylogs
ending automation automation_score automation_reasons checks check_last labels techniques
seen_before first_seen stopped_early usual_next
partial truncated late_events revision
"""
SCHEMA_FILE = ROOT / "cowrie_sessionstats/summary.schema.json"


def test_the_schema_file_is_the_one_generated() -> None:
    """``cowrie-sessionstats schema`` and the file in the package are equal."""
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema()


def test_the_schema_is_one() -> None:
    """It is a valid JSON Schema, describes each key, and refuses what is no record."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == list(KEYS)
    assert all(described["description"] for described in schema["properties"].values())
    validator = jsonschema.Draft202012Validator(schema)
    record = only([connect(), closed(1.0)])
    validator.validate(record)
    for wrong in (
        {"commands": -1}, {"commands": "1"}, {"auth": "telepathy"}, {"schema": 2},
        {"urls": ["x"] * 33}, {"username": "x" * 1025}, {"logged_in": "yes"},
    ):  # fmt: skip
        assert not validator.is_valid(record | wrong), wrong
    assert not validator.is_valid({k: v for k, v in record.items() if k != "session"})


def test_the_readme_has_every_key_of_the_record() -> None:
    """The README's table and the code say the same of each key."""
    text = (ROOT / "README.md").read_text().partition("## The record")[2]
    text = text.partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    described = json_schema()["properties"]
    assert [(key, text.replace("\\|", "|")) for key, text in rows if key in described] == [
        (key, described[key]["description"]) for key in KEYS
    ]


def test_keys_of_the_design_in_their_order() -> None:
    """Names of keys are an interface: others check against them. Ours: vocabulary, templates."""
    assert " ".join(KEYS).split() == DESIGN.split()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "203.0.113.7 ssh 19.4 s, no login"),
        ([login()], "root@203.0.113.7 ssh 19.4 s, 0 commands"),
        (
            [login(), command("df -h", 2.0)],
            "root@203.0.113.7 ssh 19.4 s, 1 command, last: df -h",
        ),
        (
            [event("login.failed", 1.0, username="a", password="b")],
            "203.0.113.7 ssh 19.4 s, 1 failed login",
        ),
        (
            [login(username="r\x1b[1m\u202e"), command("a\r\n\0 \ud800 \x9b1m", 2.0)],
            r"r\x1b[1m\u202e@203.0.113.7 ssh 19.4 s, 1 command, last: a\r\n\x00 \ud800 \x9b1m",
        ),
        (
            [login(username="u" * 50), command("c" * 100, 2.0)],
            f"{'u' * 32}...@203.0.113.7 ssh 19.4 s, 1 command, last: {'c' * 80}...",
        ),
    ],
)
def test_the_message_is_one_readable_line(more: list[Any], message: str) -> None:
    """Who, how long, how much and what at last, whatever was sent."""
    assert only([connect(), *more, closed(19.4)])["message"] == message


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_printable_text_cannot_move_the_cursor(text: str, limit: int) -> None:
    """What is shown is printable, and plain text is shown as it is."""
    shown = printable(text, limit)
    assert shown.isprintable()
    if text.isprintable() and len(text) <= limit:
        assert shown == text


def test_a_record_cannot_be_changed() -> None:
    """It goes to several outputs and another thread."""
    summary = Summary(session="a", message="b")
    with pytest.raises(AttributeError):
        summary.session = "c"  # type: ignore[misc]
    assert summary.eventid == events.SUMMARY_EVENTID
