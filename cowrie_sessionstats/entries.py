"""Records as they are kept and handed on: packed, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgpack
from attrs import frozen

_DIGEST: Final = 16  # bytes of an identity: no two records have the same by chance

SessionKey: TypeAlias = tuple[str, str]
"""Sensor and session."""


def identity(record: Mapping[str, Any]) -> bytes:
    """Return what tells a session's record from all others; its revisions have the same.

    SHA-256, cut to 16 bytes, over ``uuid``, ``sensor``, ``session`` and ``start``.
    """
    parts = [str(record.get(key, "")) for key in ("uuid", "sensor", "session", "start")]
    return sha256(_encoded("\0".join(parts))).digest()[:_DIGEST]


def pack(record: Mapping[str, Any]) -> bytes:
    """Return a record as msgpack; a lone surrogate, which is no text, as UTF-8 would have it."""
    packed: bytes = msgpack.packb(dict(record), unicode_errors="surrogatepass")
    return packed


def unpack(packed: bytes) -> dict[str, Any]:
    """Return the record that ``pack`` packed."""
    record: dict[str, Any] = msgpack.unpackb(packed, unicode_errors="surrogatepass")
    return record


@frozen
class Entry:
    """A record in the outbox."""

    seq: int
    """Its place: records are delivered in this order."""
    added: float
    """When it came, in seconds since 1970."""
    packed: bytes

    def record(self) -> dict[str, Any]:
        """Return the record."""
        return unpack(self.packed)


@frozen
class Checkpoint:
    """An open session as it was a moment ago."""

    key: SessionKey
    since: str
    """From where on Cowrie's log has its events, in the form of whoever looks there."""
    packed: bytes


@frozen
class Backlog:
    """How far a destination is behind."""

    waiting: int
    oldest: float | None
    """When the oldest record that waits was added, in seconds since 1970."""
    delivered: int
    set_aside: int
    lost: int


def known_by(packed: bytes) -> tuple[bytes, int]:
    """Return a record's identity and revision; of one that is damaged, those of none."""
    try:
        record = unpack(packed)
        return identity(record), int(record.get("revision", 0))
    except Exception:  # noqa: BLE001 - msgpack raises several; it is refused again when rendered
        return b"", 0


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def session_key(sensor: Any, session: Any) -> SessionKey:
    """Return what tells a session from others, as the store's file takes it."""
    return storable(str(sensor)), storable(str(session))


def storable(text: str) -> str:
    """Return text as SQLite takes it: a lone surrogate as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()
