"""Ten rounds of what ``scripts/check-history.py`` does two hundred of at night."""

from __future__ import annotations

import pytest

from tests.integration.restarts.history_check import check
from tests.integration.restarts.history_round import run_round
from tests.integration.restarts.world import BACKENDS

ROUNDS = 10


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_random_history_is_one_that_may_be(seed, tmp_path, machine):
    history = run_round(seed, BACKENDS[seed % 2], machine, tmp_path / "round", stops=6)
    violations = check(history)
    for job in dict.fromkeys(v.job for v in violations):
        print(f"-- {job} --\n{history.of_job(job)}")
    assert [str(v) for v in violations] == [], f"seed {seed}"
    assert history.jobs, "nothing was asked for"
    assert history.kills, "nothing was stopped"
