"""The store: what was added comes out again, whatever happens to the process or to its file."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from cowrie_sessionstats import _database
from cowrie_sessionstats.entries import Checkpoint, Entry, identity, pack, unpack
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.store import PENDING_MAX, Store, StoreError, check_usable

ALL = Limits(records=1_000_000, size=1 << 40)


@define
class Made:
    """Stores of one file, and what they said."""

    path: Path
    said: list[str] = field(factory=list)
    now: float = 1_000_000.0
    _open: list[Any] = field(factory=list)

    def store(self, *names: str, **options: Any) -> Store:
        """Return a store that is open."""
        store = Store(self.path, names, lambda: self.now, self.said.append, **options)
        self._open.append(store)
        store.open()
        return store

    def other(self, path: Path | None = None) -> sqlite3.Connection:
        """Return a connection of another program to the file."""
        connection = sqlite3.connect(path or self.path, isolation_level=None)
        self._open.append(connection)
        return connection

    def close(self) -> None:
        """Close all."""
        for each in self._open:
            each.close()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Return what makes stores of one file."""
    makes = Made(tmp_path / "sessionstats.sqlite")
    yield makes
    makes.close()


def record(number: int, **more: Any) -> dict[str, Any]:
    """Return a record that is told from others by a number."""
    return {"session": f"{number:012x}", "start": "2026-11-25T10:00:00Z", "sensor": "a", **more}


def numbers(store: Store, name: str = "siem") -> list[int]:
    """Return the numbers of the records that a destination would get."""
    return [int(entry.record()["session"], 16) for entry in store.batch(name, ALL)[0]]


def test_records_come_out_in_order_until_they_are_delivered(made: Made) -> None:
    """Each destination has its own place, over restarts too."""
    store = made.store("siem", "isc")
    for number in range(5):
        store.add(record(number))
    assert numbers(store) == [0, 1, 2, 3, 4], "before they are written"
    assert store.commit()
    assert numbers(store) == [0, 1, 2, 3, 4]
    store.delivered("siem", 3, store.batch("siem", ALL)[0][2].seq)
    store.add(record(5))
    assert numbers(store) == [3, 4, 5]
    store.close()
    again = made.store("siem", "isc")
    assert numbers(again) == [3, 4, 5]
    assert numbers(again, "isc") == [0, 1, 2, 3, 4, 5]
    assert again.progress["siem"].delivered == 3
    assert made.said == []


def test_a_batch_ends_with_its_records_or_its_bytes(made: Made) -> None:
    """And one record always goes, however large."""
    store = made.store("siem")
    for number in range(10):
        store.add(record(number, x="x" * 1000))
    size = len(pack(record(0, x="x" * 1000)))
    for committed in (False, True):
        if committed:
            store.commit()
        assert [len(store.batch("siem", Limits(records=4))[0]), store.batch("siem", ALL)[1]] == [
            4,
            False,
        ]
        entries, full = store.batch("siem", Limits(size=3 * size))
        assert (len(entries), full) == (3, True)
        assert len(store.batch("siem", Limits(size=1))[0]) == 1


def test_what_is_delivered_is_deleted_when_nobody_needs_it(made: Made) -> None:
    """A record stays while a destination has not got it, or it may have to be known."""
    store = made.store("siem", "isc")
    for number in range(3):
        store.add(record(number))
    store.remember({"x": "1"}, store.next_place())
    store.commit()
    store.delivered("siem", 3, 3)
    store.commit()
    assert store.revision(record(0)) == 0
    store.delivered("isc", 3, 3)
    store.add(record(3))
    store.commit()
    assert store.revision(record(0)) is None
    store.delivered("siem", 1, 4)
    store.delivered("isc", 1, 4)
    store.commit()
    assert store.revision(record(3)) == 0, "delivered, but after what is remembered"


