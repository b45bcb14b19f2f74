"""Cowrie's configuration, read as Cowrie reads it, but without Cowrie."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from configparser import ConfigParser, ExtendedInterpolation
from configparser import Error as ConfigError
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from cowrie_sessionstats import regular
from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.summary import printable

FILES: Final = ("/etc/cowrie/cowrie.cfg", "etc/cowrie.cfg", "cowrie.cfg")
"""Where Cowrie looks, seen from its folder; the last one wins."""

DEFAULTS: Final = ("etc/cowrie.cfg.dist", "src/cowrie/data/etc/cowrie.cfg.dist")
"""Where a checkout of Cowrie has its defaults; that of pip has them in the package."""

FILE_LIMIT: Final = 4 << 20
"""Bytes of one of these: Cowrie's own has 45,000."""

_NEEDED: Final = {"honeypot": {"log_path": "var/log/cowrie", "state_path": "var/lib/cowrie"}}
"""Those of Cowrie's defaults that our own refer to, where none are found."""


_SAID: Final = 2000  # characters of what is wrong


class ConfigurationError(Exception):
    """The configuration cannot be used; the text says why and what to do.

    It can be shown: names in the configuration may be those that an intruder chose.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable(text, _SAID))


class _Config(ConfigParser):
    """Takes COWRIE_SECTION_OPTION from the environment first, as Cowrie documents."""

    environment: Mapping[str, str] = {}

    def has_option(self, section: str, option: str) -> bool:
        return _variable(section, option) in self.environment or super().has_option(section, option)

    def get(self, section: str, option: str, **options: Any) -> str:  # type: ignore[override]
        given = self.environment.get(_variable(section, option))
        value: str = super().get(section, option, **options) if given is None else given
        return value


def _variable(section: str, option: str) -> str:
    return f"COWRIE_{section}_{option}".upper()


@contextmanager
def cowrie_in(
    folder: Path, environment: Mapping[str, str], instead: Mapping[Path, str] | None = None
) -> Iterator[ConfigParser]:
    """Give the configuration of the Cowrie that runs in ``folder``, and be there.

    Names of files in it are seen from there. ``instead`` has texts in place of what is in some
    files. ConfigurationError if there is none or it cannot be read, and for an option that cannot
    be used.
    """
    before = Path.cwd()
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}. Name Cowrie's folder") from None
    try:
        yield _read(folder, environment, instead or {})
    except OptionError as error:
        raise ConfigurationError(str(error)) from None
    finally:
        os.chdir(before)


def _read(
    folder: Path, environment: Mapping[str, str], instead: Mapping[Path, str]
) -> ConfigParser:
    """Return the configuration; in the folder."""
    files = [path for path in FILES if is_there(Path(path)) or Path(path).resolve() in instead]
    if not files and not any(name.startswith("COWRIE_") for name in environment):
        raise ConfigurationError(
            f"there is no cowrie.cfg in {folder.absolute()} or its folder etc. Name the folder in "
            "which Cowrie runs with --cowrie"
        )
    config = _Config(interpolation=ExtendedInterpolation())
    config.environment = environment
    config.read_dict(_NEEDED)
    for path in (*_defaults(), *files):
        _add(config, path, instead.get(Path(path).resolve()))
    return config


def is_there(path: Path) -> bool:
    """Return whether there is a file, as far as we may look; reading it then says why not."""
    try:
        path.stat()
    except OSError as error:
        return error.errno not in {errno.ENOENT, errno.ENOTDIR}
    return True


def _add(config: ConfigParser, path: str, text: str | None) -> None:
    """Read one file, or a text in its place; its options stand over those before."""
    try:
        config.read_string(text_of(Path(path)) if text is None else text, path)
    except ConfigError as error:  # its text may quote a line with a secret: only the kind
        raise ConfigurationError(
            f"{path} cannot be used ({type(error).__name__}{_line(error)}). Correct it"
        ) from None


def text_of(path: Path, *, line_ends: bool = False) -> str:
    """Return what is in a file of Cowrie's configuration, its own line ends kept or not.

    ConfigurationError if it cannot be read.
    """
    try:
        text = regular.content(path, FILE_LIMIT).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not in UTF-8"
        raise ConfigurationError(
            f"{path} cannot be read: {why}. Run this as Cowrie's user"
        ) from None
    return text if line_ends else text.replace("\r\n", "\n").replace("\r", "\n")


def _line(error: ConfigError) -> str:
    number = getattr(error, "lineno", None)
    return "" if number is None else f", line {printable(str(number), 9)}"


def _defaults() -> list[str]:
    """Return the files with Cowrie's defaults; Cowrie itself is not imported."""
    spec = find_spec("cowrie")
    packages = () if spec is None else spec.submodule_search_locations or ()
    places = [*DEFAULTS, *(str(Path(each, "data/etc/cowrie.cfg.dist")) for each in packages)]
    return [place for place in places if is_there(Path(place))]
