"""Tells whether Cowrie serves: exit status 0 if so, 1 and a line that says why if not.

It connects to nothing: that would leave a session in Cowrie's log, and a record, every time. It
looks at the kernel's tables instead. Every port of the configuration has to be open in a process
of this container, and no client may wait there that Cowrie does not accept.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

LOOKS = 3
PAUSE = 1.0
"""Looks, seconds apart: a client waits in each only if Cowrie does not come to accept any."""
LISTENING = "0A"  # Linux, include/net/tcp_states.h
TABLES = ("tcp", "tcp6")


@frozen
class Socket:
    """A socket that listens."""

    port: int
    waiting: int
    """Clients that are connected and not accepted yet."""


def listening(proc: Path = Path("/proc")) -> list[Socket]:
    """Return the sockets that listen and belong to a process that may be looked at."""
    owned = set(_owned(proc))
    found = []
    for table in TABLES:
        path = proc / "net" / table
        if not path.exists():  # a kernel without IPv6
            continue
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, queues, _, _, _, _, inode, *_ = line.split()
            if state == LISTENING and inode in owned:
                port, waiting = local.rpartition(":")[2], queues.rpartition(":")[2]
                found.append(Socket(int(port, 16), int(waiting, 16)))
    return found


def _owned(proc: Path) -> Iterator[str]:
    """Yield the inodes of the sockets that processes hold: the network may be the host's."""
    for folder in proc.glob("[0-9]*/fd"):
        try:
            links = list(folder.iterdir())
        except OSError:  # another user's, or gone
            continue
        for link in links:
            with contextlib.suppress(OSError):  # closed in between, as clients come and go
                if match := re.fullmatch(r"socket:\[([0-9]+)\]", str(link.readlink())):
                    yield match[1]


def ports() -> dict[int, str]:
    """Return what has to be open by Cowrie's configuration, with the protocol of each."""
    from cowrie.core.config import CowrieConfig  # noqa: PLC0415 - reads the files when imported

    found = {}
    for protocol, default, usual in (("ssh", True, 2222), ("telnet", False, 2223)):
        if CowrieConfig.getboolean(protocol, "enabled", fallback=default):
            endpoints = CowrieConfig.get(protocol, "listen_endpoints", fallback=f"tcp:{usual}")
            for port in re.findall(r"(?:^|\s)tcp6?:(?:port=)?([0-9]+)", endpoints):
                found[int(port)] = protocol
    return found


def trouble(expected: dict[int, str], looks: list[list[Socket]]) -> str | None:
    """Return what is wrong by several looks at the sockets; None if nothing is."""
    for port, protocol in expected.items():
        waiting = [
            max((socket.waiting for socket in look if socket.port == port), default=-1)
            for look in looks
        ]
        if -1 in waiting:
            return f"nothing listens on port {port} ({protocol})"
        if all(waiting):
            return f"clients wait on port {port} ({protocol}): {waiting[-1]}, and none is accepted"
    return None


def main() -> int:
    """Look, say what is wrong, return the exit status."""
    expected = ports()
    looks = [listening()]
    while len(looks) < LOOKS and any(socket.waiting for socket in looks[-1]):
        time.sleep(PAUSE)
        looks.append(listening())
    said = trouble(expected, looks)
    print(said or f"serves {', '.join(sorted(set(expected.values())))}")
    return 0 if said is None else 1


if __name__ == "__main__":
    sys.exit(main())
