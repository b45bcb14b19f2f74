"""The page of ``top``: what is known of a sensor, fitted to a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cowrie_sessionstats.timestamps import ago, format_timestamp
from cowrie_sessionstats.watching.facts import Facts
from cowrie_sessionstats.watching.hour import Figures, Rate
from cowrie_sessionstats.watching.lists import NAME, STYLES, TEXT, List, columns_of
from cowrie_sessionstats.watching.seen import shown

ROWS: Final = 10
"""Rows of a list where no height is known: in a pipe."""
_HEAD: Final = 6
"""Rows above the lists."""
_ROOMY: Final = 36
"""Rows from which on lists have an empty line between them."""


def page(facts: Facts, width: int, height: int | None) -> RenderableType:
    """Return the page for so many columns and rows; ``height`` None: as many as it takes."""
    head = _head(facts)
    used = _HEAD
    columns = columns_of(facts, width)
    gap = height is None or height >= _ROOMY
    if height is not None:
        used += gap
        shares = [_shares(column, height - used, gap=gap) for column in columns]
    else:
        shares = [[min(each.height(), ROWS) for each in column] for column in columns]
    shown_columns = [
        Group(*_joined([each.show(rows) for each, rows in zip(c, s, strict=True) if rows], gap=gap))
        for c, s in zip(columns, shares, strict=True)
    ]
    if len(shown_columns) == 1:
        body: RenderableType = shown_columns[0]
    else:
        grid = Table.grid(padding=(0, 2), expand=True)
        for _ in shown_columns:
            grid.add_column(ratio=1)
        grid.add_row(*shown_columns)
        body = grid
    return Group(head, *([Text()] if gap else ()), body)


def _joined(parts: list[RenderableType], *, gap: bool) -> list[RenderableType]:
    """Return parts with an empty line between them, if there is room."""
    if not gap:
        return parts
    return [each for part in parts for each in (part, Text())][:-1]


def _shares(lists: Sequence[List], height: int, *, gap: bool) -> list[int]:
    """Return how many rows each list gets: the same, but for what it cannot use."""
    rows = [0] * len(lists)
    left = height + gap
    for place in range(len(lists)):  # each with its heading, as long as there is room
        cost = 2 + gap
        if left >= cost:
            rows[place] = 1
            left -= cost
    while left > 0:
        wanting = [p for p, n in enumerate(rows) if 0 < n < lists[p].height()]
        if not wanting:
            break
        for place in wanting[:left]:
            rows[place] += 1
        left -= len(wanting[:left])
    return rows


# ---------------------------------------------------------------- the head


def _head(facts: Facts) -> RenderableType:
    title = Table.grid(expand=True)
    title.add_column(no_wrap=True, overflow="crop", ratio=1)
    title.add_column(no_wrap=True, justify="right", width=22)
    name = Text(" cowrie-sessionstats top", "bold")
    name.append(f"  {shown(facts.where, NAME * 2)}", "default not bold")
    title.add_row(name, Text(f"{_stamp(facts.now)} "))
    told = [*([facts.hint] if facts.hint else ()), f"watching for {ago(facts.now - facts.began)}"]
    if facts.sensors:
        several = "sensors" if len(facts.sensors) > 1 else "sensor"
        told.append(f"{several} {', '.join(shown(each or '-', NAME) for each in facts.sensors)}")
    if facts.trouble is not None:
        told.append(shown(facts.trouble, TEXT))
    elif facts.written is not None:
        told.append(f"log written {ago(facts.now - facts.written)} ago")
    if facts.skipped:
        told.append(f"{facts.skipped:,} lines skipped")
    line = Text(f" {', '.join(told)}", "dim", no_wrap=True, overflow="crop")
    sides = Table.grid(padding=(0, 3))
    sides.add_column()
    sides.add_column()
    sides.add_row(_rates(facts.figures), _shares_of_automation(facts.figures))
    return Group(title, line, sides)


def _rates(figures: Figures) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=14, no_wrap=True, overflow="crop")
    for _ in figures.rates:
        grid.add_column(justify="right", width=9, no_wrap=True, overflow="crop")
    grid.add_row(
        Text(" a minute over", "dim"),
        *(Text(_span(rate), "dim") for rate in figures.rates),
    )
    for name in ("sessions", "logins", "commands"):
        grid.add_row(
            Text(f" {name}"),
            *(Text(f"{getattr(rate, name):,.1f}", "bold") for rate in figures.rates),
        )
    return grid


def _span(rate: Rate) -> str:
    return f"{rate.minutes:.0f} min" if rate.minutes >= 1 else f"{rate.minutes * 60:.0f} s"


def _shares_of_automation(figures: Figures) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=12, no_wrap=True, overflow="crop")
    grid.add_column(justify="right", width=7, no_wrap=True, overflow="crop")
    grid.add_column(justify="right", width=8, no_wrap=True, overflow="crop")
    grid.add_row(Text(f"{figures.minutes:.0f} min", "dim"), Text(f"{figures.sessions:,}", "dim"))
    counts = dict(figures.automation)
    for name, style in STYLES.items():
        count = counts.get(name, 0)
        share = f"{100 * count / figures.sessions:.1f} %" if figures.sessions else ""
        grid.add_row(Text(name, style), Text(f"{count:,}", style), Text(share, style))
    return grid


def _stamp(seconds: float) -> str:
    stamp = format_timestamp(max(seconds, 0.0))
    return f"{stamp[:10]} {stamp[11:19]}Z"
