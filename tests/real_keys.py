"""Keys that real people pressed, recorded by others: when, and whether a key took one back.

No recording is part of this repository. ``accuracy.py make --keys FOLDER`` reads those of a folder
in the form of the public one of github.com/AlvinKuruvilla/keystroke-data (2022: 25 people who wrote
posts at their own keyboards): ``P,KEY,NANOSECONDS`` a line for a key that is pressed, in files
``*_PERSON.csv``. Only times are used, and which keys were Backspace; nobody's text.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

_PRESSED = re.compile(r"P,(.*),(\d{19})\s*")
_SILENT = ("Key.shift", "Key.ctrl", "Key.cmd", "Key.alt", "Key.caps_lock")
"""Keys that send nothing by themselves."""
LONGEST = 8.0
"""Seconds: a longer wait is cut to this, or a visit would take an hour."""
FEWEST = 500
"""Keys: a person with fewer is left out."""


@frozen
class Hand:
    """One person's keys, in their order."""

    person: str
    keys: tuple[tuple[float, bool], ...]
    """For each the seconds since the one before, and whether it was Backspace."""

    def from_somewhere(self, chance: random.Random) -> Iterator[tuple[float, bool]]:
        """Return the keys from a random one on, and from the first again at the end."""
        start = chance.randrange(len(self.keys))
        while True:
            yield from self.keys[start:]
            start = 0


def hands(folder: Path) -> list[Hand]:
    """Return all people of the recordings in a folder and those below it."""
    keys: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for path in sorted(folder.glob("**/*_*.csv")):
        person = path.stem.rpartition("_")[2]
        before = None
        for line in path.read_text(errors="replace").splitlines():
            pressed = _PRESSED.fullmatch(line)
            if pressed is None or pressed[1].startswith(_SILENT):
                continue
            now = int(pressed[2]) / 1e9
            if before is not None and now >= before:
                keys[person].append((min(LONGEST, now - before), "backspace" in pressed[1]))
            before = now
    return [Hand(who, tuple(all_)) for who, all_ in sorted(keys.items()) if len(all_) >= FEWEST]
