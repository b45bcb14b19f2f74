"""The README's lines on a new Debian, by hand, as root: each ends with a session's record.

    python tests/fresh.py FOLDER [--tests] [bookworm trixie ...]

Makes a Debian in FOLDER/SUITE (by debootstrap: python3, python3-venv and git), and there, by
the lines that stand in the README:

- as an ordinary user, in a clone of this repository, the line for the demo, which is visited; with
  ``--tests`` the line for all tests, too;
- as an administrator, the lines for a DShield sensor, in a folder as its installer lays it out; and
  after an update of the sensor the line that ``enable --dshield`` printed. What systemd does on a
  sensor, a script does here; and Cowrie's output for DShield is off, so that nothing is reported.

Says what it does; the exit status is 0 if everything did what the README promises.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncssh
import pexpect
from attrs import frozen
from conftest import ROOT

PACKAGES: Final = "python3,python3-venv,git,ca-certificates"
CLONE: Final = "/home/analyst/cowrie-sessionstats"
SENSOR: Final = "/srv/cowrie"
RECORDS: Final = "var/log/cowrie/cowrie.sessionstats.json"
PATIENCE: Final = 900
"""Seconds for an installation on a busy machine."""

SYSTEMCTL: Final = f"""#!/bin/sh
# Stands in for systemd: what the unit of a DShield sensor says.
[ "$1 $2" = "restart cowrie" ] || exit 2
cd {SENSOR} || exit 1
if [ -f cowrie.pid ]; then
  kill "$(cat cowrie.pid)"
  while [ -f cowrie.pid ]; do sleep 0.2; done
fi
PYTHONPATH={SENSOR}/cowrie-env/bin setsid setpriv --reuid cowrie --regid cowrie --clear-groups \\
  {SENSOR}/cowrie-env/bin/python {SENSOR}/cowrie-env/bin/twistd --umask 0022 --nodaemon \\
  --pidfile={SENSOR}/cowrie.pid -l - cowrie >> /var/log/journal.txt 2>&1 < /dev/null &
"""
SENSOR_STEPS: Final = f"""
set -e
id cowrie > /dev/null 2>&1 || useradd -M -U -d {SENSOR} cowrie
mkdir {SENSOR}
cd {SENSOR}
python3 -m venv cowrie-env
cowrie-env/bin/pip install --quiet --upgrade cowrie
chmod 0770 {SENSOR}
chown -R cowrie:cowrie {SENSOR}
setpriv --reuid cowrie --regid cowrie --clear-groups cowrie-env/bin/cowrie init > /dev/null
sed -i '/^\\[telnet\\]/,/^\\[/s/^enabled = .*/enabled = true/' etc/cowrie.cfg
chown -R cowrie:cowrie {SENSOR}
chmod 1777 {SENSOR}/etc
"""


@frozen
class Debian:
    """A Debian in a folder."""

    root: Path

    def make(self) -> None:
        """Make it of the distribution's packages alone."""
        if not (self.root / "usr/bin/python3").exists():
            run(
                "debootstrap",
                "--variant=minbase",
                f"--include={PACKAGES}",
                self.root.name,
                self.root,
            )
        authorities = Path("/etc/ssl/certs/ca-certificates.crt")
        shutil.copy(authorities, self.root / "etc/ssl/certs/ca-certificates.crt")
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        shutil.copy("/etc/hosts", self.root / "etc/hosts")
        for name, text in (("systemctl", SYSTEMCTL), ("sudo", '#!/bin/sh\nexec "$@"\n')):
            path = self.root / "usr/local/bin" / name
            path.write_text(text)
            path.chmod(0o755)
        self.sh("id analyst > /dev/null 2>&1 || useradd -m analyst")

    def command(self, script: str, user: str = "root") -> list[str]:
        """Return what runs a script of shell in it, in namespaces that end with it."""
        inner = (
            f"mount -t proc proc /proc && exec setpriv --reuid {user} --regid {user} --init-groups "
        )
        inner += f'env HOME="$(getent passwd {user} | cut -d: -f6)" bash -c "$0"'
        kept = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        kept += [f"{name}={value}" for name, value in os.environ.items() if name == "PIP_CERT"]
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "env", "-i", *kept),
            *("chroot", str(self.root), "bash", "-c", inner, script),
        ]

    def sh(self, script: str, user: str = "root") -> str:
        """Run a script in it to its end and return what it said."""
        return run(*self.command(script, user))

    def lines(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a file of JSON lines in it."""
        file = self.root / path.lstrip("/")
        whole = file.read_text().rpartition("\n")[0] if file.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]


def run(*command: str | Path) -> str:
    """Run a program and return what it said; SystemExit if it fails."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}\n{done.stderr}\nstatus {done.returncode}")
    return done.stdout


