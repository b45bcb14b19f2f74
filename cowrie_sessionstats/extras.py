"""What to say where a package is missing that an extra brings."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """Return the line that installs an extra beside what runs now.

    It names that Python: a bare ``pip`` is often another environment's, or the system's, which
    Debian does not let anybody use.
    """
    python = sys.executable or "python3"
    return shlex.join([python, "-m", "pip", "install", f"cowrie-sessionstats[{extra}]"])
