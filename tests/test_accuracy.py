"""Programs and people at a real Cowrie, told apart by its recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from accuracy import PEOPLE, ROBOTS, figures, judged, make, visits_of
from conftest import Environment
from robots import missing

pytestmark = [pytest.mark.alone, pytest.mark.cowrie]

AT_ONCE = 15
"""Each login costs Cowrie a tenth of a second or two, in which it hears nobody else."""
IN_TIME = 0.15
"""Seconds that Cowrie may be deaf for: the next key of a typist comes then."""
ATTEMPTS = 2


@pytest.mark.skipif(bool(missing()), reason=f"no {', '.join(missing())}: apt-get install them")
def test_nobody_who_types_is_called_a_program_nor_the_other_way_round(
    environment: Environment, tmp_path: Path
) -> None:
    """One session of each kind, all at once; ``accuracy.py`` does hundreds, by hand."""
    kinds = [("interactive", kind) for kind in dict.fromkeys(PEOPLE)]
    kinds += [("automated", kind) for kind in dict.fromkeys(ROBOTS)]
    visits = visits_of(kinds, 7, 4.0)
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        late = make(folder, environment.installation, visits, at_once=AT_ONCE)
        if late < IN_TIME:
            break
    else:
        pytest.skip(f"this machine is too busy: keys were held back for {late * 1000:.0f} ms")
    found = judged(folder)
    told = figures(found["with recordings"])
    assert told["without a record"] <= 1, "one may have failed to log in"
    assert told["matrix"]["automated"]["interactive"] == 0
    assert told["matrix"]["interactive"]["automated"] == 0
    assert told["automated"]["recall"] >= 0.9
    assert told["interactive"]["recall"] >= 0.9
    without = figures(found["from the log"])
    assert without["automated"]["precision"] >= 0.9