def test_a_new_destination_gets_what_comes_from_then_on(made: Made) -> None:
    """And one that was away for a while what is still there."""
    store = made.store("siem")
    store.add(record(1))
    store.close()
    store = made.store("siem", "isc")
    store.add(record(2))
    assert numbers(store) == [1, 2]
    assert numbers(store, "isc") == [2]
    store.close()
    store = made.store("isc")
    store.delivered("isc", 1, 2)
    store.remember({}, store.next_place())
    store.add(record(3))
    store.close()
    store = made.store("siem", "isc")
    assert numbers(store) == [3]


def test_places_go_on_where_everything_was_delivered(made: Made) -> None:
    """An empty outbox does not begin to count anew, behind the destinations' places."""
    for number in range(3):
        store = made.store("siem")
        store.remember({}, store.next_place())
        store.add(record(number))
        assert numbers(store) == [number]
        store.delivered("siem", 1, store.batch("siem", ALL)[0][-1].seq)
        store.remember({}, store.next_place())
        store.close()
        assert made.other().execute("SELECT count(*) FROM record").fetchone() == (0,)


def test_over_its_size_the_oldest_go_and_it_is_said(made: Made) -> None:
    """The file keeps within ``outbox_max``, and the count of what went is exact."""
    most = 1 << 20
    store = made.store("siem", outbox_max=most)
    for number in range(4000):
        store.add(record(number, x=os.urandom(500).hex()))
        if number % 100 == 0:
            store.commit()
            store.remember({}, store.next_place())
    store.commit()
    left = numbers(store)
    assert left == list(range(left[0], 4000)), "the newest, in order"
    assert store.progress["siem"].overflowed == left[0] > 1000
    assert made.path.stat().st_size <= most + (1 << 19)
    assert any("outbox_max = 1048576" in line and f"siem {left[0]}" in line for line in made.said)


def test_records_set_aside_are_kept_with_the_reason_and_can_come_again(made: Made) -> None:
    """``again`` is what the command line writes, beside the process that owns the file."""
    store = made.store("siem", "isc")
    for number in range(3):
        store.add(record(number))
    store.commit()
    poison = store.batch("siem", ALL)[0][1]
    store.set_aside("siem", poison, "a reason \ud800 " + "x" * 5000)
    store.delivered("siem", 2, 3)
    store.delivered("isc", 3, 3)
    store.commit()
    other = made.other()
    ((name, reason, packed),) = other.execute("SELECT destination, reason, packed FROM aside")
    assert (name, unpack(packed)) == ("siem", record(1))
    assert reason.startswith("a reason \\ud800")
    assert len(reason) < 400
    assert numbers(store) == []
    other.execute("UPDATE aside SET again = 1")
    store.commit()
    assert numbers(store) == [1]
    assert numbers(store, "isc") == [], "it was for one destination only"
    assert other.execute("SELECT count(*) FROM aside").fetchone() == (0,)
    store.close()
    assert numbers(made.store("siem", "isc")) == [1]


def test_of_a_destination_that_is_no_more_records_set_aside_wait_for_its_return(
    made: Made,
) -> None:
    """Also where the command line asks for another try."""
    store = made.store("siem", "isc")
    store.add(record(1))
    ((entry,), _) = store.batch("isc", ALL)
    store.set_aside("isc", entry, "no address")
    store.delivered("isc", 0, entry.seq)
    store.delivered("siem", 1, entry.seq)
    store.close()
    store = made.store("siem")
    made.other().execute("UPDATE aside SET again = 1")
    store.commit()
    store.remember({}, store.next_place())
    store.close()
    store = made.store("siem", "isc")
    store.commit()
    assert numbers(store, "isc") == [1]


def test_a_damaged_record_that_is_tried_again_holds_up_nothing(made: Made) -> None:
    """A disk that flips bits does not say so."""
    store = made.store("siem")
    store.add(record(1))
    store.set_aside("siem", Entry(0, 0.0, b"\xc1"), "cannot be rendered")
    assert store.commit()
    made.other().execute("UPDATE aside SET again = 1")
    store.add(record(2))
    assert store.commit()
    assert [entry.packed for entry in store.batch("siem", ALL)[0]][-1] == b"\xc1"


