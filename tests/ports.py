"""Ports of loopback for servers of tests."""

from __future__ import annotations

import os
import random
import socket
from typing import Final

HOST: Final = "127.0.0.1"
LOW, HIGH = 20_000, 32_000
"""Below those that Linux gives to clients (32,768 on): one of those could be taken by a test's own
client before the server comes to it."""
SHARE, SHARES = (
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)
"""Of processes that share the tests, each has ports of its own: one could find free what another
gave a moment ago."""

_given: Final[set[int]] = set()


def free_port() -> int:
    """Return a port that nothing listens on now, each time another."""
    while True:
        port = random.randrange(LOW + SHARE, HIGH, SHARES)
        with socket.socket() as probe:
            # As servers do: a port whose last connection ended a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in _given and probe.connect_ex((HOST, port)) != 0:
                break
    _given.add(port)
    return port
