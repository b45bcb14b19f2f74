"""How a session ended: by whom, or by which of Cowrie's timers."""

from __future__ import annotations

import re
from functools import cache
from typing import Final, Literal, TypeAlias

from attrs import frozen

from cowrie_sessionstats._toml import packaged
from cowrie_sessionstats.findings.facts import Facts

Ending: TypeAlias = Literal[
    "exit",
    "client_closed",
    "idle_timeout",
    "login_timeout",
    "never_logged_in",
    "sensor_stopped",
    "unknown",
]

_CTRL_D: Final = 4


@frozen
class Timeouts:
    """Cowrie's, in seconds: the options of those names in its section ``[honeypot]``.

    The defaults are those of its ``cowrie.cfg.dist`` (``interactive_timeout``, which stands there
    no more, has 300 in ``ssh/transport.py`` of 3.1.4).
    """

    idle: float = 180.0
    """Without a key, for a shell; for Telnet also since the login, whatever is typed."""
    authentication: float = 120.0
    """Until the login."""
    interactive: float = 300.0
    """Since the login, whatever is typed, for SSH; in 2021 it was ``idle``."""


@frozen
class Rules:
    """``ending.toml``."""

    leaves: re.Pattern[str]
    leaves_within: float
    early: float
    late: float
    done_before: float
    done_within: float


@cache
def rules() -> Rules:
    """Return the rules of the package."""
    known = packaged("cowrie_sessionstats.findings", "ending.toml")
    return Rules(**known | {"leaves": re.compile(known["leaves"])})


def ending(facts: Facts, timeouts: Timeouts, last_key: int | None = None) -> Ending:
    """Return how the session ended; ``last_key`` is the last byte that its terminal received.

    Cowrie's log does not tell. So it is concluded from the last command, the time that nothing
    was done before the close, and the timers that Cowrie sets: one from the connection to the
    login, one that each key sets anew, one from the login on.
    """
    if facts.stopped or facts.partial == "recovered":
        return "sensor_stopped"
    if facts.partial in {"open", "evicted"} or facts.logged_in is None:
        return "unknown"
    if not facts.logged_in:
        timed_out = _is_about(facts.duration, timeouts.authentication)
        return "login_timeout" if timed_out else "never_logged_in"
    if not _left(facts, last_key):
        if _timed_out(facts, timeouts):
            return "idle_timeout"
        if not (facts.is_exec() and _is_done(facts)):
            return "client_closed"
    return "exit"


def _is_about(seconds: float | None, timeout: float) -> bool:
    known = rules()
    return (
        seconds is not None
        and timeout > 0
        and timeout - known.early <= seconds <= timeout + known.late
    )


def _left(facts: Facts, last_key: int | None) -> bool:
    """Return whether the last thing that was typed ends a shell."""
    known = rules()
    after = facts.quiet_before_channel
    if after is None:
        after = facts.quiet
    if last_key == _CTRL_D:
        return True
    return (
        facts.last_template is not None
        and known.leaves.search(facts.last_template) is not None
        and (after is None or after <= known.leaves_within)
    )


def _timed_out(facts: Facts, timeouts: Timeouts) -> bool:
    quiet = facts.quiet_before_channel  # the terminal is closed first, then the client has to go
    return (
        _is_about(facts.quiet if quiet is None else quiet, timeouts.idle)
        or _is_about(facts.quiet, timeouts.idle)
        or _is_about(facts.since_login, timeouts.idle)
        or (facts.protocol != "telnet" and _is_about(facts.since_login, timeouts.interactive))
    )


def _is_done(facts: Facts) -> bool:
    """Return whether the last single command came to its end."""
    known = rules()
    if facts.channel_before_close is None or facts.quiet_before_channel is None:
        return facts.quiet is not None and facts.quiet <= known.done_within
    return (
        facts.channel_before_close >= known.done_before
        or facts.quiet_before_channel <= known.done_within
    )
