"""Records in which an attacker chose every text that he can choose, for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from nasty import NASTY
from samples import START

from cowrie_sessionstats.summary import json_schema
from cowrie_sessionstats.timestamps import format_timestamp

_CHOSEN = st.text(st.characters(), max_size=40) | st.sampled_from(
    [*NASTY, "\ud800", "\udcff" * 3, "\ud83d\ude00", "\\ud800", "a\nb\r\n{}", '"}\n{"create":{}}\n']
)
_ADDRESSES = st.ip_addresses().map(str) | st.sampled_from(["fe80::1%eth0", "unknown", "1.2.3"])
_TIMES = st.floats(0, 3e9).map(lambda seconds: format_timestamp(START + seconds / 100))


_BY_KEY: dict[str, st.SearchStrategy[Any]] = {
    "start": _TIMES,
    "end": _TIMES,
    "timestamp": _TIMES,
    "src_ip": _ADDRESSES,
    "dst_ip": _ADDRESSES,
    "src_port": st.integers(0, 65_535),
    "dst_port": st.integers(0, 65_535),
    "protocol": st.sampled_from(["ssh", "telnet"]),
}
_BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "array": st.lists(_CHOSEN, max_size=4),
    "boolean": st.booleans(),
    "integer": st.integers(0, 2**31),
    "number": st.floats(0, 1e9),
    "string": _CHOSEN,
}


def _values(key: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    return _BY_KEY.get(key, _BY_TYPE[schema["type"]])


def _records() -> st.SearchStrategy[dict[str, Any]]:
    schema = json_schema()
    values = {key: _values(key, value) for key, value in schema["properties"].items()}
    needed = {*schema["required"], "end"}
    return st.fixed_dictionaries(
        {key: value for key, value in values.items() if key in needed},
        optional={key: value for key, value in values.items() if key not in needed},
    )


hostile_records = _records()
"""Whole records and ones that lack what may be lacking."""


def cleaned(value: Any) -> Any:
    """Return what has to arrive of a value: lone surrogates are U+FFFD, all else is as it was."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [cleaned(each) for each in value]
    if isinstance(value, dict):
        return {key: cleaned(each) for key, each in value.items()}
    return value
