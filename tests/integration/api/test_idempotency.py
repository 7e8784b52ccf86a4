"""Requests that are sent twice and act once, whatever happens in between."""

from __future__ import annotations

import json
import sqlite3
import threading
import time

import pytest

from api.limits import Limits
from services.control.idempotency import fingerprint
from services.presets.registry import resolve
from tests.integration.api.conftest import problem, serve

KEY = {"Idempotency-Key": "order-1"}


def jobs(plane):
    return [j["id"] for j in plane.http.get("/v1/jobs").json()["data"]]


def test_the_same_request_gets_the_same_answer_and_one_job(plane):
    first = plane.http.post("/v1/jobs", json=plane.body, headers=KEY)
    again = plane.http.post("/v1/jobs", json=dict(reversed(plane.body.items())), headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(jobs(plane)) == 1


def test_another_request_under_the_key_is_refused(plane):
    plane.http.post("/v1/jobs", json=plane.body, headers=KEY)
    other = {**plane.body, "labels": {"a": "b"}}
    problem(plane.http.post("/v1/jobs", json=other, headers=KEY), 422, "idempotency_mismatch")
    job = jobs(plane)[0]
    answer = plane.http.post(f"/v1/jobs/{job}/cancel", headers=KEY)
    problem(answer, 422, "idempotency_mismatch")
    assert len(jobs(plane)) == 1


def test_a_refused_request_leaves_its_key_free(plane):
    bad = {"preset": "tiny-cpu", "overrides": {"seed": -1}}
    problem(plane.http.post("/v1/jobs", json=bad, headers=KEY), 422, "invalid_spec")
    assert plane.http.post("/v1/jobs", json=plane.body, headers=KEY).status_code == 201


def test_while_it_is_being_answered_the_same_request_is_told_to_wait(plane):
    began, go_on = threading.Event(), threading.Event()
    size = plane.launcher.size

    def slow_size():
        began.set()
        assert go_on.wait(20)
        return size

    plane.launcher.cluster_size = slow_size
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(plane.http.post("/v1/jobs", json=plane.body, headers=KEY))
    )
    thread.start()
    assert began.wait(20)
    found = plane.http.post("/v1/jobs", json=plane.body, headers=KEY)
    problem(found, 409, "idempotency_in_flight")
    assert found.headers["retry-after"] == "1"
    go_on.set()
    thread.join(20)
    assert answers[0].status_code == 201
    assert len(jobs(plane)) == 1


def test_a_fault_after_the_job_was_made_makes_no_second_one(plane, monkeypatch):
    created = plane.store.create_job

    def create_then_fail(*arguments, **options):
        created(*arguments, **options)
        raise RuntimeError("the answer is lost")

    plane.store.create_job = create_then_fail
    problem(plane.http.post("/v1/jobs", json=plane.body, headers=KEY), 500, "internal_error")
    plane.store.create_job = created
    other = {**plane.body, "labels": {"a": "b"}}
    problem(plane.http.post("/v1/jobs", json=other, headers=KEY), 422, "idempotency_mismatch")
    answer = plane.http.post("/v1/jobs", json=plane.body, headers=KEY)
    assert answer.status_code == 201
    assert jobs(plane) == [answer.json()["id"]]


def test_answers_outlive_a_restart_and_so_do_ids_that_were_reserved(tmp_path, body):
    home = tmp_path / "home"
    with serve(home, body) as plane:
        first = plane.http.post("/v1/jobs", json=body, headers=KEY)
        # As if the process had died between reserving the key and answering.
        decision = plane.context.control.idempotency.begin("default", "cut", "print", time.time())
    with serve(home, body) as plane:
        again = plane.http.post("/v1/jobs", json=body, headers=KEY)
        assert again.content == first.content
        assert again.headers["idempotent-replayed"] == "true"
        taken_up = plane.context.control.idempotency.begin("default", "cut", "print", time.time())
        assert (taken_up.kind, taken_up.resource) == ("act", decision.resource)


def killed_before_the_answer(plane, path, body, act):
    """A request acts under :data:`KEY`, and its control plane is killed before it is answered."""
    keys = plane.context.control.idempotency
    print_ = fingerprint("POST", path + "?", json.dumps(body).encode())
    decision = keys.begin("default", KEY["Idempotency-Key"], print_, time.time())
    act(decision.resource)
    keys.leave()


