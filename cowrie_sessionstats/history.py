"""The script tree: how many sessions came by each place of each script, and how many ended there.

One SQLite table, used by one thread. A place is known by what led to it: the beginnings of the
links of the fingerprint's chain (``commands.fingerprints``).
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import sqrt
from typing import Final

from attrs import define, field, frozen

from cowrie_sessionstats._counted import Counted
from cowrie_sessionstats.commands.fingerprints import PLACE, PLACES

NODES_MAX: Final = 100_000
"""Places that are kept: with the longest texts they take 53 MB, the log of SQLite included, of the
64 MB that a sensor's card has to spare for them; measured."""

TEXT_BYTES: Final = 200
"""Bytes of the example of a template."""

EVICTED: Final = NODES_MAX // 20
"""Places that go at once when there is no room: a fifth of a second of the worker thread, once in
as many new ones."""

CACHED: Final = 20_000
"""Places in memory, 10 MB: nearly all sessions go the same few ways."""

REMEMBERED: Final = 4_096
"""Sessions whose answers are remembered for their revisions: twice as many as take late events."""

ENOUGH: Final = 20
"""Sessions that have to have come by before anything is said of where they end (design.md)."""

RARE: Final = 0.05
"""An end is early if fewer of those that came by ended there (design.md)."""

DOUBT: Final = 3.29
"""Standard deviations: of 2,000 places at which exactly ``RARE`` end, chance makes one look as if
more did. A plain comparison would be wrong of half of them: in the study's corpus with 5 % of a
script's sessions cut short at one place, it found 39 % of these, and this 99.9 %. With 2.576 the
figures of one place in ten were at some time out of bounds, and with them hundreds of sessions."""

USUAL: Final = 0.10
"""More than that is no early end, however few came by: 3 of 20 can be a usual one."""

FIRST_ENOUGH: Final = 200
FIRST_RARE: Final = 0.01
FIRST_OTHERS: Final = 0.002
"""The same for an end after the first template, with which many scripts begin, and after which some
have run all they wanted: there have to be more sessions, and fewer that ended, without a doubt; or
no more than so many of those that went on did it in another way than most, so that it begins one
script only. In the study's corpus 2 % of those that go on after ``uname -a`` do, of its commonest
script none."""

NODE_BYTES: Final = 110
"""Bytes of a row of the table besides its text, with what SQLite needs for it; measured, with a
third to spare."""


@frozen
class Way:
    """A session's way through the tree."""

    identity: bytes
    """Tells the session from all others (``entries.identity``)."""
    path: bytes
    """``Script.path``."""
    link: bytes
    """The beginning of the last link, for scripts longer than the path."""
    length: int
    """Templates, repeats in a row counted once; at least one."""
    templates: Sequence[str]
    """The first ones of those, as examples."""
    sensor: str
    start: float
    end: float
    """Seconds since 1970, as ``start``."""
    counts: bool = True
    """Whether the session is to be counted: this is not a revision of its record."""
    is_new: bool = False
    """Whether it ended in this process, so that no other can have counted it."""


@frozen
class Past:
    """What was before a session."""

    seen_before: int
    """Sessions with the same fingerprint."""
    first_seen: float | None
    """When the first of them began, in seconds since 1970; None without any."""
    stopped_early: bool
    """Whether most sessions that got so far went on."""
    usual_next: str | None
    """With what most of those went on."""


@define(eq=False)
class _Node:
    """A place of a script; of the session that is being counted nothing is in it yet."""

    key: int
    depth: int
    through: int = 0
    ended: int = 0
    first: float = 0.0
    last: float = 0.0
    first_end: float | None = None
    text: str = ""
    next: int | None = None
    """The place where most went on."""
    next_through: int = 0
    next_text: str | None = None
    is_changed: bool = False


_COLUMNS: Final = (
    *("key", "depth", "through", "ended", "first", "last", "first_end", "text", "next"),
    "next_through",
)


