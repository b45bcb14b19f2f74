"""Which summaries are shown."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from attrs import frozen

from cowrie_sessionstats.watching.seen import is_new, text, texts, whole

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_MIDDLE: Final = re.compile(r"[0-9a-f]{12}")
_WHOLE: Final = re.compile(
    r"csf[0-9]+(_([0-9]+(_([0-9a-f]{0,12}|[0-9a-f]{12}_[0-9a-f]{0,12}))?)?)?"
)
_MAPPED: Final = 96
"""Bits before an IPv4 address in the IPv6 address that stands for it."""


@frozen
class Filters:
    """What a session must be. Of one kind any may hold, of different kinds all have to."""

    automation: Sequence[str] = ()
    ending: Sequence[str] = ()
    protocol: Sequence[str] = ()
    networks: Sequence[Network] = ()
    labels: Sequence[str] = ()
    checks: Sequence[str] = ()
    fingerprints: Sequence[str] = ()
    """Beginnings of fingerprints, or their middle part (``fingerprint``)."""
    min_commands: int = 0
    files: bool = False
    """Whether it has to have sent or fetched something, in vain or not."""
    is_new: bool = False
    """Whether nobody came with its script before."""
    logged_in: bool = False

    def match(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record is to be shown."""
        return (
            (not self.automation or record.get("automation") in self.automation)
            and (not self.ending or record.get("ending") in self.ending)
            and (not self.protocol or record.get("protocol") in self.protocol)
            and (not self.logged_in or record.get("logged_in") is True)
            and whole(record, "commands") >= self.min_commands
            and (not self.is_new or is_new(record))
            and (not self.labels or _any(self.labels, record, "labels"))
            and (not self.checks or _any(self.checks, record, "checks"))
            and (not self.files or _brought(record))
            and (not self.fingerprints or self._has_fingerprint(record))
            and (not self.networks or self._is_from(text(record, "src_ip") or ""))
        )

    def _has_fingerprint(self, record: Mapping[str, Any]) -> bool:
        found = text(record, "fingerprint") or ""
        middle = found.split("_")[2:3]
        return any(
            each in middle if _MIDDLE.fullmatch(each) else found.startswith(each)
            for each in self.fingerprints
        )

    def _is_from(self, address: str) -> bool:
        known = _address(address)
        return known is not None and any(known in network for network in self.networks)


def _any(wanted: Sequence[str], record: Mapping[str, Any], key: str) -> bool:
    return not set(wanted).isdisjoint(texts(record, key))


def _brought(record: Mapping[str, Any]) -> bool:
    counted = whole(record, "downloads") or whole(record, "uploads")
    return bool(counted or texts(record, "urls"))


@lru_cache(1024)  # one address comes again and again
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network(text: str) -> Network:
    """Return the addresses that an address or a CIDR block means; ValueError for anything else."""
    found = ipaddress.ip_network(text, strict=False)
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is not None and found.prefixlen >= _MAPPED:
        return ipaddress.ip_network(f"{mapped}/{found.prefixlen - _MAPPED}")
    return found


def fingerprint(text: str) -> str:
    """Return the beginning of a fingerprint, or its middle part; ValueError for anything else."""
    if _MIDDLE.fullmatch(text) or _WHOLE.fullmatch(text):
        return text
    raise ValueError(text)
