"""``cowrie-sessionstats doctor``: is everything as it should be, and what to do if not."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import click
from attrs import asdict, define, field

from cowrie_sessionstats.forwarding.configuration import FILES, ConfigurationError, cowrie_in
from cowrie_sessionstats.operating import installed, kept, machine
from cowrie_sessionstats.operating.checks import Check, ok, warning, wrong
from cowrie_sessionstats.operating.processes import python_of, running
from cowrie_sessionstats.options import (
    SECTION,
    OptionError,
    Options,
    cowrie_log,
    is_enabled,
    read_options,
)
from cowrie_sessionstats.outputs.destinations import read_destinations
from cowrie_sessionstats.summary import printable

_COLOURS: Final = {"ok": "green", "warning": "yellow", "error": "red"}
_SHOWN: Final = 1000  # characters of a line


def doctor(folder: Path, python: Path | None, *, as_json: bool) -> int:
    """Look at everything and show it; return the exit status."""
    checks = list(_examine(folder.absolute(), python, time.time()))
    sound = not any(check.state == "error" for check in checks)
    if as_json:
        told = {"cowrie": str(folder.absolute()), "ok": sound, "checks": [*map(asdict, checks)]}
        click.echo(json.dumps(told, indent=2))
    else:
        _show(checks)
    return 0 if sound else 1


def _show(checks: Sequence[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        state = click.style(f"{check.state:8}", fg=_COLOURS[check.state])
        click.echo(f"{state} {check.name:{width}}  {printable(check.message, _SHOWN)}")
        if check.remedy:
            click.echo(f"{'':8} {'':{width}}  -> {printable(check.remedy, _SHOWN)}")


@define
class _Configured:
    """What the configuration says."""

    checks: list[Check] = field(factory=list)
    options: Options | None = None
    cowries: Path | None = None
    """Cowrie's log of JSON lines."""


def _examine(folder: Path, python: Path | None, now: float) -> Iterator[Check]:
    process = running(folder)
    python = python or python_of(folder, process)
    configured = _configuration(folder, python)
    options = configured.options
    written = [] if options is None else _written(options)
    told = "" if python is None else installed.ask(python, folder, written, process)
    yield from installed.installed(python, told, folder)
    files = [path for name in FILES if (path := Path(folder, name)).is_file()]
    yield installed.process(process, files, now)
    yield from configured.checks
    if options is not None:
        can = {} if isinstance(told, str) else told.write
        yield kept.log(
            options,
            configured.cowries,
            process,
            now,
            can_write=can.get(str(options.logfile)),
        )
        yield from kept.store(options, process, now)
        if options.metrics_file is not None:
            yield kept.metrics(options.metrics_file, process, now)
    yield machine.clock()
    yield from machine.disk(written or [folder / "any"])


def _written(options: Options) -> list[Path]:
    """Return the files that the plugin writes."""
    paths = (options.logfile if options.log else None, options.store, options.metrics_file)
    return [path for path in paths if path is not None]


def _configuration(folder: Path, python: Path | None) -> _Configured:
    """Return what the configuration says, and whether it can be used."""
    found = _Configured()
    try:
        with cowrie_in(folder, os.environ) as config:
            found.checks.append(_section(config))
            found.cowries = cowrie_log(config)
            found.checks += _options(config, python, found)
    except ConfigurationError as error:
        found.checks.append(
            wrong("options", printable(str(error), _SHOWN), "correct it, then restart Cowrie")
        )
    return found


def _section(config: ConfigParser) -> Check:
    if not config.has_section(SECTION):
        return wrong("section", f"cowrie.cfg has no [{SECTION}]", "cowrie-sessionstats enable")
    if not is_enabled(config, SECTION):
        return wrong("section", f"[{SECTION}] is not on", "cowrie-sessionstats enable")
    return ok("section", f"[{SECTION}] is on")


def _options(config: ConfigParser, python: Path | None, found: _Configured) -> Iterator[Check]:
    found.options = options = read_options(config, os.environ)
    names = ", ".join(options.forward)
    try:
        read_destinations(config, options.forward, os.environ)
    except OptionError as error:
        is_here = python is None or python.parent == Path(sys.executable).parent
        if is_here or "not installed here" not in str(error):
            raise
        yield warning(
            "options",
            f"{names}: cannot be checked by this Python",
            f"use {python.with_name('cowrie-sessionstats')}" if python else "",
        )
        return
    yield ok("options", f"valid; forward = {names}" if names else "valid")
    if options.store is not None and found.cowries is None:
        yield warning(
            "jsonlog",
            "[output_jsonlog] is off: of sessions that are open when Cowrie is killed, only what "
            "the last checkpoint has is kept",
            "enable it",
        )
