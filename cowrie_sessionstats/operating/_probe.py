"""Run by ``doctor`` in the Python of a Cowrie, as its user: says what that can import and write.

Its argument is JSON, {"path": [more folders for imports], "write": [files]}; it prints a line of
JSON behind whatever an import prints. It has to run where this package is not installed.
"""

import importlib.metadata
import importlib.util
import json
import os
import sys


def _version(name: str) -> "str | None":
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_cowrie() -> bool:
    """Return whether Cowrie is there: the plugin's own file makes a folder ``cowrie`` as well."""
    try:
        return importlib.util.find_spec("cowrie.core") is not None
    except ImportError:
        return False


def _imported() -> "str | None":
    """Return why Cowrie's output cannot be imported; None if it can."""
    try:
        __import__("cowrie.output.sessionstats")
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"
    return None


def _is_writable(path: str) -> bool:
    if os.path.exists(path):  # noqa: PTH110 - as lean as can be
        return os.access(path, os.W_OK) and not os.path.isdir(path)  # noqa: PTH112
    return os.access(os.path.dirname(path), os.W_OK | os.X_OK)  # noqa: PTH120


def _main() -> None:
    asked = json.loads(sys.argv[1])
    sys.path += asked["path"]
    told = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "cowrie": _version("cowrie"),
        "plugin": _version("cowrie-sessionstats"),
        "is_cowrie": _is_cowrie(),
        "trouble": _imported(),
        "write": {path: _is_writable(path) for path in asked["write"]},
    }
    sys.stdout.write("\n" + json.dumps(told) + "\n")


_main()
