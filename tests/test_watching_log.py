"""The log of summaries, read while it grows and is rotated; the store, read and never written."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from summaries import summary

from cowrie_sessionstats.entries import Checkpoint, pack
from cowrie_sessionstats.forwarding.box import opened
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.recovery import LINE_MAX
from cowrie_sessionstats.store import Store
from cowrie_sessionstats.watching import state
from cowrie_sessionstats.watching.log import TOO_LONG, Follower, LogError
from cowrie_sessionstats.watching.state import StoreReader

LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30)


@pytest.fixture
def follow() -> Iterator[Callable[[Path], Follower]]:
    """Return what makes followers, which let go of their files in the end."""
    made: list[Follower] = []

    def make(path: Path) -> Follower:
        made.append(Follower(path))
        return made[-1]

    yield make
    for follower in made:
        follower.close()


Follow = Callable[[Path], Follower]


def all_of(follower: Follower) -> list[bytes]:
    """Return all lines that there are now."""
    found: list[bytes] = []
    while lines := follower.read():
        found += lines
    return found


@given(LINES, st.lists(st.integers(1, 30), min_size=1, max_size=8), st.binary(max_size=20))
def test_every_line_is_read_once_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], sizes: list[int], rest: bytes
) -> None:
    """Forwards in pieces of any size, and backwards from the end; half a line waits for its end."""
    path = tmp_path_factory.mktemp("log") / "log"
    content = b"".join(line + b"\n" for line in lines) + rest.replace(b"\n", b"")
    follower = Follower(path)
    found: list[bytes] = []
    at = turn = 0
    with path.open("wb", buffering=0) as log:
        while at < len(content):
            size = sizes[turn % len(sizes)]
            log.write(content[at : at + size])
            found += all_of(follower)
            at, turn = at + size, turn + 1
    assert found == lines
    follower.close()
    last = Follower(path)
    last.skip()
    past = last.past(1 << 20)
    backwards = list(past.lines())
    assert [line for line in reversed(backwards) if line] == [line for line in lines if line]
    assert past.is_whole
    with path.open("ab") as log:
        log.write(b"!\n")
    assert all_of(last) == [rest.replace(b"\n", b"") + b"!"]
    last.close()


def renamed(path: Path) -> None:
    """Rotate as the plugin does."""
    path.rename(f"{path}.2026-11-25")
    path.write_bytes(b"")


def copied(path: Path) -> None:
    """Rotate as logrotate does with ``copytruncate``."""
    Path(f"{path}.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)


def copied_and_longer(path: Path) -> None:
    """The same, and before anybody looks there is more in it than was."""
    copied(path)
    with path.open("ab") as log:
        log.write(b"".join(b"new %d\n" % i for i in range(100)))


@pytest.mark.parametrize("rotate", [renamed, copied, copied_and_longer])
def test_a_rotation_loses_no_line_and_repeats_none(
    tmp_path: Path, follow: Follow, rotate: Callable[[Path], None]
) -> None:
    """What was written to the old file comes before what is written to the new one."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    follower = follow(path)
    assert all_of(follower) == [b"one"]
    with path.open("ab", buffering=0) as log:
        log.write(b"two\n")
        if rotate is not renamed:
            assert all_of(follower) == [b"two"]
        rotate(path)
        if rotate is renamed:
            log.write(b"three\n")  # by who had it open still
    more = [] if rotate is not copied_and_longer else [b"new %d" % i for i in range(100)]
    with path.open("ab") as log:
        log.write(b"four\n")
    expected = [b"two", b"three"] if rotate is renamed else []
    assert all_of(follower) == [*expected, *more, b"four"]


@pytest.mark.parametrize("skip", [False, True])
def test_a_log_that_is_written_anew_at_once_is_read_from_its_beginning(
    tmp_path: Path, follow: Follow, *, skip: bool
) -> None:
    """Also if that is before the next look, and shorter or longer than what was read."""
    path = tmp_path / "log"
    for old, new in ((b"one\ntwo\n", b"new\n"), (b"one\n", b"new\nand longer\n")):
        path.write_bytes(old)
        follower = follow(path)
        if skip:
            follower.skip()
        else:
            assert follower.read() == old.split()
        path.write_bytes(new)
        assert b"\n".join(all_of(follower)) == new.rstrip()


