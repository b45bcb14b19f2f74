"""Commands for a Cowrie: see it work, put the plugin into it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from cowrie_sessionstats.cli._options import IN_COWRIE, options

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


_EDITS: Final = (
    click.option(
        "--cowrie",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="The folder in which Cowrie runs. [default: this one; with --dshield /srv/cowrie]",
    ),
    click.option(
        "--dshield", is_flag=True, help="It is a DShield sensor (the SANS Internet Storm Center's)."
    ),
    click.option("--yes", is_flag=True, help="Change the file without a question."),
)


@click.command()
@options(*_EDITS)
def enable(cowrie: Path | None, *, dshield: bool, yes: bool) -> None:
    """Turn the plugin on in Cowrie's configuration.

    Shows the lines of cowrie.cfg that change, asks, and keeps a backup beside it; everything else
    in it stays as it is. Cowrie has to be restarted then.

    With --dshield the log gets a name that the sensor's own clean-up removes after a week, and
    what an update moved aside (/srv/cowrie.DATE) is taken over: options, destinations, store.

    The exit status is 0 if the plugin is on, 1 if not.
    """
    from cowrie_sessionstats.operating import enable_command  # noqa: PLC0415 - only this needs it

    sys.exit(enable_command.enable(enable_command.Request(cowrie, dshield, yes)))


@click.command()
@options(*_EDITS)
def disable(cowrie: Path | None, *, dshield: bool, yes: bool) -> None:
    """Turn the plugin off in Cowrie's configuration; its options stay.

    Shows what changes, asks, and keeps a backup, as `enable`.

    The exit status is 0 if the plugin is off, 1 if not.
    """
    from cowrie_sessionstats.operating import enable_command  # noqa: PLC0415 - only this needs it

    sys.exit(enable_command.disable(enable_command.Request(cowrie, dshield, yes)))


@click.command()
@IN_COWRIE
@click.option(
    "--python",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The Python that runs Cowrie. [default: that of the running one, else of its environment]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(cowrie: Path, *, python: Path | None, as_json: bool) -> None:
    """Look whether everything works: a line for each thing, and what to do where it does not.

    Cowrie and its version, whether it can import the plugin, the section in cowrie.cfg and its
    options, the log and its last record, the store, what waits for each destination, the clock and
    the disk. Run it as Cowrie's user or as root.

    The exit status is 0 if nothing is wrong (warnings are told), 1 if something is.
    """
    from cowrie_sessionstats.operating import doctor_command  # noqa: PLC0415 - only this needs it

    sys.exit(doctor_command.doctor(cowrie, python, as_json=as_json))
