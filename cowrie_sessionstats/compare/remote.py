"""Commands over SSH: on the honeypot, and on a reference machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import asyncssh
from attrs import define, field, frozen

from cowrie_sessionstats import __version__
from cowrie_sessionstats.compare.allowlist import may_run
from cowrie_sessionstats.compare.answers import BYTES, SECONDS, Answer, UnusableError, answer_of
from cowrie_sessionstats.compare.local import ENVIRONMENT
from cowrie_sessionstats.summary import printable

CONNECT_SECONDS: Final = 20.0
"""A machine that does not answer within that is not there."""

CLIENT: Final = f"cowrie-sessionstats-compare_{__version__}"
"""What we call ourselves, so that these sessions can be told in the honeypot's log."""

_BEGINNING: Final = "-- cowrie-sessionstats-compare --"
_SETTINGS: Final = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
READING: Final = (
    f"exec /usr/bin/env -i {_SETTINGS} /bin/sh -c 'echo {_BEGINNING}; "
    "cd / && IFS= read -r line || exit; "
    f'limit=; timeout 1 true 2>/dev/null && limit="timeout -s KILL {SECONDS + 2:.0f}"; '
    '[ -x /bin/bash ] && exec $limit bash -c "$line" </dev/null 2>&1; '
    'exec $limit sh -c "$line" </dev/null 2>&1\''
)
"""What a reference is told to run: a shell with nothing of the user's, which reads the line.

The same for every line, so that no shell but that one ever reads what an attacker wrote: not the
user's own, which may be any, nor what it reads when it starts. What that says stands before the
beginning, and is no answer. It ends by itself: sshd kills nothing for those who log in as root.
"""


class RemoteError(UnusableError):
    """A machine cannot be asked; the text says which, why and what to do."""


@frozen
class Machine:
    """Where to log in."""

    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """Return host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def honeypot_at(place: str, user: str, password: str) -> Machine:
    """Return the honeypot at ``HOST:PORT``; ValueError if that is none."""
    parts = urlsplit(f"//{place}")
    if parts.hostname is None or parts.port is None or parts.path or parts.username:
        raise ValueError(place)
    return Machine(parts.hostname, parts.port, user, password)


def reference_at(url: str) -> Machine:
    """Return the machine of ``ssh://[USER@]HOST[:PORT]``; ValueError if that is none."""
    parts = urlsplit(url)
    if parts.scheme != "ssh" or not parts.hostname or parts.path.strip("/") or parts.password:
        raise ValueError(url)
    return Machine(parts.hostname, parts.port or 22, parts.username or "root")


@define(eq=False)
class Asker:
    """Runs lines on a machine, one after the other, each in a session channel of its own.

    A reference (``only_reading``) is never given a line that is not known to be harmless; its host
    key and our login are as ``ssh`` has them. A honeypot's key is nobody's, and it gets the lines
    as attackers send them.
    """

    machine: Machine
    only_reading: bool

    def ask(self, lines: Sequence[str]) -> dict[str, Answer]:
        """Return the answers; RemoteError if nobody can log in."""
        return asyncio.run(self._ask(lines))

    async def _ask(self, lines: Sequence[str]) -> dict[str, Answer]:
        answers: dict[str, Answer | None] = {}
        waiting = [line for line in lines if not self.only_reading or may_run(line)]
        while waiting:
            before = len(waiting)
            try:
                connection = await self._connected()
            except RemoteError:
                if any(answers.values()):
                    break  # it lets nobody in any more, which makes its answers no worse
                raise
            try:
                while waiting:
                    answers[waiting[0]] = await self._answer(connection, waiting[0])
                    waiting.pop(0)
            except (OSError, asyncssh.Error):
                if len(waiting) == before:  # it ended the connection: there is no answer to this
                    answers[waiting.pop(0)] = None
            finally:
                connection.abort()
        heard = {line: answer for line, answer in answers.items() if answer is not None}
        if answers and not heard:
            raise RemoteError(
                f"{self.machine.place} answers no command: see whether ssh runs one there"
            )
        return heard

    async def _connected(self) -> asyncssh.SSHClientConnection:
        options: dict[str, Any] = {"client_version": CLIENT}
        if not self.only_reading:
            options |= {"known_hosts": None, "client_keys": None, "config": [], "agent_path": None}
            options |= {"password": self.machine.password, "preferred_auth": "password"}
        try:
            return await asyncio.wait_for(
                asyncssh.connect(
                    self.machine.host, self.machine.port, username=self.machine.user, **options
                ),
                CONNECT_SECONDS,
            )
        except asyncio.TimeoutError:
            raise RemoteError(f"{self.machine.place} does not answer. Is it there?") from None
        except asyncssh.PermissionDenied:
            what = (
                "name a user and a password that it lets in: --user, --password-file"
                if not self.only_reading
                else "see whether ssh lets you in without a password"
            )
            raise RemoteError(
                f"{self.machine.place} does not let {self.machine.user} in: {what}"
            ) from None
        except (OSError, asyncssh.Error) as error:
            reason = printable(str(error) or type(error).__name__, 200)
            raise RemoteError(f"{self.machine.place} cannot be asked: {reason}") from None

    async def _answer(self, connection: asyncssh.SSHClientConnection, line: str) -> Answer | None:
        """Return the answer; None if there is none."""
        heard = _Heard()
        is_late = False
        try:
            await asyncio.wait_for(self._hear(connection, line, heard), SECONDS)
        except asyncio.TimeoutError:
            is_late = True
        output = bytes(heard.output)
        if self.only_reading:
            _, beginning, output = output.partition(_BEGINNING.encode("ascii") + b"\n")
            if not beginning:
                return None
        return answer_of(output, heard.status, is_late=is_late)

    async def _hear(
        self, connection: asyncssh.SSHClientConnection, line: str, heard: _Heard
    ) -> None:
        command = READING if self.only_reading else line
        try:
            channel, _ = await connection.create_session(lambda: heard, command, encoding=None)
        except AttributeError:
            # asyncssh (2.24) when the channel is closed before it has seen it opened, and nothing
            # was said on it: what Cowrie does where it has no answer.
            if heard.done.is_set():
                return
            raise
        try:
            with contextlib.suppress(OSError):  # it has ended already
                if self.only_reading:
                    channel.write(line.encode("ascii") + b"\n")
                channel.write_eof()
            await heard.done.wait()
            if heard.trouble is not None:
                raise heard.trouble
        finally:
            if self.only_reading and not heard.is_over:
                channel.kill()
            channel.abort()


class _Heard(asyncssh.SSHClientSession[bytes]):
    """What a machine says to one command, within bounds."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.status: int | None = None
        self.is_over = False
        """The machine has ended it, not we."""
        self.trouble: Exception | None = None
        """It ended with all of the connection."""
        self.done = asyncio.Event()

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002
        """Take both streams as one; ``datatype`` says which it is."""
        self.output += data
        if len(self.output) > 2 * BYTES:  # an answer, and what a shell says before it
            self.done.set()

    def exit_status_received(self, status: int) -> None:
        """Take the exit status."""
        self.status = status

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        self.is_over = True
        self.trouble = exc
        self.done.set()
