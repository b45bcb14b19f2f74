"""The options of a DShield destination, and where userid and key are found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser, InterpolationError, RawConfigParser
from configparser import Error as ConfigError
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs.sending import Limits
from cowrie_sessionstats.outputs.settings import Settings

URL: Final = "https://www.dshield.org/submitapi/"
"""Where Cowrie and DShield's own software report to; ``.../devsubmitapi/`` is for trying out."""

LIMITS: Final = Limits(records=100, seconds=60.0)
"""A limit of the service is not documented. DShield's web honeypot sends 100 at once, its sensors'
Cowrie 20, its firewall script up to 100,000 lines; a minute's sessions in one request are kinder
than a request for each."""

KEY_FILES: Final = ("/etc/dshield.ini", "/srv/dshield/etc/dshield.ini", "/etc/dshield/dshield.ini")
"""Where DShield's installation puts its configuration: the second, and the first is a link to it;
its scripts look at the third, too. Section ``DShield``, keys ``userid`` and ``apikey``."""

HOME_KEY_FILES: Final = ("etc/dshield.ini", ".dshield.ini")
"""Where its scripts look below ``$HOME``."""

ACCOUNT_PAGE: Final = "your account's page at isc.sans.edu shows both"

_COWRIES: Final = "output_dshield"
_PLACEHOLDERS: Final = frozenset({"", "userid_here", "auth_key_here"})  # Cowrie's own defaults
_HIDDEN: Final = "..."  # in the place of a key
_USERID: Final = re.compile(r"[1-9][0-9]{0,18}")
_KEY: Final = re.compile(r"[!-~]{1,512}")


@frozen
class Account:
    """Who reports."""

    userid: str
    key: str = field(repr=False)
    source: str
    """Where both come from, for people."""


@frozen
class DShieldOptions:
    """What the operator chose."""

    account: Account
    url: str = URL
    extended: bool = False
    limits: Limits = LIMITS


def read_options(
    options: Mapping[str, str],
    section: str,
    environment: Mapping[str, str],
    config: ConfigParser,
    key_files: Sequence[str] = KEY_FILES,
) -> DShieldOptions:
    """Return the options; ``config`` is Cowrie's whole configuration.

    Userid and key come from the section, else from ``[output_dshield]``, else from the first
    ``dshield.ini`` of a DShield sensor. OptionError for what cannot be used, and if Cowrie's own
    output is on, too.
    """
    settings = Settings(options, section, environment)
    userid = settings.text("userid", default="")
    key = settings.secret("auth_key")
    url = _url(settings)
    extended = settings.flag("dshield_extended", default=False)
    limits = settings.limits(LIMITS)
    settings.finish()
    _check_alone(config, section)
    account = _own(section, userid, key or "") or _cowries(config)
    if account is None:
        home = environment.get("HOME")
        below = [] if not home else [str(Path(home, name)) for name in HOME_KEY_FILES]
        account = _sensors(section, [*key_files, *below])
    return DShieldOptions(account, url, extended, limits)


def _url(settings: Settings) -> str:
    url = settings.text("url", default=URL)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is none
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise OptionError(
            "url", url, f"is no address to report to. The default is {URL}", settings.section
        )
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return url
    raise OptionError(
        "url", url, "has to begin with https://; http:// only goes to loopback", settings.section
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


# ---------------------------------------------------------------- Cowrie's own output


def _check_alone(config: ConfigParser, section: str) -> None:
    """Refuse to report beside Cowrie's own output."""
    for other in _dshields(config):
        enabled = _cowries_value(config, other, "enabled")
        if enabled.lower() in ("1", "yes", "true", "on"):
            raise OptionError(
                "enabled",
                enabled,
                "every session would be reported to DShield twice, by Cowrie's own output and by "
                f"[{section}]. Set this line to false (userid and auth_key may stay), or take "
                f"[{section}] out of `forward` in [output_sessionstats]",
                other,
            )


def _dshields(config: ConfigParser) -> Iterator[str]:
    """Return the sections for which Cowrie loads its output: ``[output_dshield_2]`` is one, too."""
    yield _COWRIES
    for section in config.sections():
        if section.startswith(f"{_COWRIES}_"):
            yield section


def _cowries_value(config: ConfigParser, section: str, name: str) -> str:
    """Return a value as Cowrie reads it, its environment included; empty if there is none."""
    try:
        return config.get(section, name).strip() if config.has_option(section, name) else ""
    except InterpolationError:
        raise OptionError(
            name, _HIDDEN, "has a $ that stands for nothing. Write $$ for one", section
        ) from None


# ---------------------------------------------------------------- the account


def _own(section: str, userid: str, key: str) -> Account | None:
    """Return the account of the destination's own section; None if it names none."""
    return _checked(section, userid, key) if userid or key else None


def _cowries(config: ConfigParser) -> Account | None:
    """Return the account of Cowrie's own output; None if there are only Cowrie's defaults."""
    userid = _cowries_value(config, _COWRIES, "userid")
    key = _cowries_value(config, _COWRIES, "auth_key")
    if userid in _PLACEHOLDERS and key in _PLACEHOLDERS:
        return None
    return _checked(_COWRIES, userid, key)


def _checked(section: str, userid: str, key: str) -> Account:
    """Return an account that can be DShield's."""
    if _USERID.fullmatch(userid) is None:
        raise OptionError("userid", userid, f"has to be a number: {ACCOUNT_PAGE}", section)
    if key in _PLACEHOLDERS or _KEY.fullmatch(key) is None:
        raise OptionError(
            "auth_key", _HIDDEN, f"has to be a word of letters and digits: {ACCOUNT_PAGE}", section
        )
    return Account(userid, key, f"[{section}]")


def _sensors(section: str, paths: Sequence[str]) -> Account:
    """Return the account of a DShield sensor."""
    for path in paths:
        try:
            text = Path(path).read_text("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _missing(
                section,
                f"{path}, which may have it, cannot be read: {error.strerror}. Give userid and "
                "auth_key here, or let Cowrie's user read that file",
            ) from None
        return _sensors_account(section, path, text)
    raise _missing(
        section,
        f"neither [{_COWRIES}] nor a file {paths[0]} has it. Give userid and auth_key here: "
        f"{ACCOUNT_PAGE}",
    )


def _sensors_account(section: str, path: str, text: str) -> Account:
    ini = RawConfigParser(strict=False)
    try:
        ini.read_string(text)
        userid, key = ini.get("DShield", "userid").strip(), ini.get("DShield", "apikey").strip()
    except ConfigError:  # its text may quote the line with the key
        userid = key = ""
    if _USERID.fullmatch(userid) is None or _KEY.fullmatch(key) is None:
        raise _missing(
            section,
            f"userid and apikey in section DShield of {path} cannot be used. Give userid and "
            "auth_key here, or correct them there",
        )
    return Account(userid, key, path)


def _missing(section: str, why: str) -> OptionError:
    return OptionError("userid", "", f"is missing, and {why}", section)
