"""The command ``compare``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from cowrie_sessionstats.cli._options import RULES, processors
from cowrie_sessionstats.extras import install_command


@click.command()
@click.argument("sessions", nargs=-1, metavar="[PATH]...")
@click.option("--honeypot", required=True, metavar="HOST:PORT", help="Your own Cowrie's SSH.")
@click.option(
    "--reference",
    default="debian12",
    show_default=True,
    metavar="REFERENCE",
    help="debian12, debian13 or busybox (recorded), local (this machine), "
    "ssh://[USER@]HOST[:PORT], or a recording.",
)
@click.option(
    "--user",
    default="root",
    show_default=True,
    envvar="HONEYPOT_USER",
    show_envvar=True,
    help="Whom the honeypot lets in.",
)
@click.option(
    "--password-file",
    type=click.File("r", "utf-8"),
    envvar="HONEYPOT_PASSWORD_FILE",
    show_envvar=True,
    help="With which password, on its first line. [default: one that Cowrie takes from root]",
)
@click.option(
    "--top", type=click.IntRange(0, 1000), default=30, show_default=True, help="Last commands."
)
@RULES
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page that opens from the disk, without network.",
)
def compare(  # noqa: PLR0913 - one for each option
    sessions: tuple[str, ...],
    *,
    honeypot: str,
    reference: str,
    user: str,
    password_file: TextIO | None,
    top: int,
    rules: Path | None,
    as_json: bool,
    html: Path | None,
) -> None:
    """Show where your honeypot answers other than a real machine.

    Runs the honeypot checks that only read, and your sensor's commonest last commands that do (out
    of the summaries or logs in PATHs), on your Cowrie and on a reference, and shows both answers,
    those first on which most sessions ended. On a reference only what is known to be harmless is
    ever run. The honeypot's own log will have these sessions; the client calls itself
    cowrie-sessionstats-compare.
    """
    try:
        from cowrie_sessionstats.compare import command  # noqa: PLC0415 - slow to load
    except ImportError as error:
        raise click.ClickException(
            f"{error}. This command needs more packages. "
            f"Install them with: {install_command('compare')}"
        ) from None
    from cowrie_sessionstats.findings.rules import (  # noqa: PLC0415
        RuleError,
        default_rules,
        read_rules,
    )

    if html is not None and not html.resolve().parent.is_dir():
        raise click.BadParameter(
            f"there is no folder {html.parent}. Make it, or name another", param_hint="--html"
        )
    try:
        known = default_rules() if rules is None else read_rules(rules)
    except RuleError as error:
        raise click.BadParameter(str(error), param_hint="--rules") from None
    password = "admin" if password_file is None else password_file.readline().rstrip("\r\n")
    request = command.Request(
        honeypot, reference, user, password, sessions, known, processors(), as_json, html, top
    )
    sys.exit(command.compare(request))
