"""A control plane that is asked to end: writes refused, streams closed, jobs untouched."""

from __future__ import annotations

import threading
import time

from tests.integration.api.conftest import problem, serve

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
