"""The vocabulary: ours, and what an operator adds."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import closed, command, connect, only

from cowrie_sessionstats.commands import (
    Script,
    Templates,
    VocabularyError,
    default_vocabulary,
    read_vocabulary,
)
from cowrie_sessionstats.commands.vocabulary import FILE_LIMIT


def test_ours_is_complete() -> None:
    """Lists are there, and what programs do with their arguments."""
    ours = default_vocabulary()
    assert {"ls", "wget", "busybox", "cd", "apt"} <= ours.commands
    assert "ps" in ours.applets
    assert "apt" not in ours.applets
    assert ours.programs["chpasswd"].stdin == "login"
    assert ours.extension is None
    assert ours is default_vocabulary()


def test_an_operators_file_adds_to_ours(tmp_path: Path) -> None:
    """Each list grows, a program is known or known better; the rest stays."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'version = 1\nwords = "KZpq81Xx"\npaths = "/opt/sensor/run"\nvariables = "MYVAR"\n'
        '[program.loader]\noperands = ["host", "port"]\n'
    )
    mine = read_vocabulary(file)
    templates = Templates(mine)
    shown = [
        Script().add(line, templates)
        for line in ("cat KZpq81Xx", "> /opt/sensor/run", "MYVAR=abc", "loader a.example 4444")
    ]
    assert shown == ["cat KZpq81Xx", "> /opt/sensor/run", "MYVAR=abc", "loader <host> <port>"]
    assert Script().add("chpasswd <<< root:x", templates) == "chpasswd <<< root:<secret>"
    assert mine.extension is not None
    assert len(mine.extension) == 12


def test_the_record_says_that_a_vocabulary_was_there(tmp_path: Path) -> None:
    """Fingerprints are others with it: a record tells by ``vocabulary``."""
    file = tmp_path / "mine.toml"
    file.write_text('applets = "GGDBS"')
    events = [connect(), command("busybox GGDBS", 1.0), closed(2.0)]
    mine = read_vocabulary(file)
    made = only(events, templates=Templates(mine))
    assert made["vocabulary"] == mine.extension
    assert made["last_command_template"] == "busybox GGDBS"
    ours = only(events)
    assert "vocabulary" not in ours
    assert ours["last_command_template"] == "busybox <applet>"
    assert ours["fingerprint"] != made["fingerprint"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("wordz = 'x'", "unknown key `wordz`"),
        ("words = ['x']", "`words` must be a text"),
        ("version = 2", "version must be 1"),
        ("program = 5", "`program` must be a table"),
        ("[program]\nx = 5", "[program.x] is: must be a table"),
        ("[program.x]\noptionz = 1", "[program.x] optionz: unknown key"),
        ("[program.x]\noperands = ['hots']", "[program.x] operands: `hots` is none of value, made"),
        ("[program.x]\noperands = ['...']", '"..." stands after a role'),
        ("[program.x]\noperands = 'host'", "operands: must be a list of texts"),
        ("[program.x]\noptions = { '-p' = 'prot' }", "options: `prot` is none of"),
        ("[program.x]\noptions = ['-p']", "options: must be a table"),
        ("[program.x]\nstdin = 'x'", "stdin: must be one of"),
        ("[program.x]\nwraps = 'yes'", "wraps: must be true or false"),
        ("[program.x]\nprompts = ['x']", "prompts: `x` is none of secret, login"),
        ("words = ", "this is no TOML"),
        ("\xff", "this is no TOML"),
        ("#" * (FILE_LIMIT + 1), "make it shorter"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, wanted: str) -> None:
    """The file, the key, and what it has to be."""
    file = tmp_path / "mine.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(VocabularyError) as caught:
        read_vocabulary(file)
    assert wanted in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The system's reason is given."""
    with pytest.raises(VocabularyError, match="No such file"):
        read_vocabulary(tmp_path / "none.toml")
