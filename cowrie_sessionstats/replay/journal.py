"""Where followed records go, and the state from which another can go on: each record once."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from cowrie_sessionstats.outputs.log import LineFile
from cowrie_sessionstats.replay.following import Mark, Place
from cowrie_sessionstats.replay.formats import replacing
from cowrie_sessionstats.replay.problems import StateError

VERSION: Final = 1
TAIL: Final = 1 << 26
"""Bytes of records that can lie behind a state: those of half a second are a few megabytes. With
more, another wrote them."""
_BEGINNING: Final = b'{"eventid":"cowrie.sessionstats.summary"'
_MOST: Final = 1 << 62


@frozen
class _Extent:
    """A file and how much of it the state knows of; of one that is not there yet, nothing."""

    device: int = 0
    inode: int = 0
    size: int = 0


@define(eq=False)
class Journal:
    """Writes records to a file or the standard output, and remembers it in ``state``.

    The order is: records out, then the state that says so. Whoever is killed between the two
    makes the same records again at the next start; those that are found in the file already,
    behind what the state knows of, are not written again. A pipe cannot be looked into: what went
    into it in the last instant before a crash goes into it twice.
    """

    output: Path | None
    state: Path | None
    marks: dict[str, Mark] = field(factory=dict, init=False)
    """Where each log has been read to, by its path."""
    is_writing: bool = field(default=False, init=False)
    """Whether a write to the standard output is under way: a reader can let it wait for ever."""
    _file: LineFile | None = field(default=None, init=False)
    _known: _Extent | None = field(default=None, init=False)
    """Behind this, records can stand in the file that the marks do not know of. None: a pipe."""
    _written: set[bytes] = field(factory=set, init=False)
    """Those that do."""
    _waiting: list[bytes] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        if self.output is not None:
            self._file = LineFile(self.output.absolute(), daily=False)
        self._known = self._extent()
        told = self._read_state()
        if told is not None:
            self.marks, known = told
            self._look_behind(known)

    def add(self, line: bytes) -> None:
        """Take one record, a line of JSON without its newline."""
        if line in self._written:
            self._written.discard(line)
        else:
            self._waiting.append(line + b"\n")

    @property
    def is_waiting(self) -> bool:
        """Whether there are records to be written."""
        return bool(self._waiting)

    def caught_up(self) -> None:
        """Take note that all there is was read: records behind the state have all come again."""
        self._written.clear()

    def commit(self, marks: Mapping[str, Mark]) -> None:
        """Write the records, then the state. OSError if that cannot be done."""
        self._write()
        self.marks = {**self.marks, **marks}
        if not self._written:
            self._known = self._extent()
        self._save()

    def _write(self) -> None:
        if self._file is not None:
            for line in self._waiting:
                self._file.append(line)
        elif self._waiting and sys.stdout is not None:
            self.is_writing = True
            sys.stdout.buffer.writelines(self._waiting)
            sys.stdout.buffer.flush()
            self.is_writing = False
        self._waiting.clear()

    def _extent(self) -> _Extent | None:
        """Return the output as it is; None for a pipe."""
        try:
            status = os.fstat(1) if self.output is None else self.output.stat()
        except OSError:
            return None if self.output is None else _Extent()
        if not stat.S_ISREG(status.st_mode):
            return None
        return _Extent(status.st_dev, status.st_ino, status.st_size)

    def _look_behind(self, known: _Extent | None) -> None:
        """Find the records in the file that were written after the state was."""
        now = self._known
        if known is None or now is None or not now.size:
            return
        same = (known.device, known.inode) == (now.device, now.inode)
        begin = min(known.size, now.size) if same else 0
        if now.size - begin > TAIL:
            return
        path = Path("/dev/fd/1") if self.output is None else self.output
        with path.open("rb") as file:
            file.seek(begin)
            tail = file.read(TAIL)
        lines = tail.split(b"\n")
        torn = lines.pop()
        if torn and (torn.startswith(_BEGINNING) or _BEGINNING.startswith(torn)):
            # A record that was being written when the process was killed: it will come again.
            os.truncate(path, begin + len(tail) - len(torn))
        self._written = set(lines)
        self._known = _Extent(now.device, now.inode, begin)

    # ------------------------------------------------------------ the state

    def _save(self) -> None:
        if self.state is None:
            return
        told = {
            "version": VERSION,
            "output": None if self._known is None else _as_json(self._known),
            "logs": {path: mark_to_json(mark) for path, mark in self.marks.items()},
        }
        with replacing(self.state) as out:
            out.write(json.dumps(told, indent=1).encode())

    def _read_state(self) -> tuple[dict[str, Mark], _Extent | None] | None:
        if self.state is None:
            return None
        try:
            told = json.loads(self.state.read_text())
            if _number(told["version"]) > VERSION:
                raise StateError(f"{self.state} is of a newer cowrie-sessionstats: use that one")
            output = told["output"]
            known = None if output is None else _Extent(**{k: _number(output[k]) for k in _KEYS})
            return {path: mark_from_json(mark) for path, mark in told["logs"].items()}, known
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StateError(
                f"{self.state} is no state of --follow ({type(error).__name__}: {error}). Name "
                "another file, or remove it to begin anew"
            ) from None


_KEYS: Final = ("device", "inode", "size")


def _as_json(extent: _Extent) -> dict[str, int]:
    return {key: getattr(extent, key) for key in _KEYS}


def _number(told: Any) -> int:
    """Return a whole number that is not negative; ValueError for anything else."""
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= _MOST:
        raise ValueError(f"{told!r:.40} is no number of bytes")
    return told


def mark_to_json(mark: Mark) -> dict[str, Any]:
    """Return a mark for a file of JSON."""
    return {
        "read": [mark.read.number, mark.read.offset, mark.read.line],
        "since": [mark.since.number, mark.since.offset, mark.since.line],
        "row": [list(entry) for entry in mark.row],
        "done": sorted(mark.done),
    }


def mark_from_json(told: Any) -> Mark:
    """Return a mark that ``mark_to_json`` wrote; ValueError and the like if it did not."""
    return Mark(
        Place(*map(_number, told["read"])),
        Place(*map(_number, told["since"])),
        tuple((_number(number), str(identity)) for number, identity in told["row"]),
        frozenset(str(identity) for identity in told["done"]),
    )
