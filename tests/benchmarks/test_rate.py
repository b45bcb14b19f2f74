"""Commands a second: templates and fingerprints beside Drain3, in the same run.

    python -m pytest tests/benchmarks --benchmark-enable -s -k rate

The suite runs each once and asserts nothing of time.
"""

from __future__ import annotations

import random
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import independent
import pytest
from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

from cowrie_sessionstats.commands import Script, Templates, default_vocabulary

Stream = list[tuple[str, str]]
"""Sessions and their command lines, in the order of a log."""

# Those of Drain3's own example (README, "Masking"), and one for URLs.
MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(https?|ftp|tftp)://\S+((?=[^A-Za-z0-9])|$)", "URL"),
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9A-F]{4} ?){4,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
    (r"(?<=executed cmd )(\".+?\")", "CMD"),
]


@pytest.fixture(scope="module")
def real(shared: Path) -> Stream:
    """Return the command lines of all real logs, each log's in its order."""
    stream: Stream = []
    for path in sorted((shared / "data/real").rglob("*.gz")):
        for event in independent.read_log(path):
            if event["eventid"] == "cowrie.command.input" and not independent.is_fed(event):
                stream.append((event["session"], event["input"]))
    return stream


@pytest.fixture(scope="module")
def coming(seed_corpus: ModuleType) -> Stream:
    """Return commands as they come to a sensor: a published study's scripts in its proportions.

    What a script draws is drawn anew for each session, so a quarter of the lines is new.
    """
    draw = random.Random(1)
    stream: Stream = []
    for number, (script, count, _) in enumerate(seed_corpus.plan(12_066, draw)):
        for kind, line in seed_corpus.SCRIPTS[script](draw, count):
            if kind == "input":
                stream.append((str(number), line))
    return stream


def ours(stream: Stream) -> None:
    """Work out the fingerprint of every session, from nothing."""
    templates = Templates(default_vocabulary())
    scripts: dict[str, Script] = {}
    for session, line in stream:
        script = scripts.get(session)
        if script is None:
            script = scripts[session] = Script()
        script.add(line, templates)


def theirs(stream: Stream) -> None:
    """Let Drain3 mask and cluster every line, from nothing."""
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(*mask) for mask in MASKS]
    miner = TemplateMiner(config=config)
    for _, line in stream:
        miner.add_log_message(line)


def seconds(work: Callable[[Stream], None], stream: Stream) -> float:
    """Return how long it takes."""
    begun = time.perf_counter()
    work(stream)
    return time.perf_counter() - begun


DAYS = 10
"""How often the logs come: they are excerpts, and a sensor sees the same bots every day."""


@pytest.mark.parametrize("days", [1, DAYS])
def test_the_ratio_to_drain3(real: Stream, request: pytest.FixtureRequest, days: int) -> None:
    """On the real logs' commands, day after day, five times as many a second; from nothing."""
    full = bool(request.config.getoption("benchmark_enable"))
    stream, rounds = (real, 9 if days == 1 else 5) if full else (real[:200], 1)
    stream = [(f"{day} {session}", line) for day in range(days) for session, line in stream]
    pairs = sorted(
        (theirs_took / ours_took, ours_took, theirs_took)
        for ours_took, theirs_took in (
            (seconds(ours, stream), seconds(theirs, stream)) for _ in range(rounds)
        )
    )
    ratio, ours_took, theirs_took = pairs[rounds // 2]
    print(
        f"\n{days} x the commands of the real logs, {len(stream):,} "
        f"({len({line for _, line in stream})} different), median of {rounds} rounds: "
        f"{len(stream) / ours_took:,.0f} a second, Drain3 "
        f"{len(stream) / theirs_took:,.0f}, ratio {ratio:.1f} "
        f"(from {pairs[0][0]:.1f} to {pairs[-1][0]:.1f})"
    )
    if full and days > 1:
        assert ratio >= 5


def test_commands_as_they_come(coming: Stream, request: pytest.FixtureRequest) -> None:
    """At least 100,000 a second."""
    full = bool(request.config.getoption("benchmark_enable"))
    stream, rounds = (coming, 5) if full else (coming[:200], 1)
    took = sorted(seconds(ours, stream) for _ in range(rounds))[rounds // 2]
    rate = len(stream) / took
    print(
        f"\n{len(stream):,} commands as they come ({len({line for _, line in stream}):,} "
        f"different), median of {rounds} rounds: {rate:,.0f} a second"
    )
    if full:
        assert rate >= 100_000


def of_length(piece: str, length: int) -> str:
    """Return a line of that length, repeated from a piece, or made by chance."""
    draw = random.Random(1)
    if piece == "random":
        return draw.randbytes(length).decode("latin-1")
    if piece == "base64":
        return b64encode(draw.randbytes(length)).decode()[:length]
    return (piece * length)[:length]


HOSTILE = [
    '"',
    "\\",
    "$(",
    "a",
    "\\x41",
    "base64",
    "<<",
    ";",
    "random",
    "`",
    '"$(',
    "/a",
    "a ",
    ">a ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_line(piece: str, request: pytest.FixtureRequest) -> None:
    """64 KiB of anything take 50 ms at most, and twice as much 2.5 times as long at most."""
    lengths = (1 << 15, 1 << 16, 1 << 17)
    took = []
    for length in lengths:
        line = of_length(piece, length)
        best = min(
            seconds(ours, [("x", line)])
            for _ in range(9 if request.config.getoption("benchmark_enable") else 1)
        )
        took.append(best)
    print(
        f"\n{piece!r:9} "
        + ", ".join(f"{n >> 10} KiB {t * 1e3:.1f} ms" for n, t in zip(lengths, took, strict=True))
    )
    if request.config.getoption("benchmark_enable"):
        assert took[1] <= 0.05
        assert took[1] <= 2.5 * took[0]
        assert took[2] <= 2.5 * took[1]
