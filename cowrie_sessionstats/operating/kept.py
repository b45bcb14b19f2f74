"""Checks of what the plugin keeps: its log, its store, what waits for destinations."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from cowrie_sessionstats import regular
from cowrie_sessionstats.forwarding.box import BoxError, Standing, opened
from cowrie_sessionstats.metrics import METRICS_SECONDS
from cowrie_sessionstats.operating.checks import Check, ok, warning, wrong
from cowrie_sessionstats.operating.processes import Process
from cowrie_sessionstats.options import Options
from cowrie_sessionstats.outputs.sending import REASON_LIMIT
from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.timestamps import ago, parse_timestamp

TAIL_BYTES: Final = 8 << 20
"""How much of a log's end is read: the largest record that the schema allows has 4.6 MB."""

QUIET_SECONDS: Final = 86_400.0
"""A sensor on the internet has visitors every hour; a day without any is worth a look."""

MISSING_SECONDS: Final = 60.0
"""How long a record may take at most, the busiest disk included."""

WAITING_SECONDS: Final = 600.0
"""A receiver that is away for longer is no short interruption any more."""

LOOKS: Final = 3
PAUSE_SECONDS: Final = 0.3
"""What is wrong with a store has to be so each time: Cowrie may be writing there just now, and who
only reads does not lock it out."""

STALE_SECONDS: Final = 4 * METRICS_SECONDS
"""Age of figures that are written no more."""

AHEAD_SECONDS: Final = 60.0
"""A record that much later than now was written when the clock was wrong, or it is now."""


def last_time(log: Path, eventid: str | None = None) -> float | None:
    """Return the time of the last event in a log of JSON lines, in seconds since 1970.

    Of those with an id, if one is named; in what was rotated today, if the log is new. OSError.
    """
    rotated = sorted(log.parent.glob(f"{escape(log.name)}.????-??-??"), reverse=True)[:1]
    for path in (path for path in (log, *rotated) if path.exists()):
        for event in _backwards(path):
            when = parse_timestamp(event.get("timestamp"))
            if when is not None and eventid in (None, event.get("eventid")):
                return when
    return None


