"""A tenant that asks for a lot of work waits for itself, not everybody for it."""

from __future__ import annotations

import json
import threading
import time

import pytest

from api.limits import Limits
from tests.integration.api.conftest import client_of, make_token, problem, serve

ASKED = 60
"""More than the threads that all routes share."""


@pytest.fixture
def two(tmp_path, body):
    home = tmp_path / "home"
    scopes = ("jobs:read", "jobs:write")
    tokens = [make_token(home, *scopes, tenant=tenant) for tenant in ("greedy", "modest")]
    limits = Limits(max_heavy=4, max_heavy_per_tenant=2, max_heavy_waiting=50)
    with serve(home, body, limits=limits) as plane:
        yield plane, *tokens


def slow_body(tmp_path, body):
    """A job whose check goes on for its full ten seconds: so many answers need algebra."""
    data = tmp_path / "slow.jsonl"
    rows = [{"question": f"q{i}", "answer": rf"x^{{{i}}}+\sin(x)+y"} for i in range(1, 20_000)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = {**body["overrides"], "data": {"path": str(data)}}
    return {**body, "overrides": overrides}


def test_a_tenant_at_its_bound_delays_nobody_elses_reads(two, tmp_path, body):
    plane, greedy, modest = two
    answers = []
    slow = slow_body(tmp_path, body)

    def ask():
        with client_of(plane, greedy) as http:
            answers.append(http.post("/v1/jobs:validate", json=slow))

    callers = [threading.Thread(target=ask, daemon=True) for _ in range(ASKED)]
    for caller in callers:
        caller.start()
    busy = plane.context.heavy
    plane.wait_for("the greedy one at work", lambda: busy._at_work["greedy"] == 2)
    plane.wait_for("refusals", lambda: len(answers) >= ASKED - 50)
    refused = problem(answers[0], 503, "too_much_work")
    assert "try again" in refused["detail"]
    assert answers[0].headers["retry-after"] == "5"
    times = []
    with client_of(plane, modest) as http:
        for path in ("/v1/jobs", "/readyz", "/livez", "/v1/presets") * 3:
            began = time.monotonic()
            assert http.get(path).status_code == 200, path
            times.append(time.monotonic() - began)
        began = time.monotonic()
        created = http.post("/v1/jobs", json=body)
        took = time.monotonic() - began
    assert busy._at_work["greedy"] == 2, "the greedy one has ended: nothing was measured"
    assert created.status_code == 201, created.text
    assert max(times) < 3, times
    assert took < 8
    for caller in callers:
        caller.join(60)
    assert len(answers) == ASKED
    assert {a.status_code for a in answers} <= {200, 422, 503}


def test_readiness_does_not_wait_for_the_threads_of_others(plane):
    """All threads of synchronous routes are taken, by a store that does not answer reads."""
    job = plane.create()
    release, asked = threading.Event(), plane.store.get_job

    def stuck(job_id):
        assert release.wait(30)
        return asked(job_id)

    plane.store.get_job = stuck
    callers = [
        threading.Thread(target=lambda: plane.http.get(f"/v1/jobs/{job}"), daemon=True)
        for _ in range(60)
    ]
    try:
        for caller in callers:
            caller.start()
        time.sleep(1.0)
        began = time.monotonic()
        for path in ("/livez", "/readyz"):
            assert plane.http.get(path).status_code == 200
        assert time.monotonic() - began < 3
    finally:
        release.set()
        plane.store.get_job = asked
    for caller in callers:
        caller.join(30)


def test_a_store_that_is_silent_is_not_ready(plane, monkeypatch):
    monkeypatch.setattr("api.routes.health._PING_SECONDS", 0.2)
    release = threading.Event()
    plane.store.ping = lambda: release.wait(20)
    problem(plane.http.get("/readyz"), 503, "store_unavailable")
    release.set()
