"""A summary on one line: columns on a terminal, words between spaces in a pipe."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from cowrie_sessionstats.timestamps import format_timestamp
from cowrie_sessionstats.watching.seen import Seen, cells, fitted, shown

WIDE: Final = 120
"""Columns of a terminal from which on nothing has to be shortened."""

COLOURS: Final = {
    "interactive": "1;33",
    "undetermined": "36",
    "automated": "2",
}
"""What is told apart at a glance, as the parameters of SGR: a person stands out."""

_NAME: Final = 80  # characters of a name or an address
_DAY: Final = 86_400.0
_SHORT: Final = 5  # characters of a word where the terminal is narrow


@define
class Lines:
    """Makes lines of summaries.

    ``width``: columns of the terminal; None: it is a pipe, in which every line is whole, and has
    the same words between single spaces, ``-`` for one that is not known. What an attacker can
    choose freely, the command, is always the last.
    """

    colour: bool
    _sensors: set[str] = field(factory=set, init=False)

    def line(self, seen: Seen, width: int | None, now: float) -> str:
        """Return the line, without its end; ``now`` is in seconds since 1970."""
        if len(self._sensors) < 2:  # noqa: PLR2004 - one or several
            self._sensors.add(seen.sensor)
        made = self._piped(seen) if width is None else self._on_terminal(seen, width, now)
        code = COLOURS.get(seen.automation or "")
        return f"\x1b[{code}m{made}\x1b[0m" if self.colour and code else made

    def _piped(self, seen: Seen) -> str:
        words = (
            "-" if seen.end is None else format_timestamp(seen.end),
            _word(seen.sensor),
            _word(seen.src_ip),
            _word(seen.protocol),
            "-" if seen.duration is None else f"{seen.duration:.1f}",
            str(seen.commands),
            _word(seen.automation),
            _word(seen.ending),
            ",".join(note.replace(" ", "=") for note in _notes(seen)) or "-",
            _word(seen.fingerprint),
        )
        return " ".join((*words, shown(seen.last, len(seen.last)) if seen.last else "-"))

    def _on_terminal(self, seen: Seen, width: int, now: float) -> str:
        wide = width >= WIDE
        several = len(self._sensors) > 1
        short = None if wide else _SHORT
        columns = [
            _when(seen.end, now, wide=wide),
            *([_padded(seen.sensor, 12)] if several else ()),
            _padded(seen.src_ip, 15),
            _padded(seen.protocol, 6) if wide else _padded((seen.protocol or "")[:3], 3),
            f"{_seconds(seen.duration):>8}",
            f"{seen.commands:>4,}" if wide else f"{seen.commands:>3}",
            _padded((seen.automation or "")[:short], 12 if wide else _SHORT),
            ", ".join((shown(seen.ending or "-", _NAME), *_notes(seen))),
        ]
        last = "" if seen.last is None else f": {shown(seen.last, width)}"
        return fitted(" ".join(columns) + last, width)


def _notes(seen: Seen) -> list[str]:
    """Return what is remarkable."""
    return [
        *(["new"] if seen.is_new else ()),
        *([f"files {seen.files}"] if seen.files else ()),
        *([f"revision {seen.revision}"] if seen.revision else ()),
    ]


def _word(value: str | None) -> str:
    """Return a text in which no space is taken for the end of the word."""
    return shown(value, _NAME).replace(" ", "\\x20") if value else "-"


def _padded(value: str | None, width: int) -> str:
    text = shown(value or "-", _NAME)
    return text + " " * (width - cells(text))


def _when(seconds: float | None, now: float, *, wide: bool) -> str:
    """Return a time in UTC; where there is little room, of what is a day old only the day."""
    if seconds is None:
        return "-" * (20 if wide else 10)
    stamp = format_timestamp(seconds)
    if wide:
        return f"{stamp[:10]} {stamp[11:19]}Z"
    return f"{stamp[11:19]}Z " if abs(now - seconds) < _DAY else stamp[:10]


def _seconds(duration: float | None) -> str:
    return "-" if duration is None else f"{duration:.1f} s"
