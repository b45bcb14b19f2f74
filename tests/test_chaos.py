"""A minute of everything going wrong round a real Cowrie; ``chaos.py`` does it for an hour."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos import MODES, Trial
from conftest import ROOT, Environment, run

from cowrie_sessionstats._toml import loads

pytestmark = [pytest.mark.alone, pytest.mark.cowrie]

SEED = 20_261_125


def client_of_kafka() -> str:
    """Return what the extra ``kafka`` installs, beside what Cowrie's environment has."""
    extras = loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (client,) = (each for each in extras["kafka"] if each.startswith("confluent-kafka"))
    return str(client)


def test_no_session_is_lost_whatever_goes_wrong(environment: Environment, tmp_path: Path) -> None:
    """Each session that ``cowrie.json`` closes is at each receiver, through every kind of trouble.

    A killed Cowrie and a stopped one, a full disk, a clock that jumps, receivers that are killed,
    fail and hang.
    """
    run(environment.bin / "pip", "install", "--quiet", client_of_kafka())
    trial = Trial(tmp_path, environment.installation, SEED)
    with trial.running():
        trial.load.start()
        for trouble in (
            trial.lose_receiver,
            trial.misbehave,
            *([trial.trouble_broker] if trial.kafka is not None else []),
            trial.turn_clock,
            trial.kill_cowrie,
            trial.misbehave,
            *([trial.fill_disk] if trial.has_disk else []),
            trial.stop_cowrie,
            trial.misbehave,
            trial.kill_cowrie,
        ):
            trial.wait(1, 2)
            trouble()
        trial.load.stop()
        missing = trial.settle()
    assert len(trial.closes()[0]) > 50
    assert missing == dict.fromkeys(missing, 0)
    assert set(missing) == {"siem", "isc", "log"} | ({"bus"} if trial.kafka is not None else set())
    assert trial.did["slow stops"] == 0
    assert set(trial.did) <= {
        *MODES,
        "slow stops",
        *(f"broker {how}" for how in ("kill", "cut", "stop")),
    }
