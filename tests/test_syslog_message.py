"""Messages of syslog and their bodies: read back by parsers of their grammars, whatever is in."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty import NASTY
from summaries import summary

from cowrie_sessionstats.outputs.formats.cef import dictionary, own_key, to_cef
from cowrie_sessionstats.outputs.formats.keyvalue import to_keyvalue
from cowrie_sessionstats.outputs.syslog import LEAST_MESSAGE
from cowrie_sessionstats.outputs.syslog_message import BODIES, FACILITIES, SEVERITIES, Messages
from cowrie_sessionstats.summary import KEYS, json_schema, printable
from cowrie_sessionstats.timestamps import parse_timestamp

TEXTS: Final = st.text(st.characters(), max_size=40) | st.sampled_from(NASTY)
VALUES: Final = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(TEXTS, max_size=5)
)
RECORDS: Final = st.dictionaries(st.sampled_from(KEYS), VALUES)
"""Records in which every key holds anything: older ones, or those of a bug."""
BOOLEAN: Final = {True: "true", False: "false"}

_MESSAGE: Final = re.compile(
    rb"<(?P<pri>[1-9]?\d|1\d\d)>1 (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) "
    rb"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) - (?P<msgid>[!-~]{1,32}) - (?P<body>.*)",
    re.DOTALL,
)
"""RFC 5424, section 6, as far as we use it."""


def messages(body: str, limit: int = 8096) -> Messages:
    """Return what makes messages with this body."""
    return Messages(FACILITIES["local0"], SEVERITIES["info"], "cowrie", BODIES[body], limit)


def parsed(message: bytes) -> dict[str, bytes]:
    """Return the parts of a message, which has to be one by RFC 5424."""
    match = _MESSAGE.fullmatch(message)
    assert match is not None, message
    return match.groupdict()


def keyvalue(text: str) -> dict[str, str]:
    """Return the pairs of a text, by the grammar in ``formats/keyvalue.py``."""
    found = {}
    place = 0
    while place < len(text):
        pair = re.compile(
            r'([A-Za-z0-9_]+)=([A-Za-z0-9_.:/@%+-]+|"(?:[^"\\]|\\.)*")(?: (?=.)|$)'
        ).match(text, place)
        assert pair is not None, text[place:]
        name, value = pair.groups()
        assert name not in found
        found[name] = json.loads(value) if value[0] == '"' else value
        place = pair.end()
    return found


def cef(text: str) -> tuple[list[str], dict[str, str]]:
    """Return header and extension of an event, as ArcSight's rules say to read them."""
    match = re.fullmatch(r"CEF:0((?:\|(?:[^|\\\n\r]|\\[|\\])*){6})\|(.*)", text, re.DOTALL)
    assert match is not None, text
    header = [
        re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"\|((?:[^|\\]|\\.)*)", match.group(1))
    ]
    found: dict[str, str] = {}
    meant = {r"\n": "\n", r"\r": "\r"}
    pieces = re.split(r"(?:^| )([A-Za-z0-9]+)=", match.group(2))
    assert pieces[0] == ""
    for name, value in zip(pieces[1::2], pieces[2::2], strict=True):
        assert name not in found
        assert re.fullmatch(r"(?:[^=\\]|\\[=\\nr])*", value), value
        found[name] = re.sub(r"\\(.)", lambda m: meant.get(m.group(), m.group(1)), value)
    return header, found


def shown(text: str) -> str:
    """Return what CEF has of a text: line ends as they are, anything else printable."""
    return "".join(c if c in "\r\n" else printable(c, 1) for c in text)


