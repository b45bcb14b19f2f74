"""A process with the command line loaded, which becomes ``cowrie-sessionstats`` for each call.

Started by ``ready``: its standard input is a socket, whose messages are the arguments, folder and
environment of a call, with its standard streams and a socket for the process's id and its status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import time
from types import ModuleType

LARGEST = 1 << 18
"""Bytes of a call."""


def load(package: ModuleType) -> None:
    """Import a package and all that is in it."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)


def become_a_call(calls: socket.socket) -> None:
    """Return in a new process for each call, which then is what the call asked for."""
    while True:
        message, handles, _, _ = socket.recv_fds(calls, LARGEST, 4)
        if not message:  # the tests are over
            os._exit(0)
        if os.fork() == 0:
            break
        for handle in handles:
            os.close(handle)
    calls.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, answers = handles
    command = os.fork()
    if command:
        for stream in streams:
            os.close(stream)
        os.write(answers, str(command).encode())
        _, status = os.waitpid(command, 0)
        os.write(answers, str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(answers)
    for wanted, stream in enumerate(streams):
        os.dup2(stream, wanted)
        os.close(stream)
    # As Python opens them; those of before know what they were opened on.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    call = json.loads(message)
    os.environ.clear()
    os.environ.update(call["environment"])
    time.tzset()
    os.chdir(call["folder"])
    sys.argv = call["arguments"]


if __name__ == "__main__":
    del sys.path[0]  # modules of tests are none of the command's
    from cowrie_sessionstats import cli, replay, report

    load(replay)
    load(report)
    importlib.import_module("ibis.backends.duckdb")  # otherwise with the first question
    gc.freeze()  # what is loaded stays: nobody has to look through it at a process's end
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    become_a_call(channel)
    sys.exit(cli.main())
