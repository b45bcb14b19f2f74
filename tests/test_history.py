"""The script tree: what came before, and how sessions that got so far usually go on."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve
from cut_short import Outcome, cut_short
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import as_lines, summarize, tool, write_log
from samples import START, closed, command, connect, event, login

from cowrie_sessionstats import _database
from cowrie_sessionstats._counted import SPANS_MAX
from cowrie_sessionstats.commands import Script
from cowrie_sessionstats.commands.fingerprints import PLACE, PLACES
from cowrie_sessionstats.findings.judging import default_templates
from cowrie_sessionstats.history import ENOUGH, History, Past, Way, is_rare, keys_of
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.encoding import read_record
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.running import Running
from cowrie_sessionstats.sessions import Sessions
from cowrie_sessionstats.store import Store
from cowrie_sessionstats.summary import Draft, draft_of, past_values

TEMPLATES = default_templates()


def way(lines: Sequence[str], number: int, *, counts: bool = True) -> Way:
    """Return the way of a session with these command lines, the ``number``-th."""
    script = Script()
    for line in lines:
        script.add(line, TEMPLATES)
    name = number.to_bytes(16, "big")
    at = START + number
    link, length, templates = script.links[:8], script.count, script.templates
    return Way(name, script.path, link, length, templates, "s", at, at + 0.5, counts)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a new file."""
    opened = _database.connect(tmp_path / "history.sqlite")
    yield opened
    opened.close()


SCRIPT = [f"echo step{'abcdefghij'[number]}" for number in range(10)]


def test_what_is_known_of_a_script(file: sqlite3.Connection) -> None:
    """How many ran it before, since when, and where those went on who got so far."""
    history = History()
    pasts = [history.take(file, way(SCRIPT, number)) for number in range(30)]
    assert [past.seen_before for past in pasts] == list(range(30))
    assert pasts[0].first_seen is None
    assert pasts[29].first_seen == START
    assert not any(past.stopped_early or past.usual_next for past in pasts)
    short = history.take(file, way(SCRIPT[:4], 30))
    assert short == Past(0, None, stopped_early=True, usual_next="echo stepe")
    assert history.take(file, way(SCRIPT[:4], 31)).seen_before == 1
    assert history.take(file, way(["id"], 32)) == Past(
        0, None, stopped_early=False, usual_next=None
    )


def test_nothing_is_said_of_a_few_or_of_a_usual_end(file: sqlite3.Connection) -> None:
    """Fewer than 20 came by; or a fifth of them ends there."""
    history = History()
    for number in range(ENOUGH - 1):
        history.take(file, way(SCRIPT, number))
    assert not history.take(file, way(SCRIPT[:4], 19)).stopped_early
    for number in range(20, 500):
        lines = SCRIPT[:6] if number % 5 == 0 else SCRIPT
        past = history.take(file, way(lines, number))
    assert not history.take(file, way(SCRIPT[:6], 500)).stopped_early
    assert history.take(file, way(SCRIPT[:7], 501)).stopped_early
    assert past.usual_next is None


@pytest.mark.parametrize(
    ("ended", "through", "rare"),
    [(0, 19, False), (0, 20, True), (2, 20, True), (3, 20, False), (4, 40, True), (5, 40, False),
     (50, 1000, True), (74, 1000, True), (75, 1000, False), (5_300, 100_000, False),
     (5_200, 100_000, True)],
)  # fmt: skip
def test_what_is_rare(ended: int, through: int, rare: bool) -> None:  # noqa: FBT001
    """Up to 5 %, and what chance makes of that, but no more than 10 % of a few."""
    assert is_rare(ended, through) == rare


def test_the_first_command_alone_is_seldom_early(file: sqlite3.Connection) -> None:
    """Many scripts begin alike: there have to be many more sessions, and fewer that left."""
    history = History()
    for number in range(150):
        history.take(file, way(SCRIPT, number))
    assert not history.take(file, way(SCRIPT[:1], 150)).stopped_early
    for number in range(151, 400):
        history.take(file, way(SCRIPT, number))
    assert history.take(file, way(SCRIPT[:1], 400)).stopped_early


