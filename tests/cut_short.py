"""Sessions of one script cut short, and how many of them the history finds.

    python tests/cut_short.py FOLDER [SESSIONS [SHARE [one|some|any [SEED]]]]

Writes a log of the study's corpus in which a share of the commonest script's sessions stop early:
all at one place, at three, or anywhere; summarizes it with a history; and counts.
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
    corpus: ModuleType, folder: Path, sessions: int, share: float, where: str, seed: int
) -> Outcome:
    """Make such a log in a new folder, summarize it, and count."""
    folder.mkdir(parents=True)
    made = [sys.executable, corpus.__file__ or "", "--out", str(folder / "logs"), "--days", "3"]
    made += ["--sessions", str(sessions), "--seed", str(seed)]
    subprocess.run(made, check=True, capture_output=True)
    logs = sorted(path for path in (folder / "logs").rglob("cowrie.json*") if path.is_file())
    chance = random.Random(seed)
    commands = _commands(logs)
    lengths = [len(lines) for lines in commands.values() if "mdrfckr" in "".join(lines)]
    length = max(set(lengths), key=lengths.count)
    script = sorted(
        name for name, lines in commands.items()
        if len(lines) == length and "mdrfckr" in "".join(lines)
    )  # fmt: skip
    places = {"one": [length // 2], "some": [3, length // 2, length - 3]}.get(
        where, list(range(2, length - 1))
    )
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


def _events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _commands(logs: list[Path]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in logs:
        for event in _events(path):
            if event["eventid"] == "cowrie.command.input":
                found.setdefault(event["session"], []).append(event["input"])
    return found


def _cut(path: Path, stops: dict[str, int]) -> None:
    """Take out the commands behind the place at which a session stops."""
    left = dict(stops)
    kept = []
    for event in _events(path):
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
    given = [*more, *("12066", "0.05", "one", "1")[len(more) :]]
    path = Path(__file__).parents[2] / "shared/tools/seed_corpus.py"
    spec = importlib.util.spec_from_file_location("seed_corpus", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"there is no {path}")
    corpus = importlib.util.module_from_spec(spec)
    sys.modules["seed_corpus"] = corpus
    spec.loader.exec_module(corpus)
    print(cut_short(corpus, Path(folder), int(given[0]), float(given[1]), given[2], int(given[3])))


if __name__ == "__main__":
    main()
