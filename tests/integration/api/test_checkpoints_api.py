"""Checkpoints, named models, artifacts and logs over HTTP: real files, whole and in parts."""

from __future__ import annotations

import hashlib
import json
import os
import threading

import pytest

from algorithms.stage_machine import StageMachine
from services.checkpoints import CheckpointStore
from services.role_log import keep_log
from tests.integration.api.conftest import problem

WEIGHTS = bytes(range(256)) * 100


def write_checkpoint(plane, job, step, stage="compression"):
    store = CheckpointStore(plane.context.settings.home.job(job).checkpoints)
    folder = store.begin(step)
    (folder / "model").mkdir()
    (folder / "model" / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "learner").mkdir()
    (folder / "learner" / "state.pt").write_bytes(b"state")
    spec = plane.store.get_job(job).training
    machine = StageMachine(spec.stages, spec.cycles).state_dict()
    machine |= {"stage": stage, "global_step": step}
    store.seal(folder, step, {"machine": machine, "version": step})
    return store


@pytest.fixture
def job(plane):
    found = plane.running()
    for step in (10, 20):
        write_checkpoint(plane, found, step)
    return found


def get(plane, job, path="", **options):
    return plane.http.get(f"/v1/jobs/{job}/checkpoints{path}", **options)


def test_checkpoints_are_listed_with_their_files(plane, job):
    found = get(plane, job).json()["data"]
    assert [(c["step"], c["stage"], c["pinned"], c["policy_version"]) for c in found] == [
        (20, "compression", False, 20),
        (10, "compression", False, 10),
    ]
    manifest = get(plane, job, "/10").json()
    files = {f["path"]: f for f in manifest["files"]}
    assert set(files) == {
        "model/model.safetensors",
        "model/config.json",
        "learner/state.pt",
        "driver.json",
    }
    assert files["model/model.safetensors"]["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert manifest["bytes"] == sum(f["bytes"] for f in files.values())
    found = problem(get(plane, job, "/11"), 404, "checkpoint_not_found")
    assert "20, 10" in found["detail"]


def test_a_checkpoint_without_its_seal_is_none(plane, job):
    store = CheckpointStore(plane.context.settings.home.job(job).checkpoints)
    store.begin(30)
    (store.root / "step-000010" / "manifest.json").write_text("{")
    assert [c["step"] for c in get(plane, job).json()["data"]] == [20]
    problem(get(plane, job, "/10"), 404, "checkpoint_not_found")
    problem(get(plane, job, "/30"), 404, "checkpoint_not_found")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=25590-", slice(25590, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=25599-99999", slice(25599, None)),
    ],
)
def test_a_file_comes_whole_or_in_parts(plane, job, given, expected):
    path = "/20/files/model/model.safetensors"
    whole = get(plane, job, path)
    assert (whole.status_code, whole.content) == (200, WEIGHTS)
    assert whole.headers["etag"] == f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
    assert "attachment" in whole.headers["content-disposition"]
    part = get(plane, job, path, headers={"Range": given})
    assert (part.status_code, part.content) == (206, WEIGHTS[expected])
    assert part.headers["content-range"].endswith(f"/{len(WEIGHTS)}")
    fresh = get(plane, job, path, headers={"Range": given, "If-Range": whole.headers["etag"]})
    assert fresh.status_code == 206
    stale = get(plane, job, path, headers={"Range": given, "If-Range": '"other"'})
    assert stale.content == WEIGHTS


def test_ranges_that_are_none(plane, job):
    path = "/20/files/model/model.safetensors"
    for given in ("bytes=25600-", "bytes=-0", "bytes=5-4"):
        answer = get(plane, job, path, headers={"Range": given})
        problem(answer, 416, "range_not_satisfiable")
        assert answer.headers["content-range"] == "bytes */25600"
    for given in ("bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=-", "0-1"):
        problem(get(plane, job, path, headers={"Range": given}), 400, "bad_range")


