"""The destinations that an operator names, from their sections in cowrie.cfg."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from configparser import ConfigParser, InterpolationError
from typing import Final

from cowrie_sessionstats.extras import install_command
from cowrie_sessionstats.options import OptionError, destination_section
from cowrie_sessionstats.outputs.sending import Sender

TYPES: Final = ("dshield", "http", "kafka", "syslog")
"""Values of ``type``; the module of that name in this package has ``read``, which makes a sender
of the section's options."""

EXTRAS: Final = {"kafka": "kafka"}
"""The extra that brings what a type needs, where that is not ``forward``."""


def read_destinations(
    config: ConfigParser, names: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Sender]:
    """Return the senders that ``forward`` names, in that order.

    ``config`` is Cowrie's configuration, which ``environment`` overrides. OptionError for the
    first option that cannot be used.
    """
    return {name: _read(config, name, environment) for name in names}


def _read(config: ConfigParser, name: str, environment: Mapping[str, str]) -> Sender:
    section = destination_section(name)
    options = _options(config, section, environment)
    if not options:
        raise OptionError(
            "forward",
            name,
            f"there is no section [{section}]. Add it, with `type = {' | '.join(TYPES)}` and its "
            "options, or take the name out",
        )
    kind = options.pop("type", None)
    if kind not in TYPES:
        raise OptionError(
            "type", kind or "", f"has to be one of {', '.join(TYPES)}. Correct it", section
        )
    try:
        module = importlib.import_module(f"cowrie_sessionstats.outputs.{kind}")
    except ModuleNotFoundError as error:
        raise OptionError(
            "type",
            kind,
            f"needs {error.name}, which is not installed here: "
            f"{install_command(EXTRAS.get(kind, 'forward'))}",
            section,
        ) from None
    sender: Sender = module.read(options, section, environment, config)
    return sender


def _options(config: ConfigParser, section: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return a section's options; from the environment, too, as Cowrie reads its own."""
    options = {}
    if config.has_section(section):
        for name in config.options(section):
            if name in config.defaults():
                continue
            try:
                options[name] = config.get(section, name).strip()
            except InterpolationError:
                # Without the parser's own words: they quote the value, which may be a secret.
                raise OptionError(
                    name,
                    "...",
                    "has a $ that begins no ${section:option} of this file. A $ that is meant "
                    "as one is written $$",
                    section,
                ) from None
    prefix = f"COWRIE_{section}_".upper()
    for variable, value in environment.items():
        if variable.startswith(prefix):
            options[variable.removeprefix(prefix).lower()] = value
    return options
