"""Models and data of the hub at one commit, fetched over HTTP by its real client.

The hub itself cannot be asked here: :class:`LocalHub` answers the requests that its client makes
for a snapshot of a repository.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from actors.attempt import Attempt
from services.model_folder import inspect_model
from services.spec.problems import SpecError
from tests.integration.api.conftest import client_of, make_token, problem, serve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
MODEL, CODE, DATA = "someone/some-model", "someone/with-code", "else/some-data"


class LocalHub(BaseHTTPRequestHandler):
    """Repositories of one commit each; ``files`` by kind and id, ``asked`` the files it gave."""

    files: dict[tuple[str, str], dict[str, bytes]]
    asked: list[str]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        for (kind, repo), files in self.files.items():
            api = f"/api/{kind}s/{repo}/"
            place = f"/{repo}/resolve/" if kind == "model" else f"/datasets/{repo}/resolve/"
            if path == f"{api}revision/{COMMIT}":
                siblings = [{"rfilename": n} for n in files]
                return self._send({"id": repo, "sha": COMMIT, "siblings": siblings})
            if path.startswith(f"{api}tree/{COMMIT}"):
                return self._send([
                    {"type": "file", "path": n, "size": len(c), "oid": _oid(c)}
                    for n, c in files.items()
                ])  # fmt: skip
            name = path.removeprefix(f"{place}{COMMIT}/")
            if name in files:
                self.asked.append(name)
                return self._send(files[name])
        return self.send_error(404)

    def _send(self, body):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("ETag", f'"{_oid(payload)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(payload)

    def log_message(self, *args):
        pass


def _oid(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def hub(model_folder, monkeypatch):
    """A hub with a model, a model with code of its own, and a data set."""
    model = {f.name: f.read_bytes() for f in model_folder.iterdir()}
    model |= {
        "modeling_evil.py": b"raise SystemExit('code of a repository was run')",
        "pytorch_model.bin": b"\x80\x04.",
        "original/model.safetensors": b"another format",
    }
    config = {"model_type": "qwen2", "max_position_embeddings": 1024}
    coded = {**model, "config.json": json.dumps({**config, "auto_map": {"A": "evil.A"}}).encode()}
    handler = type("Hub", (LocalHub,), {"files": {
        ("model", MODEL): model,
        ("model", CODE): coded,
        ("dataset", DATA): {
            "data/train.jsonl": b'{"question": "q", "answer": "1"}\n',
            "script.py": b"raise SystemExit",
        },
    }, "asked": []})  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield handler
    server.shutdown()
    server.server_close()


def body_of(model=MODEL, revision=COMMIT, data=DATA, file="data/train.jsonl"):
    on_hub = {"hub": data, "revision": COMMIT, "file": file}
    return {
        "preset": "tiny-cpu",
        "overrides": {
            "model": {"hub": model, "revision": revision},
            "data": on_hub,
            "evaluation": on_hub,
        },
    }


@contextlib.contextmanager
def at_work(plane, job):
    """The attempt of a job, as its driver has it."""
    plane.wait_for("submission", lambda: plane.store.get_job(job).ray_submission_id)
    plane.store.set_state(job, "starting", attempt=1)
    yield Attempt(plane.store, plane.context.settings.home, job, 1)


def test_a_model_and_data_of_the_hub_are_fetched_and_nothing_is_run(plane, hub):
    answer = plane.http.post("/v1/jobs", json=body_of())
    assert answer.status_code == 201, answer.text
    spec = plane.store.get_job(answer.json()["id"]).training
    home = plane.context.settings.home
    snapshot = home.hub / "models--someone--some-model/snapshots" / COMMIT
    assert (spec.model.hub, spec.model.revision) == (MODEL, COMMIT)
    assert spec.model.path == str(snapshot)
    assert "model.safetensors" not in hub.asked, "weights can wait for the job"
    with at_work(plane, answer.json()["id"]) as attempt:
        attempt.fetch_from_hub(spec)
    assert inspect_model(snapshot).parameters == 1
    events = [e for e in plane.store.events(attempt.job_id) if e.type == "hub"]
    assert [e.data["revision"] for e in events] == [COMMIT] * 3
    names = {f.name for f in home.hub.rglob("*")}
    assert not {"modeling_evil.py", "pytorch_model.bin", "script.py", "original"} & names
    # What is there is not asked for again, by another job either, and needs no hub.
    count = len(hub.asked)
    assert plane.http.post("/v1/jobs", json=body_of()).status_code == 201
    assert plane.http.post("/v1/jobs:estimate", json=body_of()).status_code == 200
    assert len(hub.asked) == count


def test_an_evaluation_of_the_hub(plane, hub):
    spec = {
        "model": {"hub": MODEL, "revision": COMMIT},
        "benchmarks": [{"hub": DATA, "revision": COMMIT, "file": "data/train.jsonl"}],
        "max_tokens": 100,
    }
    answer = plane.http.post("/v1/evaluations", json={"spec": spec})
    assert answer.status_code == 201, answer.text
    job = answer.json()["id"]
    with at_work(plane, job) as attempt:
        attempt.fetch_from_hub(plane.store.get_job(job).evaluation)
    assert answer.json()["spec"]["benchmarks"][0]["name"] == "train"


@pytest.mark.parametrize("revision", [None, "main", "v1.0", COMMIT[:12], COMMIT.upper(), "refs/x"])
def test_a_revision_that_can_move_is_refused(plane, hub, revision):
    answer = plane.http.post("/v1/jobs", json=body_of(revision=revision))
    (error,) = problem(answer, 422, "invalid_spec")["errors"]
    assert error["pointer"] == "/model/revision"
    assert "40 hexadecimal digits" in error["detail"]
    assert hub.asked == []


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"model": "../../etc"}, "/model/hub", "organisation/name"),
        ({"model": "http://169.254.169.254/x"}, "/model/hub", "organisation/name"),
        ({"model": "a--b/c"}, "/model/hub", "organisation/name"),
        ({"file": "../../x.jsonl"}, "/data/file", "without .."),
        ({"file": "/etc/x.jsonl"}, "/data/file", "without .."),
        ({"file": "*.jsonl"}, "/data/file", "without .."),
        ({"file": "script.py"}, "/data/file", ".parquet"),
        ({"file": "data/none.jsonl"}, "/data/hub", "no file"),
        ({"revision": OTHER}, "/model/hub", "404"),
        ({"model": "someone/nothing"}, "/model/hub", "404"),
        ({"model": CODE}, "/model/hub", "auto_map"),
    ],
)
def test_what_cannot_be_had_is_named(plane, hub, change, pointer, said):
    errors = problem(plane.http.post("/v1/jobs", json=body_of(**change)), 422, "invalid_spec")
    found = {e["pointer"]: e["detail"] for e in errors["errors"]}
    assert said in found[pointer]


def test_with_keys_only_what_the_operator_has_named(tmp_path, body, hub):
    home = tmp_path / "home"
    token = make_token(home, "jobs:read", "jobs:write")
    for allowed, refused in ((None, 3), (("someone",), 2), (("someone", DATA), 0), (("*",), 0)):
        with serve(home, body, hub=allowed) as plane:
            answer = client_of(plane, token).post("/v1/jobs", json=body_of())
            if not refused:
                assert answer.status_code == 201, answer.text
                continue
            errors = problem(answer, 422, "invalid_spec")["errors"]
            assert len(errors) == refused
            assert {e["pointer"] for e in errors} >= {"/data/hub"}
            assert all("LACONIC_HUB" in e["detail"] for e in errors)
            assert hub.asked == [], "nothing is asked for before it is allowed"


def test_offline_the_cache_is_used_and_what_is_missing_is_said(plane, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = problem(plane.http.post("/v1/jobs", json=body_of()), 422, "invalid_spec")
    assert "HF_HUB_OFFLINE forbids" in found["errors"][0]["detail"]
    assert hub.asked == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert plane.http.post("/v1/jobs", json=body_of()).status_code == 201
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answer = plane.http.post("/v1/jobs", json=body_of())
    assert answer.status_code == 201
    with at_work(plane, answer.json()["id"]) as attempt, pytest.raises(SpecError, match="OFFLINE"):
        attempt.fetch_from_hub(plane.store.get_job(attempt.job_id).training)
