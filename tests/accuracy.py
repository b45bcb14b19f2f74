"""How often `automation` is right: a real Cowrie, real clients, and who was at the other end.

    python tests/accuracy.py make FOLDER [--sessions 240] [--seed 7] [--longest 30]
    python tests/accuracy.py judge FOLDER [--half held-out] [--json]

``make`` lets programs (``robots``) and people (``typists``) visit a Cowrie, about as many of each,
and leaves its log, its recordings, the plugin's records and ``truth.jsonl`` in the folder. Half of
the sessions, drawn by the seed, are for tuning; the others are not to be looked at. ``judge``
prints precision and recall, with the recordings (the plugin's own records) and without (summarized
from the log).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import robots
import typists
from attackers import Ports
from attrs import asdict, frozen
from logs import summarize
from ports import free_port

from cowrie_sessionstats.launch import SUMMARIES, Installation

AT_ONCE: Final = 40
"""Clients at a time: two cores keep up with the keys of so many."""
EVENTS: Final = Path("var/log/cowrie/cowrie.json")
ROBOTS: Final = (
    *("asyncssh-exec", "asyncssh-shell", "asyncssh-pty", "paramiko-exec", "paramiko-shell"),
    *("expect-line", "expect-line", "telnet-loader", "telnet-loader", "slow-bot"),
)
IMITATORS: Final = ("expect-slow", "expect-human")
"""Programs that imitate typing: counted for themselves."""
PEOPLE: Final = ("typed", "typed", "typed", "mixed", "pasted", "resized", "telnet")


@frozen
class Case:
    """One session."""

    number: int
    truth: str
    kind: str
    half: str
    seed: int
    longest: float

    @property
    def password(self) -> str:
        """Return what its record is found by."""
        return f"pw{self.number:04d}"


def cases(count: int, seed: int, longest: float) -> list[Case]:
    """Return the sessions: for every seven people ten programs and one that imitates people."""
    chance = random.Random(seed)
    kinds = [("interactive", kind) for kind in PEOPLE]
    kinds += [("automated", kind) for kind in ROBOTS]
    made = []
    for number in range(count):
        truth, kind = kinds[number % len(kinds)]
        if number % 36 == 35:
            truth, kind = "automated", IMITATORS[number // 36 % 2]
        half = chance.choice(("tuning", "held-out"))
        made.append(Case(number, truth, kind, half, chance.getrandbits(32), longest))
    return made


async def visit(case: Case, ports: Ports, folder: Path, pool: ThreadPoolExecutor) -> list[float]:
    """Let one session happen; return by how many seconds keys came late."""
    chance = random.Random(case.seed)
    if case.truth == "interactive":
        plan = list(chance.choice(typists.PLANS))
        if case.kind in {"pasted", "mixed"}:
            plan[1:1] = [chance.choice(typists.LONG)]
        return await typists.person(ports, case.password, chance, case.kind, plan, folder)
    lines = chance.choice(robots.SCRIPTS)
    _, pause = robots.pauses(chance, case.longest if len(lines) < 8 else case.longest / 5)
    by, _, kind = case.kind.partition("-")
    loop = asyncio.get_running_loop()
    if case.kind == "slow-bot":
        step = 2.5 if case.longest >= 10 else 0.5
        lines = (robots.MDRFCKR * 4)[:46]
        await robots.by_asyncssh(ports, case.password, lines, lambda: step, "pty")
    elif by == "asyncssh":
        await robots.by_asyncssh(ports, case.password, lines, pause, kind)
    elif by == "telnet":
        lines = chance.choice((robots.LOADER, lines))
        await robots.by_loader(ports, case.password, lines, pause)
    elif by == "paramiko":
        await loop.run_in_executor(
            pool, robots.by_paramiko, ports, case.password, lines, pause, kind
        )
    else:
        await loop.run_in_executor(
            pool, robots.by_expect, ports, case.password, lines, pause, kind, folder, chance
        )
    return []


async def visits(made: list[Case], ports: Ports, folder: Path, at_once: int) -> None:
    """Let all sessions happen, some at a time."""
    room = asyncio.Semaphore(at_once)
    late: list[float] = []
    trouble: Counter[str] = Counter()
    done = 0

    async def one(case: Case, pool: ThreadPoolExecutor) -> None:
        nonlocal done
        async with room:
            try:
                late.extend(await asyncio.wait_for(visit(case, ports, folder, pool), 400))
            except Exception as error:  # noqa: BLE001 - told below
                trouble[f"{case.kind}: {type(error).__name__} {error}"[:200]] += 1
            done += 1
            if sys.stderr.isatty() or done % 20 == 0:
                print(f"{done} of {len(made)}", file=sys.stderr)

    with ThreadPoolExecutor(at_once) as pool:
        await asyncio.gather(*(one(case, pool) for case in made))
    worst = sorted(late)[int(len(late) * 0.99)] if late else 0.0
    print(f"{len(late)} keys, 99 % less than {worst * 1000:.0f} ms late", file=sys.stderr)
    for what, count in trouble.items():
        print(f"{count} x {what}", file=sys.stderr)


def make(
    folder: Path, installation: Installation, made: list[Case], at_once: int = AT_ONCE
) -> None:
    """Run a Cowrie and all visits; leaves what there is to be judged in the folder."""
    ports = Ports(free_port(), free_port())
    installation.init(folder)
    (folder / "etc/userdb.txt").write_text("root:x:*\n")
    (folder / "cowrie.cfg").write_text(
        f"[honeypot]\n[ssh]\nlisten_endpoints = tcp:{ports.ssh}:interface=127.0.0.1\n"
        "[telnet]\nenabled = true\n"
        f"listen_endpoints = tcp:{ports.telnet}:interface=127.0.0.1\n"
        "[output_sessionstats]\nenabled = true\npipeline = false\n"
        "logfile = ${honeypot:log_path}/sessionstats.json\n"
    )
    (folder / "truth.jsonl").write_text("".join(json.dumps(asdict(c)) + "\n" for c in made))
    running = installation.start(folder)
    try:
        asyncio.run(visits(made, ports, folder, at_once))
        time.sleep(2)
    finally:
        running.stop()


def judged(
    folder: Path, half: str | None
) -> dict[str, list[tuple[dict[str, Any], str, list[str]]]]:
    """Return for records with and without recordings each session's truth, verdict and reasons."""
    truth = {}
    for line in (folder / "truth.jsonl").read_text().splitlines():
        case = json.loads(line)
        if half in {None, case["half"]}:
            truth[f"pw{case['number']:04d}"] = case
    live = [json.loads(line) for line in (folder / SUMMARIES).read_text().splitlines()]
    replayed = summarize(folder / EVENTS, "--open").records
    found = {}
    for name, records in (("with recordings", live), ("without recordings", replayed)):
        last = {r["session"]: r for r in records if r.get("password") in truth}  # its last revision
        found[name] = [
            (truth[r["password"]], r["automation"], r["automation_reasons"]) for r in last.values()
        ]
    return found


