"""``enable`` and ``disable``: cowrie.cfg changed in place, everything else in it kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Iterator
from configparser import ConfigParser
from datetime import datetime, timezone
from importlib.resources import files as resources
from io import BytesIO
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from cowrie_sessionstats.cli import main
from cowrie_sessionstats.operating import enabling, files
from cowrie_sessionstats.operating.editing import EditError, with_options
from cowrie_sessionstats.store import Store

ON = {"enabled": "true", "logfile": "${honeypot:log_path}/sessionstats.json"}
SECTION = "output_sessionstats"
DIST = resources("cowrie").joinpath("data/etc/cowrie.cfg.dist").read_text("utf-8")


def enable(*words: str, **environment: str) -> Result:
    """Run ``cowrie-sessionstats`` with words behind it."""
    # A terminal's answer is not there: CliRunner's input is none.
    return CliRunner().invoke(main, words, env={"NO_COLOR": "1", **environment})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as ``cowrie init`` makes it."""
    made = tmp_path / "cowrie"
    for name in ("etc", "var/log/cowrie", "var/lib/cowrie"):
        (made / name).mkdir(parents=True)
    (made / "etc/cowrie.cfg").write_text(DIST)
    return made


def parsed(text: str) -> ConfigParser:
    """Return what Cowrie's parser reads."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


# ---------------------------------------------------------------- in place


def test_on_and_off_change_nothing_else(folder: Path) -> None:
    """The section is added behind all of Cowrie's own file; off is one word; on again, too."""
    path = folder / "etc/cowrie.cfg"
    path.chmod(0o640)
    said = enable("enable", "--cowrie", str(folder), "--yes")
    assert said.exit_code == 0, said.output
    on = path.read_text()
    assert on == f"{DIST}\n[{SECTION}]\nenabled = true\nlogfile = {ON['logfile']}\n"
    (backup,) = folder.glob("etc/*.bak")
    assert backup.read_text() == DIST
    assert {stat.S_IMODE(each.stat().st_mode) for each in (backup, path)} == {0o640}
    assert "+[output_sessionstats]" in said.output
    assert f"backup: {backup.name}" in said.output
    backup.unlink()

    assert "is on already" in enable("enable", "--cowrie", str(folder), "--yes").output
    assert path.read_text() == on
    assert not list(folder.glob("etc/*.bak"))
    said = enable("disable", "--cowrie", str(folder), "--yes")
    assert path.read_text() == on.replace(
        f"{SECTION}]\nenabled = true", f"{SECTION}]\nenabled = false"
    )
    assert "-enabled = true\n+enabled = false" in said.output
    assert "is off already" in enable("disable", "--cowrie", str(folder), "--yes").output


def test_nothing_is_written_without_a_yes(folder: Path) -> None:
    """In a pipe it takes --yes; on a terminal the answer counts."""
    said = enable("enable", "--cowrie", str(folder))
    assert said.exit_code == 1
    assert "--yes" in said.output
    for answer, status in (("n", 1), ("y", 0)):
        assert (folder / "etc/cowrie.cfg").read_text() == DIST
        script = "from cowrie_sessionstats.cli import main; main()"
        child = pexpect.spawn(sys.executable, ["-c", script, "enable"], cwd=folder, timeout=20)
        child.expect_exact("Do this?")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == status
    assert (folder / "etc/cowrie.cfg").read_text() != DIST


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_an_operator_wrote_stays(folder: Path, line_end: str) -> None:
    """Comments, indentation, the way of writing, line ends, and options of the section."""
    before = (
        "# mine\n[honeypot]\nhostname = x\n\n[output_sessionstats]\n; off for now\n"
        "Enabled: no\n  and so on\npasswords=drop\n\n# behind it\n[ssh]\nenabled = true\n"
    ).replace("\n", line_end)
    path = folder / "etc/cowrie.cfg"
    path.write_bytes(before.encode())
    assert enable("enable", "--cowrie", str(folder), "--yes").exit_code == 0
    wanted = before.replace(
        f"Enabled: no{line_end}  and so on{line_end}", f"Enabled: true{line_end}"
    )
    assert path.read_bytes().decode() == wanted


