"""Commands for the destinations that are promised every record."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cowrie_sessionstats.cli._options import IN_COWRIE
from cowrie_sessionstats.extras import install_command


@click.command()
@click.option("--to", "names", multiple=True, metavar="NAME", help="Only this destination.")
@click.option("--retry", is_flag=True, help="Have records that were refused sent once more.")
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the records that were refused to this file, as lines of JSON, with the reason.",
)
@click.option("--drop", is_flag=True, help="Delete the records that were refused.")
@IN_COWRIE
def outbox(
    names: tuple[str, ...], *, retry: bool, export: Path | None, drop: bool, cowrie: Path
) -> None:
    """Show what waits for each destination, since when, at which rate it goes and what is wrong.

    The options act on records that a destination refused and that were set aside; --export and
    --drop together write and then delete them.
    """
    from cowrie_sessionstats.forwarding import outbox_command  # noqa: PLC0415 - only this needs it

    if retry and drop:
        raise click.UsageError("--retry and --drop exclude each other")
    outbox_command.run(outbox_command.Request(cowrie, names, retry, export, drop))


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--to", "name", required=True, metavar="NAME", help="The destination.")
@IN_COWRIE
def forward(paths: tuple[str, ...], *, name: str, cowrie: Path) -> None:
    """Send old summaries to the destination NAME, which has a section [sessionstats_NAME].

    Each PATH is a file, a folder or a glob of summaries as lines of JSON, plain or compressed: the
    plugin's own log, or what `summarize -o x.jsonl` writes. All of them are sent, also those that
    the destination has already. A receiver that is away is waited for; Ctrl-C ends it.

    The exit status is 0 if every record was delivered, 1 if not.
    """
    try:
        from cowrie_sessionstats.forwarding import forward_command  # noqa: PLC0415 - only this
    except ImportError as error:
        raise click.ClickException(
            f"{error}. Install it with: {install_command('forward')}"
        ) from None
    sys.exit(forward_command.run(forward_command.Request(paths, name, cowrie)))
