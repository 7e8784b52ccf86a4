"""The client against a control plane that stumbles: it tries again, and acts once."""

from __future__ import annotations

import threading
import time

import pytest

from api.client import ApiError, Client, Unreachable
from api.limits import Limits
from services.checkpoints import CheckpointStore
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
    assert [job["id"]] == calls
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
            assert client.whoami()["tenant"] == other.whoami()["tenant"] == "a"
        monkeypatch.delenv("LACONIC_API_KEY")
        with Client(plane.url) as client, pytest.raises(ApiError) as refused:
            client.whoami()
        assert refused.value.status == 401
        own = plane.context.authenticator.own_token
        with Client(plane.url, own) as client:
            assert client.whoami()["actor"] == "local"


def test_a_job_is_waited_for(plane):
    job = plane.running()
    timer = threading.Timer(0.5, lambda: plane.store.set_state(job, "succeeded", attempt=1))
    timer.start()
    with Client(plane.url) as client:
        assert client.wait(job, 0.05)["state"] == "succeeded"
    timer.join()


def test_a_download_that_broke_goes_on_where_it_broke(plane, tmp_path):
    job = plane.running()
    store = CheckpointStore(plane.context.settings.home.job(job).checkpoints)
    folder = store.begin(1)
    content = bytes(range(256)) * 4096
    (folder / "weights").write_bytes(content)
    store.seal(folder, 1, {"machine": {"stage": "s"}, "version": 1})
    target = tmp_path / "out" / "weights"
    target.parent.mkdir()
    path = f"/v1/jobs/{job}/checkpoints/1/files/weights"
    with Client(plane.url) as client:
        for there in (content[:1000], content):
            (tmp_path / "out" / "weights.partial").write_bytes(there)
            client.download(path, target)
            assert target.read_bytes() == content
            target.unlink()
    assert not (tmp_path / "out" / "weights.partial").exists()
