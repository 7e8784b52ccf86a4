"""The verbs on jobs over HTTP: what they do, and what they refuse."""

from __future__ import annotations

import copy

import pytest


def problem(answer, status, code):
    """Check the shape every error has; return its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "code", "errors", "request_id"} <= set(body)
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def with_overrides(body, **overrides):
    changed = copy.deepcopy(body)
    changed["overrides"].update(overrides)
    return changed


# -- create ---------------------------------------------------------------------------------------


def test_a_preset_becomes_a_job_that_is_submitted(plane):
    answer = plane.http.post("/v1/jobs", json=plane.body)
    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["attempt"], job["preset"]) == ("queued", 1, "tiny-cpu")
    found = plane.http.get(answer.headers["location"]).json()
    assert found["spec"] == job["spec"]
    plane.wait_for("submission", lambda: plane.launcher.submitted == [f"{job['id']}-1"])


def test_a_whole_specification_becomes_a_job(plane):
    spec = plane.http.get(f"/v1/jobs/{plane.create()}").json()["spec"]
    spec["seed"] = 7
    answer = plane.http.post("/v1/jobs", json={"spec": spec})
    assert answer.status_code == 201
    assert answer.json()["spec"] == spec
    assert answer.json()["preset"] is None


def test_a_benchmark_is_resolved_at_submission(plane, tmp_path, monkeypatch):
    monkeypatch.setenv("LACONIC_DATA", str(tmp_path))
    (tmp_path / "aime24.jsonl").write_text('{"problem": "How many?", "answers": ["7"]}\n')
    asked = {"path": "benchmark:aime24"}
    answer = plane.http.post("/v1/jobs", json=with_overrides(plane.body, evaluation=asked))
    (error,) = problem(answer, 422, "invalid_spec")["errors"]
    assert error["pointer"] == "/evaluation/path"
    assert "1 questions, expected 30" in error["detail"]
    assert "allow_other_content" in error["detail"]
    asked["allow_other_content"] = True
    answer = plane.http.post("/v1/jobs", json=with_overrides(plane.body, evaluation=asked))
    assert answer.status_code == 201
    assert answer.json()["spec"]["evaluation"]["path"] == "benchmark:aime24"


def test_relative_paths_become_absolute(plane, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    body = with_overrides(plane.body, data={"path": "train.jsonl"})
    job = plane.http.post("/v1/jobs", json=body).json()
    assert job["spec"]["data"]["path"] == str(tmp_path / "train.jsonl")


def stage(name, **fields):
    return {"stages": {name: fields}}


BAD = {
    "unknown field": ({"generatr": {}}, "/generatr", "generator"),
    "unknown stage field": (stage("compression", sampling={"top_k": 1}), None, "top_k"),
    "r": (stage("compression", objective={"r": 1.0}), "/stages/0/objective/r", "less than 1"),
    "length clip": (
        stage("compression", objective={"length_clip": 641}),
        "/stages/0/objective/length_clip",
        "context of 640",
    ),
    "group of one": (
        stage("exploration", sampling={"group_size": 1}),
        "/stages/1/sampling/group_size",
        "at least 2",
    ),
    "mini-batch": (
        stage("compression", prompts_per_update=7),
        "/stages/0/prompts_per_update",
        "must divide",
    ),
    "unknown criterion": (
        stage("compression", until=[{"type": "entropy"}]),
        "/stages/0/until/0/type",
        "entropy_plateau",
    ),
    "window longer than the stage": (
        stage("compression", until=[{"type": "entropy_plateau", "window": 50}]),
        "/stages/0/until/0/window",
        "a stage of 26 steps",
    ),
    "guard without an evaluation set": (
        {"evaluation": None, **stage("compression", guard={})},
        "/stages/0/guard",
        "add evaluation",
    ),
    "zero stages": ({"stages": []}, "/stages", "at least one"),
    "workers": ({"generator": {"workers": 9}}, "/generator/workers", "the cluster has 4"),
    "no model": ({"model": {"path": "/nowhere"}}, "/model/path", "does not exist"),
    "no data": ({"data": {"path": "/nowhere.jsonl"}}, "/data/path", "no such file"),
}


def assert_no_job(plane):
    assert plane.http.get("/v1/jobs").json()["data"] == []
    assert list((plane.context.settings.home.root / "jobs").iterdir()) == []
    assert plane.launcher.submitted == []


@pytest.mark.parametrize("name", BAD)
def test_bad_input_names_field_and_remedy_and_leaves_no_job(plane, name):
    overrides, pointer, remedy = BAD[name]
    answer = plane.http.post("/v1/jobs", json=with_overrides(plane.body, **overrides))
    errors = problem(answer, 422, "invalid_spec")["errors"]
    if pointer is not None:
        assert pointer in [e["pointer"] for e in errors]
    assert any(remedy in e["detail"] for e in errors)
    assert_no_job(plane)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "empty"),
        ('{"question": "q", "answer": "a"}\n{"question"', "line 2"),
        ('{"answer": "a"}', "'question' is missing"),
        ('{"question": "q"}', "'answer' is missing"),
    ],
)
def test_bad_data_is_named_with_its_line(plane, tmp_path, content, expected):
    file = tmp_path / "bad.jsonl"
    file.write_text(content)
    answer = plane.http.post("/v1/jobs", json=with_overrides(plane.body, data={"path": str(file)}))
    (error,) = problem(answer, 422, "invalid_spec")["errors"]
    assert error["pointer"] == "/data/path"
    assert expected in error["detail"]
    assert_no_job(plane)


@pytest.mark.parametrize(
    ("remove", "add", "expected"),
    [
        ("tokenizer.json", None, "no tokenizer"),
        ("model.safetensors", "pytorch_model.bin", "convert"),
    ],
)
def test_a_model_that_cannot_be_trained(plane, model_folder, remove, add, expected):
    (model_folder / remove).unlink()
    if add:
        (model_folder / add).write_bytes(b"x")
    answer = plane.http.post("/v1/jobs", json=plane.body)
    (error,) = problem(answer, 422, "invalid_spec")["errors"]
    assert error["pointer"] == "/model/path"
    assert expected in error["detail"]
    assert_no_job(plane)


def test_an_unknown_preset(plane):
    found = problem(plane.http.post("/v1/jobs", json={"preset": "tiny-gpu"}), 422, "unknown_preset")
    assert found["errors"][0]["pointer"] == "/preset"
    assert "tiny-cpu" in found["detail"]
    assert_no_job(plane)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"preset": "tiny-cpu", "spec": {}}, ""),
        ({"spec": {}, "overrides": {"seed": 1}}, ""),
        ({"preset": "tiny-cpu", "sped": {}}, "/sped"),
        ({"preset": 3}, "/preset"),
        ([], ""),
    ],
)
def test_a_body_of_the_wrong_shape(plane, body, pointer):
    found = problem(plane.http.post("/v1/jobs", json=body), 422, "invalid_request")
    assert found["errors"][0]["pointer"] == pointer
    assert_no_job(plane)


def test_a_body_that_is_not_json(plane):
    answer = plane.http.post(
        "/v1/jobs", content=b'{"preset":', headers={"content-type": "application/json"}
    )
    problem(answer, 400, "malformed_json")


def test_no_body_at_all(plane):
    problem(plane.http.post("/v1/jobs"), 422, "invalid_request")


# -- errors of the framework ----------------------------------------------------------------------


def test_what_is_not_there(plane):
    problem(plane.http.get("/v1/nothing"), 404, "not_found")
    problem(plane.http.get("/v1/jobs/job-none"), 404, "job_not_found")


def test_a_method_that_is_not_allowed(plane):
    answer = plane.http.delete("/v1/jobs")
    problem(answer, 405, "method_not_allowed")
    assert "allow" in answer.headers


def test_a_fault_says_nothing_of_the_inside(plane):
    plane.launcher.size_error = RuntimeError("secret detail")
    answer = plane.http.post("/v1/jobs", json=plane.body)
    found = problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert found["request_id"] in found["detail"]


# -- list -----------------------------------------------------------------------------------------


def test_jobs_are_paged_newest_first_and_new_ones_do_not_shift_the_pages(plane):
    ids = [plane.create() for _ in range(5)][::-1]
    seen, cursor = [], None
    while True:
        page = plane.http.get(
            "/v1/jobs", params={"limit": 2, **({"after": cursor} if cursor else {})}
        )
        page = page.json()
        seen += [j["id"] for j in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
        plane.create()
    assert seen == ids


def test_jobs_are_filtered_by_state(plane):
    first, second = plane.create(), plane.create()
    plane.http.post(f"/v1/jobs/{first}/cancel")
    page = plane.http.get("/v1/jobs", params={"state": "cancelled"}).json()
    assert [j["id"] for j in page["data"]] == [first]
    assert second not in page


@pytest.mark.parametrize("limit", [0, 101, "x"])
def test_a_limit_out_of_range(plane, limit):
    found = problem(plane.http.get("/v1/jobs", params={"limit": limit}), 422, "invalid_request")
    assert found["errors"][0]["pointer"] == "query:limit"


def test_a_cursor_that_is_none(plane):
    problem(plane.http.get("/v1/jobs", params={"after": "job-x"}), 400, "unknown_cursor")


# -- cancel, resume, stage ------------------------------------------------------------------------


def test_a_queued_job_is_cancelled_at_once(plane):
    plane.launcher.refuses = "no cluster"
    job = plane.create()
    answer = plane.http.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert plane.http.post(f"/v1/jobs/{job}/cancel").status_code == 200


def test_a_running_job_is_asked_to_cancel(plane):
    job = plane.running()
    answer = plane.http.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert [c.kind for c in plane.store.take_commands(job, 1)] == ["cancel"]


def test_an_ended_job_cannot_be_cancelled(plane):
    job = plane.running()
    plane.store.set_state(job, "succeeded", attempt=1)
    found = problem(plane.http.post(f"/v1/jobs/{job}/cancel"), 409, "illegal_transition")
    assert (found["state"], found["allowed"]) == ("succeeded", [])


def test_an_interrupted_job_is_cancelled_or_resumed(plane):
    first, second = plane.running(), plane.running()
    for job in (first, second):
        plane.store.set_state(job, "interrupted", attempt=1)
    assert plane.http.post(f"/v1/jobs/{first}/cancel").json()["state"] == "cancelled"
    answer = plane.http.post(f"/v1/jobs/{second}/resume")
    assert (answer.status_code, answer.json()["attempt"]) == (202, 2)
    plane.wait_for("submission", lambda: f"{second}-2" in plane.launcher.submitted)


def test_a_running_job_cannot_be_resumed(plane):
    found = problem(
        plane.http.post(f"/v1/jobs/{plane.running()}/resume"), 409, "illegal_transition"
    )
    assert "cancelled" in found["allowed"]


@pytest.mark.parametrize("to", ["next", "exploration"])
def test_a_stage_change_reaches_the_driver(plane, to):
    job = plane.running(stage_index=0)
    assert plane.http.post(f"/v1/jobs/{job}/stage", json={"to": to}).status_code == 202
    (command,) = plane.store.take_commands(job, 1)
    assert (command.kind, command.data) == ("stage", {"to": to})


def test_an_unknown_stage(plane):
    job = plane.running()
    answer = plane.http.post(f"/v1/jobs/{job}/stage", json={"to": "explore"})
    found = problem(answer, 422, "unknown_stage")
    assert found["errors"][0]["pointer"] == "/to"
    assert "exploration" in found["detail"]


@pytest.mark.parametrize(
    ("index", "to", "allowed"),
    [(0, "compression", ["next", "exploration"]), (1, "compression", []), (1, "next", [])],
)
def test_a_stage_that_does_not_lie_ahead(plane, index, to, allowed):
    job = plane.running(stage_index=index)
    answer = plane.http.post(f"/v1/jobs/{job}/stage", json={"to": to})
    assert problem(answer, 409, "illegal_transition")["allowed"] == allowed
    assert plane.store.take_commands(job, 1) == []


def test_a_stage_change_of_an_ended_job(plane):
    job = plane.running()
    plane.store.set_state(job, "succeeded", attempt=1)
    answer = plane.http.post(f"/v1/jobs/{job}/stage", json={"to": "next"})
    problem(answer, 409, "illegal_transition")


# -- the rest -------------------------------------------------------------------------------------


def test_metrics_are_paged(plane):
    job = plane.running()
    for step in range(1, 6):
        plane.store.append_metrics(job, 1, step, {"entropy": step / 10})
    first = plane.http.get(f"/v1/jobs/{job}/metrics", params={"limit": 3}).json()
    assert ([m["step"] for m in first["data"]], first["has_more"]) == ([1, 2, 3], True)
    rest = plane.http.get(
        f"/v1/jobs/{job}/metrics", params={"after_step": first["next_after_step"]}
    ).json()
    assert ([m["step"] for m in rest["data"]], rest["has_more"]) == ([4, 5], False)


def test_presets_show_what_they_resolve_to(plane):
    found = {p["name"]: p for p in plane.http.get("/v1/presets").json()["data"]}
    assert {"tiny-cpu", "paper-1.5b", "paper-7b"} <= set(found)
    assert found["paper-7b"]["spec"]["stages"][0]["objective"]["length_clip"] == 4096


def test_there_is_no_report_before_the_end(plane):
    problem(plane.http.get(f"/v1/jobs/{plane.running()}/report"), 404, "report_not_ready")


def test_alive_and_ready(plane):
    assert plane.http.get("/livez").json() == {"status": "alive"}
    plane.wait_for("readiness", lambda: plane.http.get("/readyz").status_code == 200)


def test_a_control_plane_that_is_closing_takes_no_jobs(plane):
    plane.context.closing.set()
    problem(plane.http.post("/v1/jobs", json=plane.body), 503, "closing")
    problem(plane.http.get("/readyz"), 503, "closing")


def test_the_interface_is_described(plane):
    description = plane.http.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    create = description["paths"]["/v1/jobs"]["post"]
    assert {"201", "422"} <= set(create["responses"])