def test_files_that_came_and_went_while_it_was_stopped_are_read(
    tmp_path: Path, follow: Follow
) -> None:
    """A process that slept for days goes on where it was, through all rotations since."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    follower = follow(path)
    assert all_of(follower) == [b"one"]
    now = time.time()
    for day, line in ((23, b"two\n"), (24, b"three\n")):
        with path.open("ab") as log:
            log.write(line)
        path.rename(f"{path}.2026-11-{day}")
        os.utime(f"{path}.2026-11-{day}", (now + day, now + day))
    (tmp_path / "log.2026-11-22.gz").write_bytes(b"packed\n")
    path.write_bytes(b"four\n")
    assert all_of(follower) == [b"two", b"three", b"four"]


def test_half_a_line_that_a_full_disk_cost_is_taken_back(tmp_path: Path, follow: Follow) -> None:
    """The plugin cuts off what did not fit; the next line begins there."""
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    follower = follow(path)
    assert all_of(follower) == [b"one"]
    os.truncate(path, 4)
    assert all_of(follower) == []
    with path.open("ab") as log:
        log.write(b"three\n")
    assert all_of(follower) == [b"three"]


def test_a_line_without_end_takes_no_memory(tmp_path: Path, follow: Follow) -> None:
    """What is too long is one line that cannot be read, forwards, backwards and at the end."""
    path = tmp_path / "log"
    path.write_bytes(b"a\n" + b"x" * (LINE_MAX + (3 << 20)) + b"\nb\n")
    follower = follow(path)
    assert all_of(follower) == [b"a", TOO_LONG, b"b"]
    assert list(follower.past(1 << 30).lines()) == [b"", b"b", TOO_LONG, b"a"]
    os.truncate(path, LINE_MAX + (2 << 20))
    last = follow(path)
    last.skip()
    with path.open("ab") as log:
        log.write(b"\nc\n")
    assert all_of(last) == [TOO_LONG, b"c"]


def test_the_past_goes_through_rotated_files_up_to_a_bound(tmp_path: Path, follow: Follow) -> None:
    """Right after midnight the last hour is in another file; ten years are not read for it."""
    path = tmp_path / "log"
    for place, name in enumerate(("log-20261123", "log.2", "log.2026-11-24", "log")):
        (tmp_path / name).write_bytes(f"{name}\n".encode())
        os.utime(tmp_path / name, (place, place))
    (tmp_path / "log.bak").write_bytes(b"a copy\n")
    follower = follow(path)
    follower.skip()
    past = follower.past(1 << 20)
    found = [line.decode() for line in past.lines() if line]
    assert found == ["log", "log.2026-11-24", "log.2", "log-20261123"]
    assert past.is_whole
    bounded = follower.past(10)
    assert [line for line in bounded.lines() if line] == [b"log", b"log.2026-11-24"]
    assert not bounded.is_whole


def test_what_is_no_file_is_said(tmp_path: Path, follow: Follow) -> None:
    """A pipe is not waited for."""
    os.mkfifo(tmp_path / "log")
    with pytest.raises(LogError, match="no regular file"):
        follow(tmp_path / "log").read()


# ---------------------------------------------------------------- the store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with two destinations, one of which had nothing yet, and open sessions."""
    made = Store(tmp_path / "store.sqlite", ("siem", "syslog"), lambda: 1000.0, print)
    assert made.open()
    for place in range(5):
        made.add(summary(f"closed{place}", "id"))
    made.keep_open(
        Checkpoint(
            ("svr04", name), "", pack(summary(name, "w", "id", src_ip="203.0.113.9", **more))
        )
        for name, more in (("open1", {}), ("open2", {"logged_in": False}))
    )
    assert made.commit()
    taken, _ = made.batch("siem", Limits(10, 1 << 20))
    made.delivered("siem", 3, taken[2].seq)
    assert made.commit()
    return made


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return what is in a folder, and when it was written."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def read_elsewhere(path: Path) -> state.State:
    """Return what another process reads: two connections of one process share what they write."""
    program = (
        "import pickle, sys; from pathlib import Path;"
        "from cowrie_sessionstats.watching.state import StoreReader;"
        "sys.stdout.buffer.write(pickle.dumps(StoreReader(Path(sys.argv[1]), '').read()))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=True)
    return pickle.loads(done.stdout)  # type: ignore[no-any-return]  # noqa: S301 - our own


def test_the_store_is_read_without_a_trace(store: Store, tmp_path: Path) -> None:
    """While Cowrie has it, after it was killed, and after it let go, no file changes or comes."""
    before = contents(tmp_path)
    said = read_elsewhere(store.path)
    assert said.trouble is None
    assert said.count == 2
    assert [(seen.session, seen.commands, seen.src_ip) for seen in said.sessions] == [
        ("open1", 2, "203.0.113.9"), ("open2", 2, "203.0.113.9"),
    ]  # fmt: skip
    assert [(each.name, each.waiting, each.oldest) for each in said.standings] == [
        ("siem", 2, 1000.0), ("syslog", 5, 1000.0),
    ]  # fmt: skip
    assert contents(tmp_path) == before
    killed = tmp_path.with_name("killed")
    killed.mkdir()
    for name in ("store.sqlite", "store.sqlite-wal", "store.sqlite-shm"):
        (killed / name).write_bytes((tmp_path / name).read_bytes())
    before = contents(killed)
    assert StoreReader(killed / "store.sqlite", "").read().count == 2
    assert contents(killed) == before
    (killed / "store.sqlite-shm").unlink()
    assert StoreReader(killed / "store.sqlite", "").read().count == 2
    store.close()
    before = contents(tmp_path)
    assert StoreReader(store.path, "").read().count == 2
    with opened(store.path) as box:  # as `outbox` does
        assert [each.waiting for each in box.standings(1000.0)] == [2, 5]
    assert contents(tmp_path) == before


def test_a_store_that_changes_is_read_again(store: Store, tmp_path: Path) -> None:
    """Closed sessions go, another store in its place is that one, and what is none is said."""
    reader = StoreReader(store.path, "")
    assert reader.read().count == 2
    store.add(summary("open1", "id"))
    assert store.commit()
    assert [seen.session for seen in reader.read().sessions] == ["open2"]
    store.close()
    store.path.rename(tmp_path / "away")
    assert "there is no store" in str(reader.read().trouble)
    store.path.write_bytes(b"no database at all" * 100)
    assert "no store, or of an older" in str(reader.read().trouble) or "not a database" in str(
        reader.read().trouble
    )
    (tmp_path / "away").rename(store.path)
    assert reader.read().count == 1
    with sqlite3.connect(store.path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    assert "newer" in str(reader.read().trouble)


def test_a_store_that_is_held_is_not_waited_for_long(store: Store) -> None:
    """A write that goes on hides nothing that was there before; a damaged session is still one."""
    file = sqlite3.connect(store.path, isolation_level=None)
    file.execute("UPDATE open_session SET packed = x'c1ff' WHERE session = 'open1'")
    file.execute("BEGIN EXCLUSIVE")
    file.execute("DELETE FROM open_session")
    said = StoreReader(store.path, "").read()
    assert {seen.session for seen in said.sessions} == {"open1", "open2"}
    file.execute("ROLLBACK")
    file.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE destination SET delivered = 'many'",
        "UPDATE destination SET cursor = 'x', overflowed = 'some'",
        "UPDATE record SET added = 'never'",
        "UPDATE destination SET delivered_at = x'00'",
    ],
)
def test_a_store_that_somebody_crafted_is_no_traceback(store: Store, statement: str) -> None:
    """Whoever broke into Cowrie's user can write into it what belongs there not."""
    with sqlite3.connect(store.path) as file:
        file.execute(statement)
    file.close()
    assert "what no cowrie-sessionstats wrote" in str(StoreReader(store.path, "").read().trouble)


def test_a_store_that_never_ends_is_left(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table can be a question that goes on for ever."""
    monkeypatch.setattr("cowrie_sessionstats._database.READING_SECONDS", 0.2)
    with sqlite3.connect(store.path) as file:
        file.execute("DROP TABLE open_session")
        file.execute(
            "CREATE VIEW open_session AS WITH RECURSIVE more(n) AS "
            "(SELECT 1 UNION ALL SELECT n + 1 FROM more) "
            "SELECT n AS sensor, n AS session, '' AS since, x'' AS packed FROM more"
        )
    file.close()
    assert "interrupted" in str(StoreReader(store.path, "").read().trouble)
