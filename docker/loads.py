"""Loads, when an image is built, all that a sensor loads when it runs.

A library that is missing fails the build, not the sensor; and the bytecode of what was loaded stays
in the image, which is read-only later, as does the list of Twisted's plugins.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile

PACKAGES = (
    *("cowrie.commands", "cowrie.shell", "cowrie.ssh", "cowrie.telnet"),
    *("cowrie_sessionstats.cli", "cowrie_sessionstats.outputs"),
)
MODULES = (
    *("cowrie.output.jsonlog", "cowrie.output.sessionstats", "cowrie.scripts.cowrie"),
    *("twisted.internet.epollreactor", "twisted.scripts.twistd", "treq"),
    *("bz2", "ctypes", "lzma", "sqlite3", "ssl", "uuid", "zlib", "zoneinfo"),
)


def main() -> int:
    """Load it, show what failed, return the exit status."""
    with tempfile.TemporaryDirectory() as state:
        # Cowrie makes the sensor's id when it is loaded: no two sensors may have one of the image.
        os.environ["COWRIE_HONEYPOT_STATE_PATH"] = state
        return _load()


def _load() -> int:
    from twisted.application.service import IServiceMaker  # noqa: PLC0415 - after the state's place
    from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher  # noqa: PLC0415
    from twisted.plugin import getPlugins  # noqa: PLC0415

    failed: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.error:
            failed.append(formatEvent(event) + event.get("log_text", ""))

    # Twisted logs what a plugin raises.
    globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]  # a function will do
    if "cowrie" not in {maker.tapname for maker in getPlugins(IServiceMaker)}:
        failed.append("Twisted does not find Cowrie")
    for name in (*MODULES, *(name for package in PACKAGES for name in _modules(package))):
        importlib.import_module(name)
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def _modules(package: str) -> list[str]:
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    return [package, *(module.name for module in found if not module.name.endswith("__main__"))]


if __name__ == "__main__":
    sys.exit(main())