@pytest.mark.parametrize(
    "path",
    [
        "../../../jobs.db",
        "..%2f..%2f..%2fjobs.db",
        "%2e%2e/%2e%2e/driver.json",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "model/%2e%2e/driver.json",
        "manifest.json",
        "model",
        "model/model.safetensors%00",
        "",
    ],
)
def test_only_what_the_manifest_lists_can_be_had(plane, job, path):
    answer = plane.http.request("GET", f"/v1/jobs/{job}/checkpoints/20/files/{path}")
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_pinned_is_not_pruned_and_not_deleted(plane, job):
    path = f"/v1/jobs/{job}/checkpoints"
    assert plane.http.put(f"{path}/10/pin").status_code == 204
    assert plane.http.put(f"{path}/10/pin").status_code == 204
    store = write_checkpoint(plane, job, 30)
    assert store.prune(1) == ["step-000020"]
    assert [(c["step"], c["pinned"]) for c in get(plane, job).json()["data"]] == [
        (30, False),
        (10, True),
    ]
    plane.store.set_state(job, "interrupted", attempt=1)
    problem(plane.http.delete(f"{path}/10"), 409, "checkpoint_in_use")
    assert plane.http.delete(f"{path}/10/pin").status_code == 204
    assert plane.http.delete(f"{path}/10").status_code == 204
    problem(plane.http.delete(f"{path}/10"), 404, "checkpoint_not_found")


def test_a_job_that_needs_a_checkpoint_keeps_it(plane, job):
    path = f"/v1/jobs/{job}/checkpoints"
    found = problem(plane.http.delete(f"{path}/10"), 409, "checkpoint_in_use")
    assert "running" in found["detail"]
    plane.store.set_state(job, "interrupted", attempt=1)
    assert plane.http.delete(f"{path}/10").status_code == 204
    found = problem(plane.http.delete(f"{path}/20"), 409, "checkpoint_in_use")
    assert "go on from it" in found["detail"]
    plane.http.post(f"/v1/jobs/{job}/cancel")
    assert plane.http.delete(f"{path}/20").status_code == 204
    assert get(plane, job).json()["data"] == []


def test_a_promoted_model_outlives_its_checkpoint_and_can_be_trained_on(
    plane, job, model_folder, body
):
    plane.store.set_state(job, "succeeded", attempt=1)
    store = CheckpointStore(plane.context.settings.home.job(job).checkpoints)
    answer = plane.http.put("/v1/models/short", json={"job": job, "step": 10})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/v1/models/short"
    again = plane.http.put("/v1/models/short", json={"job": job, "step": 20})
    assert (again.status_code, again.json()["step"]) == (200, 20)
    store.remove(20)
    model = plane.http.get("/v1/models/short").json()
    assert model["job"] == job
    assert {f["path"] for f in model["files"]} == {"model.safetensors", "config.json"}
    file = plane.http.get("/v1/models/short/files/model.safetensors")
    assert file.content == WEIGHTS
    assert [m["name"] for m in plane.http.get("/v1/models").json()["data"]] == ["short"]
    problem(plane.http.get("/v1/models/short/files/../origin.json"), 404, "not_found")
    problem(plane.http.get("/v1/models/short/files/origin.json"), 404, "file_not_found")
    assert plane.http.delete("/v1/models/short").status_code == 204
    problem(plane.http.get("/v1/models/short"), 404, "model_not_found")
    assert plane.http.get("/v1/models").json()["data"] == []


@pytest.mark.parametrize("name", [".hidden", "a%2fb", "A", "a" * 64, "%2e%2e"])
def test_names_that_are_none(plane, job, name):
    answer = plane.http.put(f"/v1/models/{name}", json={"job": job, "step": 10})
    assert answer.status_code in (404, 422), answer.text


def test_artifacts_are_listed_and_fetched_and_nothing_else_is(plane, job):
    folder = plane.context.settings.home.job(job)
    (folder.report / "plots").mkdir(parents=True)
    (folder.report / "report.html").write_text("<script>alert(1)</script>")
    (folder.report / "plots" / "entropy.png").write_bytes(b"png")
    folder.evaluations.mkdir()
    folder.evaluation("base").write_text("{}")
    (folder.evaluations / "half.partial").write_text("")
    (folder.report / "out").symlink_to("/etc/passwd")
    path = f"/v1/jobs/{job}/artifacts"
    found = plane.http.get(path, params={"digests": True}).json()["data"]
    assert [(a["path"], a["kind"]) for a in found] == [
        ("evaluations/base.json", "evaluation"),
        ("report/report.html", "report"),
        ("report/plots/entropy.png", "plot"),
    ]
    assert found[2]["sha256"] == hashlib.sha256(b"png").hexdigest()
    plots = plane.http.get(path, params={"kind": "plot"}).json()["data"]
    assert [a["path"] for a in plots] == ["report/plots/entropy.png"]
    page = plane.http.get(f"{path}/report/report.html")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert plane.http.get(f"{path}/report/plots/entropy.png").content == b"png"
    for other in ("report/out", "checkpoints/step-000010/driver.json", "report/../driver.log"):
        assert plane.http.get(f"{path}/{other}").status_code == 404


