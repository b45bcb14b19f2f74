"""Becomes Cowrie, in the foreground: the container's first process, which gets its signals."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDERS = ("var/log/cowrie", "var/lib/cowrie/downloads", "var/lib/cowrie/tty")
COMMAND = (
    *("twistd", "-n", "--umask=0022", "--pidfile="),
    *("--logger", "cowrie.python.logfile.stdoutLogger", "cowrie"),
)


def main() -> None:
    """Make what Cowrie expects in ``var``, which may be an empty folder of the host."""
    for folder in FOLDERS:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            writable = os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            writable = False
        if not writable:
            sys.exit(
                f"{Path(folder).absolute()} cannot be written by uid {os.getuid()}, as which "
                f"Cowrie runs. If {Path('var').absolute()} is a folder of the host: "
                f"chown -R {os.getuid()}:{os.getgid()} it there. With a read-only root file system "
                "it has to be a volume or such a folder"
            )
    os.execvp(COMMAND[0], COMMAND)  # noqa: S606 - a program of this image


if __name__ == "__main__":
    main()
