"""ETag, If-Match and If-None-Match on jobs."""

from __future__ import annotations

import pytest

from tests.integration.api.conftest import problem


def tag(plane, job):
    return plane.http.get(f"/v1/jobs/{job}").headers["etag"]


def test_a_reader_that_has_all_there_is_gets_304(plane):
    job = plane.running()
    path = f"/v1/jobs/{job}"
    seen = tag(plane, job)
    answer = plane.http.get(path, headers={"If-None-Match": f'"other", {seen}'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == seen
    plane.store.heartbeat(job, 1, {"step": 5})
    answer = plane.http.get(path, headers={"If-None-Match": seen})
    assert answer.status_code == 200
    assert answer.json()["progress"] == {"step": 5}


def test_a_heartbeat_does_not_refuse_a_cancel_and_a_change_does(plane):
    job = plane.running(stage_index=0)
    seen = tag(plane, job)
    plane.store.heartbeat(job, 1, {"step": 5, "stage_index": 0})
    answer = plane.http.post(
        f"/v1/jobs/{job}/stage", json={"to": "next"}, headers={"If-Match": seen}
    )
    assert answer.status_code == 202
    answer = plane.http.post(f"/v1/jobs/{job}/cancel", headers={"If-Match": seen})
    found = problem(answer, 412, "changed_meanwhile")
    assert found["state"] == "running"
    assert plane.store.get_job(job).cancel_requested_at is None
    assert answer.headers["etag"] == tag(plane, job)
    answer = plane.http.post(f"/v1/jobs/{job}/cancel", headers={"If-Match": answer.headers["etag"]})
    assert answer.status_code == 202


def test_between_the_look_and_the_write_the_store_decides(plane, monkeypatch):
    job = plane.running()
    seen, looked = tag(plane, job), plane.store.get_job

    def look_then_change(job_id):
        record = looked(job_id)
        plane.store.get_job = looked
        plane.store.send_command(job_id, "stage", {"to": "next"})
        return record

    plane.store.get_job = look_then_change
    answer = plane.http.post(f"/v1/jobs/{job}/cancel", headers={"If-Match": seen})
    problem(answer, 412, "changed_meanwhile")
    assert plane.store.get_job(job).cancel_requested_at is None


@pytest.mark.parametrize("given", ["x", "W/x", '"a', "1-2", '"a" "b"', '"a",,"b"', ""])
def test_what_is_no_list_of_tags(plane, given):
    job = plane.running()
    answer = plane.http.post(f"/v1/jobs/{job}/cancel", headers={"If-Match": given})
    problem(answer, 400, "bad_if_match")


def test_stars_lists_and_weak_tags(plane):
    job = plane.running(stage_index=0)
    seen = tag(plane, job)
    path, body = f"/v1/jobs/{job}/stage", {"to": "next"}
    weak = plane.http.post(path, json=body, headers={"If-Match": f"W/{seen}"})
    problem(weak, 412, "changed_meanwhile")
    for given in ("*", '"9-x", {}'):
        headers = {"If-Match": given.format(tag(plane, job))}
        assert plane.http.post(path, json=body, headers=headers).status_code == 202


@pytest.fixture
def evaluation(plane, model_folder, tmp_path):
    questions = tmp_path / "sums.jsonl"
    questions.write_text('{"question": "1+1?", "answer": 2}\n')
    spec = {"model": {"path": str(model_folder)}, "benchmarks": [{"path": str(questions)}]}
    answer = plane.http.post("/v1/evaluations", json={"spec": spec})
    assert answer.status_code == 201, answer.text
    job = answer.json()["id"]
    plane.wait_for("submission", lambda: plane.store.get_job(job).ray_submission_id)
    plane.store.set_state(job, "starting", attempt=1)
    plane.store.set_state(job, "running", attempt=1)
    return job


def test_an_evaluation_that_was_seen_is_not_sent_again(plane, evaluation):
    path = f"/v1/evaluations/{evaluation}"
    seen = plane.http.get(path).headers["etag"]
    answer = plane.http.get(path, headers={"If-None-Match": seen})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", seen)
    plane.store.heartbeat(evaluation, 1, {"questions_done": 5})
    assert plane.http.get(path, headers={"If-None-Match": seen}).status_code == 200


@pytest.mark.parametrize(("verb", "state"), [("cancel", "running"), ("resume", "interrupted")])
def test_an_evaluation_that_has_changed_is_not_changed_unseen(plane, evaluation, verb, state):
    path = f"/v1/evaluations/{evaluation}"
    if state != "running":
        plane.store.set_state(evaluation, state, attempt=1)
    old = '"0-0"'
    answer = plane.http.post(f"{path}/{verb}", headers={"If-Match": old})
    assert problem(answer, 412, "changed_meanwhile")["state"] == state
    assert plane.store.get_job(evaluation).cancel_requested_at is None
    assert plane.state(evaluation) == state
    seen = answer.headers["etag"]
    answer = plane.http.post(f"{path}/{verb}", headers={"If-Match": seen})
    assert answer.status_code == 202
    assert answer.headers["etag"] != seen
