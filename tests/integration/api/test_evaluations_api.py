"""The verbs on evaluations over HTTP: what they do, and what they refuse."""

from __future__ import annotations

import pytest

from services.evaluation.response_file import write_responses
from services.evaluation.result_folder import ResultFolder
from tests.integration.api.test_jobs_api import problem
from tests.unit.evaluated import response


@pytest.fixture
def spec(model_folder, tmp_path):
    questions = tmp_path / "sums.jsonl"
    questions.write_text('{"question": "1+1?", "answer": 2}\n{"question": "2+2?", "answer": "4"}\n')
    return {"model": {"path": str(model_folder)}, "benchmarks": [{"path": str(questions)}]}


def post(plane, spec):
    return plane.http.post("/v1/evaluations", json={"spec": spec})


def made(plane, spec) -> str:
    answer = post(plane, spec)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def refusals(plane, spec):
    body = problem(post(plane, spec), 422, "invalid_spec")
    assert plane.http.get("/v1/evaluations").json()["data"] == []
    return {e["pointer"]: e["detail"] for e in body["errors"]}


def test_an_evaluation_is_queued_with_every_value_written_out(plane, spec):
    answer = post(plane, {**spec, "seed": 3})
    found = answer.json()
    assert answer.headers["location"] == f"/v1/evaluations/{found['id']}"
    (benchmark,) = found["spec"]["benchmarks"]
    assert (benchmark["name"], benchmark["samples"]) == ("sums", 4)
    assert found["spec"]["chunk_responses"] == 64
    assert (found["spec"]["temperature"], found["spec"]["top_p"]) == (0.6, 0.95)
    plane.wait_for("submission", lambda: plane.launcher.submitted == [f"{found['id']}-1"])
    assert plane.launcher.kinds == ["evaluation"]


def test_parity_asks_once(plane, spec):
    found = post(plane, {**spec, "policy": "thinkless-parity"}).json()
    assert found["spec"]["benchmarks"][0]["samples"] == 1


