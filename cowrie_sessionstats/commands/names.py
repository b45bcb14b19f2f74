"""The names that a session has made, numbered in order of appearance, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import define

from cowrie_sessionstats.commands.values import Name, Piece

NAMES: Final = 64
"""Names that a session keeps. Scripts make a handful; one that makes more loses the oldest."""


@define(eq=False, weakref_slot=False)
class Names:
    """Names a session has made. One text holds them all, which takes a tenth of a dictionary.

    A name that was made without being written (the last part of a URL that was fetched) waits
    for its number until it is written: two URLs, one of which has no such part, count alike.
    """

    numbered: str = "\n"
    waiting: str = "\n"
    forgotten: int = 0
    """How many have gone since there were more than ``NAMES``."""

    def fill(self, pieces: Iterable[Piece]) -> str:
        """Return the text of ``pieces``, each name as its number or as it stands."""
        return "".join(piece if isinstance(piece, str) else self._shown(piece) for piece in pieces)

    def verbs(self, pieces: Iterable[Piece]) -> str:
        """Return the programs of a line, those that the session made without their numbers."""
        return "".join(
            piece
            if isinstance(piece, str)
            else ("<var>" if piece.name[0] == "$" else "<name>")
            if piece.made or self.knows(piece.name)
            else piece.fallback
            for piece in pieces
        )

    def meet(self, names: frozenset[str]) -> bool:
        """Whether the session has made one of ``names``."""
        return not (
            names.isdisjoint(self.numbered.split("\n"))
            and (self.waiting == "\n" or names.isdisjoint(self.waiting.split("\n")))
        )

    def knows(self, name: str) -> bool:
        """Whether the session has made ``name``."""
        entry = f"\n{name}\n"
        return entry in self.numbered or entry in self.waiting

    def placeholder(self, name: str) -> str | None:
        """Return what stands for ``name``; None if it was not made, or not written yet."""
        at = self.numbered.find(f"\n{name}\n")
        return None if at < 0 else self._placeholder(name, at)

    def bind(self, name: str) -> None:
        """Remember a name that was made without being written."""
        if not self.knows(name):
            self.waiting += f"{name}\n"
            self._bound()

    def _shown(self, piece: Name) -> str:
        entry = f"\n{piece.name}\n"
        at = self.numbered.find(entry)
        if at < 0:
            if entry in self.waiting:
                self.waiting = self.waiting.replace(entry, "\n", 1)
            elif not piece.made:
                return piece.fallback
            at = len(self.numbered) - 1
            self.numbered += f"{piece.name}\n"
            self._bound()
            at = self.numbered.find(entry)
        return self._placeholder(piece.name, at)

    def _placeholder(self, name: str, at: int) -> str:
        number = self.forgotten + self.numbered.count("\n", 0, at + 1)
        return f"<{'var' if name[0] == '$' else 'name'}{number}>"

    def _bound(self) -> None:
        """Forget the oldest name if there are too many."""
        if self.numbered.count("\n") + self.waiting.count("\n") <= NAMES + 2:
            return
        if self.waiting != "\n":
            self.waiting = self.waiting[self.waiting.index("\n", 1) :]
        else:
            self.numbered = self.numbered[self.numbered.index("\n", 1) :]
            self.forgotten += 1
