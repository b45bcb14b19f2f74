"""The section of the plugin in a Cowrie's configuration: turned on, turned off, taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from cowrie_sessionstats.forwarding.configuration import (
    FILES,
    ConfigurationError,
    cowrie_in,
    is_there,
    text_of,
)
from cowrie_sessionstats.operating import files
from cowrie_sessionstats.operating.editing import (
    EditError,
    section_of,
    sections_in,
    with_options,
    with_sections,
)
from cowrie_sessionstats.operating.moved import previous
from cowrie_sessionstats.operating.owners import as_owner
from cowrie_sessionstats.options import (
    SECTION,
    destination_section,
    is_enabled,
    read_options,
)

ON: Final = {"enabled": "true", "logfile": "${honeypot:log_path}/sessionstats.json"}
"""What a section needs at least."""

DSHIELD: Final = Path("/srv/cowrie")
"""Where the installer of a DShield sensor puts Cowrie."""

DSHIELD_LOGFILE: Final = "${honeypot:log_path}/cowrie.sessionstats.json"
"""A name that the clean-up of such a sensor knows: it deletes ``cowrie.*`` after a week."""

_MARKS: Final = (
    "etc/cowrie.cfg.dist",
    "src/cowrie",
    "cowrie-env",
    "var/log/cowrie",
    "var/lib/cowrie",
)
"""What tells a folder of Cowrie's that has no cowrie.cfg yet."""


@frozen
class Change:
    """What a file of Cowrie's configuration is to become."""

    path: Path
    """With links followed."""
    found: Path
    """Where it was found."""
    top: Path
    """The folder below which Cowrie's user may own what there is."""
    before: str
    after: str


def enabled(
    folder: Path, environment: Mapping[str, str], *, dshield: bool = False
) -> Change | None:
    """Return what turns the plugin on in the Cowrie that runs in ``folder``; None: it is on.

    With ``dshield`` its log gets the name that such a sensor cleans up, and sections of an
    installation that an update moved aside are taken over. ConfigurationError if that cannot be,
    or would be of no use.
    """
    file = _found(folder)
    path, before = file.path, file.before
    try:
        after = with_sections(before, _moved_sections(before, folder) if dshield else ())
        # What stands in the file is the operator's choice, but for being on.
        named = section_of(after, SECTION)
        options = dict(ON) if named is None else {"enabled": "true"}
        if dshield:
            options["logfile"] = DSHIELD_LOGFILE
        after = with_options(after, SECTION, options)
    except EditError as error:
        raise _by_hand(path, error, ON) from None
    return _checked(folder, environment, evolve(file, after=after))


def disabled(folder: Path, environment: Mapping[str, str]) -> Change | None:
    """Return what turns the plugin off; None: it is off. ConfigurationError as ``enabled``."""
    with cowrie_in(folder, environment) as config:
        if not is_enabled(config, SECTION):
            return None
    file = _found(folder)
    off = {"enabled": "false"}
    try:
        change = evolve(file, after=with_options(file.before, SECTION, off))
    except EditError as error:
        raise _by_hand(file.path, error, off) from None
    with cowrie_in(folder, environment, {change.path: change.after}) as config:
        if is_enabled(config, SECTION):
            raise ConfigurationError(
                "the environment turns it on, whatever stands in the file: take "
                f"COWRIE_{SECTION.upper()}_ENABLED out of it"
            )
    return change


def write(change: Change, now: datetime) -> Path | None:
    """Write a change, and return the backup of what was there before; None: there was nothing.

    Both have owner and rights of the file. OSError if that cannot be; the file then is what it was.
    """
    after = BytesIO(change.after.encode())
    with as_owner(change.found, change.top):
        if not change.path.exists():
            files.create(change.path, after, change.path.parent.stat(), 0o644)
            return None
        backup = change.path.with_name(f"{change.path.name}.{now:%Y%m%dT%H%M%SZ}.bak")
        if backup.exists():  # of the same second
            backup = change.path.with_name(f"{change.path.name}.{now:%Y%m%dT%H%M%S.%fZ}.bak")
        files.create(backup, BytesIO(change.before.encode()), change.path.stat())
        files.replace(change.path, after)
        return backup


def _found(folder: Path) -> Change:
    """Return the file to change: the last with the section, else the last, else a new one."""
    here = folder.absolute()
    files = [_content(here / name, here) for name in FILES]
    found = [file for file in files if file is not None]
    for file in reversed(found):
        if section_of(file.before, SECTION) is not None:
            return file
    if found:
        return found[-1]
    if any(Path(here, mark).exists() for mark in _MARKS):
        path = here / FILES[1]
        return Change(path.resolve(), path, here, "", "")
    raise ConfigurationError(
        f"{folder.absolute()} is no folder of Cowrie's: there is no cowrie.cfg in it or its folder "
        "etc. Name the folder in which Cowrie runs with --cowrie"
    )


def _content(path: Path, here: Path) -> Change | None:
    """Return what is in a file, as yet unchanged; None if it is not there."""
    top = here if path.is_relative_to(here) else path.parent
    with as_owner(path, top):
        if not is_there(path):
            return None
        real = path.resolve()
        text = text_of(real, line_ends=True)
    return Change(real, path, top, text, text)


def _by_hand(path: Path, error: EditError, options: Mapping[str, str]) -> ConfigurationError:
    lines = " and ".join(f"`{name} = {value}`" for name, value in options.items())
    return ConfigurationError(
        f"{path} is left as it is, since {error}. Put {lines} into its section [{SECTION}] yourself"
    )


def _checked(folder: Path, environment: Mapping[str, str], change: Change) -> Change | None:
    """Return the change if the plugin will run with it; None if nothing changes."""
    with cowrie_in(folder, environment, {change.path: change.after}) as config:
        read_options(config, environment)
        if not is_enabled(config, SECTION):
            raise ConfigurationError(
                "the environment turns it off, whatever stands in the file: take "
                f"COWRIE_{SECTION.upper()}_ENABLED out of it"
            )
    return None if change.after == change.before else change


# ---------------------------------------------------------------- after an update of a sensor


def _moved_sections(text: str, folder: Path) -> Sequence[str]:
    """Return the plugin's sections of that installation, as far as ``text`` has them not."""
    old = previous(folder)
    if old is None or section_of(text, SECTION) is not None:
        return ()
    before = _found(old).before
    names = [
        name
        for name in sections_in(before)
        if name == SECTION or name.startswith(destination_section(""))
    ]
    have = sections_in(text)
    return [section_of(before, name) or "" for name in names if name not in have]
