"""The study in full, by hand: its 1,206,566 sessions made, summarized and reported on.

    python tests/study.py ../shared/tools/seed_corpus.py FOLDER

FOLDER gets 10 GB of logs, summaries beside them, a page and pictures; with another run's logs in it
they are used again. Prints how each figure compares with the published one, and what it took.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, Final

from costs import cost
from logs import COMMAND

SESSIONS: Final = 1_206_566
TOLERANCE: Final = 0.02


def main() -> None:
    """Make, summarize, report, compare."""
    generator, folder = Path(sys.argv[1]), Path(sys.argv[2])
    tables = _tables(generator)
    logs = folder / "logs"
    if not (logs / "truth.jsonl").exists():
        _timed(
            "logs", sys.executable, generator, "--out", logs, "--sessions", SESSIONS, "--days", 30
        )
    sensors = sorted(logs.glob("sensor*"))
    parquet, lines = folder / "sessions.parquet", folder / "sessions.jsonl"
    _timed("summarize to Parquet", COMMAND, "summarize", "-o", parquet, *sensors)
    _timed("summarize to JSON lines", COMMAND, "summarize", "-o", lines, *sensors)
    report = json.loads(_timed("tables from Parquet", COMMAND, "report", "--json", parquet))
    _timed("page from Parquet", COMMAND, "report", "--html", folder / "page.html", parquet)
    again = json.loads(_timed("tables from JSON lines", COMMAND, "report", "--json", lines))
    _timed("page from JSON lines", COMMAND, "report", "--html", folder / "page.html", lines)
    _say("the same tables from both", report == again)
    _compare(report, tables)


def _tables(generator: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("seed_corpus", generator)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{generator} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["seed_corpus"] = module
    spec.loader.exec_module(module)
    tables: dict[str, Any] = module.TABLES
    return tables


def _timed(what: str, *command: object) -> bytes:
    """Run a program; print what it took and return its output."""
    took = cost(*command)
    print(f"{what}: {took.seconds:.1f} s, {took.megabytes:.0f} MB", flush=True)
    return took.output


def _say(what: str, good: object) -> None:
    print(f"{'ok      ' if good else 'DIFFERS '} {what}")


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * abs(other)


def _compare(made: dict[str, Any], study: dict[str, Any]) -> None:
    _figure1(made["figure1"], study["figure1"])
    for row, printed in zip(made["figure4"], study["figure4"], strict=True):
        same = all(row[key] == printed[key] for key in ("commands", "sessions"))
        _say(f"figure 4: {row['commands']} commands, {row['sessions']:,} sessions", same)
        for key in ("percent", "running"):
            # The study's percentages are not those of its own counts: up to 0.02 above them.
            _say(f"  {key} {row[key]} ({printed[key]})", abs(row[key] - printed[key]) < 0.0201)
    rows = {row["commands"]: row for row in made["figure6"]}
    _say(f"figure 6: {len(rows)} numbers of commands", len(rows) >= len(study["figure6"]))
    off = 0
    for printed in study["figure6"]:
        row = rows[printed["commands"]]
        for key in ("sessions", "min", "max", "range", "mean", "rate"):
            if abs(row[key] - printed[key]) > 1e-9:
                off += 1
                near = abs(row[key] - printed[key]) < 0.0101 or _near(row[key], printed[key])
                _say(f"  {row['commands']} commands: {key} {row[key]} ({printed[key]})", near)
    _say(f"figure 6: {6 * len(study['figure6']) - off} of {6 * len(study['figure6'])} equal", 1)
    for printed in study["figure8"]:
        begin = printed["last"].removesuffix("...")
        found = [row for row in made["figure8"] if row["last"].startswith(begin)]
        sessions = sum(row["sessions"] for row in found)
        percent = sum(row["percent"] for row in found)
        _say(
            f"figure 8: {sessions:,} sessions, {percent:.2f} % ({printed['sessions']:,}, "
            f"{printed['percent']}): {begin[:50]}",
            _near(sessions, printed["sessions"]),
        )
    first = made["figure5"][0]
    _say(
        f"figure 5: {first['sessions']:,} sessions, {first['hashes']:,} exact hashes, one "
        f"fingerprint ({study['similar_22']})",
        first["sessions"] == study["similar_22"]["of"],
    )


def _figure1(made: dict[str, Any], printed: dict[str, Any]) -> None:
    _say(f"figure 1: {made['sessions']:,} sessions", made["sessions"] == printed["sessions"])
    for of in ("commands", "duration"):
        for key in ("min", "max", "median", "mean"):
            exact = of == "commands" or key in ("min", "max")
            one, other = made[of][key], printed[of][key]
            good = round(one, 2) == round(other, 2) if exact else _near(one, other)
            _say(f"figure 1: {of} {key} {one} ({other})", good)


if __name__ == "__main__":
    main()
