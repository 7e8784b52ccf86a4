"""Forks and resumes from a chosen checkpoint over HTTP; the checkpoints have the state that a
driver writes."""

from __future__ import annotations

import json
import shutil

import pytest

from algorithms.stage_machine import StageMachine, StepOutcome
from services.checkpoints import CheckpointStore
from services.control.quotas import Quota
from services.home import Home
from tests.integration.api.conftest import client_of, make_token, problem, serve


def folder_of(plane, job):
    return plane.context.settings.home.job(job)


def train(plane, job, steps, attempt=1):
    """Do what the driver of a job leaves behind, a checkpoint at every tenth step."""
    spec = plane.store.get_job(job).training
    machine = StageMachine(spec.stages, spec.cycles)
    store = CheckpointStore(folder_of(plane, job).checkpoints)
    for step in range(1, steps + 1):
        machine.observe(StepOutcome(machine.current.label, step))
        plane.store.append_metrics(job, attempt, step, {"step": step, "entropy": 1 / step})
        if step % 10 == 0:
            folder = store.begin(step)
            (folder / "model").mkdir()
            (folder / "model" / "model.safetensors").write_bytes(bytes([step]) * 1000)
            state = {
                "machine": machine.state_dict(),
                "stream": {"epoch": 0, "position": step},
                "replay": {},
                "version": step,
                "unevaluated": None,
            }
            store.seal(folder, step, state)
    return store


@pytest.fixture
def job(plane):
    found = plane.running()
    train(plane, found, 30)
    return found


def fork(plane, job, status=201, **body):
    answer = plane.http.post(f"/v1/jobs/{job}/fork", json=body)
    assert answer.status_code == status, answer.text
    return answer


def logged(plane, job, kind):
    return [e for e in plane.store.events(job, limit=1000) if e.type == kind]


def test_a_fork_has_a_checkpoint_of_its_own(plane, job):
    source = folder_of(plane, job)
    source.evaluations.mkdir()
    for label, step in (("base", 0), ("compression", 26)):
        source.evaluation(label).write_text(json.dumps({"label": label, "step": step}))
    answer = fork(plane, job, step=20, name="other", labels={"team": "b"}, reason="what if")
    made = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{made['id']}"
    assert made["forked_from"] == {"job": job, "step": 20}
    assert (made["name"], made["labels"], made["state"]) == ("other", {"team": "b"}, "queued")
    assert plane.http.get(f"/v1/jobs/{made['id']}").json()["forked_from"] == made["forked_from"]
    assert plane.http.get(f"/v1/jobs/{job}").json()["forked_from"] is None
    (created,) = logged(plane, made["id"], "created")
    assert created.data == {"forked_from": {"job": job, "step": 20}}
    assert (created.author, created.reason) == ("local", "what if")
    (told,) = logged(plane, job, "forked")
    assert (told.data, told.reason) == ({"job": made["id"], "step": 20}, "what if")
    # By link, and whole when the source has gone.
    store = CheckpointStore(folder_of(plane, made["id"]).checkpoints)
    weights = store.root / "step-000020" / "model" / "model.safetensors"
    assert weights.stat().st_nlink == 2
    shutil.rmtree(source.root)
    found, problem_ = store.at(20)
    assert found is not None, problem_
    assert weights.read_bytes() == bytes([20]) * 1000
    brought = json.loads(folder_of(plane, made["id"]).inheritance.read_text())
    assert [r["step"] for r in brought["records"]] == list(range(1, 21))
    assert [e["label"] for e in brought["evaluations"]] == ["base"]


def test_the_newest_checkpoint_is_the_default_and_the_rest_is_the_source_s(plane, job):
    made = fork(plane, job).json()
    source = plane.http.get(f"/v1/jobs/{job}").json()
    assert made["forked_from"]["step"] == 30
    assert (made["spec"], made["preset"]) == (source["spec"], source["preset"])
    # A fork of a fork that has not begun has the whole line too.
    again = fork(plane, made["id"]).json()
    brought = json.loads(folder_of(plane, again["id"]).inheritance.read_text())
    assert [r["step"] for r in brought["records"]] == list(range(1, 31))


def test_what_is_to_come_may_differ(plane, job):
    stages = {"exploration": {"steps": 50, "learning_rate": 2e-6}}
    made = fork(plane, job, overrides={"stages": stages, "seed": 5}).json()
    assert made["spec"]["seed"] == 5
    assert made["spec"]["stages"][1]["steps"] == 50
    state = CheckpointStore(folder_of(plane, made["id"]).checkpoints).manifest(30).state
    assert (state["machine"]["stage"], state["version"]) == ("exploration", 30)


