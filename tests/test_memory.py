"""Memory of open sessions, measured."""

from __future__ import annotations

import gc
import json
import random
import tracemalloc
from types import ModuleType
from typing import Any

import pytest

from cowrie_sessionstats.commands.fingerprints import _kept_links
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.timestamps import _parsed

LIMIT = 4096  # bytes a session
NAME = "0123456789ab"


def lines_of(corpus: ModuleType, script: str, size: int) -> list[str]:
    """Return the log of one session of a script up to its close, which is left out."""
    events = corpus.session_events(random.Random(1), NAME, 0, 1.7e9, script, size, 19.4, 3)
    return [
        json.dumps(event)
        for at, event in events
        if at is not None and event["eventid"] != "cowrie.session.closed"
    ]


def forget(sessions: Sessions) -> None:
    """Empty what all sessions share: caches of fixed size, that fill and make room as they like."""
    templates = sessions.templates
    kept: list[Any] = [
        templates.plan_kept,
        templates._kept_long,
        templates._same,
        templates._values._kept,
        templates._values.is_random,
        templates.marks.of_kept,
        _kept_links,
        _parsed,
    ]
    for cache in kept:
        cache.cache_clear()
    gc.collect()


def bytes_a_session(lines: list[str], number: int) -> float:
    """Return what each open session adds to a table, as tracemalloc sees it.

    Every event is decoded afresh, so that no two sessions share a text.
    """
    sessions = Sessions(lambda _: None, max_sessions=number + 1)
    tracemalloc.start()
    try:
        for line in lines[:300]:  # what is made once
            sessions.feed(json.loads(line))
        forget(sessions)
        before = tracemalloc.get_traced_memory()[0]
        for i in range(number):
            name = f"{i:012x}"
            for line in lines:
                sessions.feed(json.loads(line.replace(NAME, name)))
        forget(sessions)
        assert len(sessions) == number + 1
        return (tracemalloc.get_traced_memory()[0] - before) / number
    finally:
        tracemalloc.stop()


def test_a_session_holds_4_kib_at_20_commands_and_at_27742(
    seed_corpus: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The longest session of the study takes no more than the bound that a short one keeps."""
    short = bytes_a_session(lines_of(seed_corpus, "elf-builder", 20), 200)
    middle = bytes_a_session(lines_of(seed_corpus, "elf-builder", 500), 20)
    long = bytes_a_session(lines_of(seed_corpus, "elf-builder", 27_742), 3)
    with capsys.disabled():
        print(f"\nbytes a session: {short:.0f}, {middle:.0f}, {long:.0f}")
    assert short <= LIMIT
    assert middle <= LIMIT
    assert long <= LIMIT


def test_100000_sessions_open_at_once(
    seed_corpus: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crowd of sessions with a few commands each takes 4 KiB a session at most."""
    each = bytes_a_session(lines_of(seed_corpus, "recon-df", 3), 100_000)
    with capsys.disabled():
        print(f"\nbytes a session with 100,000 open: {each:.0f}")
    assert each <= LIMIT