def test_the_first_command_of_one_script_can_be_early(file: sqlite3.Connection) -> None:
    """If all go on with the same, 5 % may end there; a first command that many have is enough."""
    history = History()
    for number in range(1_000):
        history.take(file, way(SCRIPT if number % 20 else SCRIPT[:1], number))
        lines = ["id", "w" if number % 10 else "uname -a", "pwd"]
        history.take(file, way(lines if number % 20 else ["id"], 1_000 + number))
    assert history.take(file, way(SCRIPT[:1], 2_000)).stopped_early
    assert not history.take(file, way(["id"], 2_001)).stopped_early


def test_long_scripts_are_known_to_their_end(file: sqlite3.Connection) -> None:
    """Behind the places that are told apart, how often they were seen is still known."""
    history = History()
    long = [f"echo {'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10]}" for n in range(90)]
    for number in range(25):
        past = history.take(file, way(long, number))
    assert past.seen_before == 24
    assert not history.take(file, way(long[:80], 25)).stopped_early
    assert history.take(file, way(long[:PLACES], 26)) == Past(
        0, None, stopped_early=True, usual_next=None
    )
    assert history.take(file, way(long[:5], 27)).usual_next == "echo fk"
    assert len(keys_of(way(long, 0).path)) == PLACES
    assert len(way(long, 0).path) == PLACES * PLACE


def test_a_revision_is_told_what_the_record_was_told(file: sqlite3.Connection) -> None:
    """And is not counted."""
    history = History()
    first = history.take(file, way(SCRIPT, 0))
    history.take(file, way(SCRIPT, 1))
    assert history.take(file, way(SCRIPT, 0, counts=False)) == first
    assert history.take(file, way(SCRIPT, 2)).seen_before == 2


def test_what_was_counted_once_is_not_counted_again(tmp_path: Path) -> None:
    """Neither old logs read twice, nor what a Cowrie has seen meanwhile."""
    path = tmp_path / "history.sqlite"
    for _ in range(2):
        file = _database.connect(path)
        history = History()
        for number in range(5):
            history.take(file, way(SCRIPT, number))
        with _database.transaction(file):
            history.write(file)
        history.written()
        assert history.totals(file) == (5, 1)
        file.close()


scripts = st.lists(
    st.lists(st.sampled_from(["id", "ls", "w", "uname -a", "pwd"]), min_size=1, max_size=6),
    min_size=1, max_size=60,
)  # fmt: skip


def counted(path: Path, numbers: Sequence[int], *, is_new: bool = False) -> tuple[int, int]:
    """Return how many sessions a history knows that was shown these, and how many it had known."""
    file = _database.connect(path)
    history = History()
    for number in numbers:
        history.take(file, evolve(way(SCRIPT, number), is_new=is_new))
    with _database.transaction(file):
        history.write(file)
    sessions, _ = history.totals(file)
    file.close()
    return sessions, history.known


def test_old_logs_can_be_learned_in_any_order(tmp_path: Path) -> None:
    """What lies between two times that are known, or before all, is counted; and only once."""
    path = tmp_path / "history.sqlite"
    assert counted(path, range(100, 110), is_new=True) == (10, 0)
    assert counted(path, range(120, 130), is_new=True) == (20, 0)
    assert counted(path, range(50, 60)) == (30, 0)
    assert counted(path, range(50, 130)) == (80, 30)
    assert counted(path, range(40, 140)) == (100, 80)
    assert counted(path, range(40, 140)) == (100, 100)


def test_many_starts_take_little_room(tmp_path: Path) -> None:
    """Each makes a span, the closest become one; what ends now counts, whatever the clock says."""
    path = tmp_path / "history.sqlite"
    for start in range(SPANS_MAX + 5):
        counted(path, [100 * start, 100 * start + 1], is_new=True)
    assert counted(path, [5, 6], is_new=True)[1] == 0
    assert counted(path, [5, 6, 100, 101])[1] == 4
    file = _database.connect(path)
    (spans,) = file.execute("SELECT count(*) FROM counted").fetchone()
    assert spans == SPANS_MAX
    file.close()