def test_records_set_aside_take_a_fourth_at_most(made: Made) -> None:
    """Poison cannot fill the outbox; the oldest of it goes, counted."""
    store = made.store("siem", outbox_max=1 << 20)
    for number in range(100):
        packed = pack(record(number, x="x" * 10_000))
        store.set_aside("siem", Entry(number + 1, 0.0, packed), "no")
        store.commit()
    ((count, size),) = made.other().execute("SELECT count(*), sum(length(packed)) FROM aside")
    assert size <= 1 << 18
    assert store.progress["siem"].aside_overflowed == 100 - count > 0


def test_open_sessions_are_kept_until_they_have_a_record(made: Made) -> None:
    """With what was last known of each, and from where its events are found."""
    store = made.store()
    store.keep_open([Checkpoint(("a", f"{n:012x}"), "here", pack(record(n))) for n in range(3)])
    store.commit()
    store.keep_open([Checkpoint(("a", f"{1:012x}"), "there", pack(record(1, commands=5)))])
    store.add(record(0))
    store.forget(("a", f"{2:012x}"))
    store.close()
    (left,) = made.store().left_open()
    assert (left.key, left.since) == (("a", f"{1:012x}"), "here")
    assert unpack(left.packed)["commands"] == 5


@pytest.mark.parametrize("content", [b"no database" * 999, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_moved_aside(made: Made, content: bytes) -> None:
    """With one line that says so; a new one takes its place."""
    made.path.write_bytes(content)
    store = made.store("siem")
    store.add(record(1))
    assert store.commit()
    (line,) = made.said
    (aside,) = made.path.parent.glob("*.damaged-*")
    assert aside.name in line
    assert aside.read_bytes() == content


def test_another_programs_database_is_moved_aside_whole(made: Made) -> None:
    """Not a table of it is touched."""
    other = made.other()
    other.executescript("CREATE TABLE mine (x); INSERT INTO mine VALUES (7);")
    other.close()
    made.store("siem").close()
    (aside,) = made.path.parent.glob("*.damaged-*")
    assert made.other(aside).execute("SELECT x FROM mine").fetchall() == [(7,)]
    assert "another program's" in made.said[0]


def test_a_file_that_breaks_while_it_is_used_makes_room_for_another(made: Made) -> None:
    """What is in memory goes into the new one, and destinations go on where they were."""
    store = made.store("siem")
    for number in range(2000):
        store.add(record(number, x="x" * 300))
    store.commit()
    store.delivered("siem", 2000, 2000)
    store.remember({}, 1)
    store.commit()
    made.other().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with made.path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 60)
    made.other().execute("CREATE TABLE spoils_the_cache (x)")
    store.add(record(7000))
    store.remember({}, 2001)
    for _ in range(3):
        store.commit()
    assert numbers(store) == [7000]
    assert store.progress["siem"].delivered == 2000
    assert any("is damaged" in line for line in made.said)
    store.close()
    assert numbers(made.store("siem")) == [7000]


@pytest.mark.parametrize("ends", [("",), ("", "-wal", "-shm"), ("", "-wal", "-shm", ".lock")])
@pytest.mark.parametrize("moved", [False, True])
def test_a_file_that_is_moved_or_deleted_while_it_is_used_is_made_anew(
    made: Made, ends: tuple[str, ...], *, moved: bool
) -> None:
    """With what was in it: else the next start would find nothing, and nobody would know why."""
    store = made.store("siem")
    store.add(record(1))
    store.keep_open([Checkpoint(("a", "open"), "here", b"state")])
    store.commit()
    for end in ends:
        path = Path(f"{made.path}{end}")
        if moved:
            path.rename(path.with_name(f"away{end}"))
        else:
            path.unlink()
    store.add(record(2))
    assert store.commit()
    store.delivered("siem", 1, store.batch("siem", ALL)[0][0].seq)
    assert "is made anew with what was in it" in made.said[0]
    assert not made.store("siem").commit()  # the lock is there, too
    store.close()
    store = made.store("siem")
    assert numbers(store) == [2]
    assert store.progress["siem"].delivered == 1
    assert store.left_open() == [Checkpoint(("a", "open"), "here", b"state")]
    assert len(list(made.path.parent.glob("*.damaged*"))) == 0


def test_another_file_in_its_place_is_used(made: Made) -> None:
    """As where somebody puts back an older one; what is in memory goes there."""
    store = made.store("siem")
    store.commit()
    shutil.copy(made.path, made.path.with_name("other"))
    made.path.with_name("other").rename(made.path)
    store.add(record(1))
    assert store.commit()
    assert (store.generation, "another is in its place" in made.said[0]) == (1, True)
    store.close()
    assert numbers(made.store("siem")) == [1]


def test_a_file_whose_folder_is_away_goes_on_until_it_is_back(made: Made) -> None:
    """Its records are read and delivered all the same."""
    store = made.store("siem")
    store.add(record(1))
    store.commit()
    moved = made.path.parent.rename(made.path.parent.with_name("away"))
    store.add(record(2))
    store.commit()
    assert numbers(store) == [1, 2]
    assert "cannot be made anew" in made.said[0]
    moved.rename(made.path.parent)
    assert store.commit()
    store.close()
    assert numbers(made.store("siem")) == [1, 2]


def test_a_newer_file_is_refused_and_not_touched(made: Made) -> None:
    """By the check before the start, and by opening it."""
    made.store("siem").close()
    other = made.other()
    other.execute(f"PRAGMA user_version = {_database.VERSION + 1}")
    other.close()
    before = made.path.read_bytes()
    with pytest.raises(StoreError, match="newer"):
        check_usable(made.path)
    with pytest.raises(StoreError, match="newer"):
        made.store("siem")
    assert made.path.read_bytes() == before


def test_a_file_of_each_older_version_is_brought_forward(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content stays."""
    store = made.store("siem")
    store.add(record(1))
    store.close()
    later = (*_database.MIGRATIONS, "CREATE TABLE later (x); ALTER TABLE record ADD COLUMN y")
    monkeypatch.setattr(_database, "MIGRATIONS", later)
    monkeypatch.setattr(_database, "VERSION", len(later))
    with contextlib.closing(_database.connect(made.path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert file.execute("SELECT count(y), count(*) FROM record").fetchone() == (0, 1)


def test_two_processes_do_not_share_a_file(made: Made) -> None:
    """The second waits, says so, and goes on when the first has gone."""
    first = made.store("siem")
    second = made.store("siem")
    second.add(record(1))
    assert not second.commit()
    assert "used by another process" in made.said[0]
    first.close()
    assert second.commit()
    assert numbers(second) == [1]


def test_the_command_line_holding_the_file_is_no_failure(made: Made) -> None:
    """Its lock is waited for; nothing is said and nothing lost."""
    store = made.store("siem")
    other = made.other()
    other.execute("BEGIN IMMEDIATE")
    store.add(record(1))
    assert not store.commit()
    other.execute("COMMIT")
    assert store.commit()
    assert made.said == []


def test_without_a_disk_records_wait_in_memory_up_to_a_bound(made: Made) -> None:
    """Destinations get them all the same; the oldest go at last, counted and said."""
    store = made.store("siem")
    made.path.chmod(0o600)
    other = made.other()
    other.execute("BEGIN EXCLUSIVE")
    for number in range(20):
        store.add(record(number, x="x" * (1 << 20)))
    assert numbers(store)[-1] == 19
    assert numbers(store)[0] == store.lost > 0
    assert sum(len(entry.packed) for entry in store.batch("siem", ALL)[0]) <= PENDING_MAX
    assert any("oldest record in memory went" in line for line in made.said)
    assert not store._checkpoints  # nor does anything else grow


def test_many_records_at_once_are_written_and_none_is_dropped(made: Made) -> None:
    """As at a stop with thousands of sessions open, or when an attacker closes fat ones."""
    store = made.store("siem")
    for number in range(200):
        store.add(record(number, urls=["x" * (PENDING_MAX // 100)]))
    store.commit()
    assert (store.lost, numbers(store), made.said) == (0, list(range(200)), [])


def test_a_disk_that_is_full_is_said_and_later_forgotten(tmp_path: Path) -> None:
    """On a real file system without room: nothing raises, and nothing is lost when it has room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    made = Made(folder / "sessionstats.sqlite")
    try:
        store = made.store("siem")
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):  # noqa: PT012
            while True:
                file.write(b"x" * 4096)
        for number in range(300):
            store.add(record(number, x="x" * 500))
        assert not store.commit()
        assert numbers(store) == list(range(300))
        assert "cannot be written" in made.said[0]
        filler.unlink()
        assert store.commit()
        store.close()
        assert numbers(made.store("siem")) == list(range(300))
    finally:
        made.close()
        subprocess.run(["/bin/umount", "-l", folder], check=True)


def test_a_store_that_cannot_be_opened_is_opened_later(made: Made) -> None:
    """What came meanwhile has its place behind what was there."""
    store = made.store("siem")
    store.add(record(1))
    store.close()
    folder = made.path.parent
    moved = folder.rename(folder.with_name("away"))
    store = made.store("siem")
    store.add(record(2))
    assert not store.commit()
    assert "cannot be opened" in made.said[0]
    moved.rename(folder)
    assert store.commit()
    assert numbers(store) == [1, 2]


CHILD = """
import sys, time
from cowrie_sessionstats.store import Store
from pathlib import Path
store = Store(Path(sys.argv[1]), ("siem",), time.time, print)
store.open()
number = 0
while True:
    for _ in range(50):
        store.add({"session": f"{number:012x}", "start": "", "x": "x" * 500})
        number += 1
    store.commit()
    print(number, flush=True)
"""


def test_what_was_committed_survives_a_kill(made: Made) -> None:
    """A process killed at any moment leaves every record of which it said that it is there."""
    for _ in range(5):
        made.path.unlink(missing_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, made.path], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(7)]
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        store = made.store("siem")
        kept = numbers(store)
        assert len(kept) >= int(told[-1])
        assert kept == list(range(len(kept)))
        store.close()
        for end in ("-wal", "-shm"):
            Path(f"{made.path}{end}").unlink(missing_ok=True)