def figures(cases: list[tuple[dict[str, Any], str, list[str]]]) -> dict[str, Any]:
    """Return precision and recall of both verdicts; programs that imitate people are left out."""
    plain = [(case["truth"], said) for case, said, _ in cases if case["kind"] not in IMITATORS]
    result: dict[str, Any] = {"sessions": len(plain)}
    for verdict in ("automated", "interactive"):
        right = sum(truth == said == verdict for truth, said in plain)
        said_so = sum(said == verdict for _, said in plain)
        are_so = sum(truth == verdict for truth, _ in plain)
        result[verdict] = {
            "precision": round(right / said_so, 4) if said_so else None,
            "recall": round(right / are_so, 4) if are_so else None,
        }
    result["undetermined"] = sum(said == "undetermined" for _, said in plain)
    result["by kind"] = {}
    for case, said, _ in cases:
        kind = result["by kind"].setdefault(f"{case['truth']}: {case['kind']}", {})
        kind[said] = kind.get(said, 0) + 1
    return result


def main() -> None:
    """Make or judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "judge"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=240)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--half", choices=["tuning", "held-out"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--wrong", action="store_true", help="list what was judged wrong")
    given = parser.parse_args()
    if given.what == "make":
        installation = Installation(Path(sys.executable).parent)
        make(given.folder, installation, cases(given.sessions, given.seed, given.longest))
        return
    found = judged(given.folder, given.half)
    told = {name: figures(cases) for name, cases in found.items()}
    if given.json:
        print(json.dumps(told, indent=1))
        return
    for name, result in told.items():
        print(f"{name}: {result['sessions']} sessions, {result['undetermined']} undetermined")
        for verdict in ("automated", "interactive"):
            print(f"  {verdict:12} precision {result[verdict]['precision']}, "
                  f"recall {result[verdict]['recall']}")  # fmt: skip
        for kind, said in sorted(result["by kind"].items()):
            print(f"    {kind:28} {said}")
        if given.wrong:
            for case, said, reasons in found[name]:
                if said != case["truth"]:
                    print("   ", case["kind"], case["number"], said, reasons)


if __name__ == "__main__":
    main()
