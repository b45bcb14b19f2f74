"""The options of [output_sessionstats] in cowrie.cfg, read and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from configparser import ConfigParser, InterpolationError
from pathlib import Path
from typing import Final

from attrs import field, fields, frozen

from cowrie_sessionstats.commands import (
    Vocabulary,
    VocabularyError,
    default_vocabulary,
    read_vocabulary,
)
from cowrie_sessionstats.findings.ending import Timeouts
from cowrie_sessionstats.findings.rules import RuleError, Rules, default_rules, read_rules
from cowrie_sessionstats.sessions import MAX_SESSIONS
from cowrie_sessionstats.store import OUTBOX_MAX
from cowrie_sessionstats.summary import printable

SECTION: Final = "output_sessionstats"
MOST_SESSIONS: Final = 1_000_000
"""Largest ``max_sessions``: 4 GB of counters, far beyond what one Cowrie process can hold open."""

_DEFAULT_LOGFILE: Final = "sessionstats.json"
_SHOWN: Final = 80  # characters of a bad value in the message


class OptionError(ValueError):
    """An option that cannot be used; its text names the option, the value and the remedy."""

    def __init__(self, name: str, value: str, trouble: str, section: str = SECTION) -> None:
        shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
        where = f"[{printable(section, _SHOWN)}] {printable(name, _SHOWN)}"
        super().__init__(f"{where} = {shown!r}: {trouble}")


@frozen
class Options:
    """What the operator chose."""

    logfile: Path
    """Where the records go as JSON lines; absolute."""
    daily: bool
    """Whether that file is rotated each day, as ``[honeypot] logtype = rotating`` says."""
    log: bool = True
    pipeline: bool = True
    max_sessions: int = MAX_SESSIONS
    keep_passwords: bool = True
    vocabulary: Vocabulary = field(factory=default_vocabulary)
    """What is known of command lines, with what the operator adds."""
    store: Path | None = None
    """The file of what outlives the process; absolute. None: nothing does."""
    outbox_max: int = OUTBOX_MAX
    """Bytes of it."""
    rules: Rules = field(factory=default_rules)
    """Of checks and labels, with what the operator adds."""
    timeouts: Timeouts = field(factory=Timeouts)
    """Cowrie's own."""
    ttylogs: Path | None = None
    """Where Cowrie keeps its recordings of terminals; absolute. None: it makes none."""
    forward: tuple[str, ...] = ()
    """Destinations; each has a section of its own (``destination_section``)."""
    metrics_file: Path | None = None
    """Where figures for Prometheus go; absolute. None: nowhere."""
    metrics_endpoint: bool = False
    """Whether Cowrie's own endpoint for Prometheus has them, too."""


KNOWN: Final = (
    *("enabled", "log", "logfile", "pipeline", "max_sessions", "passwords", "vocabulary", "rules"),
    *("store", "outbox_max", "forward", "metrics_file", "metrics_endpoint"),
)


def destination_section(name: str) -> str:
    """Return the section with a destination's options.

    Not ``output_sessionstats_...``: Cowrie would load the plugin a second time for it.
    """
    return f"sessionstats_{name}"


def read_options(config: ConfigParser, environment: Mapping[str, str]) -> Options:
    """Return the options in ``config``, Cowrie's configuration, which ``environment`` overrides.

    Raises OptionError for the first one that is unknown or has a bad value.
    """
    _check_names(config, environment)
    _check_sections(config)
    options = Options(
        logfile=_path(config),
        daily=_value(config, "logtype", "honeypot") == "rotating",
        log=_choice(config, "log", _BOOLEANS, default=True),
        pipeline=_choice(config, "pipeline", _BOOLEANS, default=True),
        max_sessions=_number(config, "max_sessions", MAX_SESSIONS),
        keep_passwords=_choice(config, "passwords", {"keep": True, "drop": False}, default=True),
        vocabulary=_vocabulary(config),
        rules=_rules(config),
        timeouts=_timeouts(config),
        ttylogs=_ttylogs(config),
        store=_store(config),
        outbox_max=_size(config, "outbox_max", OUTBOX_MAX),
        forward=_forward(config),
        metrics_file=_metrics_file(config),
        metrics_endpoint=_metrics_endpoint(config),
    )
    if options.forward and options.store is None:
        raise OptionError(
            "forward",
            ", ".join(options.forward),
            "needs the store, in which records wait until they are delivered. Remove the line "
            "`store =`, or name a file there",
        )
    _check_own(config, options.logfile)
    return options


