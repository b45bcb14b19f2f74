"""The specification: its vectors and its examples are what the code gives."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from cowrie_sessionstats import commands
from cowrie_sessionstats.commands import Script, Templates, default_vocabulary
from cowrie_sessionstats.commands._items import PLACEHOLDERS

FOLDER = files(commands)
SPECIFICATION = FOLDER.joinpath("SPECIFICATION.md").read_text("utf-8")
VECTORS: list[dict[str, Any]] = json.loads(FOLDER.joinpath("vectors.json").read_text("utf-8"))[
    "vectors"
]
TEMPLATES = Templates(default_vocabulary())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["why"])
def test_a_vector(vector: dict[str, Any]) -> None:
    """Each template and the fingerprint are those of the file."""
    script = Script()
    assert [script.add(line, TEMPLATES) for line in vector["commands"]] == vector["templates"]
    assert script.fingerprint() == vector["fingerprint"]


def test_there_are_enough_vectors_and_each_says_why_it_is_there() -> None:
    """150 at least, every reason another, and every placeholder occurs in one."""
    assert len(VECTORS) >= 150
    assert len({vector["why"] for vector in VECTORS}) == len(VECTORS)
    shown = "\n".join(template for vector in VECTORS for template in vector["templates"])
    for name in PLACEHOLDERS:
        assert re.search(rf"(?<!\\)<{name}>", shown), name


def code(cell: str) -> list[str]:
    """Return the texts in a table's cell that are set as code."""
    return [text.replace(r"\|", "|") for text in re.findall(r"`([^`]+)`", cell)]


def test_the_examples_of_the_specification() -> None:
    """The table of section 8, and what the command prints at the top."""
    rows = re.findall(
        r"^\| (`.+`) \| (`.+`) \|$", SPECIFICATION.partition("## 8 Examples")[2], re.MULTILINE
    )
    assert len(rows) >= 8
    for commands_cell, templates_cell in rows:
        script = Script()
        assert [script.add(line, TEMPLATES) for line in code(commands_cell)] == code(
            templates_cell
        ), commands_cell
    command, *printed = (
        SPECIFICATION.partition("```console\n$ ")[2].partition("\n```")[0].split("\n")
    )
    script = Script()
    shown = [script.add(line, TEMPLATES) for line in re.findall(r"'([^']+)'", command)[1:]]
    assert [*shown, script.fingerprint()] == printed


def test_the_placeholders_of_the_specification() -> None:
    """The page names the very placeholders that the code has."""
    named = re.findall(
        r"<(\w+)>", SPECIFICATION.partition("## 1 Placeholders")[2].partition(", and")[0]
    )
    assert tuple(named) == PLACEHOLDERS
