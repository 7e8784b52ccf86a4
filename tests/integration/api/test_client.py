"""The client against a control plane that stumbles: it tries again, and acts once."""

from __future__ import annotations

import hashlib
import json
import threading
import time

import pytest

from api.client import ApiError, Client, DigestMismatch, NotYetEnded, Unreachable
from api.limits import Limits
from api.schemas import Job
from services.checkpoints import CheckpointStore
from services.presets.registry import resolve
from tests.integration.api.conftest import make_token, serve


def test_an_answer_that_is_lost_makes_no_second_job(plane):
    created, calls = plane.store.create_job, []

    def create_then_fail(*arguments, **options):
        calls.append(created(*arguments, **options).id)
        plane.store.create_job = created
        import sqlite3

        raise sqlite3.OperationalError("disk I/O error")

    plane.store.create_job = create_then_fail
    with Client(plane.url) as client:
        job = client.submit(plane.body)
    assert [job.id] == calls
    assert [j["id"] for j in plane.http.get("/v1/jobs").json()["data"]] == calls


def test_it_waits_as_long_as_it_is_asked_to(tmp_path, body):
    limits = Limits(rate_per_second=1, rate_burst=1)
    with serve(tmp_path / "home", body, limits=limits) as plane, Client(plane.url) as client:
        began = time.monotonic()
        for _ in range(3):
            client.presets()
        assert time.monotonic() - began >= 1


def test_a_refusal_is_not_tried_again(plane):
    with Client(plane.url) as client:
        with pytest.raises(ApiError) as refused:
            client.submit({"preset": "none"})
        assert (refused.value.status, refused.value.code) == (422, "unknown_preset")
        with pytest.raises(ApiError) as missing:
            client.job("job/../x")
        assert missing.value.status == 404
    assert len(plane.http.get("/v1/audit").json()["data"]) == 1


def test_a_program_that_is_started_twice_has_one_job(plane):
    for _ in range(2):
        with Client(plane.url) as client:
            client.submit(plane.body, key="nightly-2026-11-25")
    assert len(plane.http.get("/v1/jobs").json()["data"]) == 1


def test_nobody_there(monkeypatch):
    with Client("http://127.0.0.1:9") as client, pytest.raises(Unreachable, match="laconic serve"):
        client.jobs()


def test_the_key_comes_from_the_environment(tmp_path, body, monkeypatch):
    token = make_token(tmp_path / "home", "jobs:read", tenant="a")
    with serve(tmp_path / "home", body) as plane:
        monkeypatch.setenv("LACONIC_API_KEY", token)
        with Client(plane.url) as client, client.another() as other:
            assert client.whoami().tenant == other.whoami().tenant == "a"
        monkeypatch.delenv("LACONIC_API_KEY")
        with Client(plane.url) as client, pytest.raises(ApiError) as refused:
            client.whoami()
        assert refused.value.status == 401
        own = plane.context.authenticator.own_token
        with Client(plane.url, own) as client:
            assert client.whoami().actor == "local"


def test_a_job_is_waited_for(plane):
    job = plane.running()
    timer = threading.Timer(0.5, lambda: plane.store.set_state(job, "succeeded", attempt=1))
    timer.start()
    with Client(plane.url) as client:
        assert client.wait(job, 0.05).state == "succeeded"
    timer.join()


def test_a_job_is_not_waited_for_for_ever(plane):
    with Client(plane.url) as client, pytest.raises(NotYetEnded, match=r"0\.2 s"):
        client.wait(plane.running(), 0.05, timeout_seconds=0.2)


def test_a_wish_holds_only_for_the_job_as_it_was_seen(plane):
    job = plane.running()
    with Client(plane.url) as client:
        tag = client.etag(job)
        plane.store.send_command(job, "stage", {"to": "next"})
        with pytest.raises(ApiError) as refused:
            client.cancel(job, if_match=tag)
        assert refused.value.status == 412
        assert client.cancel(job, if_match=client.etag(job)).state == "stopping"


