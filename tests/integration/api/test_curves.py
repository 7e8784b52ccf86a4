"""Figures of several jobs as curves, and of one as a table."""

from __future__ import annotations

import csv
import io

import pytest

from tests.integration.api.conftest import problem


@pytest.fixture
def two_jobs(plane):
    jobs = [plane.running(), plane.running()]
    for step in range(1, 1201):
        record = {"entropy": step % 5, "seconds": {"generate": 2.0}, "stage": "compression"}
        plane.store.append_metrics(jobs[0], 1, step, record)
    plane.store.append_metrics(jobs[1], 1, 1, {"entropy": float("nan"), "accuracy": 0.5})
    return jobs


def test_curves_of_several_jobs_with_no_more_points_than_asked(plane, two_jobs):
    answer = plane.http.get(
        "/v1/metrics",
        params={"job": two_jobs, "field": ["entropy", "seconds.generate"], "points": 100},
    )
    assert answer.status_code == 200, answer.text
    long, short = answer.json()["data"]
    assert [long["job"], short["job"]] == two_jobs
    entropy = long["curves"]["entropy"]
    assert len(entropy["step"]) == 100
    assert (entropy["step"][0], entropy["step"][-1]) == (1, 1200)
    assert set(long["curves"]["seconds.generate"]["value"]) == {2.0}
    assert short["curves"]["entropy"] == {"step": [], "value": []}


@pytest.mark.parametrize(
    "params",
    [
        {"field": "entropy"},
        {"job": "job-x"},
        {"job": "job-x", "field": "entropy", "points": 2},
        {"job": ["job-x"] * 21, "field": "entropy"},
    ],
)
def test_curves_of_nothing(plane, params):
    problem(plane.http.get("/v1/metrics", params=params), 422, "invalid_request")


def test_a_table_has_every_step(plane, two_jobs):
    answer = plane.http.get(f"/v1/jobs/{two_jobs[0]}/metrics.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert two_jobs[0] in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(r["step"]) for r in rows] == list(range(1, 1201))
    assert rows[6]["seconds.generate"] == "2.0"
    problem(plane.http.get("/v1/jobs/job-none/metrics.csv"), 404, "job_not_found")
