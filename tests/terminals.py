"""Commands on a terminal: a real one to them, an emulated one to the test."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest
from logs import COMMAND

SECONDS = 30.0
"""What may take so long on a busy machine takes less than one on another."""


class Terminal:
    """A command that runs on a terminal of so many columns and rows."""

    def __init__(
        self,
        *arguments: object,
        columns: int = 80,
        rows: int = 24,
        program: Path = COMMAND,
        **variables: str,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        known = {key: value for key, value in os.environ.items() if key not in _STEERING}
        with warnings.catch_warnings():
            # Python 3.12 on says of every fork that other threads may hold a lock.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.child = pexpect.spawn(
                str(program),
                [str(each) for each in arguments],
                env={**known, "TERM": "xterm-256color", **variables},
                dimensions=(rows, columns),
                timeout=SECONDS,
            )

    def read(self) -> bool:
        """Show what the command wrote; False if it has ended."""
        try:
            piece = self.child.read_nonblocking(1 << 16, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += piece
        self._stream.feed(piece)
        return True

    def wait_until(self, holds: Callable[[Terminal], Any]) -> Terminal:
        """Wait until something holds of what is shown."""
        deadline = time.monotonic() + SECONDS
        while not holds(self):
            if not self.read() or time.monotonic() > deadline:
                assert holds(self), "\n".join(self.lines)
        return self

    def wait_for(self, words: str) -> Terminal:
        """Wait until words are shown."""
        return self.wait_until(lambda terminal: words in terminal.text)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self.child.setwinsize(rows, columns)
        self.screen.resize(rows, columns)

    def press(self, keys: str) -> None:
        """Type keys."""
        self.child.send(keys)

    def ended(self) -> int:
        """Return how the command ended: its status, or less than 0 for a signal."""
        deadline = time.monotonic() + SECONDS
        while self.read():
            if time.monotonic() > deadline:
                pytest.fail("the command goes on")
        self.child.close()
        if self.child.signalstatus is not None:
            return -int(self.child.signalstatus)
        return int(self.child.exitstatus)

    @property
    def lines(self) -> list[str]:
        """The rows of the screen."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """All of them."""
        return "\n".join(self.lines)


_STEERING = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
