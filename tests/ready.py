"""``cowrie-sessionstats`` for tests that call it often: a second of imports is done once for all.

Each call is a process of its own, with its standard streams, folder, environment and exit status.
It is forked from one that has loaded everything (``ready_process``) instead of started; tests of
how the command starts, or of what two processes make of the same, use ``logs``.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import define, field
from logs import COMMAND, Said

PATIENCE = 120.0
"""Seconds that a call may take."""


@define(eq=False)
class _Loaded:
    """The process that is forked, from the first call on."""

    _socket: socket.socket | None = None
    _lock: threading.Lock = field(factory=threading.Lock)

    def calls(self) -> socket.socket:
        """Return where it takes calls."""
        with self._lock:
            if self._socket is None:
                self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                program = Path(__file__).with_name("ready_process.py")
                with theirs:
                    process = subprocess.Popen([sys.executable, program], stdin=theirs.fileno())
                atexit.register(process.wait)
                atexit.register(self._socket.close)  # the first to be called
            return self._socket


_LOADED = _Loaded()


def tool(*arguments: object, stdin: bytes = b"", cwd: Path | None = None) -> Said:
    """Run ``cowrie-sessionstats`` as ``logs.tool`` does."""
    call = {
        "arguments": [str(COMMAND), *map(str, arguments)],
        "environment": dict(os.environ),
        "folder": str(cwd or Path.cwd()),
    }
    answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipes = [os.pipe() for _ in range(3)]
    (in_read, in_write), (out_read, out_write), (err_read, err_write) = pipes
    handles = [in_read, out_write, err_write, theirs.detach()]
    socket.send_fds(_LOADED.calls(), [json.dumps(call).encode()], handles)
    for handle in handles:
        os.close(handle)
    with answers, ThreadPoolExecutor() as threads:
        threads.submit(_write, in_write, stdin)
        out, err = (threads.submit(_read, handle) for handle in (out_read, err_read))
        answers.settimeout(PATIENCE)
        process = int(answers.recv(32))
        try:
            status = int(answers.recv(32))
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise
        return Said(status, out.result(), err.result().decode())


def _write(handle: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(handle, "wb") as end:
        end.write(data)


def _read(handle: int) -> bytes:
    with os.fdopen(handle, "rb") as end:
        return end.read()