def test_the_last_file_that_has_the_section_is_changed(folder: Path) -> None:
    """Cowrie reads etc/cowrie.cfg and then cowrie.cfg, which has the last word."""
    inner, outer = folder / "etc/cowrie.cfg", folder / "cowrie.cfg"
    outer.write_text("[honeypot]\nhostname = x\n")
    assert enable("enable", "--cowrie", str(folder), "--yes").exit_code == 0
    assert inner.read_text() == DIST
    assert parsed(outer.read_text())[SECTION]["enabled"] == "true"
    outer.unlink()
    inner.write_text("[output_sessionstats]\nenabled = false\n")
    outer.write_text("[honeypot]\nhostname = x\n")
    assert enable("enable", "--cowrie", str(folder), "--yes").exit_code == 0
    assert parsed(inner.read_text())[SECTION]["enabled"] == "true"


def test_a_link_leads_to_the_file(folder: Path, tmp_path: Path) -> None:
    """Where another tool keeps the file and links it, the link stays one."""
    real = tmp_path / "kept.cfg"
    (folder / "etc/cowrie.cfg").replace(real)
    (folder / "etc/cowrie.cfg").symlink_to(real)
    assert enable("enable", "--cowrie", str(folder), "--yes").exit_code == 0
    assert (folder / "etc/cowrie.cfg").is_symlink()
    assert parsed(real.read_text())[SECTION]["enabled"] == "true"


def test_a_folder_without_a_file_gets_one(folder: Path) -> None:
    """With the section alone: all else is Cowrie's default."""
    (folder / "etc/cowrie.cfg").unlink()
    said = enable("enable", "--cowrie", str(folder), "--yes")
    assert said.exit_code == 0, said.output
    assert dict(parsed((folder / "etc/cowrie.cfg").read_text())[SECTION]) == ON


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_stay_their_owners(folder: Path) -> None:
    """An administrator changes the file of Cowrie's user, who can read and write it still."""
    path = folder / "etc/cowrie.cfg"
    os.chown(path, 1234, 1235)
    assert enable("enable", "--cowrie", str(folder), "--yes").exit_code == 0
    (backup,) = folder.glob("etc/*.bak")
    assert {(each.stat().st_uid, each.stat().st_gid) for each in (path, backup)} == {(1234, 1235)}


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[output_sessionstats]\nmax_sessions = many\n", "max_sessions = 'many'"),
        ("[output_sessionstats]\n[output_sessionstats]\n", "DuplicateSectionError"),
        ("no section\n", "MissingSectionHeaderError"),
        ("[output_sessionstats]\nforward = siem\nstore =\n", "needs the store"),
    ],
)
def test_a_file_that_would_be_of_no_use_is_left_alone(folder: Path, text: str, words: str) -> None:
    """The plugin would stay off, or Cowrie would not start: what is wrong is said first."""
    path = folder / "etc/cowrie.cfg"
    path.write_text(text)
    said = enable("enable", "--cowrie", str(folder), "--yes")
    assert said.exit_code == 1
    assert words in said.output
    assert path.read_text() == text
    assert "Traceback" not in said.output


def test_a_variable_that_outdoes_the_file_is_named(folder: Path) -> None:
    """Cowrie takes COWRIE_SECTION_OPTION from its environment, whatever stands in the file."""
    variable = "COWRIE_OUTPUT_SESSIONSTATS_ENABLED"
    said = enable("enable", "--cowrie", str(folder), "--yes", **{variable: "false"})
    assert (said.exit_code, variable in said.output) == (1, True)
    said = enable("disable", "--cowrie", str(folder), "--yes", **{variable: "true"})
    assert (said.exit_code, variable in said.output) == (1, True)
    assert (folder / "etc/cowrie.cfg").read_text() == DIST


def test_another_folder_is_none_of_cowries(tmp_path: Path) -> None:
    """It is said, and nothing is made there."""
    said = enable("enable", "--cowrie", str(tmp_path), "--yes")
    assert said.exit_code == 1
    assert "--cowrie" in said.output
    assert not list(tmp_path.iterdir())


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    """Cowrie's user, whoever that is by now, cannot have root write somewhere else."""
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "link", BytesIO(b"new"), tmp_path.stat(), 0o644)
    assert (tmp_path / "target").read_text() == "kept"


# ---------------------------------------------------------------- any text

