"""From a REST submission to a compressed model and its report, with nothing replaced."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.numpy import load_file

from services.checkpoints import CheckpointStore
from services.reports.write import write_report
from services.stores.sqlite import SqliteJobStore
from tests.e2e.control_plane import SHORT, Server, start_server, stop_server

pytestmark = pytest.mark.timeout(1200)
STEPS = 5


@pytest.fixture(scope="module")
def finished(server: Server) -> str:
    """A job that ran from start to end without a disturbance."""
    job_id = server.submit()
    server.wait(job_id, lambda j: j["state"] == "succeeded", 600)
    return job_id


def weights(server: Server, job_id: str, label: str = "exploration") -> dict[str, Any]:
    return dict(load_file(server.home.job(job_id).model(label) / "model.safetensors"))


def test_the_job_runs_through_both_stages(server: Server, finished: str) -> None:
    records = server.metrics(finished)
    assert [r["step"] for r in records] == list(range(1, STEPS + 1))
    assert [r["stage"] for r in records] == ["compression"] * 3 + ["exploration"] * 2
    assert [r["policy_version"] for r in records] == list(range(1, STEPS + 1))
    assert all(r["updates"] + r["skipped_updates"] == 4 for r in records)
    switches = [e["data"] for e in server.events(finished) if e["type"] == "stage"]
    assert [(s["from"], s["to"], s["cause"]) for s in switches] == [
        ("compression", "exploration", "steps"),
        ("exploration", None, "steps"),
    ]
    labels = [e["data"]["label"] for e in server.events(finished) if e["type"] == "evaluation"]
    assert labels == ["base", "compression", "exploration"]


def test_every_sample_is_accounted_for_at_each_step(server: Server, finished: str) -> None:
    for record in server.metrics(finished):
        samples = record["samples"]
        excluded = sum(samples["excluded"].values())
        assert samples["generated"] == samples["trained"] + excluded + samples["in_flight"]
        assert samples["generated"] == 8 * 4 * record["step"]
        assert samples["in_flight"] == 0
        assert sum(record["verdicts"].values()) == 8 * 4


def test_behaviour_and_learner_logprobs_agree_after_every_update(
    server: Server, finished: str
) -> None:
    assert max(r["mismatch_abs_mean"] for r in server.metrics(finished)) < 1e-4


def test_each_stage_moves_the_weights_and_ships_a_model(server: Server, finished: str) -> None:
    base = weights(server, finished, "compression")
    final = weights(server, finished)
    assert base.keys() == final.keys()
    assert any((base[k] != final[k]).any() for k in base)


def test_prometheus_sees_the_run(server: Server, finished: str) -> None:
    text = server.client.get("/metrics").text
    for name in (
        "laconic_policy_entropy_nats",
        "laconic_response_length_tokens_mean",
        "laconic_accuracy_ratio",
        "laconic_job_step",
        "laconic_policy_version",
    ):
        lines = [x for x in text.splitlines() if x.startswith(name) and finished in x]
        assert lines, f"{name} has no sample for the job"


def test_the_report_has_every_part(server: Server, finished: str, tmp_path: Path) -> None:
    page = write_report(server.home.root, finished, tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    assert page.name == "report.html"
    assert list(content["evaluations"]) == ["base", "compression", "exploration"]
    base = content["evaluations"]["base"]
    assert base["questions"] == 16
    assert base["accuracy_ci95"][0] <= base["accuracy"] <= base["accuracy_ci95"][1]
    assert len(content["steps"]) == STEPS
    assert list(tmp_path.glob("*.png"))


def test_a_killed_driver_resumes_to_the_same_weights(server: Server, finished: str) -> None:
    """Kill -9 in the middle, resume, and get bit for bit what the undisturbed run got."""
    job_id = server.submit()
    server.wait(job_id, lambda j: (j["progress"] or {}).get("step", 0) >= 2, 400)
    driver = next(
        p
        for p in psutil.process_iter(["cmdline"])
        if "actors.driver" in (p.info["cmdline"] or []) and job_id in p.info["cmdline"]
    )
    os.kill(driver.pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while server.job(job_id)["state"] not in ("failed", "interrupted"):
        assert time.monotonic() < deadline, "waited 120 s for the reconciler to notice"
        time.sleep(0.5)
    assert "driver" in server.job(job_id)["cause"]
    response = server.client.post(f"/v1/jobs/{job_id}/resume")
    assert response.status_code < 300, response.text
    server.wait(job_id, lambda j: j["state"] == "succeeded", 600)
    records = server.metrics(job_id)
    assert [r["step"] for r in records] == list(range(1, STEPS + 1))
    assert {r["attempt"] for r in records} == {1, 2}
    undisturbed, resumed = weights(server, finished), weights(server, job_id)
    assert all((undisturbed[k] == resumed[k]).all() for k in undisturbed)
    assert records[-1]["samples"] == server.metrics(finished)[-1]["samples"]


def test_a_person_moves_the_job_to_the_next_stage_and_cancels_it(server: Server) -> None:
    long = {**SHORT, "stages": {**SHORT["stages"]}}
    long["stages"]["compression"] = {**SHORT["stages"]["compression"], "steps": 500}
    job_id = server.submit(long)
    server.wait(job_id, lambda j: (j["progress"] or {}).get("step", 0) >= 1, 400)
    refused = server.client.post(f"/v1/jobs/{job_id}/stage", json={"to": "nowhere"})
    assert refused.status_code == 422
    asked = server.client.post(f"/v1/jobs/{job_id}/stage", json={"to": "next"})
    assert asked.status_code < 300, asked.text
    server.wait(job_id, lambda j: (j["progress"] or {}).get("stage") == "exploration", 200)
    switch = next(e for e in server.events(job_id) if e["type"] == "stage")
    assert switch["data"]["cause"] == "manual"
    assert server.client.post(f"/v1/jobs/{job_id}/cancel").status_code < 300
    deadline = time.monotonic() + 120
    while server.job(job_id)["state"] != "cancelled":
        assert time.monotonic() < deadline, "waited 120 s for the job to be cancelled"
        time.sleep(0.3)
    again = server.client.post(f"/v1/jobs/{job_id}/resume")
    assert again.status_code == 409


def test_a_non_finite_loss_fails_the_job_with_its_cause(server: Server) -> None:
    """A learning rate that blows the policy up; the checkpoint before it stays intact."""
    stages = {"compression": {**SHORT["stages"]["compression"], "learning_rate": 1e30}}
    job_id = server.submit({**SHORT, "stages": stages})
    deadline = time.monotonic() + 400
    while (job := server.job(job_id))["state"] != "failed":
        assert job["state"] != "succeeded"
        assert time.monotonic() < deadline, f"waited 400 s for the job to fail: {job}"
        time.sleep(0.5)
    assert "NonFinite" in job["cause"]
    checkpoint, damaged = CheckpointStore(server.home.job(job_id).checkpoints).latest()
    assert checkpoint is not None
    assert damaged == []


def test_stopping_the_server_leaves_a_resumable_job_and_no_process(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    job_id = server.submit()
    server.wait(job_id, lambda j: (j["progress"] or {}).get("step", 0) >= 1, 400)
    family = stop_server(server)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    job = SqliteJobStore(server.home.database).get_job(job_id)
    assert job.state == "interrupted"
    checkpoint, _ = CheckpointStore(server.home.job(job_id).checkpoints).latest()
    assert checkpoint is not None
    assert checkpoint.step >= 1
