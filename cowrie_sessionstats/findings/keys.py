"""What a terminal's recording tells of the keys: how they came, never what they were.

A recording of Cowrie's is a row of headers, each followed by its bytes (``core/ttylog.py``). One
header stands before each piece that arrived from the client: a bot's line is one piece, and so is
what somebody pastes; what is typed comes key by key.
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

from attrs import frozen

RECORDING_LIMIT: Final = 1 << 20
"""Bytes of a recording that are read: hours of typing. A bot that sends more has shown itself."""

PIECES_LIMIT: Final = 5_000
"""Pieces of a recording that are looked at, 10 ms of the worker thread: who sends more of them,
key by key, was an hour at it, or is no person."""

GAPS_LIMIT: Final = 1_000
"""Times between keys that are looked at: the first ones tell as much as all."""

LONGEST_PAUSE: Final = 2.0
"""Seconds; a longer pause between two keys is thinking, not typing. In 136 million keystrokes
(Dhakal et al., CHI 2018) the mean between two keys was 0.239 s."""

_HEADER: Final = struct.Struct(
    "<iLiiLL"
)  # operation, tty, length, direction, seconds, microseconds
HEADER_SIZE: Final = _HEADER.size
"""Bytes of a header; a recording's first one, without any behind it, tells when it began."""
_WRITE: Final = 3
_FROM_CLIENT: Final = 1
_COMMAND: Final = 3
"""Direction of the command of ``ssh HOST COMMAND``, which nobody typed into the terminal."""


class Piece(NamedTuple):
    """What arrived from the client at once; ``time`` in seconds since 1970."""

    time: float
    data: bytes


@frozen
class Recording:
    """What a recording holds of the client."""

    begin: float | None
    """Time of its first entry, in seconds since 1970; None if there is none."""
    pieces: tuple[Piece, ...]
    is_exec: bool
    is_cut: bool = False
    """Whether there are more pieces."""


def read_recording(content: bytes) -> Recording:
    """Return what a recording holds; of one that is cut or damaged, what comes before that."""
    begin: float | None = None
    pieces: list[Piece] = []
    is_exec = False
    at = 0
    while at + _HEADER.size <= len(content):
        operation, _, length, direction, seconds, microseconds = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        if length < 0 or microseconds >= 10**6 or not 1 <= operation <= 4:  # noqa: PLR2004
            break
        time = seconds + microseconds / 1e6
        if begin is None:
            begin = time
        if operation == _WRITE and length:
            if direction == _FROM_CLIENT:
                if len(pieces) == PIECES_LIMIT:
                    return Recording(begin, tuple(pieces), is_exec, is_cut=True)
                pieces.append(Piece(time, content[at : at + length]))
            elif direction == _COMMAND:
                is_exec = True
        at += length
    return Recording(begin, tuple(pieces), is_exec)


@frozen
class Keys:
    """How a session's keys came; counts, and times in seconds."""

    typed: int = 0
    """Keys that came alone, with at least ``Rhythm.least`` to what was before and after them, and
    were not all of their line."""
    alone: int = 0
    """Keys that came alone, however soon."""
    edits: int = 0
    """Of those that came alone: backspaces, arrows, tabs and control keys that edit a line."""
    lines: int = 0
    """Ends of lines."""
    whole_lines: int = 0
    """Lines of two characters or more that came in one piece with their end, or whose end came less
    than ``Rhythm.least`` after it."""
    pasted: int = 0
    """Pieces of several characters without the end of a line."""
    enters_apart: int = 0
    """Ends of lines that came alone, ``Rhythm.apart`` after such a piece."""
    gaps: int = 0
    """Times between two different keys that came alone, one after the other, and from something
    pasted to its end of a line."""
    gap_median: float | None = None
    evenness: float | None = None
    """Which part of those is within ``Rhythm.even`` of their median."""
    last: int | None = None
    """The last byte."""
    timed: bool = True
    """Whether the times are the session's own."""
    is_exec: bool = False


@frozen
class Rhythm:
    """What tells typing from sending; seconds."""

    least: float
    apart: float
    even: float
    """A part of the median."""