def _check_names(config: ConfigParser, environment: Mapping[str, str]) -> None:
    """Refuse an option that does not exist, in the file or as Cowrie's environment variable."""
    given = config.options(SECTION) if config.has_section(SECTION) else []
    given += [
        variable.removeprefix(_VARIABLE).lower()
        for variable in environment
        if variable.startswith(_VARIABLE)
    ]
    for name in given:
        if name not in KNOWN and name not in config.defaults():
            raise OptionError(
                name,
                "...",  # it may be a secret that belongs into a destination's section
                f"there is no such option; the options are {', '.join(KNOWN)}. "
                "Correct the name or remove the line",
            )


def _check_sections(config: ConfigParser) -> None:
    """Refuse a section for which Cowrie would load the plugin a second time."""
    for section in config.sections():
        if section.startswith(f"{SECTION}_") and is_enabled(config, section):
            raise OptionError(
                "enabled",
                config.get(section, "enabled", raw=True),
                "Cowrie loads the plugin once for each such section, and every session would "
                f"have two records. Remove it; [{SECTION}] is enough",
                section,
            )


def is_enabled(config: ConfigParser, section: str) -> bool:
    """Return whether Cowrie loads the output of a section."""
    return _BOOLEANS.get((_value(config, "enabled", section) or "").lower(), False)


def _check_own(config: ConfigParser, logfile: Path) -> None:
    """Refuse a log that Cowrie or another of its outputs writes, too."""
    taken = {"[honeypot] log_path": _folder(config) / "cowrie.log"}
    for section in config.sections():
        if section.startswith("output_") and section != SECTION and is_enabled(config, section):
            other = _value(config, "logfile", section)
            if other:
                taken[f"[{section}] logfile"] = Path(other)
    for writer, path in taken.items():
        if os.path.abspath(path) == os.path.abspath(logfile):  # noqa: PTH100 - takes out ".."
            raise OptionError(
                "logfile", str(logfile), f"is written by Cowrie already ({writer}). Name another"
            )


_VARIABLE: Final = f"COWRIE_{SECTION}_".upper()
_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _value(config: ConfigParser, name: str, section: str = SECTION) -> str | None:
    if not config.has_option(section, name):
        return None
    try:
        return config.get(section, name).strip()
    except InterpolationError as error:
        raise OptionError(
            name,
            config.get(section, name, raw=True),
            f"{error.message.splitlines()[0]}. Correct the part in ${{...}}",
            section,
        ) from None


def _choice(config: ConfigParser, name: str, choices: Mapping[str, bool], *, default: bool) -> bool:
    value = _value(config, name)
    if value is None:
        return default
    if value.lower() not in choices:
        words = "true or false" if choices is _BOOLEANS else " or ".join(choices)
        raise OptionError(name, value, f"has to be {words}. Correct it or remove the line")
    return choices[value.lower()]


def _number(config: ConfigParser, name: str, default: int) -> int:
    value = _value(config, name)
    if value is None:
        return default
    # The length is looked at first: int() refuses thousands of digits with an error of its own.
    if value.isascii() and value.isdecimal() and len(value) <= len(str(MOST_SESSIONS)):
        number = int(value)
        if 1 <= number <= MOST_SESSIONS:
            return number
    raise OptionError(
        name, value, f"has to be a whole number from 1 to {MOST_SESSIONS}. The default is {default}"
    )


def _vocabulary(config: ConfigParser) -> Vocabulary:
    value = _value(config, "vocabulary")
    if not value:
        return default_vocabulary()
    if "\0" in value:
        raise OptionError("vocabulary", value, "names no file. Correct it or remove the line")
    try:
        return read_vocabulary(value)
    except VocabularyError as error:
        raise OptionError("vocabulary", value, f"{error}. Correct it or remove the line") from None


def _rules(config: ConfigParser) -> Rules:
    value = _value(config, "rules")
    if not value:
        return default_rules()
    if "\0" in value:
        raise OptionError("rules", value, "names no file. Correct it or remove the line")
    try:
        return read_rules(Path(value))
    except RuleError as error:
        raise OptionError("rules", value, f"{error}. Correct it or remove the line") from None