def test_a_file_of_version_2_keeps_what_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to when it was counted is known, since when is not."""
    path = tmp_path / "history.sqlite"
    with monkeypatch.context() as patched:
        patched.setattr(_database, "VERSION", 2)
        file = _database.connect(path)
        file.execute("INSERT INTO learned VALUES ('s', ?)", (START + 10,))
        file.close()
    assert counted(path, range(20)) == (10, 10)


@st.composite
def days(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return the events of sessions that overlap, some of which have news after their close."""
    made: list[dict[str, Any]] = []
    for number, lines in enumerate(draw(scripts)):
        name, at = f"{number:012x}", 3.0 * number
        made += [connect(at, name), login(at + 0.1, name)]
        made += [command(line, at + 0.2 + n / 10, name) for n, line in enumerate(lines)]
        end = at + draw(st.integers(1, 20)) + number / 1_000
        made.append(closed(end, name))
        if draw(st.integers(0, 3)) == 0:
            made.append(event("session.file_download", end + 0.0001, name, url="http://x/y"))
    return sorted(made, key=lambda raw: str(raw["timestamp"]))


PAST = ("seen_before", "first_seen", "stopped_early", "usual_next")


@settings(max_examples=25)
@given(days(), st.randoms(use_true_random=False))
def test_a_log_says_what_the_sensor_said(
    tmp_path_factory: pytest.TempPathFactory, raws: list[dict[str, Any]], chance: random.Random
) -> None:
    """One table's order live is that of a replay, whenever the sensor wrote to its disk."""
    folder = tmp_path_factory.mktemp("day")
    store = Store(folder / "store.sqlite", (), lambda: START, pytest.fail)
    assert store.open()
    live: dict[str, list[Any]] = {}

    def close(draft: Draft) -> None:
        asked = draft.way()
        assert asked is not None
        told = past_values(store.past(asked))
        assert live.setdefault(draft.session, list(told)) == list(told), "a revision says the same"
        if chance.random() < 0.2:
            store.commit()

    table = Sessions(close, make=draft_of, templates=TEMPLATES)
    with contextlib.closing(store):  # also where Hypothesis ends an example that draws too much
        for raw in raws:
            table.feed(raw)
        table.finish()
    log = write_log(folder / "cowrie.json", raws)
    counted = evolve(Settings(), history=folder / "history.sqlite")
    lines = list(
        Running(counted, 1, folder).records(
            find([str(log)], folder, lambda path, why: pytest.fail(f"{path} {why}"))
        )
    )
    made = {
        record["session"]: [record.get(key) for key in PAST] for record in map(read_record, lines)
    }
    assert made == live


@settings(max_examples=60)
@given(scripts, st.integers(0, 2**32))
def test_the_answers_depend_on_the_order_alone(played: list[list[str]], seed: int) -> None:
    """Not on when it is written, on how much is remembered, or on a new start."""
    chance = random.Random(seed)
    plain, file = History(), _database.connect(Path(":memory:"))
    wanted = [plain.take(file, way(lines, n)) for n, lines in enumerate(played)]
    file.close()
    again, file = History(cached=chance.choice((1, 3, 50))), _database.connect(Path(":memory:"))
    for number, lines in enumerate(played):
        assert again.take(file, way(lines, number)) == wanted[number]
        if chance.random() < 0.3:
            with _database.transaction(file):
                again.write(file)
            again.written()
        if chance.random() < 0.2:
            with _database.transaction(file):
                again.write(file)
            again = History(cached=2)
    naive: dict[tuple[str, ...], int] = {}
    for number, lines in enumerate(played):
        folded = tuple(a for a, b in zip(lines, [None, *lines], strict=False) if a != b)
        assert wanted[number].seen_before == naive.get(folded, 0)
        naive[folded] = naive.get(folded, 0) + 1
    file.close()


def test_the_tree_is_bounded_and_the_rarest_go_first(file: sqlite3.Connection) -> None:
    """Whoever sends a new script each time drives out other strangers, not what is well known."""
    history = History(nodes_max=2_000, cached=300)
    known = 0
    for number in range(1_500):
        if number % 3:
            lines = [f"echo {number}x{step}q" for step in range(20)]
            lines = [line.translate(str.maketrans("0123456789", "abcdefghij")) for line in lines]
            history.take(file, way(lines, number))
        else:
            assert history.take(file, way(SCRIPT, number)).seen_before == known
            known += 1
        (count,) = file.execute("SELECT count(*) FROM node").fetchone()
        assert count <= 2_000
        assert len(history._nodes) <= 2 * 300 + 40
    with _database.transaction(file):
        history.write(file)
    rows = dict(file.execute("SELECT key, through FROM node"))
    # None is left without the way to it.
    for lines in (SCRIPT, SCRIPT[:5]):
        keys = keys_of(way(lines, 0).path)
        assert all(rows[a] >= rows[b] for a, b in pairwise(keys))