def said(what: str) -> None:
    """Tell what has been seen."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)


async def visit(port: int, *commands: str) -> None:
    """Log in over SSH as soon as somebody listens, run commands, and leave."""
    deadline = time.monotonic() + 120
    while not await _is_open(port):
        if time.monotonic() > deadline:
            raise SystemExit(f"nobody listens on port {port}")
        await asyncio.sleep(0.5)
    async with asyncssh.connect(
        "127.0.0.1", port, username="root", password="fresh-4711", known_hosts=None
    ) as connection:
        for command in commands:
            await connection.run(command, timeout=30)


async def _is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


# ---------------------------------------------------------------- the README's two lines


def readme_line(end: str) -> str:
    """Return the README's one line that ends so."""
    lines = re.findall(
        rf"^python3 -m venv .*{re.escape(end)}$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    (line,) = lines
    return str(line)


def show_demo(debian: Debian) -> None:
    """Run the line for the demo, visit it, and see the session's summary on the terminal."""
    line = readme_line("demo")
    said(f"{debian.root.name}: {line}")
    command, *words = debian.command(f"cd {CLONE} && {line}", "analyst")
    child = pexpect.spawn(command, words, encoding="utf-8", timeout=PATIENCE)
    child.expect_exact("Ctrl-C ends the demo")
    asyncio.run(visit(2222, "uname -a", "whoami"))
    child.expect(r"root@127\.0\.0\.1 ssh [^\r\n]*last: whoami", timeout=60)
    said(f"{debian.root.name}: {child.match.group()}")
    child.sendintr()
    child.expect(pexpect.EOF, timeout=60)
    child.close()


def run_tests(debian: Debian) -> None:
    """Run the line for all tests."""
    line = readme_line("-m pytest")
    said(f"{debian.root.name}: {line}")
    command, *words = debian.command(f"cd {CLONE} && {line}", "analyst")
    child = pexpect.spawn(command, words, encoding="utf-8", timeout=3 * PATIENCE)
    child.expect(pexpect.EOF)
    closing = [each for each in (child.before or "").splitlines() if each.strip()][-1]
    child.close()
    said(f"{debian.root.name}: {closing}")
    if child.exitstatus:
        raise SystemExit(child.before[-20_000:])


# ---------------------------------------------------------------- a DShield sensor


def sensor_lines() -> list[str]:
    """Return the README's lines for a sensor: install, enable, restart, look."""
    text = (ROOT / "README.md").read_text()
    block = text.partition("### On a DShield sensor")[2].split("```")[1].removeprefix("sh\n")
    lines = [line.replace("/path/to/this/folder", CLONE) for line in block.splitlines() if line]
    if [
        word in line
        for word, line in zip(("pip", "enable", "restart", "doctor"), lines, strict=True)
    ] != [True] * 4:
        raise SystemExit(
            f"the README's lines for a sensor are others than this script knows: {lines}"
        )
    return lines


@contextmanager
def shell(debian: Debian) -> Iterator[pexpect.spawn]:
    """Give an administrator's shell, with which Cowrie ends, as with the machine."""
    command, *words = debian.command("exec bash --norc --noprofile")
    child = pexpect.spawn(command, words, encoding="utf-8", timeout=PATIENCE, dimensions=(50, 250))
    child.sendline("PS1='ready> '; stty -echo")
    child.expect_exact("ready> ")
    child.expect_exact("ready> ")
    try:
        yield child
    finally:
        child.sendline(f"kill $(cat {SENSOR}/cowrie.pid); sleep 2; exit")
        child.expect(pexpect.EOF)
        child.close(force=True)


def typed(child: Any, line: str, answer: str | None = None) -> str:
    """Type a line, answer its question if it has one, and return what was said."""
    child.sendline(line)
    if answer is not None:
        child.expect_exact("Do this?")
        child.sendline(answer)
    child.expect_exact("ready> ")
    text = str(child.before)
    child.sendline("echo status $?")
    child.expect(r"status (\d+)")
    status = child.match.group(1)
    child.expect_exact("ready> ")
    if status != "0":
        raise SystemExit(f"{line}\n{text}\nstatus {status}")
    return text


def wait_for(debian: Debian, path: str) -> dict[str, Any]:
    """Return the record of the first session with commands as soon as a log has it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for record in debian.lines(path):
            if record["commands"]:
                return record
        time.sleep(0.5)
    journal = debian.root / "var/log/journal.txt"
    raise SystemExit(f"no record with commands in {path}\n{journal.read_text()[-5000:]}")


def lay_out(debian: Debian) -> None:
    """Make a sensor's folder; one that is there is moved aside, as its installer does."""
    here = debian.root / SENSOR.lstrip("/")
    if here.exists():
        shutil.rmtree(here.with_name("cowrie.20261126101112"), ignore_errors=True)
        here.rename(here.with_name("cowrie.20261126101112"))
    debian.sh(SENSOR_STEPS)


def become_sensor(debian: Debian) -> None:
    """Add the plugin to a sensor by the README's lines, then once more after an update."""
    name = debian.root.name
    for old in (debian.root / "srv").glob("cowrie*"):
        shutil.rmtree(old)
    lay_out(debian)
    install, enable, restart, doctor = sensor_lines()
    with shell(debian) as child:
        for line in (install, enable, restart):
            said(f"{name}: {line}")
            told = typed(child, line, "y" if line is enable else None)
            if line is enable:
                again = re.search(r"^ *(sudo sh -c .*\S)", told, re.MULTILINE)
        asyncio.run(visit(2222, "id", "uname -a"))
        first = wait_for(debian, f"{SENSOR}/{RECORDS}")
        said(f"{name}: {first['message']}")
        said(f"{name}: {doctor}")
        print(typed(child, doctor).replace("\r", ""))
    if again is None:
        raise SystemExit("enable --dshield printed no line to run again")
    said(f"{name}: an update of the sensor")
    lay_out(debian)
    with shell(debian) as child:
        said(f"{name}: {again[1]}")
        typed(child, again[1])
        asyncio.run(visit(2222, "id", "uname -a"))
        second = wait_for(debian, f"{SENSOR}/{RECORDS}")
    said(f"{name}: {second['message']}; seen before: {second['seen_before']}")
    if second["seen_before"] != 1 or second["fingerprint"] != first["fingerprint"]:
        raise SystemExit("what was known of scripts before the update is gone")


def main() -> None:
    """Do it all for each Debian."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tests", action="store_true")
    parser.add_argument("suites", nargs="*", default=["bookworm", "trixie"])
    asked = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("debootstrap and chroot need root")
    for suite in asked.suites:
        debian = Debian(asked.folder.absolute() / suite)
        debian.root.parent.mkdir(parents=True, exist_ok=True)
        debian.make()
        shutil.rmtree(debian.root / CLONE.lstrip("/"), ignore_errors=True)
        run("git", "clone", "-q", ROOT, debian.root / CLONE.lstrip("/"))
        debian.sh(f"chown -R analyst: {CLONE}")
        version = debian.sh("cat /etc/debian_version; python3 --version").split("\n")
        said(f"{suite}: Debian {version[0]}, {version[1]}")
        show_demo(debian)
        if asked.tests:
            run_tests(debian)
        become_sensor(debian)
    said(f"done: {', '.join(asked.suites)}")


if __name__ == "__main__":
    main()
