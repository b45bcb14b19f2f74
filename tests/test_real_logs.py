"""Ten years of real logs through the code that counts live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import independent
import jsonschema
import pytest
from conftest import SHARED

from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.summary import Summary, json_schema, record

REAL = SHARED / "data/real"


def logs() -> Iterator[Any]:
    """Yield each source: a file, or the rotated files of one sensor in their order."""
    if not REAL.is_dir():
        yield pytest.param(
            [], marks=pytest.mark.skip(reason="no shared/data/real beside the project"), id="absent"
        )
        return
    for path in sorted(REAL.iterdir()):
        if path.is_dir():  # cowrie.json, the current file, comes last
            files = sorted(path.iterdir(), key=lambda p: (p.name == "cowrie.json.gz", p.name))
            yield pytest.param(files, id=path.name)
        else:
            yield pytest.param([path], id=path.name)


@pytest.mark.parametrize("files", list(logs()))
def test_every_session_of_a_real_log_comes_out_once_and_right(files: list[Path]) -> None:
    """One record for each session, and every figure as an independent count has it."""
    raw = [event for path in files for event in independent.read_log(path)]
    made: list[Summary] = []
    sessions = Sessions(made.append)
    for event in raw:
        sessions.feed(event)
    sessions.finish()

    wanted = independent.by_session(raw)
    firsts = [summary for summary in made if summary.revision == 0]
    assert Counter((s.sensor or "", s.session) for s in firsts) == Counter(wanted.keys())
    validator = jsonschema.Draft202012Validator(json_schema())
    records = {(s.sensor or "", s.session): record(s) for s in made}  # the last revision of each
    for key, events in wanted.items():
        validator.validate(records[key])
        assert independent.differences(records[key], independent.expected(events)) == {}, key
        seen = {event["eventid"] for event in events}
        if "cowrie.session.closed" not in seen:
            assert records[key]["partial"] == "open"
        elif "cowrie.session.connect" not in seen:
            assert records[key]["partial"] == "joined_late"
        else:
            assert "partial" not in records[key]
    assert sessions.counters.dropped == 0
