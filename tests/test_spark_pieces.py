"""Logs in pieces, as a cluster reads them, come to the records of a local run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import spark_corpus
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import as_lines
from samples import command, connect, event, login

from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.decoding import steady_depth
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.planning import Head, head_of, without_repeats
from cowrie_sessionstats.replay.problems import Problems, Skipped
from cowrie_sessionstats.replay.reading import Tally
from cowrie_sessionstats.replay.running import Running, Totals
from cowrie_sessionstats.replay.spark.gathering import Gathering
from cowrie_sessionstats.replay.spark.pieces import Extent, Piece, add_up, suspicious
from cowrie_sessionstats.replay.spark.places import as_read
from cowrie_sessionstats.replay.spark.scanning import (
    Log,
    Row,
    scan_joined,
    scan_lines,
    scan_messages,
    scan_packed,
)
from cowrie_sessionstats.replay.streams import kind_of


@define(eq=False)
class InPieces:
    """Does what the cluster does, without one."""

    size: int
    """Bytes of a piece."""
    pieces: dict[int, dict[int, Piece]] = field(factory=dict)

    def tell(self, place: Any, piece: Piece) -> None:
        """Take what a piece came to, also a second time."""
        self.pieces.setdefault(place[0], {})[place[1]] = piece

    def rows(self, head: Head, number: int, totals: Totals) -> list[Row]:
        """Return the rows of a log."""
        content = head.part.file.path.read_bytes()
        log = Log(number, head.part.head, head.line, str(head.part.file.path))
        size: int | None = None
        if kind_of(content) is not None:
            rows = list(scan_packed([(log, content if number % 2 else None)], self.tell))
        else:
            size = len(content)
            lines = list(self._lines(content))
            rows = list(scan_lines(((log, at, line, 0) for at, line in lines), self.tell))
            if suspicious(self.pieces.get(number, {})):
                self.pieces[number] = {}
                size = None
                ends = frozenset[int]() if content.endswith(b"\n") else frozenset({number})
                rows = list(scan_joined(((log, line) for _, line in lines), self.tell, ends))
        name = head.part.file.name
        extents = [(Extent(name, size), self.pieces.get(number, {}))]
        add_up(extents, totals.tally, totals.problems)
        return rows

    def _lines(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield lines as Hadoop deals them out: to the piece where, or at whose end, they begin."""
        at = 0
        lines = content.split(b"\n")
        for line in lines if lines[-1] else lines[:-1]:
            yield max(0, at - 1) // self.size * self.size, line
            at += len(line) + 1


