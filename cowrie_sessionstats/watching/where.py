"""What is watched: the log and the store of a Cowrie, or a log alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from attrs import frozen

from cowrie_sessionstats.findings.rules import Rules, default_rules
from cowrie_sessionstats.forwarding.configuration import ConfigurationError, cowrie_in
from cowrie_sessionstats.options import read_options


@frozen
class Watched:
    """Where to look."""

    log: Path
    store: Path | None
    """None: there is none, or nobody knows where."""
    rules: Rules
    """What gave the records their checks and labels."""
    without: str = "there is no store: `store =` in [output_sessionstats] is empty"
    """What to say where there is no store."""


_ALONE: Final = "not known from a log alone: name Cowrie's folder with --cowrie"


def watched(log: Path | None, cowrie: Path, rules: Rules | None = None) -> Watched:
    """Return where to look: at ``log``, or at what the Cowrie in a folder writes.

    ``rules``: those that gave the records their checks and labels, if not the package's or the
    Cowrie's.

    ConfigurationError if its configuration cannot be used, or says that it writes no log.
    """
    if log is not None:
        return Watched(log.absolute(), None, rules or default_rules(), _ALONE)
    with cowrie_in(cowrie, os.environ) as config:
        options = read_options(config, os.environ)
    if not options.log:
        raise ConfigurationError(
            "`log = false` in [output_sessionstats]: there is no log to watch. Set it to true, or "
            "name a log that has the summaries, such as Cowrie's cowrie.json"
        )
    return Watched(options.logfile, options.store, rules or options.rules)