def test_hostile_templates_can_be_examples(file: sqlite3.Connection) -> None:
    """NUL, half a surrogate pair, a megabyte."""
    history = History()
    for number in range(3):
        history.take(file, way(["id", "a\0b\ud800", "\U0001f600" * 100_000], number))
    past = history.take(file, way(["id", "a\0b\ud800"], 3))
    assert past.usual_next is not None
    with _database.transaction(file):
        history.write(file)
    history.written()
    history.forget()
    assert history.take(file, way(["id", "a\0b\ud800", "\U0001f600" * 100_000], 4)).seen_before == 3


def test_a_store_whose_file_is_damaged_goes_on_with_a_new_history(tmp_path: Path) -> None:
    """Nothing raises; what was known is gone."""
    path = tmp_path / "store.sqlite"
    said: list[str] = []
    store = Store(path, (), lambda: START, said.append)
    assert store.past(way(SCRIPT, 0)) is None, "not open yet"
    assert store.open()
    for number in range(3):
        store.past(way(SCRIPT, number))
    assert store.commit()
    assert store.past(way(SCRIPT, 3)) is not None
    store._file.execute("DROP TABLE node")  # type: ignore[union-attr]
    store.history.forget()
    store.past(way(SCRIPT, 4))
    store.commit()
    store.close()
    path.write_bytes(b"x" * 4096)
    store = Store(path, (), lambda: START, said.append)
    assert store.open()
    past = store.past(way(SCRIPT, 5))
    assert past is not None
    assert past.seen_before == 0
    store.close()


def strange(number: int, length: int = 20) -> list[str]:
    """Return the command lines of a script that no other session runs."""
    letters = str(number).translate(str.maketrans("0123456789", "abcdefghij"))
    return [
        f"echo {letters} {'to be or not ' * 12}{'abcdefghij'[n % 10]}{n}" for n in range(length)
    ]


def test_a_large_history_pushes_no_record_out(tmp_path: Path) -> None:
    """``outbox_max`` is for records; also after a start, before any session has closed."""
    path = tmp_path / "store.sqlite"
    store = Store(path, ("siem",), lambda: START, pytest.fail, outbox_max=1 << 20)
    assert store.open()
    for number in range(600):
        store.past(way(strange(number), number))
    assert store.commit()
    assert store._file is not None
    assert _database.used(store._file) > 1 << 20
    for start in range(2):
        for number in range(50):
            name = f"{start}{number:011x}"
            store.add({"session": name, "sensor": "s", "start": "x", "revision": 0})
        assert store.commit()
        assert store.progress["siem"].overflowed == 0
        assert len(store.batch("siem", Limits(1_000, 1 << 20))[0]) == 50 * (start + 1)
        store.close()
        store = Store(path, ("siem",), lambda: START, pytest.fail, outbox_max=1 << 20)
        assert store.open()
    store.close()


def test_sessions_that_are_known_take_no_more_memory(file: sqlite3.Connection) -> None:
    """Those that are asked about, but not counted, are forgotten as others are."""
    history = History(cached=50)
    for number in range(100):
        history.take(file, way(strange(number), number))
    with _database.transaction(file):
        history.write(file)
    again = History(cached=50)
    for number in range(100):
        assert again.take(file, way(strange(number), number)).seen_before == 1
        assert len(again._nodes) <= 2 * 50 + 20


# ---------------------------------------------------------------- summarize and learn


def log_of(sessions: Sequence[Sequence[str]], sensor: str = "svr04") -> bytes:
    """Return a log of these sessions, one after the other."""
    raws: list[dict[str, Any]] = []
    for number, lines in enumerate(sessions):
        name, at = f"{number:012x}", 100.0 * number
        session = [connect(at, name), login(at + 1, name)]
        session += [command(line, at + 2 + n, name) for n, line in enumerate(lines)]
        session.append(closed(at + 3 + len(lines), name))
        raws += [raw | {"sensor": sensor} for raw in session]
    return as_lines(raws)