class Newer:
    """A control plane of a later version: it says more than this client knows, at every depth."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        parts = []

        async def later(message):
            if message["type"] == "http.response.start":
                parts.append(message)
            elif scope["type"] != "http" or not parts:
                await send(message)
            else:
                body = json.dumps(more(json.loads(message["body"]))).encode()
                start = parts.pop()
                headers = [(k, v) for k, v in start["headers"] if k != b"content-length"]
                await send({**start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
                await send({**message, "body": body})

        if not scope.get("path", "").startswith("/v1/jobs"):
            later = send
        await self._app(scope, receive, later)


def more(value):
    if isinstance(value, dict):
        return {**{k: more(v) for k, v in value.items()}, "of_a_later_version": "x"}
    return [more(v) for v in value] if isinstance(value, list) else value


def test_what_a_newer_control_plane_says_besides_is_left_out(tmp_path, body):
    with serve(tmp_path / "home", body, around=Newer) as plane, Client(plane.url) as client:
        job = plane.store.create_job(resolve("tiny-cpu"), "tiny-cpu", labels={"a": "b"})
        assert "of_a_later_version" in plane.http.get(f"/v1/jobs/{job.id}").json()["spec"]["model"]
        found = client.job(job.id)
        assert isinstance(found, Job)
        assert found.spec == job.spec
        assert found.labels["a"] == "b"
        assert [j.id for j in client.jobs().data] == [job.id]
        assert client.events(job.id)[0].type == "created"


CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def weights(plane, tmp_path):
    """The path of a file of a checkpoint, its digest, and where it shall go."""
    job = plane.running()
    store = CheckpointStore(plane.context.settings.home.job(job).checkpoints)
    folder = store.begin(1)
    (folder / "weights").write_bytes(CONTENT)
    store.seal(folder, 1, {"machine": {"stage": "s"}, "version": 1})
    target = tmp_path / "out" / "weights"
    target.parent.mkdir()
    path = f"/v1/jobs/{job}/checkpoints/1/files/weights"
    return path, hashlib.sha256(CONTENT).hexdigest(), target


@pytest.mark.parametrize("names_digest", [True, False])
@pytest.mark.parametrize(
    ("there", "sent"),
    [
        (CONTENT[:1000], [("206", len(CONTENT) - 1000)]),
        (CONTENT, None),
        # Of what stood there before: shorter, as long, longer.
        (b"stale" * 200, None),
        (b"\0" * len(CONTENT), None),
        (CONTENT + b"longer", None),
    ],
    ids=["begun", "complete", "stale", "stale-as-long", "stale-longer"],
)
def test_a_download_goes_on_where_it_broke_and_ends_with_what_the_server_has(
    plane, weights, there, sent, names_digest
):
    path, digest, target = weights
    partial = target.with_name("weights.partial")
    partial.write_bytes(there)
    answers = []
    with Client(plane.url) as client:
        client._http._http.event_hooks["response"].append(
            lambda r: answers.append((str(r.status_code), int(r.headers["content-length"])))
        )
        client.download(path, target, digest if names_digest else None)
    assert target.read_bytes() == CONTENT
    assert not partial.exists()
    if sent is not None:
        assert answers == sent


def test_a_file_that_was_changed_is_not_taken_for_the_one_that_was_listed(plane, weights):
    path, digest, target = weights
    other = "0" * 64
    with Client(plane.url) as client, pytest.raises(DigestMismatch, match=f"{digest}.*{other}"):
        client.download(path, target, other)
    assert list(target.parent.iterdir()) == []


def test_a_range_of_what_the_file_was_before_is_answered_with_all_of_it(plane, weights):
    path, digest, _ = weights
    beyond = {"Range": f"bytes={len(CONTENT) + 5}-"}
    assert plane.http.get(path, headers=beyond).status_code == 416
    same = plane.http.get(path, headers=beyond | {"If-Range": f'"{digest}"'})
    assert same.status_code == 416
    answer = plane.http.get(path, headers=beyond | {"If-Range": '"of-before"'})
    assert (answer.status_code, answer.content) == (200, CONTENT)