def as_text(value: Any) -> str:
    """Return what stands for a value in a text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


@given(RECORDS, st.sampled_from(list(BODIES)))
def test_a_message_is_one_line_of_rfc_5424(record: dict[str, Any], body: str) -> None:
    """No text of a record adds a line, a control character or a field; there is no BOM."""
    message = messages(body, 1 << 20).of(record)
    parts = parsed(message)
    assert parts["pri"] == b"134"
    assert parts["app"] == b"cowrie"
    assert not re.search(rb"[\x00-\x1f\x7f]|\xef\xbb\xbf", message)
    message.decode("utf-8")
    if body != "cef":
        assert message.isascii()
    when = parse_timestamp(record.get("end"))
    if when is not None:
        assert parse_timestamp(parts["time"].decode()) == pytest.approx(when, abs=1e-6)
    assert messages(body, 1 << 20).frame(record) == b"%d %s" % (len(message), message)


@given(RECORDS)
def test_the_json_body_is_the_record(record: dict[str, Any]) -> None:
    """Every key and value, as the log has them."""
    body = parsed(messages("json", 1 << 20).of(record))["body"]
    assert json.loads(body) == record


@given(RECORDS)
def test_pairs_of_keys_and_values_are_read_back(record: dict[str, Any]) -> None:
    """A parser of the grammar gets every key and every text, and no other."""
    assert keyvalue(to_keyvalue(record)) == {
        name: as_text(value) for name, value in record.items() if value is not None
    }


@given(RECORDS)
def test_cef_is_read_back(record: dict[str, Any]) -> None:
    """A parser of CEF gets every key that is not empty, under its name in CEF."""
    header, found = cef(to_cef(record))
    assert header[:2] == ["Cowrie", "cowrie-sessionstats"]
    assert header[4] == "Honeypot session"
    assert header[5] in {"3", "5", "8"}
    known = dictionary()
    for name, value in record.items():
        text = shown(as_text(value))
        if value in (None, "", [], ()):
            continue
        if name == "logged_in":
            assert found.pop("outcome") == ("success" if value else "failure")
        elif name in known.times and parse_timestamp(value) is not None:
            assert found.pop(known.times[name]).isdecimal()
        elif name in known.addresses and own_key(name) not in found:
            four, six, label = known.addresses[name]
            got = {key: found.pop(key) for key in (four, six, f"{six}Label") if key in found}
            assert got in ({four: text}, {six: text, f"{six}Label": label})
        elif name in known.labelled:
            assert found.pop(f"{known.labelled[name]}Label") == name
            assert found.pop(known.labelled[name]) == text
        else:
            assert found.pop(known.keys.get(name, own_key(name))) == text
    assert found == {}


def test_cef_of_a_record_is_as_arcsight_has_it() -> None:
    """Times in milliseconds, labels, and escapes of the rules and no others."""
    record = summary(
        "abc", "a=b|c\\d\r\ne", src_ip="2001:db8::7", dst_ip="203.0.113.9", uploads=1, message="ü|"
    )
    text = to_cef(record)
    assert text.startswith("CEF:0|Cowrie|cowrie-sessionstats|")
    assert "|cowrie.sessionstats.summary|Honeypot session|8|" in text
    assert r"cs1Label=last_command cs1=a\=b|c\\d\r\ne " in text
    assert "c6a2Label=Source IPv6 Address c6a2=2001:db8::7 " in text
    assert " start=1773828000000 end=1773828010000 " in text
    assert "msg=ü| " in text
    assert " externalId=abc " in text


def test_every_key_that_cef_names_is_one_of_the_record() -> None:
    """And no two keys of the record go to the same one of CEF."""
    known = dictionary()
    tables = (known.times, known.keys, known.addresses, known.labelled)
    named = [name for table in tables for name in table]
    assert len(named) == len(set(named))
    assert set(named) <= set(KEYS)
    targets = [
        *known.times.values(),
        *known.keys.values(),
        *(key for four, six, _ in known.addresses.values() for key in (four, six, f"{six}Label")),
        *(key for name in known.labelled.values() for key in (name, f"{name}Label")),
        *(own_key(name) for name in KEYS if name not in named),
    ]
    assert len(targets) == len(set(targets))
    types = {
        name: known_type["type"]
        for name, known_type in json_schema()["properties"].items()
        if "type" in known_type
    }
    for name, key in known.labelled.items():
        if key.startswith("cn"):
            assert types[name] == "integer"
        if key.startswith("cfp"):
            assert types[name] == "number"


@given(
    st.dictionaries(
        st.sampled_from(["username", "password", "first_command", "templates", "urls", "message"]),
        st.text(max_size=3000) | st.lists(st.text(max_size=300), max_size=100),
    ),
    st.sampled_from(list(BODIES)),
    st.integers(LEAST_MESSAGE, 4000),
)
def test_a_long_record_is_shortened_and_says_so(
    known: dict[str, Any], body: str, limit: int
) -> None:
    """It fits, what was cut is the beginning of what it was, and the rest is whole."""
    record = summary("abc", "uname") | known
    message = messages(body, limit).of(record)
    assert len(message) <= limit
    text = parsed(message)["body"].decode()
    if len(messages(body, 1 << 30).of(record)) <= limit:
        assert message == messages(body, 1 << 30).of(record)
    if body == "cef":
        cef(text)
        return
    found = json.loads(text) if body == "json" else keyvalue(text)
    cut: Any = found.get("truncated", [])
    cut = json.loads(cut) if isinstance(cut, str) else cut
    assert cut == sorted(cut)
    for name, value in record.items():
        got = found[name]
        if name not in cut:
            assert got == (value if body == "json" else as_text(value))
        elif body == "json" and isinstance(value, str):
            assert value.startswith(got)
        elif body == "json":
            assert got == value[: len(got)] or (len(got) == 1 and value[0].startswith(got[0]))


def test_what_was_cut_before_stays_named() -> None:
    """The names of both are in ``truncated``."""
    record = summary("abc", truncated=["files"], urls=["x" * 1000] * 30)
    body = json.loads(parsed(messages("json", 2048).of(record))["body"])
    assert body["truncated"] == ["files", "urls"]
    assert body["urls"] == ["x" * 1000]


@pytest.mark.parametrize("body", list(BODIES))
@pytest.mark.parametrize(
    "record",
    [{"session": "x" * 3000}, {"duration": float("nan")}, {"files": [object()]}],
    ids=["too long an id", "not a number", "no JSON"],
)
def test_a_record_that_cannot_be_written_is_a_value_error(
    body: str, record: dict[str, Any]
) -> None:
    """The engine sets such a record aside."""
    with pytest.raises(ValueError, match=r"[a-z]"):
        messages(body, 2048).of(record)


def test_a_header_has_only_what_receivers_take() -> None:
    """A sensor's name of anything becomes one word; nothing at all is a hyphen."""
    make = messages("json")
    for sensor, word in (
        ("svr 04\n<13>1", b"svr_04__13_1"),
        ("ü" * 300, b"_" * 255),
        ("", b"-"),
        (None, b"-"),
        (7, b"-"),
    ):
        assert parsed(make.of({"sensor": sensor}))["host"] == word
    assert parsed(make.of({"end": "2026-02-30T00:00:00Z"}))["time"] == b"-"
    assert parsed(make.of({"timestamp": "2026-02-20T02:00:00+0200"}))["time"] == (
        b"2026-02-20T00:00:00.000000Z"
    )
    assert parsed(make.of({"eventid": "x" * 99}))["msgid"] == b"x" * 32
