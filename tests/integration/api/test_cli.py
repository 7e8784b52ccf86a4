"""The command line against a served control plane, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
import yaml


@pytest.fixture
def laconic(plane):
    def run(*arguments, url=None, stdin=None):
        return subprocess.run(
            [sys.executable, "-m", "api.cli", *arguments, "--url", url or plane.url],
            capture_output=True,
            text=True,
            timeout=60,
            input=stdin,
            check=False,
        )

    return run


def overrides(plane):
    settings = [
        f"{part}.path={plane.body['overrides'][part]['path']}" for part in ("model", "data")
    ]
    settings.append("evaluation=null")
    return [x for s in settings for x in ("--set", s)]


def test_submit_a_preset_with_overrides(plane, laconic):
    done = laconic(
        "submit",
        *("--preset", "tiny-cpu", *overrides(plane)),
        *("--set", "stages.compression.steps=3", "--set", "stages.exploration.learning_rate=1e-4"),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    spec = plane.store.get_job(json.loads(done.stdout)["id"]).spec
    assert (spec.stages[0].steps, spec.stages[1].learning_rate) == (3, 1e-4)
    assert spec.evaluation is None


def test_what_is_asked_of_a_job_has_its_reason_and_an_answer_for_programs(plane, laconic):
    job = plane.running()
    done = laconic("stage", job, "next", "--reason", "short enough", "--json")
    assert json.loads(done.stdout)["to"] == "next"
    done = laconic("cancel", job, "--reason", "wrong data", "--grace", "5", "--json")
    assert json.loads(done.stdout)["id"] == job
    said = list(dict.fromkeys(e.reason for e in plane.store.events(job) if e.reason))
    assert said == ["short enough", "wrong data"]


def test_submit_a_specification_from_standard_input(plane, laconic):
    spec = plane.store.get_job(plane.create()).spec
    text = yaml.safe_dump(spec.model_dump(mode="json"))
    done = laconic("submit", "--spec", "-", "--json", stdin=text)
    assert done.returncode == 0, done.stderr
    assert plane.store.get_job(json.loads(done.stdout)["id"]).spec == spec


def test_bad_input_is_one_message_and_code_2(plane, laconic):
    done = laconic("submit", "--preset", "tiny-cpu", "--set", "stages.compression.objective.r=2")
    assert done.returncode == 2
    assert "/stages/0/objective/r" in done.stderr
    assert "less than 1" in done.stderr
    assert "Traceback" not in done.stderr
    for arguments in (["--set", "x"], ["--spec", "/nowhere.yaml"], []):
        done = laconic("submit", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")


def test_an_unknown_job_is_code_2_and_no_server_is_code_1(laconic):
    done = laconic("status", "job-none")
    assert done.returncode == 2
    assert "job-none" in done.stderr
    done = laconic("status", url="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "laconic serve" in done.stderr


def test_status_shows_figures_and_stages(plane, laconic):
    job = plane.running(stage="compression", stage_index=0, step=2, total_steps=50, phase="train")
    plane.store.append_metrics(job, 1, 1, {"entropy": 0.511})
    plane.store.append_metrics(job, 1, 2, {"entropy": 0.412})
    text = laconic("status", job).stdout
    for expected in ("running", "compression", "exploration", "0.511", "0.412", "step 2 of 50"):
        assert expected in text
    assert job in laconic("status").stdout


def test_cancel_stage_and_resume(plane, laconic):
    job = plane.running(stage_index=0)
    assert laconic("stage", job, "next").returncode == 0
    assert laconic("cancel", job).returncode == 0
    assert [c.kind for c in plane.store.take_commands(job, 1)] == ["stage", "cancel"]
    plane.store.set_state(job, "failed", attempt=1)
    assert laconic("resume", job).returncode == 0
    assert plane.store.get_job(job).attempt == 2
    assert laconic("resume", job).returncode == 2


def test_pause_and_resume(plane, laconic):
    job = plane.running()
    asked = laconic("pause", job)
    assert (asked.returncode, asked.stdout.strip()) == (0, f"{job} was asked to pause")
    assert [c.kind for c in plane.store.take_commands(job, 1)] == ["pause"]
    plane.store.set_state(job, "paused", attempt=1)
    assert laconic("pause", job).stdout.strip() == f"{job} is paused"
    assert "paused" in laconic("status", job).stdout
    assert laconic("resume", job).returncode == 0
    assert plane.store.get_job(job).attempt == 2


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("failed", 1)])
def test_watch_follows_to_the_end_and_says_how_it_went(plane, laconic, state, code):
    job = plane.running(stage="compression", stage_index=0, step=1, total_steps=50)

    def drive():
        plane.store.append_metrics(job, 1, 1, {"stage": "compression", "entropy": 0.5})
        plane.store.append_event(job, "note", "halfway", attempt=1)
        plane.store.set_state(job, state, attempt=1, cause=None if code == 0 else "disk full")

    timer = threading.Timer(2.0, drive)
    timer.start()
    done = laconic("watch", job)
    timer.join()
    assert done.returncode == code
    assert "compression step 1 of" in done.stdout
    assert "halfway" in done.stdout
    assert f"job {job} {state}" in done.stdout
    assert code == 0 or "disk full" in done.stdout
