"""An output of Cowrie that tells how late the reactor is, and turns the clock for a test.

A test puts it into Cowrie's package, and names it before the plugin. Not libfaketime: under it,
threads of Python wait for one another for tenths of a second.
"""

from __future__ import annotations

import time
from array import array
from pathlib import Path
from typing import Any

import cowrie.core.output
from cowrie.core.config import CowrieConfig
from twisted.internet import reactor as _reactor

INTERVAL = 0.01
"""Seconds between two calls of the timer."""
CLOCK_SECONDS = 0.5
"""Seconds between two looks at the file that says how far the clock is off."""

reactor: Any = _reactor


class Output(cowrie.core.output.Output):  # type: ignore[misc]
    """Sets a timer over and over and writes down, in seconds, how late it was called."""

    def start(self) -> None:
        """Begin when the reactor does."""
        self.file = Path(CowrieConfig.get("output_lateness", "file"))
        self.late = array("f")
        self.clock = Path(CowrieConfig.get("output_lateness", "clock"))
        self.off = 0.0
        true = time.time
        time.time = lambda: true() + self.off
        reactor.callWhenRunning(self.again)
        reactor.callWhenRunning(self.turn)

    def turn(self) -> None:
        """Turn the clock as far as the file says, in seconds."""
        self.off = float(self.clock.read_text())
        reactor.callLater(CLOCK_SECONDS, self.turn)

    def again(self) -> None:
        """Set the timer."""
        reactor.callLater(INTERVAL, self.called, reactor.seconds() + INTERVAL)

    def called(self, due: float) -> None:
        """Take note."""
        self.late.append(reactor.seconds() - due)
        if len(self.late) >= 100:
            with self.file.open("ab") as file:
                self.late.tofile(file)
            self.late = array("f")
        self.again()

    def stop(self) -> None:
        """Do nothing: the last second does not matter."""

    def write(self, event: dict[str, Any]) -> None:
        """Do nothing."""
