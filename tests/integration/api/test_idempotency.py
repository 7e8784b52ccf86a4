"""Requests that are sent twice and act once, whatever happens in between."""

from __future__ import annotations

import threading
import time

import pytest

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
