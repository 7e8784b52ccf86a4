"""Listings over HTTP: filters, labels, cursors, unknown parameters."""

from __future__ import annotations

import pytest

from tests.integration.api.conftest import problem


def found(plane, **params):
    answer = plane.http.get("/v1/jobs", params=params)
    assert answer.status_code == 200, answer.text
    return [j["id"] for j in answer.json()["data"]]


def test_jobs_are_found_by_what_they_are_filed_under(plane):
    running = plane.running(stage="compression", stage_index=0)
    first = plane.create(labels={"team": "reasoning", "run": "1"})
    second = plane.create(labels={"team": "reasoning"})
    third = plane.create()
    assert found(plane, **{"label[team]": "reasoning"}) == [second, first]
    assert found(plane, **{"label[team]": "reasoning", "label[run]": "1"}) == [first]
    assert found(plane, name="tiny-cpu") == [third, second, first, running]
    assert found(plane, name="other") == []
    middle = plane.store.get_job(second).created_at
    assert found(plane, created_before=middle) == [first, running]
    assert found(plane, created_after=middle) == [third, second]
    assert found(plane, stage="compression") == [running]
    assert plane.http.get(f"/v1/jobs/{first}").json()["labels"] == {"team": "reasoning", "run": "1"}


def test_a_cursor_goes_on_with_the_same_filters_only(plane):
    jobs = [plane.create(labels={"team": "x"}) for _ in range(5)][::-1]
    page = plane.http.get("/v1/jobs", params={"limit": 2, "label[team]": "x"}).json()
    assert [j["id"] for j in page["data"]] == jobs[:2]
    cursor = page["next_cursor"]
    rest = plane.http.get(
        "/v1/jobs", params={"limit": 3, "label[team]": "x", "after": cursor}
    ).json()
    assert [j["id"] for j in rest["data"]] == jobs[2:]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    for other in ({"label[team]": "y"}, {"state": "queued", "label[team]": "x"}, {}):
        answer = plane.http.get("/v1/jobs", params={**other, "after": cursor})
        problem(answer, 400, "bad_cursor")


@pytest.mark.parametrize(
    "labels",
    [
        {"Team": "x"},
        {"": "x"},
        {"a" * 64: "x"},
        {"a": "x" * 129},
        {"a": "line\nbreak"},
        {"a": 1},
        {"a": None},
        {f"k{n}": "x" for n in range(17)},
        {"a": "<script>"},
        ["a"],
    ],
)
def test_labels_have_bounds(plane, labels):
    answer = plane.http.post("/v1/jobs", json={**plane.body, "labels": labels})
    found = problem(answer, 422, "invalid_request")
    assert found["errors"][0]["pointer"].startswith("/labels")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sate=queued", "unknown_parameter"),
        ("limit=1&limit=2", "repeated_parameter"),
        ("label=x", "unknown_parameter"),
        ("label[]=x", "bad_label"),
        ("label[A]=x", "bad_label"),
        ("label[a]=x&label[a]=y", "bad_label"),
        ("label[a]x=y", "unknown_parameter"),
        ("&".join(f"label[k{n}]=x" for n in range(17)), "bad_label"),
    ],
)
def test_parameters_that_are_none(plane, query, code):
    found = problem(plane.http.get(f"/v1/jobs?{query}"), 400, code)
    if code == "unknown_parameter":
        assert "label[KEY]" in found["detail"]


def test_every_operation_refuses_unknown_parameters(plane):
    job = plane.create()
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", "/v1/presets", "/livez", "/metrics"):
        problem(plane.http.get(path, params={"x": "1"}), 400, "unknown_parameter")
    problem(plane.http.post(f"/v1/jobs/{job}/cancel?x=1"), 400, "unknown_parameter")


def test_what_can_be_asked_of_a_job_is_said(plane):
    job = plane.running(stage_index=0)
    assert plane.http.get(f"/v1/jobs/{job}").json()["actions"] == ["pause", "cancel", "stage"]
    plane.store.heartbeat(job, 1, {"stage_index": 1})
    assert plane.http.get(f"/v1/jobs/{job}").json()["actions"] == ["pause", "cancel"]
    plane.store.set_state(job, "interrupted", attempt=1)
    assert plane.http.get(f"/v1/jobs/{job}").json()["actions"] == ["resume", "cancel"]
    plane.http.post(f"/v1/jobs/{job}/cancel")
    assert plane.http.get(f"/v1/jobs/{job}").json()["actions"] == []
