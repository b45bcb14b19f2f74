"""``cowrie-sessionstats learn``: old logs in, what they tell of scripts into a history."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from cowrie_sessionstats.forwarding.configuration import ConfigurationError, cowrie_in
from cowrie_sessionstats.options import read_options
from cowrie_sessionstats.replay.command import (
    DONE,
    FAILURES,
    INTERRUPTED,
    NOTHING,
    UsageError,
    failed,
    say,
    terminable,
)
from cowrie_sessionstats.replay.counting import Settings
from cowrie_sessionstats.replay.files import find
from cowrie_sessionstats.replay.past import Historian
from cowrie_sessionstats.replay.progress import file_trouble, last_line, progress
from cowrie_sessionstats.replay.running import Running
from cowrie_sessionstats.replay.spool import spool_folder


def learn(paths: Sequence[str], history: Path | None, cowrie: Path, jobs: int) -> int:
    """Teach the history in a file, or in the store of a Cowrie; return the exit status."""
    try:
        with terminable():
            if history is not None:
                settings = evolve(Settings(), history=history)
            else:
                settings = _of_cowrie(cowrie)
            return _learn(paths, settings, jobs)
    except KeyboardInterrupt:
        say("interrupted: what was learned so far is kept")
        return INTERRUPTED
    except ConfigurationError as error:
        return failed(UsageError(str(error)), None)
    except FAILURES as error:
        return failed(error, history)


def _of_cowrie(folder: Path) -> Settings:
    """Return how the Cowrie in a folder counts, and where it keeps its history."""
    with cowrie_in(folder, os.environ) as config:
        options = read_options(config, os.environ)
    if options.store is None:
        raise UsageError(
            "[output_sessionstats] store is empty: this Cowrie keeps no history. Name a file "
            "there, or with --history"
        )
    _refuse_for_another(options.store)
    settings = Settings.of(None, keep_passwords=True, history=options.store)
    settings.templates = type(settings.templates)(options.vocabulary, marks=options.rules.marks)
    return settings


def _refuse_for_another(store: Path) -> None:
    """Raise UsageError for root where the store is to be another user's.

    What root makes there (the file, its lock) is root's, and Cowrie could not use it.
    """
    folder = store.parent
    if os.geteuid() == 0 and folder.is_dir() and (owner := folder.stat().st_uid) != 0:
        raise UsageError(
            f"{folder} belongs to {_name(owner)}, and Cowrie could not write what root makes "
            f"there. Run it as that user: sudo -u {_name(owner)} ..."
        )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"  # as sudo takes it


def _learn(paths: Sequence[str], settings: Settings, jobs: int) -> int:
    if settings.history is None:
        raise UsageError("there is no history to teach: name it with --history")
    folder = spool_folder()
    with progress(sys.stderr) as show:
        running = Running(settings, jobs, folder, show=show)
        files = find(paths, folder, running.totals.problems.file)
        for _ in running.records(files):
            pass
    for trouble in running.totals.problems.files:
        say(f"error: {file_trouble(trouble)}")
    say(last_line(running.totals))
    if not running.totals.records:
        return NOTHING
    historian = Historian(settings.history)
    try:
        sessions, scripts = historian.totals()
    finally:
        historian.close()
    say(f"{settings.history}: knows {sessions:,} sessions of {scripts:,} scripts now")
    return DONE
