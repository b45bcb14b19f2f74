"""``cowrie-sessionstats enable`` and ``disable``: what changes in cowrie.cfg is shown first."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from difflib import unified_diff
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shlex import quote
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import click
from attrs import frozen

from cowrie_sessionstats.forwarding.configuration import ConfigurationError, cowrie_in
from cowrie_sessionstats.operating import enabling
from cowrie_sessionstats.operating.enabling import DSHIELD, Change
from cowrie_sessionstats.operating.moved import MovedStore, moved_store
from cowrie_sessionstats.options import read_options
from cowrie_sessionstats.summary import printable

_SECRET: Final = re.compile(r"^([+-]\s*(?:token|password|auth_key)\s*[=:]\s*).+", re.IGNORECASE)
_SHOWN: Final = 500  # characters of a line


@frozen
class Request:
    """What the user asked for."""

    cowrie: Path | None
    """The folder in which Cowrie runs; None: a DShield sensor's, or the current one."""
    dshield: bool
    yes: bool
    """Whether to change the file without a question."""

    @property
    def folder(self) -> Path:
        """Return the folder that is meant."""
        return self.cowrie or (DSHIELD if self.dshield else Path())


def enable(request: Request) -> int:
    """Turn the plugin on; return the exit status."""
    folder = request.folder
    try:
        change = enabling.enabled(folder, os.environ, dshield=request.dshield)
        store = _moved(folder, change) if request.dshield else None
        if change is None and store is None:
            click.echo(f"{folder.absolute()}: the plugin is on already, nothing was changed")
        elif not _carry_out(change, store, yes=request.yes):
            return 1
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    if request.dshield:
        click.echo("Now restart Cowrie: sudo systemctl restart cowrie")
        click.echo(
            "An update of the sensor makes this folder anew, without the plugin. "
            "Run this again then:"
        )
        click.echo(f"  {_again(folder)}")
    elif change is not None:
        click.echo("Now restart Cowrie (cowrie restart), then see: cowrie-sessionstats doctor")
    return 0


def disable(request: Request) -> int:
    """Turn the plugin off; return the exit status."""
    try:
        change = enabling.disabled(request.folder, os.environ)
        if change is None:
            click.echo(
                f"{request.folder.absolute()}: the plugin is off already, nothing was changed"
            )
        elif not _carry_out(change, None, yes=request.yes):
            return 1
        else:
            click.echo("Now restart Cowrie: until then the plugin goes on")
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    return 0


def _moved(folder: Path, change: Change | None) -> MovedStore | None:
    instead = {} if change is None else {change.path: change.after}
    with cowrie_in(folder, os.environ, instead) as config:
        store = read_options(config, os.environ).store
    return moved_store(folder, store)


def _carry_out(change: Change | None, store: MovedStore | None, *, yes: bool) -> bool:
    """Show what is to be done, and do it if that is wanted; return whether it was."""
    for line in () if change is None else _shown(change):
        click.secho(printable(line, _SHOWN), fg={"+": "green", "-": "red"}.get(line[:1]))
    if store is not None:
        click.echo(printable(f"copy of the store {store.old} -> {store.new}", 2 * _SHOWN))
    if not yes:
        if not sys.stdin.isatty():
            click.echo("Nothing was changed: --yes does it without a question", err=True)
            return False
        if not click.confirm("Do this?", err=True):
            click.echo("Nothing was changed", err=True)
            return False
    try:
        if store is not None:
            store.copy()
        if change is not None:
            backup = enabling.write(change, datetime.now(timezone.utc))
            told = f"wrote {change.path}" + (f", backup: {backup.name}" if backup else "")
            click.echo(printable(told, 2 * _SHOWN))
    except (OSError, sqlite3.Error) as error:
        where = getattr(error, "filename", None) or (change.path if change else "the store")
        why = getattr(error, "strerror", None) or error
        remedy = "Run this as the owner of the file, or with sudo"
        if os.geteuid() == 0:
            remedy = "Where others own the folder, even root writes only what they may: see why"
        raise click.ClickException(
            printable(f"{where} cannot be written: {why}. {remedy}", 2 * _SHOWN)
        ) from None
    return True


def _shown(change: Change) -> Iterator[str]:
    """Yield the lines that change, without those around them, which can be secrets."""
    before, after = (
        text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        for text in (change.before, change.after)
    )
    name = str(change.path)
    for line in unified_diff(before, after, name, name, lineterm="", n=0):
        yield _SECRET.sub(r"\1...", line)


def _again(folder: Path) -> str:
    """Return the command that installs and enables the plugin once more, after an update."""
    programs = Path(sys.executable).parent
    command = f"{quote(str(programs / 'cowrie-sessionstats'))} enable --dshield --yes"
    if folder.absolute() != DSHIELD:
        command += f" --cowrie {quote(str(folder.absolute()))}"
    steps = f"{quote(str(programs / 'pip'))} install {quote(_source())} && {command}"
    return f"sudo sh -c {quote(f'{steps} && systemctl restart cowrie')}"


def _source() -> str:
    """Return what pip installed this from."""
    try:
        told = distribution("cowrie-sessionstats").read_text("direct_url.json")
    except PackageNotFoundError:
        told = None
    return "cowrie-sessionstats" if told is None else _place(json.loads(told)["url"])


def _place(url: str) -> str:
    return url2pathname(urlsplit(url).path) if url.startswith("file:") else url
