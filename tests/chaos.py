"""A real Cowrie under load while everything goes wrong: every session is delivered in the end.

    python tests/chaos.py FOLDER [SESSIONS [SEED [without]]]

By hand, for an hour; ``test_chaos.py`` does it for a minute. Clients visit 200 times a minute. At
random, receivers are killed, refuse, answer 500 or 429 or half an answer, hang, or take records
without saying so (those of HTTP; Kafka's broker is killed, cut off and stopped); Cowrie gets
SIGTERM or ``kill -9``; the disk of its store is full; the clock jumps. In the end everything is
well again, and each session that ``cowrie.json`` closes has to be at each receiver. Prints what it
did, how many came more than once, and how late the reactor was; ``without`` the plugin, only that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attackers
from attackers import HOST, PASSWORD, Ports
from attrs import define, field
from ports import free_port
from receivers_kafka import TOPIC, Kafka, is_there
from receivers_syslog import Rsyslog

from cowrie_sessionstats.launch import Installation, RunningCowrie

SESSIONS_A_SECOND: Final = 200 / 60
STORE_DISK: Final = "8m"
PATIENCE: Final = 400
"""Seconds until everything has arrived after the last trouble: a receiver that was long away is
asked again after 300 s."""
MODES: Final = ("500", "429", "half", "hang", "drop")


@define(eq=False)
class Web:
    """``chaos_receiver.py`` in a process of its own."""

    folder: Path
    port: int = field(factory=free_port)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it, well-behaved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mode("ok")
        script = Path(__file__).with_name("chaos_receiver.py")
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, script, str(self.port), self.folder], stdout=output, stderr=output
            )

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def mode(self, mode: str) -> None:
        """Tell it how to behave."""
        new = self.folder / "mode.new"
        new.write_text(mode)
        new.replace(self.folder / "mode")

    def received(self) -> Counter[str]:
        """Return what came how often."""
        path = self.folder / "received"
        return Counter(path.read_text().split()) if path.exists() else Counter()


@define(eq=False)
class Load:
    """Clients that visit, whether Cowrie is there or not."""

    ports: Ports
    chance: random.Random
    tried: int = 0
    _stop: threading.Event = field(factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, with all visits over."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)

    async def _run(self) -> None:
        visits: set[asyncio.Task[None]] = set()
        while not self._stop.is_set():
            task = asyncio.create_task(self._visit())
            visits.add(task)
            task.add_done_callback(visits.discard)
            self.tried += 1
            await asyncio.sleep(self.chance.expovariate(SESSIONS_A_SECOND))
        await asyncio.wait_for(asyncio.gather(*visits, return_exceptions=True), 40)

    async def _visit(self) -> None:
        stay = self.chance.choice((0.0, 0.0, 0.2, 1.0, 4.0, 12.0))
        with contextlib.suppress(Exception):  # Cowrie is killed under them
            await asyncio.wait_for(self._talk(stay), 30)

    async def _talk(self, stay: float) -> None:
        async with attackers.ssh(self.ports, login_timeout=10) as (connection, _):
            for _ in range(self.chance.randint(1, 3)):
                await connection.run(f"echo {self.chance.random()}")
                await asyncio.sleep(stay / 3)


@define(eq=False)
class Trial:
    """Cowrie, its receivers and what goes wrong."""

    folder: Path
    installation: Installation
    seed: int
    plugin: bool = True
    say: Callable[[str], None] = print
    chance: random.Random = field(init=False)
    ports: Ports = field(init=False)
    web: dict[str, Web] = field(init=False)
    syslog: Rsyslog = field(init=False)
    kafka: Kafka | None = field(init=False)
    """None where there is no broker to be had."""
    load: Load = field(init=False)
    cowrie: RunningCowrie | None = field(default=None, init=False)
    has_disk: bool = field(default=False, init=False)
    did: Counter[str] = field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.ports = Ports(free_port(), free_port())
        self.web = {name: Web(self.folder / name) for name in ("siem", "isc")}
        self.syslog = Rsyslog(self.folder / "log")
        self.kafka = None
        if is_there():
            self.kafka = Kafka(self.folder / "bus", is_durable=True, fetch_ms=2000)
        self.load = Load(self.ports, random.Random(self.seed + 1))

    # ------------------------------------------------------------ before and after

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start everything, and stop it."""
        home = self.folder / "cowrie"
        home.mkdir()
        self.installation.init(home)
        (home / "etc/userdb.txt").write_text(f"root:x:{PASSWORD}\n")
        (home / "cowrie.cfg").write_text(self._configuration())
        self._prepare(home)
        disk = home / "store"
        disk.mkdir()
        mounted = subprocess.run(
            ["/bin/mount", "-t", "tmpfs", "-o", f"size={STORE_DISK},mode=777", "tmpfs", disk],
            check=False,
            capture_output=True,
        )
        self.has_disk = mounted.returncode == 0
        try:
            for receiver in self.receivers():
                receiver.start()
            self.start_cowrie()
            yield
        finally:
            if self.cowrie is not None:
                self.cowrie.kill()
            for receiver in self.receivers():
                receiver.kill()
            if self.kafka is not None:
                self.kafka.stop()
            if self.has_disk:
                subprocess.run(["/bin/umount", "-l", disk], check=True)

    def receivers(self) -> list[Any]:
        """Return all receivers."""
        return [*self.web.values(), self.syslog, *([] if self.kafka is None else [self.kafka])]

    def _prepare(self, home: Path) -> None:
        """Put the timer and the clock into Cowrie's package."""
        (package,) = self.installation.bin.parent.glob("lib/python3*/site-packages/cowrie/output")
        shutil.copy(Path(__file__).with_name("lateness.py"), package / "lateness.py")
        (home / "clock").write_text("0")

    def _configuration(self) -> str:
        host = f"http://{HOST}"
        return (
            f"[ssh]\nlisten_endpoints = tcp:{self.ports.ssh}:interface=127.0.0.1\n"
            "[telnet]\nenabled = true\n"
            f"listen_endpoints = tcp:{self.ports.telnet}:interface=127.0.0.1\n"
            f"[output_lateness]\nenabled = true\nfile = {self.folder}/late\n"
            f"clock = {self.folder}/cowrie/clock\n"
            f"[output_sessionstats]\nenabled = {'true' if self.plugin else 'false'}\n"
            f"store = {self.folder}/cowrie/store/sessionstats.sqlite\noutbox_max = 4 MiB\n"
            f"forward = siem, isc, log{'' if self.kafka is None else ', bus'}\n"
            "[sessionstats_siem]\ntype = http\nformat = elasticsearch\n"
            f"url = {host}:{self.web['siem'].port}\ntimeout = 3\n"
            "[sessionstats_isc]\ntype = dshield\nuserid = 123\nauth_key = 0123456789abcdef\n"
            f"url = {host}:{self.web['isc'].port}/submitapi/\nbatch_seconds = 2\n"
            f"[sessionstats_log]\ntype = syslog\nhost = {HOST}\nport = {self.syslog.port}\n"
            "transport = tcp\nbody = json\n"
            f"{self._bus()}"
        )

    def _bus(self) -> str:
        if self.kafka is None:
            return ""
        return (
            f"[sessionstats_bus]\ntype = kafka\nbrokers = {self.kafka.broker}\ntopic = {TOPIC}\n"
            "timeout = 5\n"
        )

    def start_cowrie(self) -> None:
        """Start Cowrie; again if it stumbles over what a kill left."""
        self.cowrie = self.installation.start(self.folder / "cowrie")

    # ------------------------------------------------------------ trouble

    def trouble(self) -> None:
        """Let something go wrong, and end it."""
        kinds: list[Callable[[], None]] = [
            self.lose_receiver,
            self.misbehave,
            self.misbehave,
            self.stop_cowrie,
            self.kill_cowrie,
            self.turn_clock,
        ]
        if self.has_disk:
            kinds.append(self.fill_disk)
        if self.kafka is not None:
            kinds.append(self.trouble_broker)
        kind = self.chance.choice(kinds)
        self.did[kind.__name__] += 1
        kind()

    def wait(self, low: float, high: float) -> None:
        """Let time go by."""
        time.sleep(self.chance.uniform(low, high))

    def lose_receiver(self) -> None:
        """A receiver is killed and comes back."""
        receiver = self.chance.choice(self.receivers())
        receiver.kill()
        self.wait(0.5, 6)
        receiver.start()

    def misbehave(self) -> None:
        """A receiver answers as it should not."""
        web = self.chance.choice(list(self.web.values()))
        mode = self.chance.choice(MODES)
        self.did[mode] += 1
        web.mode(mode)
        self.wait(1, 6)
        web.mode("ok")

    def trouble_broker(self) -> None:
        """Kafka's broker is killed, cut off in the middle of something, or stopped for a while."""
        assert self.kafka is not None
        how = self.chance.choice(("kill", "cut", "stop"))
        self.did[f"broker {how}"] += 1
        if how == "kill":
            self.kafka.kill()
            self.wait(0.5, 6)
            self.kafka.start()
        elif how == "cut":
            self.kafka.front.cut()
            self.wait(0, 3)
            self.kafka.front.open()
        else:
            self.kafka.signal(signal.SIGSTOP)
            self.wait(1, 9)
            self.kafka.signal(signal.SIGCONT)

    def stop_cowrie(self) -> None:
        """Cowrie is restarted, as DShield's sensors do every hour."""
        assert self.cowrie is not None
        begun = time.monotonic()
        self.cowrie.stop()
        took = time.monotonic() - begun
        self.did["slow stops"] += took > 6
        self.wait(0, 2)
        self.start_cowrie()

    def kill_cowrie(self) -> None:
        """Cowrie is killed."""
        assert self.cowrie is not None
        self.cowrie.kill()
        self.wait(0, 2)
        self.start_cowrie()

    def fill_disk(self) -> None:
        """There is no room for the store; sometimes Cowrie is killed while there is none."""
        filler = self.folder / "cowrie/store/filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        self.wait(2, 8)
        if self.chance.random() < 0.3:
            self.kill_cowrie()
            self.wait(1, 3)
        filler.unlink()

    def turn_clock(self) -> None:
        """The clock jumps, by up to a day and a half in both directions."""
        jump = round(self.chance.uniform(-130_000, 130_000))
        (self.folder / "cowrie/clock").write_text(str(jump))
        self.wait(2, 6)
        (self.folder / "cowrie/clock").write_text("0")

    # ------------------------------------------------------------ the reckoning

    def closes(self) -> tuple[set[str], set[str]]:
        """Return the sessions that ``cowrie.json`` closes, and the times of their ends."""
        sessions, times = set(), set()
        for path in (self.folder / "cowrie/var/log/cowrie").glob("cowrie.json*"):
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if event["eventid"] == "cowrie.session.closed":
                        sessions.add(event["session"])
                        times.add(event["timestamp"])
        return sessions, times

    def missing(self) -> dict[str, int]:
        """Return how many closed sessions are not at each receiver."""
        sessions, times = self.closes()
        return {
            "siem": len(sessions - set(self.web["siem"].received())),
            "isc": len(times - set(map(_stamp, self.web["isc"].received()))),
            "log": len(sessions - set(self.logged())),
            **({} if self.kafka is None else {"bus": len(sessions - set(self.produced()))}),
        }

    def logged(self) -> Counter[str]:
        """Return the sessions in rsyslog's file, and how often."""
        return Counter(
            json.loads(line[line.index(b"{") :])["session"] for line in self.syslog.lines()
        )

    def produced(self) -> Counter[str]:
        """Return the sessions in Kafka's topic, and how often."""
        messages = [] if self.kafka is None else self.kafka.messages()
        return Counter(json.loads(message.value())["session"] for message in messages)

    def settle(self) -> dict[str, int]:
        """Wait until everything has arrived; return what is missing."""
        deadline = time.monotonic() + PATIENCE
        missing = self.missing()
        while any(missing.values()) and time.monotonic() < deadline:
            time.sleep(1)
            missing = self.missing()
        return missing

    def repeats(self) -> dict[str, int]:
        """Return how many records came more than once."""
        counts = {name: web.received() for name, web in self.web.items()}
        counts |= {"log": self.logged()} | ({} if self.kafka is None else {"bus": self.produced()})
        return {name: sum(count.values()) - len(count) for name, count in counts.items()}

    def lateness(self) -> dict[str, float]:
        """Return how late the reactor's timer was, in milliseconds."""
        late = array("f")
        with (self.folder / "late").open("rb") as file:
            late.frombytes(file.read())
        ordered = sorted(late)
        return {
            f"{share:.1%}": round(1000 * ordered[int(share * (len(ordered) - 1))], 2)
            for share in (0.5, 0.99, 0.999, 1.0)
        }


def _stamp(seconds: str) -> str:
    whole, _, micros = seconds.partition(".")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(whole)))
    return f"{stamp}.{micros}Z"


def main() -> None:
    """Do it until there were enough sessions."""
    folder = Path(sys.argv[1])
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    plugin = sys.argv[4:] != ["without"]
    trial = Trial(folder, Installation(Path(sys.executable).parent), seed, plugin)
    with trial.running():
        trial.load.start()
        while len(trial.closes()[0]) < wanted:
            trial.wait(2, 8)
            trial.trouble()
            print(f"{trial.load.tried} visits, {dict(trial.did)}", flush=True)
        trial.load.stop()
        missing = trial.settle() if plugin else {}
        print(f"sessions that cowrie.json closes: {len(trial.closes()[0])}")
        if plugin:
            print(f"missing at the receivers: {missing}")
            print(f"came more than once: {trial.repeats()}")
        print(f"the reactor's timer was late by, in ms: {trial.lateness()}")
    raise SystemExit(any(missing.values()))


if __name__ == "__main__":
    main()