def test_relative_paths_are_those_of_the_server(plane, spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = post(plane, {"model": {"path": "model"}, "benchmarks": [{"path": "sums.jsonl"}]}).json()
    assert found["spec"]["model"]["path"] == str(tmp_path / "model")
    assert found["spec"]["benchmarks"][0]["path"] == str(tmp_path / "sums.jsonl")


def test_everything_that_is_wrong_is_named_and_nothing_is_made(plane, spec):
    found = refusals(plane, {**spec, "polcy": "eval", "temperature": 3})
    assert "did you mean 'policy'?" in found["/polcy"]
    assert "less than or equal to 2" in found["/temperature"]
    found = refusals(
        plane, {"model": {"path": "/nowhere"}, "benchmarks": [{"path": "/nowhere/q.jsonl"}]}
    )
    assert "/nowhere does not exist" in found["/model/path"]
    assert "no such file" in found["/benchmarks/0/path"]
    found = refusals(plane, {**spec, "generator": {"workers": 9, "max_model_len": 4096}})
    assert "larger than the model's context" in found["/generator/max_model_len"]
    assert "generators 9 x 1" in found["/generator/workers"]


def test_a_model_of_a_job_is_found_by_its_stage(plane, spec):
    job = plane.create()
    (newest,) = [plane.context.settings.home.job(job).model("compression")]
    newest.parent.mkdir(parents=True)
    newest.symlink_to(spec["model"]["path"])
    for path, label in [("", "compression"), ("/compression", "compression"), ("/base", "base")]:
        found = post(plane, {**spec, "model": {"path": f"job:{job}{path}"}}).json()
        assert found["spec"]["model"]["path"] == f"job:{job}/{label}"


def test_a_model_that_a_job_has_not_is_refused(plane, spec):
    job = plane.create()
    found = refusals(plane, {**spec, "model": {"path": f"job:{job}/exploration"}})
    assert "it has base" in found["/model/path"]
    found = refusals(plane, {**spec, "model": {"path": "job:job-none"}})
    assert "no training job 'job-none'" in found["/model/path"]


def test_evaluations_and_jobs_have_their_own_places(plane, spec):
    job, evaluation = plane.create(), made(plane, spec)
    assert [j["id"] for j in plane.http.get("/v1/jobs").json()["data"]] == [job]
    assert [j["id"] for j in plane.http.get("/v1/evaluations").json()["data"]] == [evaluation]
    for verb, path in [
        (plane.http.get, f"/v1/jobs/{evaluation}"),
        (plane.http.post, f"/v1/jobs/{evaluation}/cancel"),
        (plane.http.post, f"/v1/jobs/{evaluation}/resume"),
        (plane.http.get, f"/v1/jobs/{evaluation}/report"),
    ]:
        assert (
            f"/v1/evaluations/{evaluation}" in problem(verb(path), 404, "job_not_found")["detail"]
        )
    for verb, path in [
        (plane.http.get, f"/v1/evaluations/{job}"),
        (plane.http.post, f"/v1/evaluations/{job}/cancel"),
        (plane.http.post, f"/v1/evaluations/{job}/resume"),
        (plane.http.get, f"/v1/evaluations/{job}/result"),
    ]:
        assert f"/v1/jobs/{job}" in problem(verb(path), 404, "job_not_found")["detail"]


def test_an_evaluation_waits_its_turn_among_the_jobs(plane, spec):
    jobs = [plane.launched() for _ in range(plane.context.settings.max_running_jobs)]
    evaluation = made(plane, spec)
    before = plane.context.last_reconciled
    plane.wait_for("two looks", lambda: (plane.context.last_reconciled or 0) > (before or 0) + 1)
    assert plane.launcher.submitted == [f"{job}-1" for job in jobs]
    for state in ("starting", "running", "succeeded"):
        plane.store.set_state(jobs[0], state, attempt=1)
    plane.wait_for("its turn", lambda: plane.launcher.submitted[2:] == [f"{evaluation}-1"])


def test_cancel_and_resume(plane, spec):
    evaluation = made(plane, spec)
    plane.wait_for("submission", lambda: plane.store.get_job(evaluation).ray_submission_id)
    plane.store.set_state(evaluation, "starting", attempt=1)
    plane.store.set_state(evaluation, "failed", attempt=1, cause="x")
    answer = plane.http.post(f"/v1/evaluations/{evaluation}/resume")
    assert (answer.status_code, answer.json()["attempt"]) == (202, 2)
    plane.wait_for("submission", lambda: plane.store.get_job(evaluation).ray_submission_id)
    assert plane.http.post(f"/v1/evaluations/{evaluation}/cancel").status_code == 200
    assert plane.state(evaluation) == "cancelled"
    body = problem(
        plane.http.post(f"/v1/evaluations/{evaluation}/resume"), 409, "illegal_transition"
    )
    assert body["allowed"] == []


def test_events_are_served(plane, spec):
    evaluation = made(plane, spec)
    page = plane.http.get(f"/v1/evaluations/{evaluation}/events").json()
    assert page["data"][0]["message"] == "evaluation 'evaluation' created"


def test_results_are_there_when_a_benchmark_is_complete(plane, spec, tmp_path):
    evaluation = made(plane, spec)
    base = f"/v1/evaluations/{evaluation}"
    assert (
        "no benchmark yet"
        in problem(plane.http.get(f"{base}/result"), 404, "result_not_ready")["detail"]
    )
    problem(plane.http.get(f"{base}/responses/sums"), 404, "result_not_ready")
    result = ResultFolder(plane.context.settings.home.job(evaluation).result)
    result.write({"benchmarks": {"sums": {"accuracy": 1.0}}})
    result.keep("sums", [response("a")], 1.0)
    assert plane.http.get(f"{base}/result").json()["benchmarks"]["sums"]["accuracy"] == 1.0
    got = plane.http.get(f"{base}/responses/sums")
    assert got.content == result.responses("sums").read_bytes()
    assert got.headers["content-type"] == "application/vnd.apache.parquet"
    write_responses(tmp_path / "secret.parquet", [response("a")], {})
    body = problem(plane.http.get(f"{base}/responses/secret"), 404, "unknown_benchmark")
    assert "it has sums" in body["detail"]


def test_the_metrics_count_evaluations_apart(plane, spec):
    made(plane, spec)
    text = plane.http.get("/metrics").text
    assert 'laconic_evaluations{state="queued"} 1.0' in text
    assert 'laconic_jobs{state="queued"} 0.0' in text