def test_logs_by_role_and_rank(plane, job):
    folder = plane.context.settings.home.job(job).logs
    folder.mkdir()
    (folder / "generator-1.log").write_text("one\ntwo\nthr")
    (folder / "learner-0.log").write_text("é" * 10 + "\n")
    (folder / "other").write_text("no log")
    (folder / "passwd-0.log").symlink_to("/etc/passwd")
    path = f"/v1/jobs/{job}/logs"
    found = plane.http.get(path).json()["data"]
    assert [(s["role"], s["rank"]) for s in found] == [("generator", 1), ("learner", 0)]
    first = plane.http.get(f"{path}/generator/1", params={"limit": 5}).json()
    assert (first["text"], first["next_start"], first["bytes"]) == ("one\n", 4, 11)
    rest = plane.http.get(f"{path}/generator/1", params={"start": 4}).json()
    assert (rest["text"], rest["next_start"]) == ("two\n", 8)
    tail = plane.http.get(f"{path}/generator/1", params={"start": -5}).json()
    assert (tail["text"], tail["start"]) == ("", 8)
    cut = plane.http.get(f"{path}/learner/0", params={"limit": 3}).json()
    assert (cut["text"], cut["next_start"]) == ("é\ufffd", 3)
    plane.store.set_state(job, "succeeded", attempt=1)
    # Nobody writes on: what has no end comes too.
    last = plane.http.get(f"{path}/generator/1", params={"start": 8}).json()
    assert (last["text"], last["next_start"]) == ("thr", 11)
    problem(plane.http.get(f"{path}/generator/0"), 404, "log_not_found")
    problem(plane.http.get(f"{path}/passwd/0"), 404, "log_not_found")
    problem(plane.http.get(f"{path}/Driver/0"), 422, "invalid_request")


def test_a_log_is_followed_to_the_end_of_the_job_and_picked_up_anywhere(plane, job):
    folder = plane.context.settings.home.job(job).logs
    folder.mkdir()
    log = folder / "learner-0.log"
    log.write_text("first\n")
    path, seen = f"/v1/jobs/{job}/logs/learner/0", []
    headers = {"Accept": "text/event-stream"}

    def follow():
        with plane.http.stream("GET", path, headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith(("data:", "id:")):
                    seen.append(line)

    thread = threading.Thread(target=follow)
    thread.start()
    plane.wait_for("the first line", lambda: len(seen) >= 2)
    with log.open("a") as stream:
        stream.write("second\nthi")
    plane.wait_for("the second line", lambda: len(seen) >= 4)
    with log.open("a") as stream:
        stream.write("rd")
    plane.store.set_state(job, "succeeded", attempt=1)
    thread.join(20)
    assert not thread.is_alive()
    data = [json.loads(s.removeprefix("data: ")) for s in seen if s.startswith("data")]
    assert "".join(data) == "first\nsecond\nthird"
    with plane.http.stream("GET", path, headers={**headers, "Last-Event-ID": "6"}) as answer:
        lines = [x for x in answer.iter_lines() if x.startswith("data: ")]
    assert "".join(json.loads(x.removeprefix("data: ")) for x in lines) == "second\nthird"


def test_a_worker_keeps_its_log_where_it_is_found(plane, job):
    folder = plane.context.settings.home.job(job).logs
    if (child := os.fork()) == 0:
        import logging

        keep_log("generator", 3, folder)
        logging.getLogger("vllm").warning("from the engine")
        logging.getLogger("laconic.generator").info("serves version 2")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    text = plane.http.get(f"/v1/jobs/{job}/logs/generator/3").json()["text"]
    for expected in ("generator 3 runs", "vllm from the engine", "serves version 2"):
        assert expected in text
