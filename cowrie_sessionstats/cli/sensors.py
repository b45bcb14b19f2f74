"""Commands for a Cowrie: see it work, put the plugin into it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import click

_PORT: Final = click.IntRange(1, 65_535)


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--ssh-port", type=_PORT, default=2222, show_default=True)
@click.option("--telnet-port", type=_PORT, default=2223, show_default=True)
def demo(folder: Path | None, ssh_port: int, telnet_port: int) -> None:
    """Run a Cowrie on loopback and show each summary as it is written.

    FOLDER becomes the demo's state folder: a new or empty one, or that of an earlier demo; without
    one, a temporary folder is made, and deleted at the end. Ctrl-C stops both.
    """
    from cowrie_sessionstats.demo import run  # noqa: PLC0415 - only this command needs it
    from cowrie_sessionstats.launch import LaunchError  # noqa: PLC0415

    temporary = folder is None
    where = Path(tempfile.mkdtemp(prefix="cowrie-demo-")) if folder is None else folder.absolute()
    click.echo(f"State folder: {where}" + (" (deleted at the end)" if temporary else ""))
    try:
        run(where, ssh_port, telnet_port, click.echo)
    except LaunchError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"cannot use {where}: {error}. Name another folder") from None
    finally:
        if temporary:
            shutil.rmtree(where, ignore_errors=True)


@click.command()
@click.argument(
    "checkout",
    default=".",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
def install(checkout: Path) -> None:
    """Put the plugin's file into a Cowrie that runs from CHECKOUT (default: this folder).

    A Cowrie installed by pip has it already when cowrie-sessionstats is in the same environment.
    """
    from cowrie_sessionstats.install import InstallError  # noqa: PLC0415 - only this needs it
    from cowrie_sessionstats.install import install as put  # noqa: PLC0415

    try:
        click.echo(put(checkout))
    except InstallError as error:
        raise click.ClickException(str(error)) from None
