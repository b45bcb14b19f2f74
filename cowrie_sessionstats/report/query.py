"""Questions about single sessions, and any question that SQL can put."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

from attrs import frozen
from ibis import Table as Expression
from ibis import _, desc

from cowrie_sessionstats.replay.formats import spreadsheet_text
from cowrie_sessionstats.report import figures
from cowrie_sessionstats.report.cells import TEXT
from cowrie_sessionstats.report.engine import Answer, Engine, Row
from cowrie_sessionstats.report.tables import Column, Table
from cowrie_sessionstats.summary import KEYS, printable

TABLE_ROWS: Final = 1000
"""Rows of a result that are shown as a table; JSON and CSV have all of them."""
KINDRED: Final = 5000
"""Scripts that are compared with a session's: the commonest with its programs or first command."""


@frozen
class Result:
    """What a query gave, row by row."""

    names: list[str]
    batches: Iterator[Sequence[Sequence[Any]]]

    def write_json(self, out: IO[str]) -> None:
        """Write a JSON object a row, ASCII only."""
        for batch in self.batches:
            for row in batch:
                known = {name: _plain(v) for name, v in zip(self.names, row, strict=True)}
                out.write(json.dumps(known) + "\n")

    def write_csv(self, out: IO[str]) -> None:
        """Write CSV with a heading; no text is a formula, no control character is left."""
        writer = csv.writer(out)
        writer.writerow([_cell(name) for name in self.names])
        for batch in self.batches:
            writer.writerows([_cell(value) for value in row] for row in batch)

    def table(self) -> Table:
        """Return the first rows as a table."""
        found: list[Sequence[Any]] = []
        for batch in self.batches:
            found += batch
            if len(found) > TABLE_ROWS:
                break
        columns = tuple(
            Column(f"{number}", name, _kind([row[number] for row in found]))
            for number, name in enumerate(self.names)
        )
        rows = [
            {column.key: value for column, value in zip(columns, row, strict=True)}
            for row in found[:TABLE_ROWS]
        ]
        return Table("result", "", "", columns, rows, more=len(found) > TABLE_ROWS)


def _cell(value: Any) -> Any:
    if isinstance(value, int | float) or value is None:
        return value
    if isinstance(value, list | dict):
        value = json.dumps(_plain(value))
    return spreadsheet_text(printable(str(value), TEXT))


def _plain(value: Any) -> Any:
    """Return a value as JSON can have it: no infinity, no keys but texts, no other types."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return str(value)


def _kind(values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, list) for value in known):
        return "texts"
    if known and all(isinstance(value, int) and not isinstance(value, bool) for value in known):
        return "int"
    if known and all(isinstance(value, float) for value in known):
        return "rate"
    return "text"


def result(answer: Answer) -> Result:
    """Return what an engine answered, its columns with names that differ."""
    names: list[str] = []
    for each in answer.names:
        name, number = each, 1
        while name in names:
            number += 1
            name = f"{each}_{number}"
        names.append(name)
    return Result(names, answer.batches)


# ---------------------------------------------------------------- one session, and its like


def records_of(engine: Engine, session: str) -> list[Row]:
    """Return the records of the session with that id, of each sensor that had one."""
    rows = engine.records([session])
    return sorted(rows, key=lambda row: (row["start"] or "", row["sensor"] or ""))


def show(record: Row) -> str:
    """Return a record for people: a line a key, nothing that steers a terminal."""
    width = max(map(len, KEYS))
    lines = []
    for key in KEYS:
        value = record.get(key)
        if value is None or value == []:
            continue
        values = value if isinstance(value, list) else [value]
        for number, each in enumerate(values):
            lines.append(f"{key if not number else '':{width}}  {printable(str(each), TEXT)}")
    return "\n".join(lines)


_COMMANDS: Final = "the same commands"
_SCRIPT: Final = "the same script"
_VERBS: Final = "the same programs"
_BEGINNING: Final = "a shared beginning"
_RANK: Final = (_COMMANDS, _SCRIPT, _VERBS, _BEGINNING)


def similar(engine: Engine, record: Row, top: int) -> Table:
    """Return the scripts that are like a session's, the nearest first.

    The same commands (``commands_sha256``), the same script (``fingerprint``), the same programs in
    the same order (its second part), or a shared beginning: so many of the first templates.
    """
    sessions = engine.sessions.filter(_.fingerprint.notnull())
    rows = [_kin(row, record) for row in engine.rows(_kindred(sessions, record))]
    same = engine.rows(
        sessions.filter(_.commands_sha256 == record["commands_sha256"]).aggregate(
            sessions=_.count(), first_seen=_.start.min(), last_seen=_.start.max()
        )
    )[0]
    rows.append(
        same
        | {
            "like": _COMMANDS,
            "shared": len(record["templates"] or ()),
            "fingerprint": record["fingerprint"],
            "last_template": record["last_command_template"],
            "example": record["session"],
        }
    )
    found = [row for row in rows if row["like"]]
    found.sort(
        key=lambda row: (
            _RANK.index(row["like"]),
            -row["shared"],
            -row["sessions"],
            row["fingerprint"],
        )
    )
    return Table(
        "similar",
        f"Like session {record['session']} of {record['start']}, {record['sensor'] or 'unnamed'}",
        "Shared: so many templates from the beginning on.",
        (
            Column("like", "like it by", "text"),
            Column("shared", "shared"),
            Column("sessions", "sessions"),
            Column("first_seen", "first seen", "time"),
            Column("last_seen", "last seen", "time"),
            Column("fingerprint", "fingerprint", "text"),
            Column("last_template", "ends with", "text"),
            Column("example", "an example", "text"),
        ),
        found[:top],
        more=len(found) > top,
    )


def _kindred(sessions: Expression, record: Row) -> Expression:
    """Return the commonest scripts that can be like that of a record."""
    scripts = figures.scripts(figures.counted(sessions, all_sessions=True))
    verbs = _verbs(record["fingerprint"])
    alike = _.fingerprint.contains(f"_{verbs}_")
    if record["templates"]:
        alike |= _.templates[0] == record["templates"][0]
    return (
        scripts.filter(alike)
        .order_by(desc("sessions"), "fingerprint")
        .limit(KINDRED)
        .select(
            "fingerprint",
            "sessions",
            "first_seen",
            "last_seen",
            "last_template",
            "templates",
            "example",
        )
    )


def _verbs(fingerprint: str) -> str:
    """Return the part that is the programs; of what is no fingerprint, the whole."""
    parts = fingerprint.split("_")
    return parts[2] if len(parts) == _PARTS else fingerprint


_PARTS: Final = 4  # csf1_<n>_<verbs>_<templates>


def _kin(row: Row, record: Row) -> Row:
    """Return a script with what it has in common with a record."""
    own, other = record["templates"] or [], row.pop("templates") or []
    shared = 0
    for mine, theirs in zip(own, other, strict=False):
        if mine != theirs:
            break
        shared += 1
    if row["fingerprint"] == record["fingerprint"]:
        like = _SCRIPT
    elif _verbs(row["fingerprint"]) == _verbs(record["fingerprint"]):
        like = _VERBS
    else:
        like = _BEGINNING if shared else ""
    return row | {"like": like, "shared": shared}
