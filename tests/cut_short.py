"""Sessions of one script cut short, and how many of them the history finds.

    python tests/cut_short.py FOLDER [SESSIONS [SHARE [first|one|some|any [SEED [RANK]]]]]

Writes a log of the study's corpus in which a share of the sessions of its commonest script stop
early, or of that of another RANK (0, 1, ...): all after the first command, at one place, at three,
or anywhere; summarizes it with a history; and counts.
"""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import define
from logs import summarize

ENOUGH = 20
"""Sessions that the history wants to have seen before it says anything."""


SHORTEST = 4
"""Commands of a script that is cut."""


@define
class Outcome:
    """How many sessions were cut, and how many were found."""

    sessions: int = 0
    cut: int = 0
    found: int = 0
    too_early: int = 0
    """Of those that were not: cut before enough sessions had come by."""
    false: int = 0


def cut_short(  # noqa: PLR0913, PLR0917 - what is to be cut, and how
    corpus: ModuleType, folder: Path, sessions: int, share: float, where: str, seed: int,
    rank: int = 0,
) -> Outcome:  # fmt: skip
    """Make such a log in a new folder, summarize it, and count."""
    folder.mkdir(parents=True)
    made = [sys.executable, corpus.__file__ or "", "--out", str(folder / "logs"), "--days", "3"]
    made += ["--sessions", str(sessions), "--seed", str(seed)]
    subprocess.run(made, check=True, capture_output=True)
    logs = sorted(path for path in (folder / "logs").rglob("cowrie.json*") if path.is_file())
    chance = random.Random(seed)
    script, length = _script(summarize(folder / "logs").records, rank)
    places = {
        "first": [1],
        "one": [chance.randrange(2, length)],
        "some": [chance.randrange(2, length) for _ in range(3)],
        "any": list(range(1, length)),
    }[where]
    stops = {name: chance.choice(places) for name in script if chance.random() < share}
    for path in logs:
        _cut(path, stops)
    said = summarize(folder / "logs", "--history", folder / "history.sqlite")
    outcome = Outcome()
    by = 0
    for record in said.records:
        outcome.sessions += 1
        if record["session"] in stops:
            outcome.cut += 1
            outcome.found += record["stopped_early"]
            outcome.too_early += not record["stopped_early"] and by < ENOUGH
        else:
            outcome.false += record.get("stopped_early", False)
        by += record["session"] in script
    return outcome


def _script(records: list[dict[str, Any]], rank: int) -> tuple[list[str], int]:
    """Return the sessions of one of the commonest scripts, and how many commands those have."""
    scripts: dict[str, list[str]] = {}
    commands = {}
    for record in records:
        if record["commands"] >= SHORTEST:
            scripts.setdefault(record["fingerprint"], []).append(record["session"])
            commands[record["fingerprint"]] = record["commands"]
    chosen = sorted(scripts, key=lambda script: (-len(scripts[script]), script))[rank]
    return sorted(scripts[chosen]), commands[chosen]


def _cut(path: Path, stops: dict[str, int]) -> None:
    """Take out the commands behind the place at which a session stops."""
    left = dict(stops)
    kept = []
    for event in map(json.loads, path.read_text().splitlines()):
        name = event.get("session")
        if name in left and event["eventid"].startswith("cowrie.command."):
            if event["eventid"] == "cowrie.command.input":
                left[name] -= 1
            if left[name] < 0:
                continue
        kept.append(event)
    path.write_text("".join(json.dumps(event) + "\n" for event in kept))
    stops.update(left)


def main() -> None:
    """Make a log, and tell."""
    folder, *more = sys.argv[1:]
    given = [*more, *("12066", "0.05", "one", "1", "0")[len(more) :]]
    path = Path(__file__).parents[2] / "shared/tools/seed_corpus.py"
    spec = importlib.util.spec_from_file_location("seed_corpus", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"there is no {path}")
    corpus = importlib.util.module_from_spec(spec)
    sys.modules["seed_corpus"] = corpus
    spec.loader.exec_module(corpus)
    sessions, share, where, seed, rank = given
    print(cut_short(corpus, Path(folder), int(sessions), float(share), where, int(seed), int(rank)))


if __name__ == "__main__":
    main()
