"""What a file holds: summaries, in one of several formats, or a raw log."""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs
import msgpack
import msgspec

from cowrie_sessionstats.replay.files import LogFile
from cowrie_sessionstats.replay.streams import chunks
from cowrie_sessionstats.summary import Summary

BOM: Final = b"\xef\xbb\xbf"
EVENTID: Final = str(attrs.fields(Summary).eventid.default)

_LINES: Final = 200
"""Lines that are looked at: a log of Cowrie's has records among its events, but not only them."""


class Kind(Enum):
    """What a file holds."""

    PARQUET = "summaries as Parquet"
    LINES = "summaries as lines of JSON"
    MSGPACK = "summaries as msgpack"
    CSV = "summaries as CSV"
    RAW = "a raw log"


class _Head(msgspec.Struct):
    eventid: str = ""


_decoder: Final = msgspec.json.Decoder(_Head)


def kind_of(file: LogFile) -> Kind:
    """Return what ``file`` holds by its first bytes; FileError if it cannot be read.

    What is nothing that we know is a raw log: summarizing says what is wrong with it.
    """
    head = next(chunks(file), b"").removeprefix(BOM)
    if head.startswith(b"PAR1"):
        return Kind.PARQUET
    if head.startswith(b"eventid,schema,"):
        return Kind.CSV
    if head[:1] and _is_msgpack(head):
        return Kind.MSGPACK
    found = False
    for line in head.splitlines()[:_LINES]:
        try:
            eventid = _decoder.decode(line).eventid
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if eventid == EVENTID:
            found = True
        elif eventid.startswith("cowrie."):
            return Kind.RAW
    # The first line can be longer than what was read of the file.
    return Kind.LINES if found or f'"{EVENTID}"'.encode() in head else Kind.RAW


def _is_msgpack(head: bytes) -> bool:
    """Whether the first thing is a map that is a record."""
    if head[0] not in (*range(0x80, 0x90), 0xDE, 0xDF):
        return False
    unpacker = msgpack.Unpacker(raw=False, unicode_errors="replace", max_buffer_size=len(head) + 1)
    unpacker.feed(head)
    try:
        record = next(unpacker, None)
    except (ValueError, msgpack.UnpackException):
        return False
    return isinstance(record, dict) and record.get("eventid") == EVENTID
