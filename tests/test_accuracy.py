"""Programs and people at a real Cowrie, told apart by its recordings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from accuracy import IMITATORS, cases, figures, judged, make
from conftest import Environment

pytestmark = pytest.mark.cowrie


@pytest.mark.skipif(
    shutil.which("ssh") is None or shutil.which("telnet") is None,
    reason="no ssh or telnet program: apt-get install openssh-client telnet",
)
def test_nobody_who_types_is_called_a_program_nor_the_other_way_round(
    environment: Environment, tmp_path: Path
) -> None:
    """30 sessions at once; ``accuracy.py`` does hundreds, by hand."""
    played = [case for case in cases(30, 20_261_125, 4.0) if case.kind not in IMITATORS]
    make(tmp_path, environment.installation, played, at_once=30)
    found = judged(tmp_path, None)
    told = figures(found["with recordings"])
    assert told["sessions"] >= len(played) - 1, "one may have failed to log in"
    assert told["automated"]["precision"] == told["interactive"]["precision"] == 1.0
    assert told["automated"]["recall"] >= 0.9
    assert told["interactive"]["recall"] >= 0.9
    without = figures(found["without recordings"])
    assert without["automated"]["precision"] >= 0.9
