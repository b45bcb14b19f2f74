"""A minute of everything going wrong round a real Cowrie; ``chaos.py`` does it for an hour."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos import MODES, Trial
from conftest import Environment

pytestmark = pytest.mark.cowrie

SEED = 20_261_125


def test_no_session_is_lost_whatever_goes_wrong(environment: Environment, tmp_path: Path) -> None:
    """Each session that ``cowrie.json`` closes is at each receiver, through every kind of trouble.

    A killed Cowrie and a stopped one, a full disk, a clock that jumps, receivers that are killed,
    fail and hang.
    """
    trial = Trial(tmp_path, environment.installation, SEED)
    with trial.running():
        trial.load.start()
        for trouble in (
            trial.lose_receiver,
            trial.misbehave,
            trial.turn_clock,
            trial.kill_cowrie,
            trial.misbehave,
            *([trial.fill_disk] if trial.has_disk else []),
            trial.stop_cowrie,
            trial.misbehave,
            trial.kill_cowrie,
        ):
            trial.wait(2, 4)
            trouble()
        trial.load.stop()
        missing = trial.settle()
    assert len(trial.closes()[0]) > 50
    assert missing == {"siem": 0, "isc": 0, "log": 0}
    assert trial.did["slow stops"] == 0
    assert set(trial.did) <= {*MODES, "slow stops"}