LINES = st.sampled_from(
    [
        *("", "# [output_sessionstats]", "; enabled = true", "[honeypot]", "[output_sessionstats]"),
        *(
            "[ssh]",
            "[DEFAULT]",
            "enabled = true",
            "enabled=no",
            "Enabled : off",
            "  more",
            "\tmore",
        ),
        *(
            "logfile = x",
            "  enabled = false",
            "  [output_sessionstats]",
            "option",
            "x = [y]",
            "a: b",
        ),
        *(
            "[x] enabled = true",
            "enabled = a\r",
            "enabled =",
            "   # deep",
            "[output_sessionstats] ;",
        ),
        "enabled\x0b= true",
    ]
)


@given(st.lists(LINES, max_size=12).map("\n".join), st.booleans())
def test_any_text_is_edited_rightly_or_not_at_all(text: str, has_end: bool) -> None:  # noqa: FBT001
    """The parser reads the old content with the option in it, and no other line is touched."""
    text += "\n" * has_end
    try:
        edited = with_options(text, SECTION, {"enabled": "true"})
    except EditError:
        return
    assert parsed(edited)[SECTION]["enabled"] == "true"
    assert with_options(edited, SECTION, {"enabled": "true"}) == edited
    comments = [line for line in text.split("\n") if line.strip().startswith(("#", ";"))]
    kept = [line for line in edited.split("\n") if line.strip().startswith(("#", ";"))]
    assert kept == comments


# ---------------------------------------------------------------- a DShield sensor


@pytest.fixture
def updated(folder: Path) -> Iterator[Path]:
    """Return the folder after an update: the old one was moved aside, with all that it had."""
    old = folder.with_name("cowrie.20261101")
    (old / "etc").mkdir(parents=True)
    (old / "var/lib/cowrie").mkdir(parents=True)
    (old / "etc/cowrie.cfg").write_text(
        f"{DIST}\n[output_sessionstats]\nenabled = true\nlogfile = x.json\npasswords = drop\n"
        "forward = siem\n\n# ours\n[sessionstats_siem]\ntype = http\nurl = http://127.0.0.1:9\n"
        "token = s3cret\nauth = bearer\n\n[ssh2]\nx = y\n"
    )
    store = Store(old / "var/lib/cowrie/sessionstats.sqlite", ("siem",), lambda: 1.0, print)
    assert store.open()
    store.add({"session": "waits", "revision": 0})
    store.commit()
    yield folder
    store.close()


def test_an_update_of_a_sensor_loses_nothing(updated: Path) -> None:
    """Options, destinations and the store, which waits to be delivered, are taken over."""
    said = enable("enable", "--dshield", "--cowrie", str(updated), "--yes")
    assert said.exit_code == 0, said.output
    text = (updated / "etc/cowrie.cfg").read_text()
    assert dict(parsed(text)[SECTION]) == {
        "enabled": "true",
        "logfile": "${honeypot:log_path}/cowrie.sessionstats.json",
        "passwords": "drop",
        "forward": "siem",
    }
    assert parsed(text)["sessionstats_siem"]["token"] == "s3cret"
    assert "s3cret" not in said.output
    assert "ssh2" not in parsed(text)
    with sqlite3.connect(updated / "var/lib/cowrie/sessionstats.sqlite") as store:
        assert store.execute("SELECT count(*) FROM record").fetchone() == (1,)
    assert "pip install" in said.output
    assert "enable --dshield --yes" in said.output

    again = enable("enable", "--dshield", "--cowrie", str(updated), "--yes")
    assert "is on already" in again.output
    assert (updated / "etc/cowrie.cfg").read_text() == text


def test_what_is_there_is_not_taken_over(updated: Path) -> None:
    """A store of now is newer than the one that was moved aside, and so are options."""
    store = updated / "var/lib/cowrie/sessionstats.sqlite"
    store.write_bytes(b"new")
    with (updated / "etc/cowrie.cfg").open("a") as file:
        file.write("[output_sessionstats]\nenabled = false\n")
    assert enable("enable", "--dshield", "--cowrie", str(updated), "--yes").exit_code == 0
    assert store.read_bytes() == b"new"
    found = parsed((updated / "etc/cowrie.cfg").read_text())
    assert set(found[SECTION]) == {"enabled", "logfile"}
    assert "sessionstats_siem" not in found


def test_a_sensors_folder_is_where_its_installer_puts_it() -> None:
    """Without --cowrie, --dshield means /srv/cowrie."""
    if Path("/srv/cowrie").exists():
        pytest.skip("there is a /srv/cowrie on this machine")
    said = enable("enable", "--dshield", "--yes")
    assert said.exit_code == 1
    assert "/srv/cowrie is no folder of Cowrie's" in said.output


