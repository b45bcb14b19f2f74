"""What attackers sent, where it is shown: it stays text."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from logs import COMMAND, tool
from nasty import NASTY
from summaries import Record, summary, write_records

TEXTS = ("sensor", "src_ip", "username", "password", "client_version", "hassh", "terminal")


def hostile() -> list[Record]:
    """Return records with each nasty text everywhere that an attacker's text can be."""
    records = []
    for number, text in enumerate(NASTY):
        cut = text[:1024]
        records.append(
            summary(
                f"{text[:40]}{number}",
                "w",
                at=number * 60.0,
                **dict.fromkeys(TEXTS, cut),
                first_command=cut,
                last_command=cut,
                last_command_template=cut,
                templates=["w", cut],
                fingerprint=f"csf1_2_{number:012x}_{number:012x}",
                files=[cut],
                urls=[cut],
                uploads=1,
                gap_median=float(number + 1),
            )
        )
    return records


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of those records, of a name that does harm, too."""
    folder = tmp_path_factory.mktemp("hostile")
    return write_records(folder / "a'b [1]*\x1b[31m.jsonl", hostile())


def harmless(text: str) -> bool:
    """Whether nothing in a text steers a terminal: tables may draw lines, and lines end."""
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "--top", "1000"),
        ("report", "--json"),
        ("sql", "SELECT * FROM sessions"),
        ("sql", "--json", "SELECT * FROM sessions"),
        ("sql", "--csv", "SELECT * FROM sessions"),
        ("show", f"{NASTY[0][:40]}0"),
        ("similar", f"{NASTY[0][:40]}0"),
    ],
    ids=" ".join,
)
def test_nothing_steers_a_terminal_in_a_pipe(path: Path, arguments: tuple[str, ...]) -> None:
    """Control characters, escape sequences and marks of direction come out as escapes."""
    said = tool(*arguments, path)
    assert said.status == 0, said.err
    assert harmless(said.out.decode().replace("\r\n", "\n"))
    assert harmless(said.err)


def test_nothing_steers_a_terminal_that_is_one(path: Path) -> None:
    """Only the lines and colours that tables have are left; markup is text."""
    out = on_terminal("report", "--top", "1000", path)
    assert "\x1b]" not in out
    assert "\x1b[2J" not in out
    assert "\x9b" not in out
    assert "\u202e" not in out
    assert "[red]" in out


def on_terminal(*arguments: object) -> str:
    """Return what the command writes to a terminal of 400 columns."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "400", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)], stdout=follower, stderr=subprocess.PIPE, env=environment
    )
    os.close(follower)
    pieces = []
    while True:
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(leader)
    assert process.wait(timeout=60) == 0
    if process.stderr is not None:
        process.stderr.close()
    return b"".join(pieces).decode()


def test_no_cell_is_a_formula(path: Path, tmp_path: Path) -> None:
    """A spreadsheet shows what attackers sent, and computes none of it."""
    said = tool("report", "--csv", tmp_path / "tables", "--top", "1000", path)
    assert said.status == 0, said.err
    assert said.out == b""
    written = sorted((tmp_path / "tables").iterdir())
    assert {"figure1.csv", "figure8.csv", "tree.csv", "worth_a_look.csv"} <= {
        each.name for each in written
    }
    cells = 0
    for each in written:
        with each.open(newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    cells += 1
                    assert harmless(cell)
                    if cell.startswith(("=", "+", "-", "@")):
                        float(cell)
    assert cells > 1000


def test_a_picture_holds_no_script(path: Path, tmp_path: Path) -> None:
    """PNG and SVG of every plot, without a browser; in the SVG attackers' text is only text."""
    said = tool("report", "--plots", tmp_path, path)
    assert said.status == 0, said.err
    pictures = {each.name: each for each in tmp_path.iterdir()}
    assert {"figure2.png", "figure2.svg", "tree.svg", "figure8.svg"} <= set(pictures)
    for name, picture in pictures.items():
        if name.endswith(".png"):
            assert picture.read_bytes().startswith(b"\x89PNG\r\n")
            continue
        for element in ET.fromstring(picture.read_text()).iter():  # noqa: S314 - our own file
            tag = element.tag.rpartition("}")[2]
            assert tag in {"svg", "g", "path", "text", "rect", "line", "defs", "clipPath", "tspan",
                           "linearGradient", "stop", "image"}  # fmt: skip
            assert not any(name.lower().startswith("on") for name in element.attrib)
            links = [v for k, v in element.attrib.items() if k.rpartition("}")[2] == "href"]
            assert all(link.startswith("data:image/png") for link in links)


def test_json_is_one_object_of_ascii(path: Path) -> None:
    """For programs: parsable, and the texts whole."""
    said = tool("report", "--json", "--top", "1000", path)
    known = json.loads(said.out)
    assert said.out.isascii()
    lasts = {row["last"] for row in known["figure8"]}
    assert lasts == {text[:1024] for text in NASTY}
