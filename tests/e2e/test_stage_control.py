"""Guard, rollback and cycles on a real run whose compression breaks the policy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from services.builtin import resolve_path
from tests.e2e.control_plane import SHORT, Server

pytestmark = pytest.mark.timeout(1200)

STAGE = {"prompts_per_step": 16, "prompts_per_update": 4, "sampling": {"group_size": 4}}
BREAKING: dict[str, Any] = {
    **SHORT,
    "evaluation": {"questions": 16, "every_steps": 1},
    "cycles": {"max_cycles": 2},
    "stages": {
        # A thousand times a sound learning rate: after one step hardly an answer is right.
        "compression": {
            **STAGE,
            "steps": 3,
            "learning_rate": 3e-2,
            "guard": {"max_drop": 0.2, "action": "rollback"},
        },
        "exploration": {**STAGE, "steps": 1, "learning_rate": 1e-6},
    },
}


@pytest.fixture(scope="module")
def run(server: Server) -> tuple[str, list[dict[str, float]]]:
    """The job, and the replay groups by state that Prometheus could see at each look."""
    job_id, looks = server.submit(BREAKING), list[dict[str, float]]()
    series = re.compile(rf'laconic_replay_groups{{job_id="{job_id}",state="(\w+)"}} (\S+)')

    def ended(job: dict[str, Any]) -> bool:
        found = series.findall(server.client.get("/metrics").text)
        looks.append({state: float(groups) for state, groups in found})
        return bool(job["state"] == "succeeded")

    server.wait(job_id, ended, 600)
    return job_id, looks


def of_type(server: Server, job_id: str, kind: str) -> list[dict[str, Any]]:
    return [e["data"] for e in server.events(job_id) if e["type"] == kind]


def same(one: Path, other: Path) -> bool:
    a, b = (load_file(p / "model.safetensors") for p in (one, other))
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


def test_a_stage_that_breaks_the_policy_is_taken_back_in_every_cycle(
    server: Server, run: tuple[str, list[dict[str, float]]]
) -> None:
    job_id, _ = run
    switches = of_type(server, job_id, "stage")
    assert [(s["from"], s["to"], s["cause"]) for s in switches] == [
        ("compression", "exploration", "accuracy_guard"),
        ("exploration", "compression.2", "steps"),
        ("compression.2", "exploration.2", "accuracy_guard"),
        ("exploration.2", None, "steps"),
    ]
    assert switches[0]["evidence"]["drop"] > 0.2
    models = server.home.job(job_id)
    assert same(models.model("compression"), resolve_path("builtin:tiny-reasoner"))
    assert same(models.model("compression.2"), models.model("exploration"))
    assert not same(models.model("exploration"), models.model("compression"))


def test_what_was_trained_before_a_rollback_stays_accounted_for(
    server: Server, run: tuple[str, list[dict[str, float]]]
) -> None:
    job_id, looks = run
    records = server.metrics(job_id)
    assert [r["stage"] for r in records] == [
        "compression",
        "exploration",
        "compression.2",
        "exploration.2",
    ]
    samples = records[-1]["samples"]
    assert samples["generated"] == 4 * 16 * 4
    assert samples["trained"] + sum(samples["excluded"].values()) == samples["generated"]
    # A rollback publishes a version of its own: 1 step, back, 1 step, 1 step, back, 1 step.
    assert [r["policy_version"] for r in records] == [1, 3, 4, 6]
    # In which state a look finds the groups of a step is chance; that it finds all of them is not.
    assert {"ready", "leased"} <= set[str]().union(*looks)
    assert max(sum(look.values()) for look in looks) == 16


def test_the_policy_that_is_kept_is_the_one_that_was_evaluated(
    server: Server, run: tuple[str, list[dict[str, float]]]
) -> None:
    job_id, _ = run
    accuracy: dict[str, list[float]] = {}
    for e in of_type(server, job_id, "evaluation"):
        accuracy.setdefault(e["label"], []).append(e["accuracy"])
    base = accuracy["base"][-1]
    assert accuracy["compression.midway"][0] < base - 0.2
    assert accuracy["compression"][-1] == pytest.approx(base, abs=0.07)
