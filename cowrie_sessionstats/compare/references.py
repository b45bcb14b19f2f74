"""Answers of real machines, recorded: those of the package, or in a file of one's own."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from cowrie_sessionstats.compare.answers import Answer, UnusableError

PACKAGED: Final = ("debian12", "debian13", "busybox")
"""Recorded by ``tests/record_references.py`` on real ones."""


class RecordingError(UnusableError):
    """A recording cannot be used; the text says why and what to do."""


@frozen
class Reference:
    """What a machine answered, and which one that was."""

    machine: str
    about: str
    """When, and on what it was recorded."""
    answers: dict[str, Answer]


def packaged(name: str) -> Reference:
    """Return one of ``PACKAGED``."""
    text = (
        files("cowrie_sessionstats.compare").joinpath(f"references/{name}.json").read_text("utf-8")
    )
    return _read(json.loads(text))


def recorded(path: Path) -> Reference:
    """Return the recording in a file; RecordingError if it is none."""
    try:
        return _read(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}. Name a recording") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RecordingError(
            f'{path} is no recording: it needs "machine", and "answers" with an "output" for '
            "each command"
        ) from None


def _read(found: dict[str, Any]) -> Reference:
    answers = {str(line): Answer.from_json(each) for line, each in found["answers"].items()}
    return Reference(str(found["machine"]), str(found.get("about", "recorded")), answers)