@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize("verb", ["pause", "cancel", "stage"])
def test_a_wish_sent_again_after_a_kill_counts_once(plane, verb, state):
    plane.launcher.refuses = "no place" if state == "queued" else None
    job = plane.create() if state == "queued" else plane.running()
    path, body = f"/v1/jobs/{job}/{verb}", {"reason": "lunch"}
    if verb == "stage":
        body["to"] = "next"
    act = lambda _: plane.http.post(path, json=body).raise_for_status()  # noqa: E731
    killed_before_the_answer(plane, path, body, act)
    before = [e for e in plane.store.events(job) if e.reason == "lunch"]
    assert before
    for _ in range(2):
        answer = plane.http.post(path, json=body, headers=KEY)
        assert answer.status_code == (200 if verb != "stage" and state == "queued" else 202)
        assert [e for e in plane.store.events(job) if e.reason == "lunch"] == before
    # Under another key it is another wish.
    again = plane.http.post(path, json=body)
    assert again.status_code in (200, 202)
    after = [e for e in plane.store.events(job) if e.reason == "lunch"]
    assert (len(after) > len(before)) == (verb == "stage" or (verb, state) == ("cancel", "running"))


def test_a_resume_sent_again_after_a_kill_is_not_refused(plane):
    job = plane.running()
    plane.store.set_state(job, "interrupted", attempt=1)
    path = f"/v1/jobs/{job}/resume"
    killed_before_the_answer(
        plane, path, {}, lambda _: plane.http.post(path, json={}).raise_for_status()
    )
    answer = plane.http.post(path, json={}, headers=KEY)
    assert answer.status_code == 202, answer.text
    assert answer.json()["attempt"] == 2
    problem(plane.http.post(path, json={}), 409, "illegal_transition")


def test_a_creation_sent_again_after_a_kill_needs_no_second_place(tmp_path, body):
    """What it has made counts against the quota; what it was made from may be gone."""
    with serve(tmp_path / "home", body, limits=Limits(quota_jobs=1)) as plane:
        made = []

        def act(resource):
            spec = resolve("tiny-cpu", body["overrides"])
            made.append(plane.store.create_job(spec, "tiny-cpu", job_id=f"job-{resource}").id)

        killed_before_the_answer(plane, "/v1/jobs", body, act)
        answer = plane.http.post("/v1/jobs", json=body, headers=KEY)
        assert (answer.status_code, answer.json().get("id")) == (201, made[0])
        assert jobs(plane) == made


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é".encode()])
def test_what_is_no_key(plane, key):
    answer = plane.http.post("/v1/jobs", json=plane.body, headers={"Idempotency-Key": key})
    problem(answer, 400, "bad_idempotency_key")


def test_many_at_once_make_one_job(plane):
    answers = []

    def send():
        answers.append(plane.http.post("/v1/jobs", json=plane.body, headers=KEY))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {a.status_code for a in answers} <= {201, 409}
    made = {a.json()["id"] for a in answers if a.status_code == 201}
    assert [*made] == jobs(plane)


def test_what_creates_nothing_keeps_no_answer(plane):
    """An answer may be megabytes, and would lie there for a day for each key."""
    case = {"gold": "7", "output": "<think>so</think> \\boxed{7}"}
    asked = {
        "/v1/jobs:validate": plane.body,
        "/v1/jobs:estimate": plane.body,
        "/v1/verify": {"cases": [case]},
    }
    for path, sent in asked.items():
        for _ in range(2):
            answer = plane.http.post(path, json=sent, headers=KEY, timeout=120)
            assert answer.status_code == 200, (path, answer.text)
            assert "idempotent-replayed" not in answer.headers
    database = sqlite3.connect(plane.context.settings.home.control_database)
    assert database.execute("SELECT COUNT(*) FROM idempotency").fetchone() == (0,)
    assert plane.http.post("/v1/jobs", json=plane.body, headers=KEY).status_code == 201
    assert database.execute("SELECT COUNT(*) FROM idempotency").fetchone() == (1,)
