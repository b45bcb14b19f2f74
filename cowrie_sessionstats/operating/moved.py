"""What an update of a DShield sensor leaves behind: the old installation, moved aside."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from glob import escape
from pathlib import Path

from attrs import frozen

from cowrie_sessionstats import _database, regular
from cowrie_sessionstats.operating import files
from cowrie_sessionstats.operating.owners import as_owner


def previous(folder: Path) -> Path | None:
    """Return the installation that was moved aside last; None if there is none.

    The installer moves ``/srv/cowrie`` to ``/srv/cowrie.DATE``.
    """
    here = folder.absolute()
    moved = [
        p for p in here.parent.glob(f"{escape(here.name)}.*") if Path(p, "etc/cowrie.cfg").is_file()
    ]
    return max(moved, key=lambda path: path.name, default=None)


@frozen
class MovedStore:
    """A store that was moved aside, and where it is missing."""

    old: Path
    old_top: Path
    """The installation in which it is."""
    new: Path
    new_top: Path

    def copy(self) -> None:
        """Put it in its place, for the owner of the folder there; OSError or sqlite3.Error."""
        with tempfile.TemporaryFile() as content:
            with as_owner(self.old, self.old_top), tempfile.TemporaryDirectory() as folder:
                whole = Path(folder, "store")
                with (
                    closing(
                        sqlite3.connect(f"{self.old.absolute().as_uri()}?mode=rw", uri=True)
                    ) as old,
                    closing(sqlite3.connect(whole)) as copy,
                ):
                    old.backup(copy)
                with regular.opened(whole) as found:
                    shutil.copyfileobj(found, content)
                mode = self.old.stat().st_mode & 0o777
            content.seek(0)
            with as_owner(self.new, self.new_top):
                files.create(self.new, content, self.new.parent.stat(), mode)


def moved_store(folder: Path, store: Path | None) -> MovedStore | None:
    """Return the old installation's store if there is one, and none in the place of ``store``."""
    old = previous(folder)
    if old is None or store is None or store.exists() or not store.parent.is_dir():
        return None
    here = folder.absolute()
    if not store.is_relative_to(here):
        return None
    before = old / store.relative_to(here)
    with as_owner(before, old):
        is_store = bool(_database.version(before))
    return MovedStore(before, old, store, here) if is_store else None
