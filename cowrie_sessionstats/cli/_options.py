"""What several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

JOBS: Final = click.IntRange(1, 256)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Return what adds several options to a command."""

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


IN_COWRIE: Final = click.option(
    "--cowrie",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    help="The folder in which Cowrie runs, with its cowrie.cfg. [default: this one]",
)


def timeout(
    name: Literal["idle", "authentication", "interactive"], what: str
) -> Callable[[_Command], _Command]:
    """Return the option for one of Cowrie's timeouts."""
    from cowrie_sessionstats.findings.ending import Timeouts  # noqa: PLC0415 - slow to load

    return click.option(
        f"--{name}-timeout",
        type=click.FloatRange(min=0),
        default=getattr(Timeouts(), name),
        show_default=True,
        metavar="SECONDS",
        help=f"Cowrie's {name}_timeout when the logs were written: {what}.",
    )


RULES: Final = click.option(
    "--rules",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Add rules of your own for checks and labels, as the option of that name in cowrie.cfg.",
)


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
