"""From a REST submission to a compressed model and its report, with nothing replaced."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.numpy import load_file, save_file

from services.analysis.token_samples import read_samples, samples_path
from services.builtin import resolve_path
from services.checkpoints import CheckpointStore
from services.home import Home
from services.reports.write import write_report
from services.stores.protocol import JobRecord
from services.stores.sqlite import SqliteJobStore
from tests.e2e.control_plane import ROOT, SHORT, Server, goes_on

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


def driver_of(job_id: str) -> psutil.Process:
    """The driver process of a job."""
    return next(
        p
        for p in psutil.process_iter(["cmdline"])
        if "actors.driver" in (p.info["cmdline"] or []) and job_id in p.info["cmdline"]
    )


def at_phase(phase: str, step: int) -> Callable[[dict[str, Any]], bool]:
    """Whether a job is in a phase after ``step`` whole steps."""

    def reached(job: dict[str, Any]) -> bool:
        progress = job["progress"] or {}
        assert progress.get("step", 0) <= step, f"missed {phase!r} after step {step}: {progress}"
        return bool(progress.get("step") == step and progress["phase"] == phase)

    return reached


def ended(server: Server, job_id: str, state: str, seconds: float = 120) -> None:
    """Wait until the job has ended in a state."""
    deadline = time.monotonic() + seconds
    while (job := server.job(job_id))["state"] != state:
        assert job["state"] not in ("succeeded", "failed", "cancelled", "interrupted"), job
        assert time.monotonic() < deadline, f"waited {seconds} s for {state}: {job}"
        time.sleep(0.2)


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


def test_the_tokens_of_a_sampled_step_are_those_of_its_record(
    server: Server, finished: str
) -> None:
    samples = read_samples(samples_path(server.home.job(finished).root, STEPS))
    record = server.metrics(finished)[-1]
    assert len(samples) == record["generated_tokens"]
    assert (samples.stage, samples.temperature) == (record["stage"], record["temperature"])
    assert -samples.logprob.mean() == pytest.approx(record["entropy_sampled"], rel=1e-4)
    # The record's entropy is measured between the updates of the step, the sample's before them.
    assert samples.entropy.mean() == pytest.approx(record["entropy"], rel=0.05)
    assert (samples.correct == 1).any()
    assert set(samples.part) == {0, 1}
    profile = record["entropy_profile"]
    assert profile["p50"] <= profile["p80"] <= profile["p95"] <= profile["p99"]
    assert profile["think"] == pytest.approx(
        float(samples.entropy[samples.part == 0].mean()), rel=0.05
    )


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
    assert content["data"]["train"]["path"] == "builtin:tiny-train"
    assert content["data"]["evaluation"]["questions"] == 16
    assert list(tmp_path.glob("*.png"))


def test_a_job_killed_and_stopped_ends_with_the_same_weights(server: Server, finished: str) -> None:
    """Kill -9 while the first stage is evaluated, SIGTERM while the learner trains: the job goes on
    by itself both times and ends with the weights that the undisturbed run got, although this one
    is evaluated at every step, beside training."""
    job_id = server.submit({**SHORT, "evaluation": {"questions": 16, "every_steps": 1}})
    server.wait(job_id, at_phase("evaluate", step=3), 400)
    driver_of(job_id).kill()
    goes_on(server, job_id, attempt=2)
    server.wait(job_id, at_phase("train", step=3), 400)
    driver_of(job_id).terminate()
    goes_on(server, job_id, attempt=3)
    server.wait(job_id, lambda j: j["state"] == "succeeded", 600)
    told = [e["data"] for e in server.events(job_id) if e["type"] == "auto_resumed"]
    assert [(d["attempt"], d["count"]) for d in told] == [(2, 1), (3, 1)]
    assert "driver ended without a record" in told[0]["cause"]
    assert told[1]["cause"].startswith("stopped on request")
    records = server.metrics(job_id)
    assert [r["step"] for r in records] == list(range(1, STEPS + 1))
    assert [r["attempt"] for r in records] == [1, 1, 1, 2, 3]
    for mine, theirs in zip(records, server.metrics(finished), strict=True):
        same = ("samples", "verdicts", "generated_tokens", "updates", "policy_version")
        assert {k: mine[k] for k in same} == {k: theirs[k] for k in same}
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    found = [e["data"] for e in server.events(job_id) if e["type"] == "evaluation"]
    # The kill may come between the evaluation's event and the next checkpoint: then it is repeated.
    assert list(dict.fromkeys((e["label"], e["step"]) for e in found)) == [
        ("base", 0),
        ("compression.midway", 1),
        ("compression.midway", 2),
        ("compression", 3),
        ("exploration.midway", 4),
        ("exploration", 5),
    ]
    assert all(e["policy_version"] == e["step"] for e in found)
    undisturbed, resumed = weights(server, finished), weights(server, job_id)
    # Bit for bit, but for what the processor's math library may round differently from run to
    # run. One update more or less moves the weights by their learning rate, 2e-5.
    difference = max(float(abs(undisturbed[k] - resumed[k]).max()) for k in undisturbed)
    assert difference < 1e-6


def test_two_generators_and_two_learners_share_the_work(server: Server) -> None:
    """World size 2 with partitioned optimiser states, through Ray Train and the object store."""
    stages = {
        "compression": {**SHORT["stages"]["compression"], "steps": 2},
        "exploration": {**SHORT["stages"]["exploration"], "steps": 1},
    }
    workers = {"workers": 2, "cpus": 0.5}
    job_id = server.submit(
        {
            **SHORT,
            "stages": stages,
            "evaluation": None,
            "generator": workers,
            "learner": {**workers, "zero_stage": 2},
        }
    )
    server.wait(job_id, lambda j: j["state"] == "succeeded", 600)
    records = server.metrics(job_id)
    assert [r["samples"]["generated"] for r in records] == [32, 64, 96]
    assert all(r["samples"]["in_flight"] == 0 for r in records)
    assert max(r["mismatch_abs_mean"] for r in records) < 1e-4


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
    ended(server, job_id, "cancelled")
    again = server.client.post(f"/v1/jobs/{job_id}/resume")
    assert again.status_code == 409


def test_a_non_finite_loss_fails_the_job_with_its_cause(server: Server) -> None:
    """A learning rate that blows the policy up; the checkpoint before it stays intact."""
    stages = {"compression": {**SHORT["stages"]["compression"], "learning_rate": 1e30}}
    job_id = server.submit({**SHORT, "stages": stages})
    ended(server, job_id, "failed", 400)
    assert "NonFinite" in server.job(job_id)["cause"]
    checkpoint, damaged = CheckpointStore(server.home.job(job_id).checkpoints).latest()
    assert checkpoint is not None
    assert damaged == []


def test_an_engine_that_will_not_start_fails_the_job_with_its_cause(
    server: Server, tmp_path: Path
) -> None:
    """A checkpoint that lacks a tensor: its header is sound, but vLLM refuses it."""
    model = shutil.copytree(resolve_path("builtin:tiny-reasoner"), tmp_path / "model")
    tensors = load_file(model / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    job_id = server.submit({**SHORT, "model": {"path": str(model)}})
    ended(server, job_id, "failed", 400)
    assert "model.norm.weight" in server.job(job_id)["cause"]


@pytest.fixture
def small_disk(server: Server) -> Iterator[Callable[[str], None]]:
    """Puts a disk with room for one checkpoint, but not for two, under a job's checkpoints; called
    again, makes room on it."""
    mounted: list[Path] = []

    def mount(job_id: str) -> None:
        folder = server.home.job(job_id).checkpoints
        if folder in mounted:
            command = ["mount", "-o", "remount,size=1g", str(folder)]
            subprocess.run(command, check=True)
            return
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("mounting a small disk needs privileges that this machine does not give")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_pauses_the_job_which_goes_on_once_there_is_room(
    server: Server, small_disk: Callable[[str], None]
) -> None:
    job_id = server.submit()
    small_disk(job_id)
    ended(server, job_id, "paused", 400)
    assert server.job(job_id)["cause"].startswith("storage_full: ")
    assert [e["level"] for e in server.events(job_id) if e["type"] == "storage_full"] == ["error"]
    checkpoint, damaged = CheckpointStore(server.home.job(job_id).checkpoints).latest()
    assert checkpoint is not None
    assert damaged == []
    small_disk(job_id)
    response = server.client.post(f"/v1/jobs/{job_id}/resume")
    assert response.status_code < 300, response.text
    ended(server, job_id, "succeeded", 600)
    records = server.metrics(job_id)
    assert [(r["step"], r["attempt"]) for r in records] == [
        (step, 1 if step <= checkpoint.step else 2) for step in range(1, 6)
    ]


def test_ctrl_c_on_the_demo_leaves_a_resumable_job_and_no_process(tmp_path: Path) -> None:
    small = (
        "evaluation.questions=8",
        "stages.compression.prompts_per_step=8",
        "stages.compression.prompts_per_update=4",
    )
    command = [sys.executable, "-m", "api.cli", "demo", "--home", str(tmp_path)]
    command += [part for setting in small for part in ("--set", setting)]
    with (tmp_path / "out.txt").open("w") as output:
        demo = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
    home = Home(tmp_path)
    try:
        deadline = time.monotonic() + 400
        while not any((j.progress or {}).get("step", 0) >= 1 for j in home_jobs(home)):
            assert demo.poll() is None, (tmp_path / "out.txt").read_text()
            assert time.monotonic() < deadline, "waited 400 s for the demo to train"
            time.sleep(0.3)
        family = psutil.Process(demo.pid).children(recursive=True)
        assert any("ray" in p.name() for p in family)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=180) == 130
    finally:
        demo.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    (job,) = home_jobs(home)
    assert job.state == "interrupted"
    checkpoint, _ = CheckpointStore(home.job(job.id).checkpoints).latest()
    assert checkpoint is not None
    assert checkpoint.step >= 1
    assert f'make demo ARGS="--resume {job.id}"' in (tmp_path / "out.txt").read_text()


def home_jobs(home: Home) -> list[JobRecord]:
    return SqliteJobStore(home.database).list_jobs()[0] if home.database.exists() else []
