"""Tells addresses from other texts, which receivers refuse in fields for addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

ADDRESS_LIMIT: Final = 40
"""Characters of an address: what OCSF allows (``ip_t``), and one more than any IPv6 one has."""


def address(text: Any) -> IPv4Address | IPv6Address | None:
    """Return the address that ``text`` is; None if it is none, or has a zone behind it."""
    if not isinstance(text, str) or len(text) > ADDRESS_LIMIT or "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None
