"""How these commands end: by Ctrl-C, or because nobody reads what they write."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

DONE: Final = 0
NOTHING: Final = 1
"""What was asked for cannot be done."""
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
"""Both as a shell says it of programs that a signal ended."""


def say(text: str) -> None:
    """Tell a person, if one listens."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def give_up_stdout() -> None:
    """Let go of what could not be written: Python would try again at its end, and complain."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
