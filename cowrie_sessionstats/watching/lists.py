"""The lists on the page of ``top``: sessions, scripts, destinations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cowrie_sessionstats.forwarding.box import Standing
from cowrie_sessionstats.timestamps import ago, format_timestamp
from cowrie_sessionstats.watching.facts import Facts
from cowrie_sessionstats.watching.seen import Seen, shown

TWO: Final = 150
"""Columns from which on two lists stand side by side."""
NAME: Final = 80
"""Characters of a name or an address."""
TEXT: Final = 400
"""Characters of a command: wider than any list."""
STYLES: Final = {"interactive": "bold yellow", "undetermined": "cyan", "automated": "dim"}
_DAY: Final = 86_400.0

_Row = tuple[RenderableType, ...]


@define
class List:
    """A list with a heading."""

    title: str
    note: str
    columns: Sequence[tuple[int | None, str]]
    """Of each its width and justification; None: what is left."""
    rows: Sequence[_Row]
    empty: str

    def height(self) -> int:
        """Return how many rows it can use."""
        return max(1, len(self.rows))

    def show(self, rows: int) -> RenderableType:
        """Return it with so many rows."""
        heading = Text(no_wrap=True, overflow="crop")
        heading.append(self.title, "bold")
        heading.append(f"  {self.note}" if self.note else "", "dim")
        if not self.rows:
            return Group(heading, Text(f" {self.empty}", "dim", no_wrap=True, overflow="crop"))
        grid = Table.grid(padding=(0, 1), expand=True)
        for width, justify in self.columns:
            grid.add_column(
                justify="right" if justify == "right" else "left",
                width=width,
                ratio=1 if width is None else None,
                no_wrap=True,
                overflow="crop",
            )
        for row in self.rows[:rows]:
            grid.add_row(*row)
        return Group(heading, grid)


def columns_of(facts: Facts, width: int) -> list[list[List]]:
    """Return the lists for a terminal of so many columns, by where they stand."""
    wide = width >= TWO
    room = width // 2 if wide else width
    of_store = [_open(facts, room)]
    waiting = _waiting(facts)
    scripts = _scripts(facts, room)
    typed = _ended("Somebody typed", facts.interactive, facts, room, "not seen yet")
    ended = _ended("Ended last", facts.recent, facts, room, "no session has ended yet")
    if wide:
        return [[*of_store, typed, ended], [*waiting, scripts]]
    return [[*of_store, *waiting, scripts, typed, ended]]


def _open(facts: Facts, room: int) -> List:
    state = facts.state
    if state.trouble is not None:
        return List("Open now", "", [], [], shown(state.trouble, TEXT))
    rows = [
        (
            Text(f" {shown(seen.session, 12)}"),
            Text(ago(facts.now - seen.start) if seen.start is not None else "-"),
            _address(seen),
            Text(shown(seen.protocol or "-", 6)),
            Text(f"{seen.commands:,}"),
            *([_verdict(seen)] if room >= _VERDICTS else ()),
            _command(seen) if seen.commands else Text(_login(seen), "dim"),
        )
        for seen in state.sessions
    ]
    columns: list[tuple[int | None, str]] = [
        *((13, "left"), (7, "right"), (15, "left"), (6, "left"), (5, "right")),
        *([(12, "left")] if room >= _VERDICTS else ()),
        (None, "left"),
    ]
    note = f"{state.count:,}" if state.count else ""
    if state.at is not None and state.count:
        note += f", as of {ago(facts.now - state.at)} ago: since, from, commands, the last"
    return List("Open now", note, columns, rows, "no session")


_VERDICTS: Final = 100
"""Columns from which on a list says of each session who typed."""


def _login(seen: Seen) -> str:
    if not seen.logged_in:
        return "not logged in"
    return f"logged in as {shown(seen.username or '', 32)}"


def _waiting(facts: Facts) -> list[List]:
    standings = facts.state.standings
    if not standings:
        return []
    rows = [
        (
            Text(f" {shown(each.name, 64)}"),
            Text(f"{each.waiting:,}"),
            Text(_since(each, facts.now)),
            Text(shown(each.error or "", TEXT), "red"),
        )
        for each in standings
    ]
    columns = [(18, "left"), (9, "right"), (12, "left"), (None, "left")]
    return [List("Waiting for destinations", "", columns, rows, "")]


def _since(backlog: Standing, now: float) -> str:
    return "" if backlog.oldest is None else f"for {ago(now - backlog.oldest)}"


def _scripts(facts: Facts, room: int) -> List:
    figures = facts.figures
    rows = []
    for script in figures.scripts[:_SCRIPTS]:
        latest = script.latest
        if latest is None:
            continue
        _, count, *_ = (*script.fingerprint.split("_"), "")
        texts = [latest.first or ""] if count == "1" else [latest.first or "", latest.last or ""]
        rows.append(
            (
                Text(f"{script.sessions:,}"),
                Text("new" if script.is_new else "", "bold green"),
                Text(f"{len(script.sources):,}", "dim"),
                Text(shown(script.fingerprint.rpartition("_")[0], NAME), "dim"),
                _pair([shown(text, TEXT) for text in texts], (room - _SCRIPT - 5) // 2),
            )
        )
    columns = [(6, "right"), (3, "left"), (4, "right"), (_SCRIPT - 16, "left"), (None, "left")]
    return List(
        "Scripts now",
        f"{figures.minutes:.0f} min: sessions, addresses, fingerprint, first and last command",
        columns,
        rows,
        "no session with commands in that time",
    )


_SCRIPTS: Final = 200
"""Scripts that are listed at most: more than a terminal has rows."""
_SCRIPT: Final = 36
"""Columns before the commands of a script. Of its fingerprint the beginning is enough for ``tail
--fingerprint``."""


def _pair(texts: Sequence[str], each: int) -> RenderableType:
    """Return the commands side by side."""
    if len(texts) == 1:
        return Text(texts[0])
    grid = Table.grid(padding=(0, 1), expand=True)
    for _ in texts:
        grid.add_column(no_wrap=True, overflow="crop", width=max(each, 1))
    grid.add_row(*map(Text, texts))
    return grid


def _ended(title: str, sessions: Sequence[Seen], facts: Facts, room: int, empty: str) -> List:
    verdicts = room >= _VERDICTS and title == "Ended last"
    rows = [
        (
            Text(f" {_when(seen.end, facts.now)}"),
            _address(seen),
            Text(shown(seen.protocol or "-", 6)),
            Text("-" if seen.duration is None else f"{seen.duration:,.1f} s"),
            Text(f"{seen.commands:,}"),
            *([_verdict(seen)] if verdicts else ()),
            Text(shown(seen.ending or "-", 15), STYLES.get(seen.automation or "", "")),
            _command(seen),
        )
        for seen in sessions
    ]
    columns: list[tuple[int | None, str]] = [
        *((11, "left"), (15, "left"), (6, "left"), (9, "right"), (5, "right")),
        *([(12, "left")] if verdicts else ()),
        (15, "left"),
        (None, "left"),
    ]
    note = "" if not rows else "from, for, commands, ending, the last"
    return List(title, note, columns, rows, empty)


def _address(seen: Seen) -> Text:
    return Text(shown(seen.src_ip or "-", NAME))


def _verdict(seen: Seen) -> Text:
    return Text(shown(seen.automation or "-", 12), STYLES.get(seen.automation or "", ""))


def _command(seen: Seen) -> Text:
    return Text(shown(seen.last or "", TEXT), STYLES.get(seen.automation or "", ""))


def _when(seconds: float | None, now: float) -> str:
    """Return a time of day in UTC; of what is a day old the day."""
    if seconds is None:
        return "-"
    stamp = format_timestamp(seconds)
    return f"{stamp[11:19]}Z" if abs(now - seconds) < _DAY else stamp[:10]