def in_pieces(folder: Path, size: int) -> tuple[list[dict[str, Any]], Totals]:
    """Return the records and the sums of what a cluster would make of a folder."""
    totals = Totals()
    files = find([folder], folder, totals.problems.file)
    heads, totals.repeats = without_repeats(map(head_of, files), totals.problems)
    reading = InPieces(size)
    with steady_depth():
        rows = [
            row
            for number, place in enumerate(as_read(heads))
            for row in reading.rows(heads[place], number, totals)
        ]
        rows.sort(key=lambda row: row[:7])
        gathering = Gathering(Settings(), open_sessions=True)
        step = max(1, size // 100)
        batches = (rows[at : at + step] for at in range(0, len(rows), step))
        columns = (list(zip(*batch, strict=True)) for batch in batches)
        records = gathering.records(
            (c[0], list(zip(c[3], c[4], strict=True)), c[7]) for c in columns
        )
        return [json.loads(record) for record in records], totals


def locally(folder: Path) -> tuple[list[dict[str, Any]], Totals]:
    """Return what a local run makes of it."""
    running = Running(Settings(), 1, folder, open_sessions=True)
    files = find([folder], folder, running.totals.problems.file)
    records = [json.loads(line) for line in running.records(files)]
    return records, running.totals


def same(folder: Path, size: int) -> None:
    """Compare both."""
    ours, totals = in_pieces(folder, size)
    theirs, expected = locally(folder)
    assert sorted(map(json.dumps, ours)) == sorted(map(json.dumps, theirs))
    assert totals.tally.lines == expected.tally.lines
    assert totals.tally.events == expected.tally.events
    assert sorted(totals.problems.files) == sorted(expected.problems.files)
    assert totals.problems.lines == expected.problems.lines


def test_all_that_is_hard_at_once(tmp_path: Path) -> None:
    """Sessions over files and days, copies, clocks, hostile and broken lines, packed logs."""
    folder = spark_corpus.make(tmp_path)
    for size in (700, 20_000, 1 << 27):
        same(folder, size)


_SESSIONS = st.integers(0, 3)
_events = st.lists(st.tuples(st.integers(0, 3_000), _SESSIONS, st.integers(0, 4)), max_size=30)


def _event(at: int, number: int, kind: int) -> dict[str, Any]:
    name = f"s{number}"
    made = (
        connect(at, name), login(at, name), command(f"x{at % 3}", at, name),
        command("same", at, name), event("session.closed", at, name, duration_ms=5),
    )  # fmt: skip
    return made[kind]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_cuts_and_copies_of_any_logs(data: st.DataObject) -> None:
    """Logs of one sensor in order of time, cut into files that overlap, as they are locally."""
    drawn = sorted(data.draw(_events), key=lambda each: each[0])
    lines = [as_lines([_event(*each)]) for each in drawn]
    with tempfile.TemporaryDirectory() as name:
        for number in range(data.draw(st.integers(1, 4))):
            begin = data.draw(st.integers(0, len(lines)))
            end = data.draw(st.integers(begin, len(lines)))
            Path(name, f"{number}.json").write_bytes(b"".join(lines[begin:end]))
        same(Path(name), data.draw(st.integers(100, 3_000)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(_events, st.just([])), min_size=1, max_size=3), st.integers(100, 3_000))
def test_logs_in_a_row_in_one_file(parts: list[list[tuple[int, int, int]]], size: int) -> None:
    """Where the time goes back in a log, it is read as it is locally, however it is cut."""
    content = b"".join(
        as_lines(_event(at * 10, number, kind) for at, number, kind in sorted(part))
        for part in parts
    )
    with tempfile.TemporaryDirectory() as name:
        Path(name, "a.json").write_bytes(content)
        same(Path(name), size)


def test_messages_of_a_topic_are_numbered_by_their_offsets() -> None:
    """And events of one sensor do not wait for another's clock."""
    told: dict[Any, Piece] = {}
    late = as_lines([{**connect(5_000, "a"), "sensor": "fast"}])
    early = as_lines([{**connect(1, "b"), "sensor": "slow"}])
    pretty = json.dumps({**login(2, "b"), "sensor": "slow"}, indent=1).encode()
    messages = [(0, 7, late), (0, 9, early), (0, 12, b"nonsense"), (0, 13, None), (2, 4, pretty)]
    rows = list(scan_messages(messages, told.__setitem__))
    assert [(row[3], row[6], row[1] - rows[1][1]) for row in rows] == [
        (0, 7, 4_999.0), (0, 9, 0.0), (2, 4, 1.0),
    ]  # fmt: skip
    assert told[0, 0].skipped == {"not JSON": (1, 12)}
    assert told[0, 0].lines == 4


def test_lines_that_spark_passes_over_are_missed_in_the_sum() -> None:
    """Counted once a piece; a log in pieces of nothing but such a line, too."""
    found, tally = Problems(), Tally()
    pieces = {0: Piece(lines=3, bytes=300), 1 << 26: Piece(lines=1, bytes=50)}
    extents = [(Extent("a", (1 << 26) + 100), pieces), (Extent("b", 1 << 27), {0: Piece()})]
    add_up(extents, tally, found)
    assert found.lines == {"longer than 16 MiB": Skipped(2, "a:4")}
    assert tally.lines == 6
