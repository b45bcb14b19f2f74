"""``cowrie-sessionstats outbox``: how the destinations are getting on, and what they refused."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
from attrs import frozen

from cowrie_sessionstats.forwarding.box import Box, BoxError, SetAside, Standing, opened
from cowrie_sessionstats.forwarding.configuration import ConfigurationError, cowrie_in
from cowrie_sessionstats.options import read_options
from cowrie_sessionstats.outputs.sending import REASON_LIMIT
from cowrie_sessionstats.summary import printable
from cowrie_sessionstats.timestamps import ago, format_timestamp

REASONS: Final = 10
"""Different reasons that are shown: more would not be read."""

_HEAD: Final = ("destination", "waiting", "oldest", "rate", "delivered", "set aside", "lost")


@frozen
class Request:
    """What the user asked for."""

    cowrie: Path
    to: Sequence[str] = ()
    """The destinations that are meant; none: all."""
    retry: bool = False
    export: Path | None = None
    drop: bool = False


def run(request: Request) -> None:
    """Do what was asked for, or else show how things are; raises ClickException."""
    try:
        path = _store(request.cowrie)
        changes = request.retry or request.drop
        with opened(path, write=changes) as box:
            standings = box.standings(time.time())
            names = _meant(request.to, standings, box)
            if changes or request.export is not None:
                _act(request, box, names)
            else:
                _show(path, box, [each for each in standings if each.name in names], names)
    except (ConfigurationError, BoxError) as error:
        raise click.ClickException(str(error)) from None


def _store(cowrie: Path) -> Path:
    """Return the store of the Cowrie in a folder."""
    with cowrie_in(cowrie, os.environ) as config:
        path = read_options(config, os.environ).store
    if path is None:
        raise BoxError("`store =` in [output_sessionstats] is empty: there is no outbox")
    return path


def _meant(wanted: Sequence[str], standings: Sequence[Standing], box: Box) -> list[str]:
    """Return the destinations that are meant; also one that is no more, but refused records."""
    known = [each.name for each in standings]
    known += sorted({name for name, *_ in box.reasons()} - set(known))
    for name in wanted:
        if name not in known:
            raise BoxError(
                f"there is no destination {printable(name, 80)} in the outbox; there is "
                f"{', '.join(known) or 'none: see `forward` in [output_sessionstats]'}"
            )
    return [name for name in known if not wanted or name in wanted]


# ---------------------------------------------------------------- what was refused


def _act(request: Request, box: Box, names: Sequence[str]) -> None:
    taken = [each.number for each in box.set_aside(names)]
    if request.export is not None:
        try:
            _write(request.export, (_line(each) for each in box.set_aside(names)))
        except OSError as error:
            raise BoxError(
                f"{request.export} cannot be written: {error.strerror}. Nothing was changed"
            ) from None
        click.echo(f"{_counted(len(taken))} written to {request.export}")
    if request.retry:
        count = box.retry(names)
        click.echo(f"{_counted(count)} tried again: at once if Cowrie runs, else when it starts")
    if request.drop:
        click.echo(f"{_counted(box.drop(taken))} deleted")


def _line(refused: SetAside) -> bytes:
    """Return a record as a line of JSON, with what became of it behind its keys."""
    told = {
        "refused_by": refused.destination,
        "refused_because": refused.reason,
        "refused_added": format_timestamp(refused.added),
    }
    try:
        record = refused.record()
    except Exception:  # noqa: BLE001 - msgpack raises several; then that is why it was refused
        record = {"damaged": refused.packed.hex()}
    return json.dumps({**record, **told}, separators=(",", ":")).encode("ascii") + b"\n"


def _write(path: Path, lines: Iterator[bytes]) -> None:
    """Write a file for its owner, whole or not at all: passwords are in it."""
    if path.exists() and not path.is_file():  # a terminal or a pipe, which must stay one
        with path.open("wb") as out:
            out.writelines(lines)
        return
    handle, name = tempfile.mkstemp(".tmp", f".{path.name[:100]}.", path.resolve().parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path.resolve())
    except BaseException:
        Path(name).unlink()
        raise


# ---------------------------------------------------------------- how things are


def _show(path: Path, box: Box, standings: Sequence[Standing], names: Sequence[str]) -> None:
    now = time.time()
    reasons = [row for row in box.reasons() if row[0] in names]
    click.echo(printable(str(path), REASON_LIMIT))
    if not standings:
        click.echo("no destination: see `forward` in [output_sessionstats]")
    else:
        rows = [_HEAD, *(_row(each, reasons, now) for each in standings)]
        widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
        for row in rows:
            first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo("  ".join((first, *(cell.strip().rjust(len(cell)) for cell in others))))
    for each in standings:
        if each.error is not None:
            before = "" if each.error_at is None else f" {ago(now - each.error_at)} ago"
            click.echo(f"{each.name}, last error{before}: {printable(each.error, REASON_LIMIT)}")
    for name, reason, count, again in reasons[:REASONS]:
        retried = f", {again:,} of them to be tried again" if again else ""
        click.echo(f"{name} refused {count:,}{retried}: {printable(reason, REASON_LIMIT)}")
    if len(reasons) > REASONS:
        click.echo(f"and for {len(reasons) - REASONS} more reasons: see --export")


def _row(each: Standing, reasons: Sequence[tuple[Any, ...]], now: float) -> tuple[str, ...]:
    aside = sum(count for name, _, count, _ in reasons if name == each.name)
    return (
        each.name,
        f"{each.waiting:,}",
        "-" if each.oldest is None else ago(now - each.oldest),
        f"{each.rate:,.2f}/s",
        f"{each.delivered:,}",
        f"{aside:,}",
        f"{each.overflowed + each.aside_overflowed:,}",
    )


def _counted(count: int) -> str:
    return "1 record is" if count == 1 else f"{count:,} records are"
