"""What a line of a file of summaries must be, where DuckDB cannot read the file as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, Final, get_type_hints

import msgspec

from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.formats import encodable
from cowrie_sessionstats.replay.problems import NO_OBJECT, NOT_JSON, TOO_LONG, Problems
from cowrie_sessionstats.replay.reading import LINE_LIMIT
from cowrie_sessionstats.replay.streams import FileError, chunks
from cowrie_sessionstats.report.kinds import BOM, EVENTID
from cowrie_sessionstats.summary import KEYS, Summary

NOT_A_SUMMARY: Final = "no summary of a session"
WRONG_TYPE: Final = "a value of another type than the record's"
_ALWAYS: Final = ("eventid", "session")  # without which nothing is a record
_INTEGER: Final = 1 << 63

_record_type: Final[Any] = msgspec.defstruct(
    "_record_type",
    [
        (key, hint) if key in _ALWAYS else (key, hint | None, None)
        for key, hint in get_type_hints(Summary).items()
        if key in KEYS
    ],
    gc=False,
    kw_only=True,
)
_TOLD: Final = b"\0"
"""Stands for a line that is too long to be kept: no JSON."""
_decoder: Final = msgspec.json.Decoder(_record_type)
_encoder: Final = msgspec.json.Encoder()


def sort_out(file: LogFile, out: IO[bytes], problems: Problems) -> None:
    """Write the lines that are records; tell of the others, each with its number."""
    number = 0
    try:
        for line in _lines(file):
            number += 1
            if not line.strip():
                continue
            record, reason = (None, TOO_LONG) if line is _TOLD else record_on(line)
            if record is None:
                problems.line(file.name, number, reason)
            else:
                out.write(as_line(record))
    except FileError as error:
        problems.file(file.name, str(error))


def as_line(record: Any) -> bytes:
    """Return a record as a line of JSON, with its newline."""
    return _encoder.encode(record) + b"\n"


def record_on(line: bytes) -> tuple[Any, str]:
    """Return the record on a line; None and the reason if there is none."""
    try:
        record = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Half a surrogate pair, which no UTF-8 can have, is read by Python's own.
        try:
            known = json.loads(line)
        except (ValueError, RecursionError):
            return None, NOT_JSON
        return record_in(known)
    return _in_range(record)


def record_in(known: Any) -> tuple[Any, str]:
    """Return the record that an object is; None and the reason if it is none."""
    if not isinstance(known, dict):
        return None, NO_OBJECT
    if known.get("eventid") != EVENTID:
        return None, NOT_A_SUMMARY
    try:
        return _in_range(msgspec.convert(encodable(known), _record_type))
    except (msgspec.ValidationError, RecursionError):
        return None, WRONG_TYPE


def _in_range(record: Any) -> tuple[Any, str]:
    for key in _INTEGERS:
        value = getattr(record, key)
        if value is not None and not -_INTEGER <= value < _INTEGER:
            return None, WRONG_TYPE
    return record, ""


_INTEGERS: Final = tuple(
    key for key, hint in get_type_hints(Summary).items() if hint in (int, int | None)
)


def _lines(file: LogFile) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long nothing is kept."""
    pieces: list[bytes] = []
    length = 0
    first = True
    for chunk in chunks(file):
        if first:
            chunk, first = chunk.removeprefix(BOM), False  # noqa: PLW2901
        begin = 0
        while (end := chunk.find(b"\n", begin)) >= 0:
            length += end - begin
            yield b"".join((*pieces, chunk[begin:end])) if length <= LINE_LIMIT else _TOLD
            pieces, length, begin = [], 0, end + 1
        length += len(chunk) - begin
        if length <= LINE_LIMIT:
            pieces.append(chunk[begin:])
        else:
            pieces = []
    if length:
        yield b"".join(pieces) if length <= LINE_LIMIT else _TOLD