def cowrie_log(config: ConfigParser) -> Path | None:
    """Return Cowrie's JSON log, from which sessions can be found again; None if it writes none."""
    section = "output_jsonlog"
    if not is_enabled(config, section):
        return None
    return Path(_value(config, "logfile", section) or "cowrie.json").absolute()


def _timeouts(config: ConfigParser) -> Timeouts:
    """Return Cowrie's timeouts; one that is no number is Cowrie's to complain about."""
    known = {
        field.name: _seconds(_value(config, f"{field.name}_timeout", "honeypot"))
        for field in fields(Timeouts)
    }
    return Timeouts(**{name: value for name, value in known.items() if value is not None})


def _seconds(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _ttylogs(config: ConfigParser) -> Path | None:
    enabled = (_value(config, "ttylog", "honeypot") or "").lower()
    if not _BOOLEANS.get(enabled, False):
        return None
    return Path(_value(config, "ttylog_path", "honeypot") or ".").absolute()


def _store(config: ConfigParser) -> Path | None:
    value = _value(config, "store")
    if value is None:
        return Path(_value(config, "state_path", "honeypot") or ".", _DEFAULT_STORE).absolute()
    if "\0" in value:
        raise OptionError("store", value, "names no file. Correct it or remove the line")
    return Path(value).absolute() if value else None


def _metrics_file(config: ConfigParser) -> Path | None:
    value = _value(config, "metrics_file")
    if not value:
        return None
    if "\0" in value or not value.endswith(_METRICS_ENDING):
        raise OptionError(
            "metrics_file",
            value,
            f"has to end in {_METRICS_ENDING}: the node exporter reads no other. Correct it",
        )
    return Path(value).absolute()


def _metrics_endpoint(config: ConfigParser) -> bool:
    wanted = _choice(config, "metrics_endpoint", _BOOLEANS, default=False)
    if wanted and not is_enabled(config, _PROMETHEUS):
        raise OptionError(
            "metrics_endpoint",
            "true",
            f"needs Cowrie's own endpoint: enable [{_PROMETHEUS}], or name a metrics_file instead",
        )
    return wanted


def _size(config: ConfigParser, name: str, default: int) -> int:
    value = _value(config, name)
    if value is None:
        return default
    match = _SIZE.fullmatch(value)
    if match is not None:
        size = int(match[1]) << _SHIFTS[match[2].upper()]
        if LEAST_OUTBOX <= size <= MOST_OUTBOX:
            return size
    raise OptionError(
        name,
        value,
        "has to be a size from 1 MiB to 1024 GiB, such as 256 MiB. Correct it or remove the line",
    )


def _forward(config: ConfigParser) -> tuple[str, ...]:
    value = _value(config, "forward") or ""
    names = tuple(part.strip() for part in value.split(",") if part.strip())
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise OptionError(
                "forward",
                value,
                f"{name!r:.40} cannot be a destination's name: letters, digits and - only, and "
                "commas between names",
            )
        if names.count(name) > 1:
            raise OptionError("forward", value, f"{name} stands there twice. Remove one")
    return names


LEAST_OUTBOX: Final = 1 << 20
MOST_OUTBOX: Final = 1 << 40
"""Bytes of ``outbox_max``: below, not even a busy hour fits; above, the number is a mistake."""
_SIZE: Final = re.compile(r"([0-9]{1,13}) ?(|[KMG]i?B?|B)", re.IGNORECASE)
_SHIFTS: Final = {"": 0, "B": 0} | {
    unit + end: shift
    for unit, shift in (("K", 10), ("M", 20), ("G", 30))
    for end in ("", "B", "IB", "I")
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_DEFAULT_STORE: Final = "sessionstats.sqlite"
_METRICS_ENDING: Final = ".prom"
_PROMETHEUS: Final = "output_prometheus"


def _folder(config: ConfigParser) -> Path:
    return Path(_value(config, "log_path", "honeypot") or ".")


def _path(config: ConfigParser) -> Path:
    value = _value(config, "logfile")
    if value is None:
        return (_folder(config) / _DEFAULT_LOGFILE).absolute()
    if not value or "\0" in value:
        raise OptionError("logfile", value, "names no file. Correct it or remove the line")
    return Path(value).absolute()
