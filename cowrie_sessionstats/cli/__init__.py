"""The command line; a module for each kind of command."""

from __future__ import annotations

from typing import Final

import click

from cowrie_sessionstats import __version__
from cowrie_sessionstats.cli import (
    destinations,
    honeypots,
    records,
    reports,
    sensors,
    templates,
    watching,
)

_COMMANDS: Final = (
    *(sensors.demo, sensors.install, sensors.enable, sensors.disable),
    sensors.doctor,
    *(records.summarize, records.learn, records.schema),
    *(reports.report, reports.sql, reports.show, reports.similar, reports.load),
    *(destinations.outbox, destinations.forward),
    *(watching.tail, watching.top),
    honeypots.compare,
    templates.fingerprint,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cowrie-sessionstats")
def main() -> None:
    """One enriched summary of every Cowrie honeypot session."""


for _command in _COMMANDS:
    main.add_command(_command)