# ---------------------------------------------------------------- who broke into Cowrie's user


def give(folder: Path, uid: int) -> None:
    """Have a user own all that is in a folder."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


@pytest.fixture
def users(updated: Path) -> Iterator[Path]:
    """Return that folder, and the old one beside it, where their user can get to them."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        for folder in updated.parent.iterdir():
            give(Path(shutil.copytree(folder, Path(name, folder.name), symlinks=True)), 1234)
        yield Path(name, updated.name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write everywhere")
def test_root_writes_nothing_that_cowries_user_could_not(users: Path) -> None:
    """Links of an intruder's to files and folders of root's lead nowhere."""
    updated, mine = users, users.with_name("root")
    mine.mkdir()
    (mine / "profile").write_text("# run at each login\n")
    path = updated / "etc/cowrie.cfg"
    path.unlink()
    path.symlink_to(mine / "profile")
    said = enable("enable", "--dshield", "--cowrie", str(updated), "--yes")
    assert said.exit_code == 1, said.output
    assert "Permission denied" in said.output
    assert (mine / "profile").read_text() == "# run at each login\n"

    path.unlink()
    path.write_text(DIST)
    shutil.rmtree(updated / "var/lib/cowrie")
    (updated / "var/lib/cowrie").symlink_to(mine)
    said = enable("enable", "--dshield", "--cowrie", str(updated), "--yes")
    assert said.exit_code == 1, said.output
    assert [each.name for each in mine.iterdir()] == ["profile"]

    # What only root may read does not come into the backup, which is Cowrie's user's.
    (mine / "profile").write_text("[honeypot]\nhostname = s3cret\n")
    (mine / "profile").chmod(0o600)
    path.unlink()
    path.symlink_to(mine / "profile")
    said = enable("enable", "--cowrie", str(updated), "--yes")
    assert said.exit_code == 1, said.output
    assert "cannot be read: Permission denied" in said.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_all_is_cowries_users_and_works(users: Path) -> None:
    """Root acts as that user; a file of root's among his files can be changed all the same."""
    updated, path = users, users / "etc/cowrie.cfg"
    os.chown(path, 0, 0)
    said = enable("enable", "--dshield", "--cowrie", str(updated), "--yes")
    assert said.exit_code == 0, said.output
    assert (os.geteuid(), os.getegid()) == (0, 0)
    made = [path, *updated.glob("etc/*.bak"), updated / "var/lib/cowrie/sessionstats.sqlite"]
    assert {each.stat().st_uid for each in made} == {1234}
    assert len(made) == 3


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    """A pipe in the place of cowrie.cfg is said to be one."""
    path = folder / "etc/cowrie.cfg"
    path.unlink()
    os.mkfifo(path)
    for word in ("enable", "disable"):
        said = enable(word, "--cowrie", str(folder), "--yes")
        assert (said.exit_code, "no regular file" in said.output) == (1, True)


@pytest.mark.parametrize(
    "text",
    [
        "[output_sessionstats]\n\x07\x9b2J = 1\n",
        "[output_sessionstats_\x07\x9b2J]\nenabled = true\n",
        "[output_sessionstats]\nrules = \x07\x9b2J\n",
        "[output_sessionstats]\nvocabulary = \x07\x9b2J\n",
        "[output_sessionstats]\nlog_\x07\x9b2J = ${x:y}\n",
    ],
)
def test_nothing_in_the_file_steers_the_terminal(folder: Path, text: str) -> None:
    """Of names and values that cannot be used, escapes are shown."""
    path = folder / "etc/cowrie.cfg"
    path.write_text(text)
    said = enable("enable", "--cowrie", str(folder), "--yes")
    assert said.exit_code == 1
    assert "\\x9b2j" in said.output.lower()
    assert not {"\x07", "\x9b"} & set(said.output)


def test_changes_of_one_second_have_a_backup_each(folder: Path) -> None:
    """On and off in a script is no error."""
    now = datetime(2026, 11, 26, tzinfo=timezone.utc)
    for change in (enabling.enabled, enabling.disabled, enabling.enabled):
        made = change(folder, {})
        assert made is not None
        enabling.write(made, now.replace(microsecond=len(list(folder.glob("etc/*.bak")))))
    assert len(list(folder.glob("etc/*.bak"))) == 3
