"""What can happen in a session: events of any generation of Cowrie, as we count them.

Times are stamps, as they stand in the event, or ticks, in seconds of which only differences mean
anything (see ``events``). None: the event does not tell.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from attrs import define

Auth: TypeAlias = Literal["password", "publickey", "none"]


@define(eq=False)
class Connect:
    """The connection was accepted."""

    stamp: Any
    when: float | None = None
    """What ``stamp`` says, in seconds since 1970, if that was read already."""


@define(eq=False)
class Closed:
    """The connection ended; ``duration`` in seconds, as Cowrie measured it."""

    stamp: Any
    tick: float | None
    duration: float | None
    when: float | None = None
    """As of ``Connect``."""


@define(eq=False)
class Login:
    """A login was tried."""

    tick: float | None
    succeeded: bool
    auth: Auth
    username: str | None
    password: str | None
    key_fingerprint: str | None


@define(eq=False)
class KeyOffered:
    """The client showed a public key."""

    key_fingerprint: str | None


@define(eq=False)
class ClientVersion:
    """The client said what it is."""

    version: str | None


@define(eq=False)
class ClientKex:
    """The client's key exchange, as its HASSH fingerprint."""

    hassh: str | None


@define(eq=False)
class Terminal:
    """The size of the client's terminal, ``columns x rows``."""

    size: str | None


@define(eq=False)
class Architecture:
    """A shell or a command began, on the machine that Cowrie shows to this session."""

    arch: str | None


@define(eq=False)
class Command:
    """A line for the shell (``cowrie.command.input``)."""

    tick: float | None
    line: str | None


@define(eq=False)
class CommandFailed:
    """A command that Cowrie does not have."""


@define(eq=False)
class CommandOther:
    """Any other ``cowrie.command.*`` event: a part of a parsed line, a changed password."""


@define(eq=False)
class Input:
    """A line fed to a running command; ``command_event`` if its id is a ``cowrie.command.*``."""

    command_event: bool
    tick: float | None = None


@define(eq=False)
class Download:
    """A file reached the honeypot through a command; both fields as far as known."""

    url: str | None
    sha256: str | None


@define(eq=False)
class DownloadFailed:
    """A file could not be fetched."""

    url: str | None


@define(eq=False)
class Upload:
    """A file was sent over SFTP or SCP."""

    sha256: str | None


@define(eq=False)
class Forward:
    """A TCP connection through the honeypot was asked for; ``target`` is ``host:port``."""

    target: str | None


@define(eq=False)
class TtyLog:
    """The recording of a terminal was closed, and so was its channel."""

    path: str | None
    tick: float | None = None


@define(eq=False)
class Told:
    """The plugin's own record, in a log that it was written to: it knows what no log tells."""

    stopped: bool
    """Whether the session ended because Cowrie was stopped."""


@define(eq=False)
class Other:
    """Activity of the session that nothing is counted from."""


Event: TypeAlias = (
    Connect
    | Closed
    | Login
    | KeyOffered
    | ClientVersion
    | ClientKex
    | Terminal
    | Architecture
    | Command
    | CommandFailed
    | CommandOther
    | Input
    | Download
    | DownloadFailed
    | Upload
    | Forward
    | TtyLog
    | Told
    | Other
)