text = st.text(st.characters(), max_size=50)


@given(st.dictionaries(text, text | st.integers(-(2**63), 2**64 - 1) | st.lists(text)))
def test_any_record_is_packed_and_comes_back(made_record: dict[str, Any]) -> None:
    """Lone surrogates, NULs and all."""
    assert unpack(pack(made_record)) == made_record
    assert len(identity(made_record)) == 16


def test_the_check_before_the_start_says_what_is_wrong(tmp_path: Path) -> None:
    """A folder that is not there, a folder instead of a file."""
    check_usable(tmp_path / "new")
    with pytest.raises(StoreError, match="folder that exists"):
        check_usable(tmp_path / "no" / "new")
    with pytest.raises(StoreError, match="no file"):
        check_usable(tmp_path)


def test_records_that_wait_for_a_destination_that_is_no_more_are_named(made: Made) -> None:
    """They go with the next write: a name that was taken out by mistake must be seen."""
    store = made.store("siem", "isc")
    for number in range(3):
        store.add(record(number))
    store.commit()
    store.delivered("isc", 3, 3)
    store.close()
    made.store("isc").close()
    (line,) = made.said
    assert "forward names siem no more, and 3 records" in line


def test_records_set_aside_take_no_more_memory_than_others(made: Made) -> None:
    """While the file cannot be written."""
    store = made.store("siem")
    for number in range(40):
        store.set_aside("siem", Entry(number, 0.0, bytes(1 << 20)), "no")
    assert sum(len(each.entry.packed) for each in store._aside) == PENDING_MAX
    assert store.progress["siem"].aside_overflowed == 24


def test_what_is_remembered_already_is_not_written_again(made: Made) -> None:
    """Every few seconds somebody has it remembered."""
    store = made.store("siem")
    store.remember({"place": "here"}, 1)
    store.commit()
    before = store._connected().total_changes
    store.remember({"place": "here"}, 1)
    store.commit()
    assert store._connected().total_changes == before
    store.remember({"place": "there"}, 1)
    store.remember({"place": "here"}, 1)
    store.close()
    assert made.store("siem").state("place") == "here"