@define(eq=False)
class History:
    """Answers for sessions in their order, and counts them.

    A session that ended within a time of its sensor that was counted before the file was opened is
    known already: old logs can be read twice, and beside a Cowrie that has seen the same.
    """

    nodes_max: int = NODES_MAX
    cached: int = CACHED
    _nodes: dict[int, _Node] = field(factory=dict, init=False)
    _changed: dict[int, _Node] = field(factory=dict, init=False)
    """Those of which the file does not know all."""
    _answers: OrderedDict[bytes, tuple[bytes, Past]] = field(factory=OrderedDict, init=False)
    _count: int | None = field(default=None, init=False)
    """Places in the file and in memory; None before the file was asked."""
    _text: int = field(default=0, init=False)
    """Bytes of their texts."""
    _counted: Counted = field(factory=Counted, init=False)
    _is_begun: bool = field(default=False, init=False)
    """Whether that was asked of the file that is there now."""
    known: int = field(default=0, init=False)
    """Sessions that were not counted because they were before."""

    def take(self, file: sqlite3.Connection, way: Way) -> Past:
        """Return what was before a session, and count it. sqlite3.Error if the file is no use."""
        known = self._answers.get(way.identity)
        fingerprint = way.path + way.link
        if not way.counts and known is not None and known[0] == fingerprint:
            return known[1]
        if self._count is None:
            self._load(file)
        keys = (
            keys_of(way.path) if way.length <= PLACES else (*keys_of(way.path), _key(fingerprint))
        )
        nodes = self._found(file, keys)
        last = nodes.get(keys[-1])
        past = _NEVER if last is None else _past(last)
        if way.length > PLACES:  # how many went on from there nobody counts
            past = Past(past.seen_before, past.first_seen, stopped_early=False, usual_next=None)
        if way.counts and not way.is_new and self._counted.is_known(way.sensor, way.end):
            self.known += 1
        elif way.counts:
            self._add(keys, nodes, way)
            self._counted.add(way.sensor, way.end)
            self._answers[way.identity] = fingerprint, past
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        self._make_room(file)
        return past

    def size(self, file: sqlite3.Connection) -> int:
        """Return how many bytes of the file are the tree's, about."""
        if self._count is None:
            self._load(file)
        return NODE_BYTES * (self._count or 0) + self._text * 14 // 10

    def has_news(self) -> bool:
        """Return whether there is something to be written."""
        return bool(self._changed)

    def write(self, file: sqlite3.Connection) -> None:
        """Write what is new, in the transaction that is under way; ``written`` says it is done."""
        file.executemany(
            _WRITE, ([getattr(n, c) for c in _COLUMNS] for n in self._changed.values())
        )
        self._counted.write(file)

    def written(self) -> None:
        """Take note that the transaction succeeded."""
        for node in self._changed.values():
            node.is_changed = False
        self._changed.clear()
        self._counted.written()
        if len(self._nodes) > self.cached:
            self._nodes.clear()

    def forget(self) -> None:
        """Take note that another file is there now."""
        self._nodes.clear()
        self._changed.clear()
        self._count = None
        self._is_begun = False

    def totals(self, file: sqlite3.Connection) -> tuple[int, int]:
        """Return how many sessions and how many scripts the file knows."""
        sessions, scripts = file.execute(
            "SELECT coalesce(sum(ended), 0), count(*) FILTER (WHERE ended) FROM node"
        ).fetchone()
        return int(sessions), int(scripts)

    # ------------------------------------------------------------ inside

    def _load(self, file: sqlite3.Connection) -> None:
        count, text = file.execute(
            "SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) FROM node"
        ).fetchone()
        self._count, self._text = int(count), int(text)
        if not self._is_begun:
            self._counted.load(file)
            self._is_begun = True

    def _found(self, file: sqlite3.Connection, keys: tuple[int, ...]) -> dict[int, _Node]:
        """Return those of the places that are known; in one question to the file."""
        nodes = self._nodes
        missing = [key for key in keys if key not in nodes]
        if missing:
            marks = ", ".join("?" * len(missing))
            for row in file.execute(f"{_READ} ({marks})", missing):
                node = _Node(*row)
                if node.next_text is None:  # it went, for lack of room
                    node.next, node.next_through = None, 0
                nodes[node.key] = node
        return {key: nodes[key] for key in keys if key in nodes}

    def _add(self, keys: tuple[int, ...], nodes: dict[int, _Node], way: Way) -> None:
        before: _Node | None = None
        for depth, key in enumerate(keys):
            node = nodes.get(key)
            if node is None:
                text = _clipped(way.templates[depth]) if depth < len(way.templates) else ""
                node = _Node(key, depth, first=way.start, text=text)
                self._nodes[key] = node
                self._count = (self._count or 0) + 1
                self._text += len(text.encode("utf-8", "surrogatepass"))
            node.through += 1
            node.first = min(node.first, way.start)
            node.last = max(node.last, way.start)
            if not node.is_changed:
                node.is_changed = True
                self._changed[key] = node
            if before is not None and node.through >= before.next_through:
                before.next, before.next_through = key, node.through
                before.next_text = node.text
            before = node
        if before is not None:
            before.ended += 1
            if before.first_end is None or way.start < before.first_end:
                before.first_end = way.start

    def _make_room(self, file: sqlite3.Connection) -> None:
        """Let the rarest places go, the oldest first, and of a script the last before others.

        Whoever came by a place came by all before it: none is left without the way to it.
        """
        if self._count is not None and self._count > self.nodes_max:
            self._save(file, min(EVICTED, self.nodes_max // 10 + 1))
        elif len(self._nodes) > 2 * self.cached:
            self._save(file, 0)

    def _save(self, file: sqlite3.Connection, evicted: int) -> None:
        is_inside = file.in_transaction
        if not is_inside:
            file.execute("BEGIN IMMEDIATE")
        try:
            self.write(file)
            if evicted:
                file.execute(
                    "DELETE FROM node WHERE key IN (SELECT key FROM node "
                    "ORDER BY through, last, depth DESC, key LIMIT ?)",
                    (evicted,),
                )
            if not is_inside:
                file.execute("COMMIT")
        except sqlite3.Error:
            # The disk is full, say: what is new is lost, and memory stays within its bound.
            if not is_inside and file.in_transaction:
                file.execute("ROLLBACK")
            self.forget()
            raise
        self.written()
        self._nodes.clear()
        if evicted:
            self._load(file)


_NEVER: Final = Past(0, None, stopped_early=False, usual_next=None)
_READ: Final = (
    f"SELECT {', '.join(f'n.{column}' for column in _COLUMNS)}, c.text FROM node n "  # noqa: S608
    "LEFT JOIN node c ON c.key = n.next WHERE n.key IN"
)
_WRITE: Final = (
    f"INSERT OR REPLACE INTO node ({', '.join(_COLUMNS)}) "  # noqa: S608 - ours
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)


def _past(node: _Node) -> Past:
    went_on = node.through - node.ended
    if node.depth:
        is_early = is_rare(node.ended, node.through)
    else:
        is_early = node.through >= FIRST_ENOUGH and (
            node.ended < node.through * FIRST_RARE
            or (
                went_on - node.next_through <= went_on * FIRST_OTHERS
                and is_rare(node.ended, node.through)
            )
        )
    return Past(
        node.ended,
        node.first_end,
        stopped_early=is_early,
        # Of the places behind KEPT_TEMPLATES no text is known.
        usual_next=(node.next_text or None) if went_on else None,
    )


def is_rare(ended: int, through: int) -> bool:
    """Return whether no more ended than would do so if ``RARE`` of those that came by did.

    That is, ``ENOUGH`` came by, and not more ended than the ``DOUBT`` quantile of the binomial
    distribution, by the expansion of Cornish and Fisher (1937) to the skewness, nor than ``USUAL``.
    """
    if through < ENOUGH or ended > through * USUAL:
        return False
    deviation = sqrt(through * RARE * (1 - RARE))
    skewness = (DOUBT * DOUBT - 1) * (1 - 2 * RARE) / 6
    return ended <= through * RARE + DOUBT * deviation + skewness


@lru_cache(1024)
def keys_of(path: bytes) -> tuple[int, ...]:
    """Return the places that a path leads through, by the numbers that they have in the file."""
    return tuple(_key(path[:end]) for end in range(PLACE, len(path) + 1, PLACE))


def _key(path: bytes) -> int:
    return int.from_bytes(blake2b(path, digest_size=8).digest(), "big") >> 1  # SQLite's are signed


def _clipped(text: str) -> str:
    """Return what fits, as SQLite takes it."""
    kept = text[:TEXT_BYTES].encode("utf-8", "backslashreplace")[:TEXT_BYTES]
    return kept.decode("utf-8", "ignore").replace("\0", "\\0")
