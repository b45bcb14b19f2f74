"""The names of ``ecs.toml`` in the configurations of collectors that read the log.

Filebeat, Fluent Bit, Logstash and Vector make ECS documents of the log's lines in a language of
their own each. The program is written by hand; what it knows of names stands between two marks and
is written by ``python -m cowrie_sessionstats.outputs.formats.ecs_collectors FILE...``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cowrie_sessionstats.outputs.formats.ecs import CONSTANT, NAMES

_MARKED: Final = re.compile(
    r"^(?P<indent> *)(?P<sign>\S+) names by ecs\.toml \((?P<language>\w+)\)\n"
    r".*?"
    r"^(?P=indent)(?P=sign) end of names$",
    re.MULTILINE | re.DOTALL,
)


def with_names(text: str) -> str:
    """Return a configuration with the names between its marks made anew.

    ValueError if it has no marks, or names a language that is not known.
    """

    def written(found: re.Match[str]) -> str:
        indent, sign, language = found["indent"], found["sign"], found["language"]
        lines = [
            f"{sign} names by ecs.toml ({language})",
            *_LANGUAGES[language](),
            f"{sign} end of names",
        ]
        return "\n".join(f"{indent}{line}" for line in lines)

    made, count = _MARKED.subn(written, text)
    if count != 1:
        raise ValueError(f"has {count} places for the names of ecs.toml, not one")
    return made


def _javascript() -> list[str]:
    return [
        *_table("var NAMES = {", NAMES, "{key}: {value},", "};"),
        *_table("var CONSTANT = {", CONSTANT, "{key}: {value},", "};"),
    ]


def _lua() -> list[str]:
    constant = {name: _with_braces(value) for name, value in CONSTANT.items()}
    return [
        *_table("local NAMES = {", NAMES, "[{key}] = {value},", "}"),
        "local CONSTANT = {",
        *[f"  [{json.dumps(name)}] = {value}," for name, value in constant.items()],
        "}",
    ]


def _with_braces(value: Any) -> str:
    return json.dumps(value).replace("[", "{").replace("]", "}")


def _ruby() -> list[str]:
    return [
        *_table("@names = {", _referred(NAMES), "{key} => {value},", "}"),
        *_table("@constant = {", {_reference(n): v for n, v in CONSTANT.items()},
                "{key} => {value},", "}"),
    ]  # fmt: skip


def _referred(names: Mapping[str, str]) -> dict[str, str]:
    return {key: _reference(name) for key, name in names.items()}


def _reference(name: str) -> str:
    """Return how Logstash writes a field's name."""
    return "".join(f"[{part}]" for part in name.split("."))


def _vrl() -> list[str]:
    names = {key: name.split(".") for key, name in NAMES.items()}
    constant: dict[str, Any] = {}
    for name, value in CONSTANT.items():
        *parents, last = name.split(".")
        inner = constant
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return [
        *_table("names = {", names, "{key}: {value},", "}"),
        *_table("document = {", constant, "{key}: {value},", "}"),
    ]


def _table(begin: str, values: Mapping[str, Any], line: str, end: str) -> list[str]:
    """Return a table, an entry a line; texts and lists are as in JSON in each of the languages."""
    entries = [
        "  " + line.format(key=json.dumps(key), value=json.dumps(value))
        for key, value in values.items()
    ]
    entries[-1] = entries[-1].removesuffix(",")
    return [begin, *entries, end]


_LANGUAGES: Final[Mapping[str, Callable[[], list[str]]]] = {
    "javascript": _javascript,
    "lua": _lua,
    "ruby": _ruby,
    "vrl": _vrl,
}


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(with_names(file.read_text("utf-8")), "utf-8")
