"""A terminal that shows a page again and again until somebody leaves; it gets it back as it was."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from attrs import define, field

LEAVE: Final = b"qQ\x03\x04"
"""Keys that leave: q; Ctrl-C and Ctrl-D, where the terminal does not make signals of them."""

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_WAKING: Final = (*_ENDING, signal.SIGWINCH, signal.SIGTSTP)


@define(eq=False)
class Signals:
    """Signals that came, instead of what they would do in the middle of something."""

    came: list[int] = field(factory=list, init=False)
    wake: int = field(default=-1, init=False)
    """Can be read from when one came."""

    @contextlib.contextmanager
    def taken(self) -> Iterator[Signals]:
        """Take signals until the end."""
        self.wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Under nohup the terminal may go.
        waking = [s for s in _WAKING if signal.getsignal(s) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._take) for number in waking}
        woken = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        try:
            yield self
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self.wake)
            os.close(write)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.came.append(number)

    def ending(self) -> int | None:
        """Return the signal that is to end the program, if one came."""
        return next((number for number in self.came if number in _ENDING), None)

    def wait(self, seconds: float, keys: int | None) -> bytes:
        """Wait until one comes, somebody types (to ``keys``) or the time is over; return keys."""
        files = [self.wake, *([] if keys is None else [keys])]
        readable, _, _ = select.select(files, [], [], max(seconds, 0.0))
        if self.wake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 1024)
        if keys is None or keys not in readable:
            return b""
        return os.read(keys, 1024) or LEAVE  # the terminal is gone


def show(
    console: Any, make: Callable[[], Any], interval: float, clock: Callable[[], float]
) -> int | None:
    """Show what ``make`` returns, every ``interval`` seconds; return the signal that ended it.

    None: somebody pressed a key that leaves. ``clock`` only ever goes on.
    """
    keys = _keys()
    signals = Signals()
    with signals.taken():
        while True:
            with _page(console, keys) as live:
                _run(live, make, interval, clock, signals, keys)
            if signal.SIGTSTP in signals.came and signals.ending() is None:
                signals.came.clear()
                os.kill(os.getpid(), signal.SIGSTOP)  # goes on here when it is continued
                continue
            return signals.ending()


def _run(  # noqa: PLR0913, PLR0917 - each is what its name says
    live: Any,
    make: Callable[[], Any],
    interval: float,
    clock: Callable[[], float],
    signals: Signals,
    keys: int | None,
) -> None:
    """Show the page until something else is to be done."""
    while True:
        live.update(make(), refresh=True)
        until = clock() + interval
        while (left := until - clock()) > 0:
            typed = signals.wait(left, keys)
            if set(typed) & set(LEAVE):
                return
            if signal.SIGTSTP in signals.came or signals.ending() is not None:
                return
            if signal.SIGWINCH in signals.came:
                signals.came.clear()
                break


@contextlib.contextmanager
def _page(console: Any, keys: int | None) -> Iterator[Any]:
    """Give the whole terminal, and keys as they are typed; put both back."""
    from rich.live import Live  # noqa: PLC0415 - only where there is a terminal

    before = None if keys is None else termios.tcgetattr(keys)
    try:
        if keys is not None:
            tty.setcbreak(keys)
        with Live(
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        ) as live:
            yield live
    finally:
        if keys is not None and before is not None:
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(keys, termios.TCSADRAIN, before)


def _keys() -> int | None:
    """Return where keys can be read; None if the input is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    return sys.stdin.fileno()
