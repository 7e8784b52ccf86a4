"""A control plane that is asked to end: writes refused, streams closed, jobs untouched."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import httpx
import pytest

from api.serving import ServingError, is_loopback, refuse_open_door
from services.home import Home
from services.presets.registry import resolve
from services.stores.sqlite import SqliteJobStore
from tests.integration.api.conftest import make_token, problem, serve

STREAM = {"Accept": "text/event-stream"}


def test_once_it_is_closing_it_reads_and_does_not_write(plane):
    job = plane.running(stage_index=0)
    plane.context.closing.set()
    for method, path, sent in (
        ("POST", "/v1/jobs", plane.body),
        ("POST", f"/v1/jobs/{job}/cancel", None),
        ("POST", f"/v1/jobs/{job}/stage", {"to": "next"}),
        ("POST", "/v1/jobs:validate", plane.body),
        ("PUT", "/v1/models/x", {"job": job, "step": 1}),
        ("DELETE", f"/v1/jobs/{job}/checkpoints/1", None),
    ):
        answer = plane.http.request(method, path, json=sent)
        problem(answer, 503, "closing")
        assert "retry-after" in answer.headers
    problem(plane.http.get("/readyz"), 503, "closing")
    assert plane.http.get("/livez").status_code == 200
    assert plane.http.get(f"/v1/jobs/{job}").json()["state"] == "running"


def test_streams_end_with_when_to_come_back_and_the_server_is_gone_soon_after(tmp_path, body):
    seen: list[str] = []
    with serve(tmp_path / "home", body) as plane:
        job = plane.running()
        opened = threading.Event()

        def follow():
            with plane.http.stream("GET", f"/v1/jobs/{job}/events", headers=STREAM) as answer:
                opened.set()
                seen.extend(answer.iter_lines())

        follower = threading.Thread(target=follow)
        follower.start()
        assert opened.wait(15)
        plane.wait_for("the stream", lambda: plane.context.streams.open == 1)
        began = time.monotonic()
        plane.context.closing.set()
        follower.join(10)
        assert not follower.is_alive()
        assert time.monotonic() - began < 5
        assert [x for x in seen if x][-1] == "retry: 2000"
        assert plane.state(job) == "running"


GRACE_SECONDS = 20
"""Kubernetes gives thirty."""


def start(home, *arguments, **environment):
    """``laconic serve`` as a process, with the Ray of somebody who is not there."""
    variables = {
        **os.environ,
        "LACONIC_HOME": str(home),
        "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9",
        "COLUMNS": "200",
        **environment,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
    )


def test_sigterm_ends_the_process_in_time_and_leaves_the_jobs_alone(tmp_path):
    home = tmp_path / "home"
    store = SqliteJobStore(Home(home).create().database)
    job = store.create_job(resolve("tiny-cpu"), None)
    store.set_state(job.id, "starting", attempt=1)
    store.set_ray_submission(job.id, 1, f"{job.id}-1")
    store.set_state(job.id, "running", attempt=1)
    before = store.get_job(job.id)
    process = start(home)
    try:
        lines = iter(process.stdout.readline, "")
        url = next(m[0] for line in lines if (m := re.search(r"http://[0-9.]+:\d+", line)))
        headers = {"Accept": "text/event-stream"}
        with httpx.stream(
            "GET", f"{url}/v1/jobs/{job.id}/events", headers=headers, timeout=60
        ) as answer:
            stream = answer.iter_lines()
            assert next(stream) == "retry: 2000"
            while "running" not in next(stream):
                pass
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            left = [line for line in stream if line]
        assert left[-1] == "retry: 2000"
        assert process.wait(60) == 0
        assert time.monotonic() - began < GRACE_SECONDS
    finally:
        process.kill()
    after = store.get_job(job.id)
    if after.state == "reconciling":  # it has looked before the signal came: Ray is not there
        assert after.held == "running"
        same = {name: getattr(before, name) for name in ("state", "cause", "updated_at", "held")}
        after = replace(after, **same, revision=before.revision)
    assert after == before


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host, local):
    assert is_loopback(host) == local


def test_it_does_not_listen_to_others_without_keys_and_roots(tmp_path, monkeypatch):
    monkeypatch.delenv("LACONIC_ROOTS", raising=False)
    home = Home(tmp_path).create()
    refuse_open_door(home, "127.0.0.1")
    with pytest.raises(ServingError, match="laconic keys create"):
        refuse_open_door(home, "0.0.0.0")
    make_token(tmp_path, "admin", lifetime=-1.0)
    with pytest.raises(ServingError, match="laconic keys create"):
        refuse_open_door(home, "0.0.0.0")
    make_token(tmp_path, "admin")
    with pytest.raises(ServingError, match="LACONIC_ROOTS"):
        refuse_open_door(home, "0.0.0.0")
    monkeypatch.setenv("LACONIC_ROOTS", "")
    refuse_open_door(home, "0.0.0.0")


def test_the_command_says_so_before_anything_starts(tmp_path):
    process = start(tmp_path, "--host", "0.0.0.0")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "laconic keys create" in errors