def keys_of(recordings: list[Recording], rhythm: Rhythm, *, timed: bool = True) -> Keys:
    """Return how the keys of a session's recordings came.

    With ``timed`` false, the recordings are those of another session that sent the same bytes, of
    which only their order is this one's.
    """
    counts = dict.fromkeys(("typed", "alone", "edits", "lines", "whole", "pasted", "apart"), 0)
    gaps: list[float] = []
    last: int | None = None
    for recording in recordings:
        pieces = recording.pieces
        for number, piece in enumerate(pieces):
            before = pieces[number - 1] if number else None
            _count(counts, gaps, before, piece, rhythm)
            if _is_key(piece.data):
                _count_key(counts, (before, piece, *pieces[number + 1 : number + 2]), rhythm)
            last = piece.data[-1]
        if recording.is_cut:
            last = None
    exact = sorted(gaps)
    median = exact[len(exact) // 2] if exact else None
    return Keys(
        typed=counts["typed"],
        alone=counts["alone"],
        edits=counts["edits"],
        lines=counts["lines"],
        whole_lines=counts["whole"],
        pasted=counts["pasted"],
        enters_apart=counts["apart"],
        gaps=len(gaps),
        gap_median=median,
        evenness=None if median is None else _evenness(gaps, median, rhythm.even),
        last=last,
        timed=timed,
        is_exec=any(recording.is_exec for recording in recordings),
    )


def _count(
    counts: dict[str, int], gaps: list[float], before: Piece | None, piece: Piece, rhythm: Rhythm
) -> None:
    data = piece.data
    counts["lines"] += len(_LINE_END.findall(data))
    if not _is_key(data):
        if _LINE_END.search(data) is None:
            counts["pasted"] += 1
        else:
            counts["whole"] += sum(len(line) > 1 for line in _LINE_END.split(data)[:-1])
        return
    counts["alone"] += 1
    if before is None or before.data == data:  # a key that is held down repeats itself, evenly
        return
    gap = piece.time - before.time
    is_after_paste = not _is_key(before.data) and _LINE_END.search(before.data) is None
    ends_paste = is_after_paste and data in _ENTERS
    is_timed = _is_key(before.data) or ends_paste
    if is_timed and 0 <= gap <= LONGEST_PAUSE and len(gaps) < GAPS_LIMIT:
        gaps.append(gap)
    counts["apart"] += ends_paste and gap >= rhythm.apart
    # Some programs send a line and its end one after the other, which no hand can.
    counts["whole"] += ends_paste and gap < rhythm.least and len(before.data) > 1


def _count_key(counts: dict[str, int], around: tuple[Piece | None, ...], rhythm: Rhythm) -> None:
    """Count a key as typed if it came as one: alone, and not in a burst."""
    before, piece, *after = around
    if piece is None:
        return
    gaps = [] if before is None else [piece.time - before.time]
    gaps += [each.time - piece.time for each in after if each is not None]
    if all(gap >= rhythm.least for gap in gaps) and not _is_nudge(before, piece, *after):
        counts["typed"] += 1
        counts["edits"] += _EDITS.fullmatch(piece.data) is not None


def _is_nudge(before: Piece | None, piece: Piece, after: Piece | None = None) -> bool:
    """Return whether a key is alone on its line, as programs send one to see if there is a prompt.

    An empty line, a Ctrl-C, a ``q``, and then a whole line: of such keys nobody is a typist.
    """
    if before is not None and _LINE_END.search(before.data[-2:]) is None:
        return False
    is_followed = after is not None and _is_key(after.data)
    return piece.data in _ENTERS or not is_followed


def _is_key(data: bytes) -> bool:
    """Return whether a piece is what one key sends."""
    return len(data) <= _LONGEST_KEY and _KEY.fullmatch(data) is not None


def _evenness(gaps: list[float], median: float, even: float) -> float:
    return sum(abs(gap - median) <= even * median for gap in gaps) / len(gaps)


_LONGEST_KEY: Final = 8
_LINE_END: Final = re.compile(rb"\r\n|\r\0|\r|\n")
_ENTERS: Final = frozenset({b"\r", b"\n", b"\r\n", b"\r\0"})
_KEY: Final = re.compile(
    rb"""
    \r[\n\0]                                # Enter, as Telnet sends it
    | [\x00-\x7f]                           # a character or a control key
    | [\xc2-\xdf][\x80-\xbf] | [\xe0-\xef][\x80-\xbf]{2} | [\xf0-\xf4][\x80-\xbf]{3}   # UTF-8
    | \x1b [\x00-\x7f]                      # with Alt
    | \x1b [\[O] [0-9;]* [A-Za-z~]          # an arrow, Home, Delete, F1 (ECMA-48, xterm)
    """,
    re.VERBOSE | re.DOTALL,
)
_EDITS: Final = re.compile(
    rb"""
    [\x01-\x03\x05\x06\x08\x09\x0b\x0c\x0e\x10\x12\x15\x17\x19\x1a\x7f]  # ^A..^Z of readline, Tab
    | \x1b [\x00-\x7f] | \x1b [\[O] [0-9;]* [A-Za-z~]
    """,
    re.VERBOSE | re.DOTALL,
)