def test_summarize_says_what_its_history_knows(tmp_path: Path) -> None:
    """In the order of the closes, with any number of processes; and goes on with the file."""
    (tmp_path / "logs").mkdir()
    for number in range(3):
        name = tmp_path / f"logs/cowrie.json.2026-03-{18 + number}"
        name.write_bytes(log_of([SCRIPT] * 30 + [SCRIPT[:4]] + [SCRIPT] * 5, f"sensor{number}"))
    outs = []
    for jobs in (1, 2, 3):
        history = tmp_path / f"history{jobs}.sqlite"
        said = summarize(tmp_path / "logs", "--history", history, "--jobs", jobs)
        assert said.status == 0, said.err
        outs.append(said.out)
    assert len(set(outs)) == 1
    records = said.records
    assert [r["seen_before"] for r in records[:4]] == [0, 1, 2, 3]
    early = [record for record in records if record["stopped_early"]]
    assert [record["commands"] for record in early] == [4, 4, 4]
    assert {record["usual_next"] for record in early} == {"echo stepe"}
    assert records[1]["first_seen"] == records[0]["start"]
    assert "seen_often" in records[-1]["automation_reasons"]
    more = tmp_path / "more.json"
    more.write_bytes(log_of([SCRIPT], "another"))
    (record,) = summarize(more, "--history", tmp_path / "history1.sqlite").records
    assert record["seen_before"] == 105
    plain = summarize(tmp_path / "logs").records
    keys = ("seen_before", "first_seen", "stopped_early", "usual_next")
    assert not [key for record in plain for key in keys if key in record]


def test_learn_teaches_a_new_sensor(tmp_path: Path) -> None:
    """From old logs, into its store; twice is once."""
    cowrie = tmp_path / "cowrie"
    (cowrie / "var/lib/cowrie").mkdir(parents=True)
    (cowrie / "cowrie.cfg").write_text("[output_sessionstats]\nenabled = true\n")
    log = tmp_path / "old.json"
    log.write_bytes(log_of([SCRIPT] * 30 + [["id"]] * 3))
    for again in range(2):
        said = tool("learn", log, "--cowrie", cowrie)
        assert said.status == 0, said.err
        assert "knows 33 sessions of 2 scripts now" in said.err
        assert ("33 sessions are of a time that the history has counted" in said.err) == again
        assert said.out == b""
    store = Store(cowrie / "var/lib/cowrie/sessionstats.sqlite", (), lambda: START, pytest.fail)
    assert store.open()
    past = store.past(way(SCRIPT[:3], 9_000))
    assert past is not None
    assert past.stopped_early
    busy = tool("learn", log, "--cowrie", cowrie)
    store.close()
    assert busy.status == 1
    assert "is in use: stop the Cowrie" in busy.err
    assert tool("learn", log, "--cowrie", tmp_path).status == 2
    (tmp_path / "empty.json").touch()
    nothing = tool("learn", tmp_path / "empty.json", "--history", tmp_path / "h.sqlite")
    assert nothing.status == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_root_leaves_no_store_that_cowrie_could_not_write(tmp_path: Path) -> None:
    """Root is told whose it is, and nothing is made."""
    state = tmp_path / "var/lib/cowrie"
    state.mkdir(parents=True)
    os.chown(state, 65_534, 65_534)
    (tmp_path / "cowrie.cfg").write_text("[output_sessionstats]\nenabled = true\n")
    log = tmp_path / "old.json"
    log.write_bytes(log_of([["id"]]))
    said = tool("learn", log, "--cowrie", tmp_path)
    assert said.status == 2
    assert "Run it as that user: sudo -u nobody" in said.err
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database at all, but text" * 50])
def test_a_history_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nobody's file is overwritten."""
    path, log = tmp_path / "notes.txt", tmp_path / "cowrie.json"
    path.write_bytes(content)
    log.write_bytes(log_of([["id"]]))
    said = summarize(log, "--history", path)
    assert said.status == 1
    assert "notes.txt" in said.err
    assert "Traceback" not in said.err
    assert path.read_bytes() == content


def test_sessions_cut_short_are_found_in_the_studys_corpus(
    seed_corpus: ModuleType, tmp_path: Path
) -> None:
    """5 % of the commonest script's stop where no other does: 99 % are found, and none else."""
    for where in ("one", "any"):
        outcome: Outcome = cut_short(seed_corpus, tmp_path / where, 4_000, 0.05, where, seed=11)
        assert outcome.cut > 50
        assert outcome.false == 0
        assert outcome.found >= 0.99 * (outcome.cut - outcome.too_early)
