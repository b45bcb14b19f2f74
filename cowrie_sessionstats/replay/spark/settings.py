"""What the user chose, on its way to the workers: the content of files, for theirs have none."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

from attrs import frozen

from cowrie_sessionstats import __version__
from cowrie_sessionstats.findings.ending import Timeouts
from cowrie_sessionstats.replay.counting import Settings


class VersionError(Exception):
    """A worker has another version of this package; the text says which and what to do."""


@frozen
class Chosen:
    """What is chosen of how sessions are counted."""

    keep_passwords: bool
    vocabulary: bytes | None
    rules: bytes | None
    timeouts: tuple[float, float, float]
    version: str = __version__

    @classmethod
    def of(
        cls,
        vocabulary: Path | None,
        rules: Path | None,
        timeouts: Timeouts,
        keep_passwords: bool,  # noqa: FBT001 - as the options have it
    ) -> Chosen:
        """Return it with the content of files that were read before, so that they can be."""
        return cls(
            keep_passwords,
            None if vocabulary is None else vocabulary.read_bytes(),
            None if rules is None else rules.read_bytes(),
            (timeouts.idle, timeouts.authentication, timeouts.interactive),
        )

    def check(self) -> None:
        """Raise VersionError if this process has another version than the driver."""
        if self.version != __version__:
            raise VersionError(
                f"a worker has cowrie-sessionstats {__version__} and this is {self.version}: "
                "records could differ. Install the same version on all"
            )


@lru_cache(1)  # a worker's process does many tasks of one run
def settings_of(chosen: Chosen) -> Settings:
    """Return the settings as a local run has them."""
    with tempfile.TemporaryDirectory(prefix="sessionstats-") as folder:
        vocabulary = _file(Path(folder, "vocabulary.toml"), chosen.vocabulary)
        rules = _file(Path(folder, "rules.toml"), chosen.rules)
        return Settings.of(vocabulary, chosen.keep_passwords, rules, Timeouts(*chosen.timeouts))


def _file(path: Path, content: bytes | None) -> Path | None:
    if content is None:
        return None
    path.write_bytes(content)
    return path
