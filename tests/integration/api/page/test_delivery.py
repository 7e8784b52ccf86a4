"""What the server sends a browser: pages, assets and headers."""

from __future__ import annotations

import pytest

from tests.integration.api.conftest import make_token, serve
from tests.integration.api.page.recorded_run import RecordedRun

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/", "/jobs/job-1", "/nowhere", "/assets/base.css"])
def test_everything_shown_carries_a_strict_policy(plane, path):
    answer = plane.http.get(path, headers=HTML)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert {policy[d] for d in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert {policy[d] for d in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_page_holds_nothing_of_a_job(plane):
    """It is sent to anybody: who may see a job, the API decides."""
    job = plane.create()
    known, unknown = (plane.http.get(f"/jobs/{i}").text for i in (job, "job-unknown"))
    assert known.replace(job, "X") == unknown.replace("job-unknown", "X")


def test_pages_are_open_and_nothing_else_is(tmp_path, body):
    home = tmp_path / "guarded"
    make_token(home, "jobs:read")
    with serve(home, body) as plane:
        for path in ("/", "/jobs/job-1", "/assets/job.js"):
            assert plane.http.get(path, headers=HTML).status_code == 200
        for path in ("/v1/jobs", "/v1/jobs/job-1/report", "/metrics", "/assets/../v1/jobs"):
            assert plane.http.get(path, headers=HTML).status_code == 401


def test_what_stands_in_the_path_stays_text(plane):
    answer = plane.http.get("/jobs/%3Cscript%20src=x%3E", headers=HTML)
    assert "<script src=x" not in answer.text
    assert "&lt;script src=x&gt;" in answer.text
    assert "<b>" not in plane.http.get("/%3Cb%3E", headers=HTML).text


def test_assets_are_sent_once(plane):
    first = plane.http.get("/assets/vendor/uplot.js")
    assert first.status_code == 200
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = {"If-None-Match": first.headers["etag"]}
    assert plane.http.get("/assets/vendor/uplot.js", headers=again).status_code == 304
    assert plane.http.get("/assets/job.js", headers=again).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["../__init__.py", "..%2f__init__.py", "vendor/../../render.py", "vendor/README.md", "vendor/"],
)
def test_nothing_but_assets_is_sent(plane, name):
    answer = plane.http.get(f"/assets/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_person_gets_a_page_where_there_is_none_and_a_program_a_problem(plane):
    page = plane.http.get("/nowhere", headers=HTML)
    assert page.status_code == 404
    assert "There is no page at <code>/nowhere</code>" in page.text
    for path, headers in (("/nowhere", {}), ("/v1/nowhere", HTML), ("/v1/jobs/job-1", HTML)):
        answer = plane.http.get(path, headers=headers)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert plane.http.post("/livez", headers=HTML).status_code == 405


def test_the_report_of_an_ended_job_is_a_page_for_a_browser(plane):
    plane.body = {"preset": "tiny-cpu"}  # its tokenizer is read for the report
    run = RecordedRun(plane, plane.running()).begin().go_to(3)
    path = f"/v1/jobs/{run.job}/report"
    assert plane.http.get(path, headers=HTML).json()["code"] == "report_not_ready"
    plane.store.set_state(run.job, "failed", attempt=1, cause="<b>bold</b>")
    page = plane.http.get(path, headers=HTML, timeout=180)  # it is drawn first
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    assert "<svg" in page.text
    assert "&lt;b&gt;bold" in page.text
    assert len(plane.http.get(path).json()["steps"]) == 3
