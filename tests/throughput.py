"""How fast records reach real receivers, and at what cost; by hand.

    python tests/throughput.py forward RECORDS.jsonl [COUNT]
    python tests/throughput.py absence RECORDS.jsonl [COUNT]

``forward`` sends summaries from a file by the command of that name, to an OpenSearch emulator, to
rsyslog and to Tansu, a broker that speaks Kafka's protocol. ``absence`` puts them into the outbox
of a real Cowrie whose receivers were away, and starts it with the receivers back; records come over
and over, each time as other sessions.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from costs import cost, cpu, proportional
from logs import COMMAND
from ports import free_port
from receivers_http import OpenSearch, opensearch
from receivers_kafka import TOPIC, Kafka
from receivers_syslog import HOST, Rsyslog

from cowrie_sessionstats.launch import Installation
from cowrie_sessionstats.store import Store

GIB: Final = 1 << 30
INDEX: Final = "cowrie-sessions"


def configuration(search: OpenSearch, syslog: Rsyslog) -> str:
    """Return what names the two receivers in cowrie.cfg."""
    return (
        "[output_sessionstats]\nenabled = true\nforward = siem, log\noutbox_max = 2 GiB\n"
        f"[sessionstats_siem]\ntype = http\nformat = elasticsearch\nurl = {search.url}\n"
        f"[sessionstats_log]\ntype = syslog\nhost = {HOST}\nport = {syslog.port}\n"
    )


@contextlib.contextmanager
def receivers(folder: Path, *, plain: bool = False) -> Iterator[tuple[OpenSearch, Rsyslog]]:
    """Start both.

    Of records as they are the emulator takes some hundred a second, whoever sends them; so it is
    told to keep them without making a field of each key, unless it is to be ``plain``.
    """
    syslog = Rsyslog(folder / "syslog")
    syslog.start()
    try:
        with opensearch() as search:
            if not plain:
                search.ask("PUT", f"/{INDEX}", {"mappings": {"dynamic": False}})
            yield search, syslog
    finally:
        syslog.kill()


def forward(path: Path, count: int, folder: Path) -> None:
    """Send them from a file."""
    with path.open("rb") as lines, (folder / "records.jsonl").open("wb") as out:
        out.writelines(itertools.islice(lines, count))
    produce(folder / "records.jsonl", folder, count)
    for plain in (True, False):
        with receivers(folder, plain=plain) as (search, syslog):
            (folder / "cowrie.cfg").write_text(configuration(search, syslog))
            for name in ("siem",) if plain else ("siem", "log"):
                took = cost(
                    COMMAND, "forward", "--cowrie", folder, "--to", name, folder / "records.jsonl"
                )
                how = ", which makes a field of each key" if plain else ""
                print(
                    f"forward to {name}{how}: {count:,} in {took.seconds:.1f} s, "
                    f"{count / took.seconds:,.0f} a second, {took.cpu:.1f} s of CPU, "
                    f"{took.megabytes:.0f} MB",
                    flush=True,
                )
            print(f"there: {search.count(INDEX):,} and {len(syslog.lines()):,}", flush=True)


def produce(path: Path, folder: Path, count: int) -> None:
    """Send them to Kafka."""
    for options in ("", "format = msgpack\n", "compression = lz4\n"):
        broker = Kafka(folder / f"kafka{len(options)}")
        broker.start()
        try:
            (folder / "cowrie.cfg").write_text(
                f"[sessionstats_bus]\ntype = kafka\nbrokers = {broker.broker}\ntopic = {TOPIC}\n"
                f"{options}"
            )
            took = cost(COMMAND, "forward", "--cowrie", folder, "--to", "bus", path)
            there = {message.key() for message in broker.messages()}
        finally:
            broker.stop()
        print(
            f"forward to bus {options.strip() or 'as it is'}: {count:,} in {took.seconds:.1f} s, "
            f"{count / took.seconds:,.0f} a second, {took.cpu:.1f} s of CPU, "
            f"{took.megabytes:.0f} MB; sessions there: {len(there):,}",
            flush=True,
        )


def absence(path: Path, count: int, folder: Path) -> None:
    """Send them from the outbox of a Cowrie."""
    installation = Installation(Path(sys.executable).parent)
    home = folder / "cowrie"
    home.mkdir()
    installation.init(home)
    with receivers(folder) as (search, syslog):
        ports = "\n".join(
            f"[{kind}]\n{on}listen_endpoints = tcp:{free_port()}:interface=127.0.0.1"
            for kind, on in (("ssh", ""), ("telnet", "enabled = true\n"))
        )
        (home / "cowrie.cfg").write_text(f"{ports}\n{configuration(search, syslog)}")
        store = home / "var/lib/cowrie/sessionstats.sqlite"
        fill(store, path, count)
        print(f"{count:,} records in the outbox, {store.stat().st_size >> 20} MiB", flush=True)
        begun = time.monotonic()
        cowrie = installation.start(home)
        try:
            watch(cowrie.process.pid, store, count, begun)
        finally:
            cowrie.stop()
        print(f"there: {search.count(INDEX):,} and {len(syslog.lines()):,}")


def fill(store: Path, path: Path, count: int) -> None:
    """Put records into a store."""
    made = Store(store, ("siem", "log"), time.time, print, 2 * GIB)
    made.open()
    number = 0
    while number < count:
        with path.open() as lines:
            for line in itertools.islice(lines, count - number):
                record: dict[str, Any] = json.loads(line)
                record["session"] = f"{number:012x}"
                made.add(record)
                number += 1
                if number % 5_000 == 0:
                    made.commit()
    made.close()


def watch(process: int, store: Path, count: int, begun: float) -> None:
    """Print how delivery goes on until it is at its end."""
    memory: list[float] = []
    finished: dict[str, float] = {}
    while len(finished) < 2:
        time.sleep(0.5)
        memory.append(proportional(process))
        with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as file:
            rows = dict(file.execute("SELECT name, delivered FROM destination"))
        for name, delivered in rows.items():
            if delivered >= count and name not in finished:
                finished[name] = time.monotonic() - begun
                print(
                    f"{name}: all after {finished[name]:.1f} s, "
                    f"{count / finished[name]:,.0f} a second, Cowrie's start included",
                    flush=True,
                )
    tenth = max(1, len(memory) // 10)
    print(
        f"memory of Cowrie: {memory[0]:.0f} MB at first, {max(memory[:tenth]):.0f} MB in the "
        f"first tenth of the time, {max(memory[-tenth:]):.0f} MB in the last, "
        f"{max(memory):.0f} MB at most; "
        f"{cpu(process):.1f} s of CPU"
    )


def main() -> None:
    """Do what was asked for, in a folder that goes."""
    what, path = sys.argv[1], Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else {"forward": 50_000, "absence": 500_000}[what]
    folder = Path(tempfile.mkdtemp(prefix="throughput-"))
    try:
        {"forward": forward, "absence": absence}[what](path, count, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
