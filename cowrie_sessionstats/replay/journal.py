"""Where followed records go, and the state from which another can go on: each record once."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from cowrie_sessionstats.outputs.log import LineFile
from cowrie_sessionstats.replay.following import Mark, mark_from_json, mark_to_json
from cowrie_sessionstats.replay.formats import replacing

VERSION: Final = 1
TAIL: Final = 1 << 26
"""Bytes of records that can lie behind a state: those of half a second are a few megabytes."""
_BEGINNING: Final = b'{"eventid":"cowrie.sessionstats.summary"'


class StateError(Exception):
    """A state that cannot be used; its text says why and what to do."""


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
    _file: LineFile | None = field(default=None, init=False)
    _written: set[bytes] = field(factory=set, init=False)
    """Lines that stand in the file already, though the state does not know."""
    _waiting: list[bytes] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        if self.output is not None:
            self._file = LineFile(self.output.absolute(), daily=False)
        told = self._read_state()
        if told is not None:
            self.marks = told[0]
            self._look_behind(told[1])
        self._save()

    def _read_state(self) -> tuple[dict[str, Mark], Any] | None:
        if self.state is None:
            return None
        try:
            told = json.loads(self.state.read_text())
            if told["version"] > VERSION:
                raise StateError(
                    f"{self.state} was written by a newer cowrie-sessionstats: use that"
                )
            marks = {path: mark_from_json(mark) for path, mark in told["logs"].items()}
            return marks, told["output"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateError(
                f"{self.state} is no state of --follow ({error}). Name another file, or remove it "
                "to begin anew"
            ) from None

    def add(self, line: bytes) -> None:
        """Take one record, a line of JSON without its newline."""
        if line in self._written:
            self._written.discard(line)
        else:
            self._waiting.append(line + b"\n")

    def commit(self, marks: dict[str, Mark]) -> None:
        """Write the records, then the state. OSError if that cannot be done."""
        if not self._waiting and marks == self.marks:
            return
        if self._file is not None:
            for line in self._waiting:
                self._file.append(line)
        elif self._waiting and sys.stdout is not None:
            sys.stdout.buffer.writelines(self._waiting)
            sys.stdout.buffer.flush()
        self._waiting.clear()
        self.marks = marks
        self._save()

    def _save(self) -> None:
        if self.state is None:
            return
        told = {
            "version": VERSION,
            "output": self._output(),
            "logs": {path: mark_to_json(mark) for path, mark in self.marks.items()},
        }
        with replacing(self.state) as out:
            out.write(json.dumps(told, indent=1).encode())

    def _output(self) -> dict[str, int] | None:
        """Return which file the records go to and how much of it is ours; None for a pipe."""
        try:
            status = os.fstat(1) if self.output is None else self.output.stat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return {"device": status.st_dev, "inode": status.st_ino, "size": status.st_size}

    def _look_behind(self, known: Any) -> None:
        """Find the records in the file that were written after the state was."""
        now = self._output()
        if (
            not known
            or not now
            or known["inode"] != now["inode"]
            or known["device"] != now["device"]
        ):
            return
        path = Path("/dev/fd/1") if self.output is None else self.output
        with path.open("rb") as file:
            file.seek(known["size"])
            tail = file.read()
        lines = tail.split(b"\n")
        torn = lines.pop()
        self._written = set(lines)
        if torn and now["size"] > known["size"]:
            # A record that was being written when the process was killed: it will come again.
            os.truncate(path, now["size"] - len(torn))
