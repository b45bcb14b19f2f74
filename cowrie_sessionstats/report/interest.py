"""The rules by which sessions are ranked, as ``interest.toml`` has them."""

from __future__ import annotations

from attrs import frozen

from cowrie_sessionstats._toml import packaged


@frozen
class Rare:
    """Holds where at most ``most`` sessions share something."""

    points: int
    most: int


@frozen
class Enough:
    """Holds from ``least`` on."""

    points: int
    least: float


@frozen
class Typed:
    """Holds for commands that come as a person sends them; times in seconds."""

    points: int
    commands: int
    gap_least: float
    gap_most: float
    uneven: float


@frozen
class Rules:
    """What each reason takes and is worth."""

    rare_script: Rare
    unusual_count: Rare
    long_pauses: Enough
    as_if_typed: Typed
    uploads: Enough
    new_files: Enough


def rules() -> Rules:
    """Return the rules of the package."""
    known = packaged("cowrie_sessionstats.report", "interest.toml")
    return Rules(
        rare_script=Rare(**known["rare_script"]),
        unusual_count=Rare(**known["unusual_count"]),
        long_pauses=Enough(**known["long_pauses"]),
        as_if_typed=Typed(**known["as_if_typed"]),
        uploads=Enough(**known["uploads"]),
        new_files=Enough(**known["new_files"]),
    )