@pytest.mark.parametrize(
    ("overrides", "pointer"),
    [
        ({"stages": {"compression": {"steps": 40}}}, "/stages"),
        ({"stages": {"exploration": {"steps": 4}}}, "/stages"),
        ({"stages": {"none": {"steps": 4}}}, "/stages/none"),
        ({"model": {"path": "builtin:tiny-reasoner"}}, "/model"),
        ({"data": {"prompt_suffix": "!"}}, "/data"),
        ({"evaluation": {"questions": 3}}, "/evaluation"),
        ({"learner": {"workers": 2}}, "/learner/workers"),
        ({"learner": {"weight_decay": 0.5}}, "/learner/weight_decay"),
        ({"seed": -1}, "/seed"),
        ({"nonsense": 1}, "/nonsense"),
    ],
)
def test_what_a_checkpoint_cannot_carry_is_refused(plane, job, overrides, pointer):
    jobs = len(list(Home.resolve(plane.context.settings.home.root).root.glob("jobs/*")))
    found = fork(plane, job, 422, overrides=overrides).json()
    assert pointer in [e["pointer"] for e in found["errors"]], found
    assert len(list((plane.context.settings.home.root / "jobs").iterdir())) == jobs
    assert len(plane.http.get("/v1/jobs").json()["data"]) == 1


def test_a_checkpoint_that_is_not_there_or_damaged(plane, job):
    problem(fork(plane, job, 404, step=11), 404, "checkpoint_not_found")
    empty = plane.create()
    problem(fork(plane, empty, 404), 404, "checkpoint_not_found")
    weights = folder_of(plane, job).checkpoints / "step-000020" / "model" / "model.safetensors"
    weights.write_bytes(b"x" * 1000)
    found = problem(fork(plane, job, 409, step=20), 409, "checkpoint_damaged")
    assert "model/model.safetensors" in found["detail"]
    plane.store.set_state(job, "interrupted", attempt=1)
    answer = plane.http.post(f"/v1/jobs/{job}/resume", json={"from_step": 20})
    problem(answer, 409, "checkpoint_damaged")
    assert {p.name for p in (plane.context.settings.home.root / "jobs").iterdir()} <= {job, empty}


def test_a_request_that_is_sent_twice_forks_once(plane, job):
    key = {"Idempotency-Key": "fork-it"}
    first, second = (
        plane.http.post(f"/v1/jobs/{job}/fork", json={"step": 10}, headers=key) for _ in range(2)
    )
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len(logged(plane, job, "forked")) == 1


def test_a_fork_takes_a_place_in_the_quota(plane, job):
    plane.context.control.quotas.set_quota("default", Quota(jobs=1))
    problem(fork(plane, job, 403), 403, "quota_exceeded")
    assert len(plane.http.get("/v1/jobs").json()["data"]) == 1


def test_another_tenant_s_job_is_not_there(tmp_path, body):
    own = make_token(tmp_path / "home", "jobs:read", "jobs:write", tenant="a", name="a")
    other = make_token(tmp_path / "home", "jobs:read", "jobs:write", tenant="b", name="b")
    reader = make_token(tmp_path / "home", "jobs:read", tenant="a", name="r")
    with serve(tmp_path / "home", body) as plane:
        job = plane.create(client_of(plane, own))
        train(plane, job, 10)
        with client_of(plane, other) as http:
            problem(http.post(f"/v1/jobs/{job}/fork", json={}), 404, "job_not_found")
        with client_of(plane, reader) as http:
            problem(http.post(f"/v1/jobs/{job}/fork", json={}), 403, "missing_scope")
        with client_of(plane, own) as http:
            made = http.post(f"/v1/jobs/{job}/fork", json={})
            assert made.status_code == 201, made.text
            assert made.json()["tenant"] == "a"


def resume(plane, job, **body):
    return plane.http.post(f"/v1/jobs/{job}/resume", json=body)


def test_a_resume_may_name_its_checkpoint(plane, job):
    answer = resume(plane, job, from_step=20)
    assert "allowed" in problem(answer, 409, "illegal_transition")
    plane.store.set_state(job, "interrupted", attempt=1)
    problem(resume(plane, job, from_step=25), 404, "checkpoint_not_found")
    store = CheckpointStore(folder_of(plane, job).checkpoints)
    store.pin(30)
    found = problem(resume(plane, job, from_step=20), 409, "checkpoint_pinned")
    assert found["steps"] == [30]
    assert plane.state(job) == "interrupted"
    store.unpin(30)
    answer = resume(plane, job, from_step=20, reason="too far")
    assert answer.status_code == 202, answer.text
    assert answer.json()["attempt"] == 2
    queued = logged(plane, job, "state")
    asked = [e for e in queued if e.data["to"] == "queued"][-1]
    assert (asked.data["from_step"], asked.reason) == (20, "too far")
    assert store.steps() == [30, 20, 10], "its driver sets them aside, when the old one is gone"
