"""A control plane as it is served: uvicorn, SQLite and HTTP are real.

Only the Ray cluster is not there: :class:`RecordingLauncher` writes down what the control plane
asks of it and shows whatever state the test says. It stands in for no other part, and the real
launcher has tests of its own.
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time
from collections.abc import Callable

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.http_protocol import server_config
from api.limits import Limits
from api.settings import Settings
from services.control.api_keys import make_key
from services.control.secret import server_secret
from services.control.stores import open_control
from services.home import Home
from services.launcher import LaunchError, Observation, submission_id
from services.spec.validation import ClusterSize
from tests.integration.waiting import wait_until

WAIT_SECONDS = 15.0


class RecordingLauncher:
    """Notes submissions and stops; shows the status a test has set."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.kinds: list[str] = []
        self.stopped: list[str] = []
        self.shown: dict[str, Observation] = {}
        self.refuses: str | None = None
        self.size: ClusterSize | None = ClusterSize(cpus=4, gpus=0)
        self.size_error: Exception | None = None
        self.obeys_stop = True

    def cluster_size(self):
        if self.size_error:
            raise self.size_error
        return self.size

    def submit(self, job_id, attempt, kind):
        if self.refuses:
            raise LaunchError(self.refuses)
        name = submission_id(job_id, attempt)
        self.submitted.append(name)
        self.kinds.append(kind)
        self.shown[name] = Observation("running")
        return name

    def status(self, submission_id):
        return self.shown.get(submission_id, Observation("missing"))

    def stop(self, submission_id):
        self.stopped.append(submission_id)
        if self.obeys_stop:
            self.shown[submission_id] = Observation("stopped")

    def logs(self, submission_id):
        return f"last words of {submission_id}"


class ControlPlane:
    """What a test holds of a running server."""

    def __init__(self, app, url: str, launcher: RecordingLauncher, body: dict) -> None:
        self.app, self.url, self.launcher, self.body = app, url, launcher, body
        self.context = app.state.context
        self.store = self.context.store
        self.http = httpx.Client(base_url=url, timeout=60)

    def create(self, http=None, **more) -> str:
        answer = (http or self.http).post("/v1/jobs", json={**self.body, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def wait_for(self, what: str, condition: Callable[[], object]):
        return wait_until(what, condition, WAIT_SECONDS, tick=0.02)

    def launched(self) -> str:
        """A job whose driver was submitted."""
        job = self.create()
        self.wait_for("submission", lambda: self.store.get_job(job).ray_submission_id)
        self.wait_for("its event", lambda: self._has_event(job, "submitted"))
        return job

    def _has_event(self, job: str, kind: str) -> bool:
        return any(event.type == kind for event in self.store.events(job))

    def running(self, **progress) -> str:
        """A job whose driver has reported that it runs."""
        job = self.launched()
        self.store.set_state(job, "starting", attempt=1)
        self.store.set_state(job, "running", attempt=1)
        if progress:
            self.store.heartbeat(job, 1, progress)
        return job

    def state(self, job: str) -> str:
        return self.store.get_job(job).state


def write_model(parent):
    """A folder that looks like a checkpoint: what the control plane inspects, and no more."""
    folder = parent / "model"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"model_type": "qwen2", "max_position_embeddings": 1024})
    )
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    weights = struct.pack("<Q", len(header)) + header + b"\0\0\0\0"
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def write_body(parent, model_folder):
    """A request that is in order."""
    data = parent / "train.jsonl"
    data.write_text('{"question": "q", "answer": "a"}\n')
    return {
        "preset": "tiny-cpu",
        "overrides": {
            "model": {"path": str(model_folder)},
            "data": {"path": str(data)},
            "evaluation": {"path": str(data)},
            # What becomes of a job is what the test is about.
            "restarts": {"limit": 0},
        },
    }


@pytest.fixture
def model_folder(tmp_path):
    return write_model(tmp_path)


@pytest.fixture
def body(tmp_path, model_folder):
    return write_body(tmp_path, model_folder)


@contextlib.contextmanager
def serve(home, body, *, limits=None, around=lambda app: app, port=0, launcher=None, **settings):
    """A control plane on a free port; settings are those of a quick test unless given. ``around``
    wraps the application that is served. One that shall be started again gets a ``port``, and a
    ``launcher`` whose drivers work on."""
    chosen = {
        "max_running_jobs": 2,
        "reconcile_seconds": 0.05,
        "poll_seconds": 0.05,
        "stream_heartbeat_seconds": 0.2,
        **settings,
    }
    place = Home.resolve(home).create()
    if "roots" not in chosen and open_control(place).keys.any():
        # Who has a key reads what the operator has named: here the folder the test has its files
        # in, and the home folder too.
        chosen["roots"] = (place.root.parent,)
    limits = limits or Limits()
    outlives, launcher = launcher is not None, launcher or RecordingLauncher()
    app = create_app(Settings(home=place, limits=limits, **chosen), launcher=launcher)
    server = uvicorn.Server(
        server_config(
            around(app), limits, port=port, log_level="error", timeout_graceful_shutdown=2
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + WAIT_SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    control = ControlPlane(app, f"http://127.0.0.1:{port}", launcher, body)
    control.server = server
    yield control
    control.http.close()
    # The control plane waits a while for drivers whose jobs have ended: none is left.
    if not outlives:
        launcher.shown = {name: Observation("succeeded") for name in launcher.shown}
    server.should_exit = True
    thread.join(4 * WAIT_SECONDS)
    assert not thread.is_alive()


def make_token(home, *scopes, tenant="default", name="test", lifetime=None, store=None):
    """The token of a new API key, of a home folder and the store it names or ``store``. Make it
    before the control plane starts, which takes a second to notice the first one."""
    place = Home.resolve(home).create()
    key, token = make_key(
        server_secret(place.secret),
        name=name,
        scopes=scopes,
        now=time.time(),
        tenant=tenant,
        lifetime=lifetime,
    )
    assert open_control(place, store).keys.add(key)
    return token


def client_of(plane, token):
    """An HTTP client that sends a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=plane.url, timeout=60, headers=headers)


def problem(answer, status, code):
    """Check the shape every error has; return its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "code", "errors", "request_id"} <= set(body)
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    assert "Traceback" not in answer.text
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


@pytest.fixture
def plane(tmp_path, body):
    with serve(tmp_path / "home", body) as control:
        yield control
