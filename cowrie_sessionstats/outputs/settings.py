"""The options of one destination, read one by one and checked."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from cowrie_sessionstats.options import OptionError
from cowrie_sessionstats.outputs.sending import Limits

MOST_RECORDS: Final = 10_000
"""Largest ``batch_records``: a batch is in memory a few times over while it is sent."""

MOST_BYTES: Final = 64 << 20
"""Largest ``batch_bytes``, for the same reason."""

MOST_SECONDS: Final = 3600.0
"""Largest ``batch_seconds``: later, records are no news."""

SECRET_LIMIT: Final = 64 << 10
"""Bytes of a file with a secret: more is another file."""

_HIDDEN: Final = "..."  # in the place of what may be a secret
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")


def is_host(text: str) -> bool:
    """Return whether a text is an address, or can be a name of a host."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(text)
        return True
    try:
        name = text.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    return _HOST.fullmatch(name) is not None


@define(eq=False)
class Settings:
    """The options of ``section`` without ``type``; each is asked for once, then ``finish``."""

    options: Mapping[str, str] = field(repr=False)
    section: str
    environment: Mapping[str, str] = field(repr=False)
    _known: list[str] = field(factory=list, init=False)

    def text(self, name: str, default: str = "") -> str:
        """Return a text; an empty one is as good as none."""
        return self._given(name) or default

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of ``choices``."""
        value = self._given(name)
        if value is None:
            return default
        if value.lower() not in choices:
            raise self.error(name, value, f"has to be {' or '.join(choices)}. Correct it")
        return value.lower()

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number."""
        value = self._given(name)
        if value is None:
            return default
        # The length is looked at first: int() refuses thousands of digits with an error of its own.
        if value.isascii() and value.isdecimal() and len(value) <= len(str(high)):
            number = int(value)
            if low <= number <= high:
                return number
        raise self.error(
            name, value, f"has to be a whole number from {low} to {high}. The default is {default}"
        )

    def flag(self, name: str, *, default: bool) -> bool:
        """Return whether something is on."""
        value = self._given(name)
        if value is None:
            return default
        if value.lower() not in _BOOLEANS:
            raise self.error(name, value, "has to be true or false. Correct it or remove the line")
        return _BOOLEANS[value.lower()]

    def path(self, name: str) -> Path | None:
        """Return a file that is there and can be read."""
        value = self._given(name)
        if value is None:
            return None
        try:
            with Path(value).open("rb") as file:
                file.read(1)
        except (OSError, ValueError) as error:
            raise self.error(name, value, f"cannot be read: {_why(error)}. Correct it") from None
        return Path(value)

    def secret(self, name: str) -> str | None:
        """Return a secret: from ``name``, the file ``name_file`` or the variable ``name_env``."""
        names = (name, f"{name}_file", f"{name}_env")
        given = {each: self._given(each) for each in names}
        chosen = [each for each in names if given[each] is not None]
        if not chosen:
            return None
        if len(chosen) > 1:
            raise self.error(chosen[1], _HIDDEN, f"stands beside {chosen[0]}. Remove one of them")
        value = given[chosen[0]] or ""
        if chosen == [names[1]]:
            value = self._content(names[1], value)
        elif chosen == [names[2]]:
            value = self._variable(names[2], value)
        if not value:
            raise self.error(chosen[0], _HIDDEN, "is empty. Correct it or remove the line")
        return value

    def limits(self, defaults: Limits) -> Limits:
        """Return how large batches may be."""
        return Limits(
            self.number("batch_records", defaults.records, 1, MOST_RECORDS),
            self.number("batch_bytes", defaults.size, 1, MOST_BYTES),
            self._seconds("batch_seconds", defaults.seconds),
        )

    def finish(self) -> None:
        """Refuse names that nobody asked for."""
        for name in self.options:
            if name not in self._known:
                raise self.error(
                    name,
                    _HIDDEN,
                    f"there is no such option; the options are {', '.join(self._known)}. "
                    "Correct the name or remove the line",
                )

    def error(self, name: str, value: str, trouble: str) -> OptionError:
        """Return the error for an option of this section."""
        return OptionError(name, value, trouble, self.section)

    def _given(self, name: str) -> str | None:
        if name not in self._known:
            self._known.append(name)
        return self.options.get(name, "").strip() or None

    def _seconds(self, name: str, default: float) -> float:
        value = self._given(name)
        if value is None:
            return default
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= MOST_SECONDS:
            raise self.error(
                name,
                value,
                f"has to be seconds from 0 to {MOST_SECONDS:g}. The default is {default:g}",
            )
        return seconds

    def _content(self, name: str, path: str) -> str:
        # The value is not shown: a secret in the wrong option would be in the log.
        try:
            with Path(path).open("rb") as file:
                content = file.read(SECRET_LIMIT + 1)
            secret = content.decode().strip()
        except UnicodeDecodeError:
            raise self.error(name, _HIDDEN, "the file that it names is no text") from None
        except (OSError, ValueError) as error:
            raise self.error(
                name, _HIDDEN, f"the file that it names cannot be read: {_why(error)}"
            ) from None
        if len(content) > SECRET_LIMIT:
            raise self.error(
                name, _HIDDEN, f"the file that it names has more than {SECRET_LIMIT} bytes"
            )
        return secret

    def _variable(self, name: str, variable: str) -> str:
        if variable not in self.environment:
            raise self.error(
                name, _HIDDEN, "Cowrie's environment has no variable of that name. Set it there"
            )
        return self.environment[variable].strip()


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


_BOOLEANS: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "off", "0"), False
)
