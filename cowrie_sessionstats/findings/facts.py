"""What findings are made from: the figures of a finished session."""

from __future__ import annotations

from typing import NamedTuple


class Facts(NamedTuple):
    """A finished session's figures; times in seconds. None: nothing is known."""

    protocol: str | None = None
    close: float | None = None
    """When it was closed, as ``events.tick`` has it."""
    partial: str | None = None
    stopped: bool = False
    """Whether Cowrie was being stopped when the session ended."""
    logged_in: bool | None = None
    login_attempts: int = 0
    duration: float | None = None
    client_version: str | None = None
    hassh: str | None = None
    terminal: str | None = None
    terminals: int = 0
    """How often a terminal, or another size of one, was asked for."""
    channels: int = 0
    """Shells and single commands that began; 0 where the log does not tell."""
    commands: int = 0
    characters: int = 0
    """Of all command lines."""
    fast: int = 0
    """Lines that came faster than anybody types (``session.Commands.fast``)."""
    first_command_after: float | None = None
    """From the login."""
    active: float | None = None
    """From the first command to the last."""
    gap_median: float | None = None
    gap_cv: float | None = None
    scripted: int = 0
    """Templates, repeats in a row counted once."""
    last_template: str | None = None
    since_login: float | None = None
    """From the login to the end."""
    quiet: float | None = None
    """From the last login, command or input to the end."""
    quiet_before_channel: float | None = None
    """From the same to the close of the last recording, if that came after."""
    channel_before_close: float | None = None
    """From that close to the end."""
    marks: int = 0
    """Which patterns the templates match, as bits (``commands.marks``)."""
    last_marks: int = 0
    downloads: int = 0
    uploads: int = 0
    forwards: int = 0

    def is_exec(self) -> bool:
        """Return whether each command came without a shell, as of ``ssh HOST COMMAND``.

        Each of those opens a channel of its own, and none has a terminal.
        """
        return (
            self.protocol != "telnet" and not self.terminals and 0 < self.commands <= self.channels
        )