def _backwards(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events at a log's end, the last first."""
    with regular.opened(path) as file, io.BufferedReader(file) as reader:
        size = reader.seek(0, os.SEEK_END)
        reader.seek(max(0, size - TAIL_BYTES))
        lines = reader.read(TAIL_BYTES).split(b"\n")
    for line in reversed(lines if size <= TAIL_BYTES else lines[1:]):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def log(
    options: Options,
    cowries: Path | None,
    process: Process | None,
    now: float,
    *,
    can_write: bool | None,
) -> Check:
    """Return whether records get into the log; ``cowries`` is Cowrie's own log of JSON lines."""
    name, path = "log", options.logfile
    if not options.log:
        return ok(name, "off (log = false)")
    if can_write is False:
        return wrong(
            name, f"Cowrie's user cannot write {path}", "mend the rights, or make the folder"
        )
    try:
        last = last_time(path)
        closed = None if cowries is None else last_time(cowries, "cowrie.session.closed")
    except OSError as error:
        return wrong(name, f"{path} cannot be read: {error.strerror}", "run this as Cowrie's user")
    if process is not None and _is_missing(last, closed, process.started, now):
        return wrong(
            name,
            f"the session that Cowrie closed last has no record in {path}",
            "look for `sessionstats` in Cowrie's log (cowrie.log, or journalctl -u cowrie)",
        )
    return ok(name, f"{path}: no record yet") if last is None else _aged(path, last, process, now)


def _aged(path: Path, last: float, process: Process | None, now: float) -> Check:
    name = "log"
    if last > now + AHEAD_SECONDS:
        return warning(
            name, f"{path}: its last record is {ago(last - now)} ahead of now", "set the clock"
        )
    told = f"{path}: last record {ago(now - last)} ago"
    if process is not None and now - max(last, process.started) > QUIET_SECONDS:
        return warning(name, told, "see whether the honeypot's ports can be reached from outside")
    return ok(name, told)


def _is_missing(last: float | None, closed: float | None, started: float, now: float) -> bool:
    """Return whether Cowrie closed a session in this run that is younger than any record."""
    if closed is None or not started < closed < now - MISSING_SECONDS:
        return False
    return last is None or closed > last + MISSING_SECONDS


def store(options: Options, process: Process | None, now: float) -> list[Check]:
    """Return whether the store is sound, and how the destinations are getting on."""
    name, path = "store", options.store
    if path is None:
        return [
            warning(
                name,
                "none (store =): sessions that are open when Cowrie is killed have no record",
                "take `store =` out of the section",
            )
        ]
    if not path.exists() and process is None:
        return [ok(name, f"{path}: Cowrie makes it when it starts")]
    found = _looked_into(path, now)
    for _ in range(LOOKS - 1):
        if isinstance(found, _Found):
            break
        time.sleep(PAUSE_SECONDS)
        found = _looked_into(path, now)
    if not isinstance(found, _Found):
        return [found]
    checks = [ok(name, f"{path}: sound, {path.stat().st_size / (1 << 20):,.1f} MiB")]
    checks += (
        _destination(each, found.standings.get(each), found.aside.get(each, 0), now)
        for each in options.forward
    )
    return checks


@frozen
class _Found:
    """What is in a sound store: how each destination is getting on, and what it refused."""

    standings: dict[str, Standing]
    aside: dict[str, int]


def _looked_into(path: Path, now: float) -> _Found | Check:
    """Return what is in a store, or what is wrong with it."""
    name = "store"
    try:
        with opened(path) as box:
            (found,) = box.file.execute("PRAGMA quick_check(1)").fetchone()
            standings = {each.name: each for each in box.standings(now)}
            aside = dict.fromkeys(standings, 0)
            for each, _, count, _ in box.reasons():
                aside[each] = aside.get(each, 0) + count
    except (BoxError, sqlite3.Error) as error:
        return wrong(
            name,
            printable(str(error), REASON_LIMIT),
            "run this as Cowrie's user; if that does not help, restart Cowrie",
        )
    if found != "ok":
        return wrong(
            name,
            f"{path} is damaged: {printable(str(found), REASON_LIMIT)}",
            "restart Cowrie, which moves it aside and begins a new one",
        )
    return _Found(standings, aside)


def _destination(name: str, standing: Standing | None, aside: int, now: float) -> Check:
    what = f"destination {name}"
    if standing is None:
        return warning(what, "Cowrie has not begun with it yet", "restart Cowrie")
    waited = 0.0 if standing.oldest is None else now - standing.oldest
    told = f"{standing.delivered:,} delivered, {standing.waiting:,} waiting"
    told += f", the oldest for {ago(waited)}" if standing.waiting else ""
    if standing.error is not None:
        told += f"; last error: {printable(standing.error, REASON_LIMIT)}"
        made = wrong if waited > WAITING_SECONDS else warning
        return made(what, told, "see to the receiver, or correct the section; nothing is lost yet")
    if waited > WAITING_SECONDS:
        return warning(what, told, "is Cowrie running? It sends what waits when it does")
    lost = standing.overflowed + standing.aside_overflowed
    if lost:
        return warning(
            what,
            f"{told}; {lost:,} went undelivered",
            "they are in the log: cowrie-sessionstats forward",
        )
    if aside:
        return warning(
            what,
            f"{told}; {aside:,} refused",
            "cowrie-sessionstats outbox --export FILE, or --retry",
        )
    return ok(what, told)


def metrics(path: Path, process: Process | None, now: float) -> Check:
    """Return whether figures for Prometheus are written."""
    try:
        age = now - path.stat().st_mtime
    except OSError as error:
        remedy = "restart Cowrie, see its log"
        if not path.parent.is_dir():
            remedy = f"make the folder {path.parent}, for Cowrie's user to write in"
        return warning("metrics", f"{path}: {error.strerror}", remedy)
    told = f"{path}, written {ago(age)} ago"
    if process is not None and age > STALE_SECONDS:
        return warning("metrics", told, "restart Cowrie, see its log")
    return ok("metrics", told)
