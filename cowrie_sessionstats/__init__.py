"""One enriched summary of every Cowrie honeypot session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cowrie_sessionstats.replay.library import summarize

    __version__: str

__all__ = ["__version__", "summarize"]


def __getattr__(name: str) -> Any:
    # Only when it is asked for: the plugin lives without what it needs.
    if name == "__version__":
        from cowrie_sessionstats._version import installed  # noqa: PLC0415

        return installed()
    if name == "summarize":
        from cowrie_sessionstats.replay.library import summarize  # noqa: PLC0415

        return summarize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
