"""How often `automation` is right: a real Cowrie, real clients, and who was at the other end.

    python tests/accuracy.py make FOLDER [--sessions 240] [--seed 7] [--longest 30] [--keys FOLDER]
    python tests/accuracy.py judge FOLDER [--half held-out] [--json] [--wrong]

``make`` lets programs (``robots``) and people (``typists``) visit a Cowrie and leaves its log, its
recordings, the plugin's records and ``truth.jsonl`` in the folder: of 50 sessions 19 are people's,
23 programs' and 8 of programs that imitate people. With ``--keys``, recordings of real
people's keys (``real_keys``), there are six of theirs besides. Half of each kind's sessions, begun
by a coin, are for tuning; the others are not to be looked at.

``judge`` prints precision and recall with the recordings (the plugin's own records), from the log
alone, and from the log with the recordings that Cowrie kept: it keeps one of those with the same
input, which may be another session's. And it judges the sessions of published logs that are known:
see ``named``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import robots
import typists
from attackers import HOST, Ports
from attrs import asdict, define, field, frozen
from conftest import SHARED, module_of
from logs import summarize, write_log
from ports import free_port
from real_keys import Hand, hands
from robots import IMITATORS

from cowrie_sessionstats.launch import SUMMARIES, Installation

AT_ONCE: Final = 40
"""Clients at a time: two cores keep up with the keys of so many."""
VISIT_SECONDS: Final = 400
"""Cowrie itself ends a session on SSH after 300."""
EVENTS: Final = Path("var/log/cowrie/cowrie.json")
RECORDINGS: Final = Path("var/lib/cowrie/tty")
ROBOTS: Final = (
    *("asyncssh-exec", "asyncssh-shell", "asyncssh-pty", "asyncssh-forged", "asyncssh-split"),
    *("asyncssh-nudges", "telnet-nudges", "tcl-chunks"),
    *("asyncssh-copied", "asyncssh-copied", "keys-at-once"),
    *("paramiko-exec", "paramiko-shell", "paramiko-split"),
    *("expect-line", "tcl-line", "ssh-exec", "ssh-pipe", "ssh-tty"),
    *("telnet-loader", "telnet-loader", "telnet-newlines", "slow-bot"),
)
PEOPLE: Final = (
    *("typed", "typed", "two-hands", "two-hands", "fast", "hunting"),
    *("mixed", "pasted", "pasted-lines", "resized", "ahead", "one-command", "copying"),
    "layout",
    *("stalls", "ticks", "telnet", "telnet-stalls"),
)
RECORDED: Final = ("recorded", "recorded", "recorded", "recorded", "recorded", "telnet-recorded")
UNSEEN: Final = ("telnet-by-lines",)
"""People whose keys do not reach the honeypot one by one: counted for themselves."""
APART: Final = {
    **dict.fromkeys(IMITATORS, "imitates people"),
    **dict.fromkeys(UNSEEN, "keys not seen"),
}
VERDICTS: Final = ("automated", "interactive", "undetermined")

Case = dict[str, Any]
"""A line of ``truth.jsonl``."""


@frozen
class Visit:
    """One session that shall be."""

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


def visits_of(kinds: Iterable[tuple[str, str]], seed: int, longest: float) -> list[Visit]:
    """Return a visit for each truth and kind; both halves have as many of a kind, or one more."""
    chance = random.Random(seed)
    coins: dict[str, int] = {}
    made = []
    for number, (truth, kind) in enumerate(kinds):
        coins[kind] = coins.get(kind, chance.randrange(2)) + 1
        half = ("tuning", "held-out")[coins[kind] % 2]
        made.append(Visit(number, truth, kind, half, chance.getrandbits(32), longest))
    return made


def visits(count: int, seed: int, longest: float, people: Sequence[str] = PEOPLE) -> list[Visit]:
    """Return so many visits of all kinds in turn."""
    kinds = [("interactive", kind) for kind in (*people, *UNSEEN)]
    kinds += [("automated", kind) for kind in (*ROBOTS, *IMITATORS)]
    random.Random(seed).shuffle(kinds)
    return visits_of((kinds[number % len(kinds)] for number in range(count)), seed, longest)


# ---------------------------------------------------------------- make


@define(eq=False)
class Place:
    """Where visits go, and what is noted of them."""

    ports: Ports
    folder: Path
    pool: ThreadPoolExecutor
    scripts: Sequence[Sequence[str]]
    hands: Sequence[Hand]
    late: list[float] = field(factory=list)
    """By how many seconds each key came late."""
    held: list[float] = field(factory=list)
    """For how many seconds Cowrie let somebody wait, from time to time: keys come at once then."""

    async def visit(self, visit: Visit) -> dict[str, Any]:
        """Let one session happen; return its parameters."""
        chance = random.Random(visit.seed)
        if visit.truth == "interactive":
            return await self._person(visit, chance)
        return await self._robot(visit, chance)

    async def _person(self, visit: Visit, chance: random.Random) -> dict[str, Any]:
        plan = list(chance.choice(typists.PLANS))
        if visit.kind == "copying":
            plan = list(chance.choice(typists.COPIES))
        elif visit.kind == "one-command":
            plan = [chance.choice(typists.ONE_COMMAND)]
        elif visit.kind == "pasted-lines":
            plan = [*chance.sample(typists.LONG, 2), *plan[-1:]]
        elif visit.kind in {"pasted", "mixed"}:
            plan[1:1] = [chance.choice(typists.LONG)]
        if visit.longest < 10:
            plan = plan[-3:]
        if visit.kind in UNSEEN:
            return await typists.unseen(self.ports, visit.password, chance, plan)
        late, told = await typists.person(
            self.ports, visit.password, chance, visit.kind, plan, self.folder, self.hands
        )
        self.late += late
        return told

    async def _robot(self, visit: Visit, chance: random.Random) -> dict[str, Any]:
        by, _, kind = visit.kind.partition("-")
        lines: Sequence[str] = chance.choice(self.scripts)
        if visit.longest < 10:
            lines = lines[:8]
        if visit.kind in IMITATORS or by == "keys":
            lines = chance.choice(typists.PLANS)
        if by == "telnet" and chance.random() < 0.5:
            lines = robots.LOADER
        longest = visit.longest if len(lines) < 8 else visit.longest / 5
        law, pause = robots.pauses(chance, longest)
        if visit.kind == "slow-bot":
            step = 2.5 if visit.longest >= 10 else 0.5
            lines, law, kind = (robots.MDRFCKR * 4)[:46], "fixed", "pty"
            by, pause = "asyncssh", lambda: step
        elif kind == "copied":
            lines = chance.choice(typists.COPIES)
        kind = visit.kind if by == "keys" else kind
        await self._run(by, kind, (self.ports, visit.password, lines, pause), chance)
        return {"pauses": law, "longest": round(longest, 1), "lines": len(lines)}

    async def _run(self, by: str, kind: str, who: robots.Who, chance: random.Random) -> None:
        """Let a program of a library or of the machine run."""
        loop = asyncio.get_running_loop()
        if by == "telnet":
            await robots.by_loader(*who, kind)
        elif by == "paramiko":
            await loop.run_in_executor(self.pool, robots.by_paramiko, *who, kind)
        elif by == "expect":
            await loop.run_in_executor(self.pool, robots.by_expect, *who, kind, self.folder, chance)
        elif by == "tcl":
            await robots.by_tcl(*who, kind, self.folder)
        elif by == "ssh":
            await robots.by_ssh(*who, kind, self.folder)
        else:
            await robots.by_asyncssh(*who, kind, chance)

    async def _watch(self) -> None:
        """See how soon Cowrie greets who comes."""
        while True:
            begun = time.monotonic()
            reader, writer = await asyncio.open_connection(HOST, self.ports.ssh)
            await reader.read(1)
            self.held.append(time.monotonic() - begun)
            writer.close()
            await asyncio.sleep(0.2)

    async def all(self, made: Sequence[Visit], at_once: int) -> list[Case]:
        """Let all sessions happen, some at a time; return them with what went wrong."""
        room = asyncio.Semaphore(at_once)
        done: list[Case] = []

        async def one(visit: Visit) -> None:
            case: Case = {**asdict(visit), "failed": None}
            async with room:
                try:
                    case |= await asyncio.wait_for(self.visit(visit), VISIT_SECONDS)
                except Exception as error:  # noqa: BLE001 - told in truth.jsonl and below
                    case["failed"] = f"{type(error).__name__} {error}"[:200]
            done.append(case)
            if len(done) % 20 == 0:
                print(f"{len(done)} of {len(made)}", file=sys.stderr)

        watching = asyncio.ensure_future(self._watch())
        await asyncio.gather(*map(one, made))
        watching.cancel()
        return sorted(done, key=lambda case: int(case["number"]))


def make(  # noqa: PLR0913, PLR0917 - where, with what, who
    folder: Path,
    installation: Installation,
    made: Sequence[Visit],
    at_once: int = AT_ONCE,
    scripts: Sequence[Sequence[str]] = robots.SCRIPTS,
    recorded: Sequence[Hand] = (),
) -> float:
    """Run a Cowrie and all visits; leaves what there is to be judged in the folder.

    Returns by how many seconds 9 of 10 who came had to wait for Cowrie at most, or 99 of 100 keys
    came late: what a busy machine does to them is no person's rhythm any more.
    """
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
    running = installation.start(folder)
    try:
        with ThreadPoolExecutor(at_once) as pool, tempfile.TemporaryDirectory() as scratch:
            place = Place(ports, Path(scratch), pool, scripts, recorded)
            cases = asyncio.run(place.all(made, at_once))
        time.sleep(2)
    finally:
        running.stop()
    sessions = {
        event["password"]: event["session"]
        for event in _events(folder)
        if event["eventid"] == "cowrie.login.success"
    }
    with (folder / "truth.jsonl").open("w") as out:
        for case in cases:
            session = sessions.get(f"pw{case['number']:04d}")
            out.write(json.dumps({"session": session, **case}) + "\n")
            if case["failed"] or session is None:
                print(f"{case['kind']} {case['number']}: {case['failed']}", file=sys.stderr)
    late, held = sorted(place.late) or [0.0], sorted(place.held) or [0.0]
    print(
        f"{len(place.late)} keys: half less than {late[len(late) // 2] * 1000:.1f} ms late, 99 % "
        f"less than {late[int(len(late) * 0.99)] * 1000:.0f} ms, all {late[-1] * 1000:.0f} ms. "
        f"Cowrie had 9 of 10 wait less than {held[int(len(held) * 0.9)] * 1000:.0f} ms, all less "
        f"than {held[-1] * 1000:.0f} ms",
        file=sys.stderr,
    )
    return max(late[int(len(late) * 0.99)], held[int(len(held) * 0.9)])


def _events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / EVENTS).read_text().splitlines()]


# ---------------------------------------------------------------- judge


@frozen
class Judged:
    """What a record says of a session; ``verdict`` is empty if there is none."""

    case: Case
    verdict: str
    reasons: tuple[str, ...]


class NothingToJudgeError(Exception):
    """No record has a verdict."""


def judged(folder: Path, half: str | None = None) -> dict[str, list[Judged]]:
    """Return what is said of each session, by three ways to a record."""
    truth = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    truth = [case for case in truth if half in {None, case["half"]}]
    kept = summarize(folder / EVENTS, "--open", "--ttylogs", folder / RECORDINGS).records
    ways = {
        "with recordings": [
            json.loads(line) for line in (folder / SUMMARIES).read_text().splitlines()
        ],
        "from the log": summarize(folder / EVENTS, "--open").records,
        "from the log, with the recordings that Cowrie kept": kept,
    }
    found = {}
    for way, records in ways.items():
        if not any("automation" in record for record in records):
            raise NothingToJudgeError(f"{way}: no record has `automation`")
        last = {record["session"]: record for record in records}  # its last revision
        found[way] = [
            Judged(
                case,
                last.get(case["session"], {}).get("automation", ""),
                tuple(last.get(case["session"], {}).get("automation_reasons", ())),
            )
            for case in truth
        ]
    return found


def figures(found: Sequence[Judged]) -> dict[str, Any]:
    """Return precision and recall of both verdicts, without the kinds that are set apart."""
    plain = [one for one in found if one.case["kind"] not in APART and one.verdict]
    matrix = {
        truth: {
            said: sum(one.case["truth"] == truth and one.verdict == said for one in plain)
            for said in VERDICTS
        }
        for truth in VERDICTS[:2]
    }
    result: dict[str, Any] = {
        "sessions": len(plain),
        "without a record": sum(not one.verdict for one in found),
        "matrix": matrix,
    }
    for verdict in VERDICTS[:2]:
        said_so = sum(matrix[truth][verdict] for truth in matrix)
        are_so = sum(matrix[verdict].values())
        right = matrix[verdict][verdict]
        result[verdict] = {
            "precision": round(right / said_so, 4) if said_so else None,
            "recall": round(right / are_so, 4) if are_so else None,
        }
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        kind = one.case["kind"]
        apart = f" ({APART[kind]})" if kind in APART else ""
        kinds[f"{one.case['truth']}: {kind}{apart}"][one.verdict or "no record"] += 1
    result["by kind"] = {kind: dict(said) for kind, said in sorted(kinds.items())}
    return result


def lost_recordings(folder: Path) -> dict[str, int]:
    """Return how many recordings Cowrie deleted, and how many of those for one of the other kind.

    It names a recording by its input, and deletes it if there is one with that name.
    """
    truth = {}
    for line in (folder / "truth.jsonl").read_text().splitlines():
        case = json.loads(line)
        truth[case["session"]] = case["truth"]
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for event in _events(folder):
        if event["eventid"] != "cowrie.log.closed":
            continue
        counts["recordings"] += 1
        whose = truth.get(event["session"], "unknown")
        if event["duplicate"]:
            counts[f"deleted, {whose}"] += 1
            if first.get(event["shasum"], whose) != whose:
                counts[f"deleted, {whose}, while one of the other kind is kept"] += 1
        else:
            first[event["shasum"]] = whose
    return dict(counts)


def named(shared: Path) -> dict[str, dict[str, int]]:
    """Return what is said, from the log alone, of sessions that others published.

    Those of two people's own laboratories may never be ``automated``; the SANS study's commonest
    script (22 commands in 19.4 s) and its bot with 46 commands 2.5 s apart are.
    """
    seed_corpus = module_of(shared / "tools/seed_corpus.py")
    said: dict[str, dict[str, int]] = {}
    for year in (2021, 2026):
        records = summarize(shared / f"data/real/{year}-lab.jsonl.gz").records
        said[f"{year}-lab"] = dict(Counter(record["automation"] for record in records))
    scripts = (("mdrfckr-22", 22, 19.4), ("recon-df", 46, 46 * 2.5 + 7.5))
    for script, commands, seconds in scripts:
        events: list[tuple[float | None, dict[str, Any]]] = []
        for number in range(50):
            events += seed_corpus.session_events(
                random.Random(number), f"{number:012x}", 0, 1.7e9 + number, script, commands,
                seconds, 3,
            )  # fmt: skip
        timed = sorted(((at, event) for at, event in events if at is not None), key=itemgetter(0))
        with tempfile.TemporaryDirectory() as scratch:
            log = write_log(Path(scratch) / "cowrie.json", [event for _, event in timed])
            records = summarize(log).records
        said[f"{script}, {commands} commands in {seconds:g} s"] = dict(
            Counter(record["automation"] for record in records)
        )
    return said


# ---------------------------------------------------------------- for the shell


def _told(way: str, result: dict[str, Any]) -> None:
    print(f"{way}: {result['sessions']} sessions, {result['without a record']} without a record")
    for verdict in VERDICTS[:2]:
        print(
            f"  {verdict:12} precision {result[verdict]['precision']}, "
            f"recall {result[verdict]['recall']}"
        )
    for truth, row in result["matrix"].items():
        print(f"  {truth:12} was {', '.join(f'{said} {count}' for said, count in row.items())}")
    for kind, said in result["by kind"].items():
        print(f"    {kind:48} {', '.join(f'{s} {n}' for s, n in sorted(said.items()))}")


def judge(folder: Path, half: str | None, *, as_json: bool, wrong: bool) -> int:
    """Print all there is to say; return the exit status."""
    try:
        found = judged(folder, half)
    except NothingToJudgeError as error:
        print(error, file=sys.stderr)
        return 1
    told: dict[str, Any] = {way: figures(cases) for way, cases in found.items()}
    lost = lost_recordings(folder)
    published = named(SHARED) if (SHARED / "tools").is_dir() else {}
    if as_json:
        print(json.dumps({**told, "recordings": lost, "published": published}, indent=1))
        return 0
    for way, result in told.items():
        _told(way, result)
        if wrong:
            for one in found[way]:
                if one.verdict != one.case["truth"]:
                    print("   ", one.verdict or "no record", *one.reasons, one.case)
    print("recordings:", ", ".join(f"{what} {count}" for what, count in lost.items()))
    for what, said in published.items():
        print(f"published {what}: {', '.join(f'{s} {n}' for s, n in said.items())}")
    return 0


def main() -> int:
    """Make or judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "judge"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=240)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--keys", type=Path, help="recordings of real people's keys")
    parser.add_argument("--half", choices=["tuning", "held-out"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--wrong", action="store_true", help="list what was judged wrong")
    given = parser.parse_args()
    if given.what == "judge":
        return judge(given.folder, given.half, as_json=given.json, wrong=given.wrong)
    if missing := robots.missing():
        print(f"no {', '.join(missing)}: apt-get install openssh-client telnet expect",
              file=sys.stderr)  # fmt: skip
        return 1
    recorded = hands(given.keys) if given.keys else []
    if given.keys and not recorded:
        print(f"--keys {given.keys}: no recordings of keys there", file=sys.stderr)
        return 1
    real = SHARED / "data/real"
    scripts = [*robots.SCRIPTS, *(robots.real_scripts(real) if real.is_dir() else [])]
    people = (*PEOPLE, *(RECORDED if recorded else ()))
    made = visits(given.sessions, given.seed, given.longest, people)
    installation = Installation(Path(sys.executable).parent)
    make(given.folder, installation, made, scripts=scripts, recorded=recorded)
    return 0


if __name__ == "__main__":
    sys.exit(main())
