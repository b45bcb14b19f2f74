"""Logs with all in them that makes it hard to bring sessions together."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
from pathlib import Path
from typing import Any, Final

import zstandard
from logs import DAY, Event, as_lines, session, write_log
from nasty import NASTY
from samples import command, connect, event, login

EVIL: Final = Path(__file__).with_name("evil_lines.txt")
HOUR: Final = 3_600.0


def make(folder: Path, shared: Path | None = None) -> Path:
    """Write the logs and return their folder."""
    logs = folder / "logs"
    _fleet(logs / "fleet")
    _copies(logs / "copies")
    _clocks(logs / "clocks")
    _hostile(logs / "hostile")
    _broken(logs / "broken")
    _packed(logs / "packed")
    _names(logs / "names, a b%20{c}")
    if shared is not None:
        for name in ("2018-rotated", "2026-rotated"):
            shutil.copytree(shared / "data/real" / name, logs / name)
        for name in ("2017-ssh-telnet", "2021-mdrfckr", "2026-duration-ms"):
            shutil.copy(shared / f"data/real/{name}.jsonl.gz", logs)
    return logs


def _fleet(folder: Path) -> None:
    """Write sensors whose sessions cross files and days, and one session over three of them."""
    for sensor in ("alpha", "beta"):
        for day in range(3):
            events = [
                each
                for number in range(25)
                for each in session(f"{day}{number:03}", day * DAY + number * 600, sensor)
            ]
            write_log(folder / sensor / f"cowrie.json.{day}", sorted(events, key=_time))
    over = [
        connect(10 * HOUR, "0ver"), login(11 * HOUR, "0ver"),
        *(command(f"step {n}", DAY + n * HOUR, "0ver") for n in range(20)),
        event("session.closed", 2 * DAY + HOUR, "0ver", duration_ms=100),
        # Long after that, Cowrie drew the same name.
        *session("0ver", 90 * DAY),
    ]  # fmt: skip
    for day in (0, 1, 2, 90):
        of_day = [e for e in over if _time(e)[:10] == _time(connect(day * DAY, ""))[:10]]
        write_log(folder / "gamma" / f"cowrie.json.{day}", of_day)


def _time(each: Event) -> str:
    return str(each["timestamp"])


def _copies(folder: Path) -> None:
    """Write a log, its copies, what it grew from, and pieces of it that overlap."""
    events = [e for n in range(40) for e in session(f"c{n:03}", n * 100.0, "delta", lines=5)]
    events.sort(key=_time)
    events += [events[-1]] * 2  # what a log says twice stays
    whole = as_lines(events)
    write_log(folder / "cowrie.json", events)
    (folder / "copy.json.gz").write_bytes(gzip.compress(whole))
    (folder / "before.json").write_bytes(as_lines(events[:100]))
    (folder / "middle.json").write_bytes(as_lines(events[60:200]))
    (folder / "end.json.bz2").write_bytes(bz2.compress(as_lines(events[150:])))


def _clocks(folder: Path) -> None:
    """Write logs in which the time goes back: several in a row, a clock that was set."""
    days = [
        [e for n in range(20) for e in session(f"k{day}{n:02}", day * DAY + n * 60, "kappa")]
        for day in range(3)
    ]
    write_log(folder / "row.json", days[2] + days[0] + days[1])
    write_log(folder / "twice.json", days[0] + days[0])
    summer = [e for n in range(20) for e in session(f"u{n:02}", HOUR + n * 60, "lambda")]
    winter = [e for n in range(20) for e in session(f"w{n:02}", 1_000 + n * 60, "lambda")]
    write_log(folder / "summer.json", summer + winter)
    lone = session("fut0", 40 * DAY, "my")[:1] + session("now0", 0, "my") + session("now1", 5, "my")
    write_log(folder / "future.json", lone)
    (folder / "row.json.xz").write_bytes(lzma.compress(as_lines(days[1] + days[0])))


def _hostile(folder: Path) -> None:
    """Write sessions of every text that does harm somewhere, and of odd types."""
    lines = EVIL.read_text("utf-8", "surrogateescape").split("\n")
    events: list[Event] = []
    for number, text in enumerate((*NASTY, "\ud800 half", *lines[::8])):
        name = f"h{number:04}"
        made = session(name, number * 20.0, "ny", lines=0)
        made[1].update(username=text[:2000], password=text)
        made[-1:-1] = [
            {**command(text, number * 20.0 + 3 + i, name), "sensor": "ny"} for i in (0, 1)
        ]
        events += made
    events += [
        {**each, "sensor": sensor}
        for at, sensor in enumerate((None, 5, ["x"], "s" * 300, "\u00fc\ud800", NASTY[0]))
        for each in session("0dd", 50_000.0 + at * 900)
    ]
    events += [{**each, "timestamp": "yesterday"} for each in session("n0when", 0, "ny")]
    write_log(folder / "cowrie.json", events)


def _broken(folder: Path) -> None:
    """Write lines that are no events, in every way, among such that are."""
    good = [as_lines([each]) for n in range(30) for each in session(f"b{n:02}", n * 60.0, "xi")]
    bad = [
        b"{", b"not JSON", b"[1]", b'"text"', b"", b"   ", b"\0\0\0", b'{"eventid":"other.event"}',
        b'{"eventid":"cowrie.session.connect"}', b'{"eventid":5,"session":"x"}', b"\xff\xfe",
        b'{"a":' * 2_000, b"\r", b"{} {}",
    ]  # fmt: skip
    folder.mkdir(parents=True)
    with (folder / "cowrie.json").open("wb") as out:
        for number, line in enumerate(good):
            out.write(line)
            if number % 7 == 3:
                out.write(bad[number % len(bad)] + b"\n")
        out.write(good[0][:-1] + b"\r\n\0\0" + good[1] + b"\xef\xbb\xbf" + good[2])
        out.write(good[5].replace(b"echo", b"\xff\xfe"))
        out.write(good[4][:40])
    (folder / "bom.json").write_bytes(b"\xef\xbb\xbf" + as_lines(session("b0m", 9e4, "xi")) + b"{")
    (folder / "empty.json").write_bytes(b"")
    (folder / "nothing.json").write_bytes(b"\n\n\nnothing\n")
    (folder / "nuls.json").write_bytes(b"\0" * 5_000 + as_lines(session("nu1", 91_000, "xi")))


def _packed(folder: Path) -> None:
    """Write packed logs: of every kind, cut, damaged, with a name that lies."""
    folder.mkdir(parents=True)
    logs = [as_lines(session(f"p{n}", n * 100.0, "omikron", lines=300)) for n in range(7)]
    (folder / "a.json.xz").write_bytes(lzma.compress(logs[0]))
    (folder / "b.json.zst").write_bytes(zstandard.compress(logs[1]))
    (folder / "c.json").write_bytes(gzip.compress(logs[2]))
    (folder / "d.json.gz").write_bytes(gzip.compress(logs[3])[:-200])
    (folder / "e.json.bz2").write_bytes(bz2.compress(logs[4])[:-50])
    (folder / "f.json.gz").write_bytes(gzip.compress(logs[5]) + gzip.compress(logs[6]))


def _names(folder: Path) -> None:
    """Write logs with names that mean something elsewhere."""
    names = (
        "a,b.json", "[x]*?.json", "two\nlines.json", "100%25.json", "#frag?q=1.json",
        "\u00fc.json", "day=2020-01-01.json",
    )  # fmt: skip
    for number, name in enumerate(names):
        write_log(folder / name, session(f"n{number}", 1_000.0 * number, "pi"))


def long_lines(path: Path) -> Path:
    """Write a log with a line that is longer than what is read."""
    good = as_lines(session("l0ng", 0, "rho"))
    more = as_lines(session("l1ng", 60, "rho"))
    path.write_bytes(good + b"x" * (17 << 20) + b"\nno\n" + more)
    return path


def table(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of Parquet, or of a folder, in one order."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - where it is installed

    files = sorted(path.glob("day=*/*.parquet")) if path.is_dir() else [path]
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    return sorted(rows, key=json.dumps)
