"""jobs:validate and jobs:estimate: what would become of a job, without one."""

from __future__ import annotations

from tests.integration.api.conftest import problem


def test_validate_answers_as_creating_would_and_creates_nothing(plane):
    answer = plane.http.post("/v1/jobs:validate", json=plane.body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert plane.http.get("/v1/jobs").json()["data"] == []
    job = plane.http.post("/v1/jobs", json=plane.body).json()
    assert found["spec"] == job["spec"]
    assert found["capability"] == {
        "cluster_cpus": 4.0,
        "cluster_gpus": 0.0,
        "max_running_jobs": 2,
        "active_jobs": 0,
        "starts_at_once": True,
    }
    bad = {"preset": "tiny-cpu", "overrides": {"generator": {"workers": 9}}}
    wrong = problem(plane.http.post("/v1/jobs:validate", json=bad), 422, "invalid_spec")
    same = problem(plane.http.post("/v1/jobs", json=bad), 422, "invalid_spec")
    assert wrong["errors"] == same["errors"]


def test_validate_warns_of_what_is_allowed_and_perhaps_not_meant(plane):
    over = {
        **plane.body["overrides"],
        "checkpoint": {"every_steps": 20},
        "analysis": {"every_steps": 100},
    }
    body = {"preset": "tiny-cpu", "overrides": over}
    found = plane.http.post("/v1/jobs:validate", json=body).json()["warnings"]
    assert {w["pointer"] for w in found} == {
        "/evaluation/path",
        "/stages/1/steps",
        "/analysis/every_steps",
    }
    plane.launcher.size = None
    for _ in range(2):
        plane.create()
    blind = plane.http.post("/v1/jobs:validate", json=body).json()
    assert "" in {w["pointer"] for w in blind["warnings"]}
    assert blind["capability"]["cluster_cpus"] is None
    assert blind["capability"]["active_jobs"] == 2
    assert not blind["capability"]["starts_at_once"]


def test_estimate_says_tokens_time_memory_and_what_they_rest_on(plane):
    body = {"preset": "tiny-cpu", "mean_response_tokens": 60.5}
    answer = plane.http.post("/v1/jobs:estimate", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["parameters"] == 1133824
    assert found["stages"][0]["response_tokens"]["expected"] == 26 * 256 * 60.5
    assert 200 < found["seconds"]["expected"] < 800
    assert {m["role"] for m in found["memory"]} >= {"generator", "learner", "verifier"}
    # Measured on the data set, not taken for granted.
    assert found["assumptions"]["prompt_tokens"] != 128
    bad = {**body, "mean_response_tokens": 0}
    problem(plane.http.post("/v1/jobs:estimate", json=bad), 422, "invalid_request")
    assert plane.http.get("/v1/jobs").json()["data"] == []
