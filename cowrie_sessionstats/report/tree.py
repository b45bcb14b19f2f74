"""Whole scripts as a tree: where they part, and where sessions leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, field, frozen

THINNEST: Final = 0.002
"""Share of those sessions below which a branch is not drawn by itself: half a pixel of a page."""
DEEPEST: Final = 32
"""Templates of a session that the record lists, and so the levels that the tree can have."""


@frozen
class Node:
    """A template behind those that lead to it."""

    id: int
    parent: int | None
    """None: the beginning, which is no command."""
    depth: int
    """0: the beginning."""
    template: str
    sessions: int
    """That came through."""
    ended: int
    """Of which this was the last template."""
    left: float
    """Where its band begins, and how wide it is: shares of the sessions with a script, 0 to 1."""
    width: float
    example: str
    """A session that came through."""


@define(eq=False)
class _Branch:
    template: str
    sessions: int = 0
    ended: int = 0
    example: str = ""
    below: dict[str, _Branch] = field(factory=dict)


def tree(scripts: Iterable[Mapping[str, Any]], whole: int) -> list[Node]:
    """Return the tree of ``scripts`` (``templates``, ``sessions``, ``steps``, ``example``).

    ``whole`` is the number of sessions that have a script, also one that is not given here. Nodes
    come after their parents, the broadest of a parent first; branches thinner than ``THINNEST`` are
    left out, and their sessions stay counted in the nodes that they came through.
    """
    root = _Branch("")
    for script in scripts:
        _plant(root, script)
    nodes: list[Node] = []
    if root.sessions:
        root.sessions = whole
        _lay(root, None, 0, 0.0, whole, nodes)
    return nodes


def _plant(root: _Branch, script: Mapping[str, Any]) -> None:
    sessions = script["sessions"]
    branch = root
    templates = list(script["templates"] or ())[:DEEPEST]
    for template in (None, *templates):
        if template is not None:
            branch = branch.below.setdefault(template, _Branch(template))
        branch.sessions += sessions
        branch.example = branch.example or script["example"]
    if len(templates) == script["steps"]:
        branch.ended += sessions


def _lay(  # noqa: PLR0913, PLR0917 - where, and of what
    branch: _Branch,
    parent: int | None,
    depth: int,
    left: float,
    whole: int,
    nodes: list[Node],
) -> None:
    number = len(nodes)
    nodes.append(
        Node(
            number,
            parent,
            depth,
            branch.template,
            branch.sessions,
            branch.ended,
            left,
            branch.sessions / whole,
            branch.example,
        )
    )
    for child in sorted(branch.below.values(), key=lambda each: (-each.sessions, each.template)):
        if child.sessions / whole >= THINNEST:
            _lay(child, number, depth + 1, left, whole, nodes)
        left += child.sessions / whole
