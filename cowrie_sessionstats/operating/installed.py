"""Checks of what is installed and running: Cowrie, its Python, the plugin there."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from attrs import field, frozen
from attrs.validators import instance_of, optional

from cowrie_sessionstats import __version__
from cowrie_sessionstats.operating.checks import Check, ok, warning, wrong
from cowrie_sessionstats.operating.owners import groups_of
from cowrie_sessionstats.operating.processes import Process
from cowrie_sessionstats.timestamps import ago

PROBE_SECONDS: Final = 60
"""An old Raspberry Pi takes ten to import Cowrie's outputs."""

START_SECONDS: Final = 2.0
"""Cowrie reads its configuration some seconds after its start, which Linux knows to a second."""

SAID_LIMIT: Final = 1 << 20
"""Bytes that are read of an answer, which has some hundred."""

OLDER: Final = ("0.", "1.", "2.")
"""Versions of Cowrie for which the plugin was not made: they do not start from PyPI's packages."""


@frozen
class Told:
    """What the Python of a Cowrie said of itself."""

    python: str = field(validator=instance_of(str))
    is_cowrie: bool = field(validator=instance_of(bool))
    """Whether it can import Cowrie."""
    cowrie: str | None = field(validator=optional(instance_of(str)))
    """Version; None: Cowrie is not installed by pip."""
    plugin: str | None = field(validator=optional(instance_of(str)))
    trouble: str | None = field(validator=optional(instance_of(str)))
    """Why the plugin cannot be imported."""
    write: dict[str, bool] = field(validator=instance_of(dict))
    """Which files its user can write."""


def ask(
    python: Path, folder: Path, write: Sequence[Path], process: Process | None = None
) -> Told | str:
    """Return what a Cowrie's Python says of itself, as Cowrie's user.

    Not as root, where we are root: what Cowrie's user can write, an intruder may have written. For
    the same reason it has neither our terminal, into which it could type, nor our environment.
    A text says why there is no answer.
    """
    asked = {"path": [str(folder / "src")], "write": [str(path) for path in write]}
    probe = files("cowrie_sessionstats.operating").joinpath("_probe.py").read_text("utf-8")
    is_root = os.geteuid() == 0
    uid, groups = _who(python, folder, process)
    try:
        child = subprocess.Popen(  # noqa: S603 - the Python that runs this Cowrie
            [python, "-I", "-c", probe, json.dumps(asked)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_ENVIRONMENT if is_root else None,
            user=uid if is_root else None,
            group=groups[0] if is_root else None,
            extra_groups=groups if is_root else None,
        )
    except OSError as error:
        return f"it cannot be started: {error.strerror}"
    said = _said(child)
    if said is None:
        return f"it did not answer within {PROBE_SECONDS} s"
    lines = said.decode(errors="replace").strip().splitlines()
    answer = next((line for line in reversed(lines) if line.startswith("{")), None)
    try:
        return lines[-1] if answer is None else Told(**json.loads(answer))
    except (ValueError, TypeError, IndexError, RecursionError):
        return "it said nothing"


_ENVIRONMENT: Final = {"PATH": os.defpath, "LANG": "C.UTF-8"}


def _who(python: Path, folder: Path, process: Process | None) -> tuple[int, list[int]]:
    """Return as who, and of which groups, a Cowrie runs.

    As its process does, else as who owns its files; root last.
    """
    told = [] if process is None else [process.uid]
    told += [each.stat().st_uid for each in (folder, *python.parents[:2])]
    uid = next((each for each in told if each != 0), 0)
    return uid, groups_of(uid)


def _said(child: subprocess.Popen[bytes]) -> bytes | None:
    """Return the end of what a program says until it ends; None if that takes too long."""
    said = b""
    until = time.monotonic() + PROBE_SECONDS
    with child:
        out = child.stdout
        try:
            while out is not None and (left := until - time.monotonic()) > 0:
                if select.select([out], [], [], left)[0]:
                    piece = os.read(out.fileno(), SAID_LIMIT)
                    if not piece:
                        return said
                    said = (said + piece)[-SAID_LIMIT:]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    return None


def installed(python: Path | None, told: Told | str, folder: Path) -> list[Check]:
    """Return whether Cowrie is there, and whether it can import the plugin."""
    name, remedy = "cowrie", "name the Python that runs Cowrie with --python"
    if python is None:
        return [
            wrong(
                name,
                "no Cowrie is found: not running, no environment in its folder, none on the PATH",
                f"{remedy}, or install it: pip install cowrie",
            )
        ]
    if isinstance(told, str):
        return [wrong(name, f"{python}: {told}", remedy)]
    if not told.is_cowrie:
        return [wrong(name, f"{python} has no Cowrie", remedy)]
    where = f"{told.cowrie or 'of unknown version'}, Python {told.python} ({python})"
    first = ok(name, where)
    if told.cowrie is not None and told.cowrie.startswith(OLDER):
        first = warning(name, where, "install a newer one: the plugin needs Cowrie 3.0.0 or later")
    return [first, _plugin(python, told, folder)]


def _plugin(python: Path, told: Told, folder: Path) -> Check:
    name, pip = "plugin", python.with_name("pip")
    if told.plugin is None:
        return wrong(
            name,
            "cowrie-sessionstats is not installed in Cowrie's environment",
            f"{pip} install cowrie-sessionstats (or the folder that has it)",
        )
    if told.trouble is not None:
        remedy = f"install it again: {pip} install --force-reinstall --no-deps cowrie-sessionstats"
        if "'cowrie.output.sessionstats'" in told.trouble:
            remedy = f"Cowrie runs from a checkout: cowrie-sessionstats install {folder}"
        return wrong(name, f"Cowrie cannot import it: {told.trouble}", remedy)
    if told.plugin != __version__:
        return warning(
            name,
            f"{told.plugin} in Cowrie's environment, {__version__} here",
            f"use {python.with_name('cowrie-sessionstats')}, or install the same there",
        )
    return ok(name, f"{told.plugin}, Cowrie can import it")


def process(found: Process | None, configuration: Sequence[Path], now: float) -> Check:
    """Return whether Cowrie runs, and with the configuration of now."""
    if found is None:
        return warning(
            "process",
            "no Cowrie runs in this folder, or another user may not see it",
            "cowrie start (on a DShield sensor: sudo systemctl start cowrie)",
        )
    newer = [path for path in configuration if _changed(path) > found.started + START_SECONDS]
    told = f"process {found.pid}, for {ago(now - found.started)}"
    if newer:
        return warning("process", f"{told}; {newer[0]} was changed since", "restart Cowrie")
    return ok("process", told)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone a moment ago
        return 0.0
