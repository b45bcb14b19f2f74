"""Counts, medians and lists that stay small however long a session lasts.

Every structure here is exact up to a stated size, then goes over to an estimate whose error is
stated too, and depends on nothing but what it was given: the same session counted live and from
a log gives the same figures.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Final

from attrs import define, field

DISTINCT_EXACT: Final = 64
"""Distinct texts counted exactly: of the SANS ISC study's 1,206,566 sessions, 572 had more
commands than that."""

_REGISTER_BITS: Final = 8
_REGISTERS: Final = 1 << _REGISTER_BITS
_HASH_BITS: Final = 64 - _REGISTER_BITS

GAPS_EXACT: Final = 64
"""Gaps kept as they are; beyond, a histogram with a relative error takes their place."""

GAP_ERROR: Final = 0.05
"""Largest relative error of the median of more than ``GAPS_EXACT`` gaps."""

_GAMMA: Final = (1 + GAP_ERROR) / (1 - GAP_ERROR)
_LOG_GAMMA: Final = math.log(_GAMMA)
# From 10 µs (a burst on one packet arrives in less; no finer figure means anything) to 10^5 s
# (more than a day; Cowrie closes idle sessions after minutes).
_SHORTEST: Final = 1e-5
_LONGEST: Final = 1e5
_BUCKET_LIMIT: Final = 65_535
_BUCKETS: Final = math.ceil(math.log(_LONGEST / _SHORTEST) / _LOG_GAMMA) + 1

LIST_LIMIT: Final = 32
"""Entries a list of the record holds at most (the design's bound)."""

TEXT_LIMIT: Final = 1024
"""Characters a text of the record holds at most (the design's bound)."""


@define(eq=False, weakref_slot=False)
class DistinctTexts:
    """How many different texts were added.

    Exact up to ``DISTINCT_EXACT``. Texts beyond those are counted by a HyperLogLog of 256
    registers (Flajolet et al. 2007, with linear counting for small counts), whose standard error
    is 1.04 / sqrt(256) = 6.5 % of what it counts. At most about 0.9 KiB.
    """

    # 64-bit hashes. Python's own: keyed per process, so that nobody can send texts that collide,
    # and only compared with one another, so that the key does not show in the count. As they come
    # while they are few, since most sessions end before it pays to sort them; then sorted.
    _exact: array[int] = field(factory=lambda: array("q"), init=False)
    _sorted: bool = field(default=False, init=False)
    _registers: bytearray | None = field(default=None, init=False)

    def add(self, text: str) -> None:
        """Count ``text`` unless it was counted before."""
        exact = self._exact
        value = hash(text)
        if not self._sorted:
            exact.append(value)
            if len(exact) == DISTINCT_EXACT:
                self._exact = array("q", sorted(set(exact)))
                self._sorted = True
            return
        place = bisect_left(exact, value)
        if place < len(exact) and exact[place] == value:
            return
        if len(exact) < DISTINCT_EXACT:
            exact.insert(place, value)
            return
        if self._registers is None:
            self._registers = bytearray(_REGISTERS)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        bits = int.from_bytes(digest, "big")
        register = bits >> _HASH_BITS
        rank = _HASH_BITS - (bits & ((1 << _HASH_BITS) - 1)).bit_length() + 1
        self._registers[register] = max(rank, self._registers[register])

    def extend(self, texts: Sequence[str]) -> None:
        """Count each of ``texts``, as ``add`` does."""
        if not self._sorted and len(self._exact) + len(texts) < DISTINCT_EXACT:
            self._exact.fromlist(list(map(hash, texts)))  # faster than extend()
        else:
            for text in texts:
                self.add(text)

    def count(self) -> int:
        """Return the number of different texts."""
        if self._registers is None:
            return len(set(self._exact))
        alpha = 0.7213 / (1 + 1.079 / _REGISTERS)
        estimate = alpha * _REGISTERS**2 / sum(2.0**-rank for rank in self._registers)
        empty = self._registers.count(0)
        if empty and estimate <= 2.5 * _REGISTERS:
            estimate = _REGISTERS * math.log(_REGISTERS / empty)
        return len(self._exact) + max(1, round(estimate))


_NONE: Final = array("d")


@define(eq=False, weakref_slot=False)
class Gaps:
    """Median and spread of the times between events, in seconds.

    The coefficient of variation is exact at every size (Welford 1962). The median is exact up to
    ``GAPS_EXACT`` gaps; beyond, it comes from a histogram with logarithmic buckets (Masson, Rim
    and Lee, "DDSketch", VLDB 2019) and is within 5 %, or 10 µs for anything shorter. At most about
    0.8 KiB.
    """

    _exact: array[float] = field(factory=lambda: array("d"), init=False)
    """The gaps themselves; empty once there are too many of them."""
    _buckets: array[int] | None = field(default=None, init=False)
    _count: int = field(default=0, init=False)
    _mean: float = field(default=0.0, init=False)
    _squares: float = field(default=0.0, init=False)

    def add(self, gap: float) -> None:
        """Count one gap of ``gap`` seconds, not negative."""
        if self._buckets is not None:
            self._spread(gap)
            return
        self._exact.append(gap)
        if len(self._exact) > GAPS_EXACT:
            self._buckets = array("H", bytes(2 * _BUCKETS))
            for value in self._exact:
                self._spread(value)
            self._exact = _NONE

    def extend(self, gaps: list[float]) -> None:
        """Count each of ``gaps``, as ``add`` does."""
        if self._buckets is None and len(self._exact) + len(gaps) <= GAPS_EXACT:
            self._exact.fromlist(gaps)
        else:
            for gap in gaps:
                self.add(gap)

    def _spread(self, gap: float) -> None:
        self._count += 1
        delta = gap - self._mean
        self._mean += delta / self._count
        self._squares += delta * (gap - self._mean)
        buckets = self._buckets
        if buckets is not None:
            bucket = _bucket(gap)
            if buckets[bucket] == _BUCKET_LIMIT:  # halve all: what counts is their proportion
                buckets = self._buckets = array("H", [count // 2 for count in buckets])
            buckets[bucket] += 1

    def median(self) -> float | None:
        """Return the median in seconds; None without a gap."""
        if self._buckets is None:
            exact = sorted(self._exact)
            middle = len(exact) // 2
            if not exact:
                return None
            # As statistics.median, of which half the time is checks.
            return round(
                exact[middle] if len(exact) % 2 else (exact[middle - 1] + exact[middle]) / 2, 7
            )
        running = list(accumulate(self._buckets))
        low, high = (running[-1] + 1) // 2, running[-1] // 2 + 1
        return round(sum(_middle(bisect_left(running, rank)) for rank in (low, high)) / 2, 7)

    def variation(self) -> float | None:
        """Return the standard deviation (of the whole population) divided by the mean.

        None with fewer than two gaps, which say nothing of a spread, or with a mean of zero.
        """
        if self._buckets is not None:
            mean, deviation = self._mean, math.sqrt(self._squares / self._count)
        elif len(self._exact) >= 2:  # noqa: PLR2004
            count = len(self._exact)
            mean = sum(self._exact) / count
            deviation = math.dist(self._exact, [mean] * count) / math.sqrt(count)
        else:
            return None
        return deviation / mean if mean > 0 else None


def _bucket(gap: float) -> int:
    if gap <= _SHORTEST:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log(gap / _SHORTEST) / _LOG_GAMMA))


def _middle(bucket: int) -> float:
    """Return the value that is within ``GAP_ERROR`` of everything in ``bucket``."""
    if bucket == 0:
        return _SHORTEST
    return float(_SHORTEST * 2 * _GAMMA**bucket / (_GAMMA + 1))


@define(eq=False, weakref_slot=False)
class FirstTexts:
    """The first ``LIST_LIMIT`` different texts, each cut to ``TEXT_LIMIT`` characters."""

    texts: list[str] = field(factory=list, init=False)
    cut: bool = field(default=False, init=False)
    """Whether an entry or a part of one was left out."""

    def add(self, text: str) -> None:
        """Keep ``text`` if it is new and there is room."""
        if len(text) > TEXT_LIMIT:
            text = text[:TEXT_LIMIT]
            self.cut = True
        if text in self.texts:
            return
        if len(self.texts) < LIST_LIMIT:
            self.texts.append(text)
        else:
            self.cut = True
