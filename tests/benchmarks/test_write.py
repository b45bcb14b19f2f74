"""What ``write()`` costs in Cowrie's reactor, beside Cowrie's own JSON log in the same run.

    python -m pytest tests/benchmarks --benchmark-enable -s

The suite runs each benchmark once and asserts nothing of time.
"""

from __future__ import annotations

import gc
import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import define
from cowrie.core.config import CowrieConfig
from cowrie.core.output import convert
from cowrie.output import jsonlog
from cowrie.output.sessionstats import Output

from cowrie_sessionstats.options import SECTION

EVENTS = 100_000
TURN = 20  # events that a reactor delivers between two looks at its sockets

Event = dict[str, Any]


@pytest.fixture(scope="module")
def mix(seed_corpus: ModuleType) -> list[Event]:
    """Return the events of many overlapping sessions of the commonest script, as Cowrie has them.

    22 command events a session in 19.4 s, as in the study; a session begins every 50 ms.
    """
    draw = random.Random(1)
    timed: list[tuple[float, int, Event]] = []
    for i in itertools.count():
        name = f"{draw.getrandbits(48):012x}"
        for at, event in seed_corpus.session_events(
            draw, name, 0, 1.7e9 + i * 0.05, "mdrfckr-22", 22, 19.4, 3
        ):
            if at is not None:
                timed.append((at, len(timed), {**event, "time": at}))
        if len(timed) > EVENTS:
            break
    return [event for _, _, event in sorted(timed)][:EVENTS]


@pytest.fixture
def outputs(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return Cowrie's JSON log and the plugin, each with a log of its own."""
    CowrieConfig.read_dict(
        {
            "honeypot": {"logtype": "rotating"},
            "output_jsonlog": {"logfile": str(tmp_path / "cowrie.json")},
            SECTION: {
                "enabled": "true",
                "logfile": str(tmp_path / "sessionstats.json"),
                "store": str(tmp_path / "sessionstats.sqlite"),
            },
        }
    )
    made = {"jsonlog": jsonlog.Output(), "sessionstats": Output()}
    made["sessionstats"]._sessions.touched = {}  # as in a running reactor
    yield made
    made["jsonlog"].outfile.close()
    made["sessionstats"].stop()
    CowrieConfig.remove_section(SECTION)


@define
class Feeder:
    """Feeds one output as a reactor would: some events, then what was put off to the next turn."""

    output: Any
    events: list[Event]

    def copies(self) -> list[Event]:
        """Return the events anew: an output may change what it is given."""
        copies = [convert(event) for event in self.events]
        gc.collect()
        return copies

    def seconds(self) -> list[float]:
        """Return how long ``write()`` took for each turn of ``TURN`` events."""
        copies, write, took = self.copies(), self.output.write, []
        for first in range(0, len(copies), TURN):
            turn = copies[first : first + TURN]
            begun = time.perf_counter()
            for event in turn:
                write(event)
            took.append(time.perf_counter() - begun)
            self.next_turn()
        return took

    def next_turn(self) -> None:
        """Let Cowrie's pipeline have its records, which is the dispatcher's time, not ours."""
        for destination in getattr(self.output, "_destinations", ()):
            destination.flush()


def full(request: pytest.FixtureRequest) -> bool:
    """Return whether figures are wanted; otherwise the suite only sees that everything runs."""
    return bool(request.config.getoption("benchmark_enable"))


@pytest.mark.parametrize("name", ["jsonlog", "sessionstats"])
def test_an_event(benchmark: Any, outputs: dict[str, Any], mix: list[Event], name: str) -> None:
    """The mean cost of one event over the mix: divide by the number of events."""
    feeder = Feeder(outputs[name], mix)

    def write_all(copies: list[Event]) -> None:
        for event in copies:
            feeder.output.write(event)

    def setup() -> tuple[tuple[list[Event]], dict[str, Any]]:
        feeder.next_turn()
        return (feeder.copies(),), {}

    benchmark.group = f"write(), {EVENTS:,} events at once"
    benchmark.pedantic(write_all, setup=setup, rounds=5)


def test_the_ratio_to_jsonlog(
    outputs: dict[str, Any], mix: list[Event], request: pytest.FixtureRequest
) -> None:
    """Ours is at most as much as jsonlog's, as the median of rounds in which each runs once."""
    rounds, events = (9, mix) if full(request) else (1, mix[:2000])
    pairs = []
    for _ in range(rounds):
        theirs = sum(Feeder(outputs["jsonlog"], events).seconds())
        ours = sum(Feeder(outputs["sessionstats"], events).seconds())
        pairs.append((ours / theirs, ours, theirs))
    ratio, ours, theirs = sorted(pairs)[rounds // 2]
    print(
        f"\nwrite() of one event, median of {rounds} rounds: sessionstats "
        f"{ours / len(events) * 1e6:.1f} us, jsonlog {theirs / len(events) * 1e6:.1f} us, "
        f"ratio {ratio:.2f} (from {min(pairs)[0]:.2f} to {max(pairs)[0]:.2f})"
    )
    if full(request):
        assert ratio <= 1.0


def test_the_slowest_call(
    outputs: dict[str, Any], mix: list[Event], request: pytest.FixtureRequest
) -> None:
    """No call of 100,000 holds the reactor for 5 ms."""
    feeder = Feeder(outputs["sessionstats"], mix if full(request) else mix[:2000])
    write, took = feeder.output.write, []
    for event in feeder.copies():
        begun = time.perf_counter()
        write(event)
        took.append(time.perf_counter() - begun)
        feeder.next_turn()
    took.sort()
    print(
        f"\nof {len(took):,} calls: median {took[len(took) // 2] * 1e6:.1f} us, 99.9 % under "
        f"{took[int(len(took) * 0.999)] * 1e6:.0f} us, slowest {took[-1] * 1e3:.2f} ms"
    )
    if full(request):
        assert took[-1] < 0.005
