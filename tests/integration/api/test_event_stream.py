"""Events over HTTP: pages, and the stream that can be picked up anywhere."""

from __future__ import annotations

import json
import threading

import httpx
import pytest

STREAM = {"Accept": "text/event-stream"}


def parse(lines):
    """Yield one dict for each block of a stream: its fields, and comments under ``":"``."""
    block = {}
    for line in lines:
        if not line:
            if block:
                yield block
            block = {}
            continue
        name, _, value = line.partition(":")
        block[name or ":"] = value.strip()


def read_all(plane, job, **headers):
    with plane.http.stream("GET", f"/v1/jobs/{job}/events", headers=STREAM | headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [b for b in parse(answer.iter_lines()) if "data" in b]


@pytest.fixture
def ended(plane):
    job = plane.running()
    for i in range(250):
        plane.store.append_event(job, "note", f"line {i}\nand more", attempt=1)
    plane.store.set_state(job, "succeeded", attempt=1)
    return job


def test_pages(plane, ended):
    path = f"/v1/jobs/{ended}/events"
    first = plane.http.get(path, params={"limit": 2}).json()
    assert [e["id"] for e in first["data"]] == [1, 2]
    assert first["has_more"]
    rest = plane.http.get(path, params={"after": first["next_after"], "limit": 1000}).json()
    assert not rest["has_more"]
    assert [e["id"] for e in rest["data"]] == list(range(3, rest["next_after"] + 1))


def test_a_stream_has_every_event_once_and_ends_with_the_job(plane, ended):
    blocks = read_all(plane, ended)
    expected = plane.store.events(ended, limit=1000)
    assert [int(b["id"]) for b in blocks] == [e.id for e in expected]
    assert [b["event"] for b in blocks] == [e.type for e in expected]
    data = [json.loads(b["data"]) for b in blocks]
    assert [d["message"] for d in data] == [e.message for e in expected]
    assert data[-1]["data"]["to"] == "succeeded"


@pytest.mark.parametrize("last", [1, 3, 200])
def test_a_stream_goes_on_behind_the_last_event_id(plane, ended, last):
    blocks = read_all(plane, ended, **{"Last-Event-ID": str(last)})
    assert int(blocks[0]["id"]) == last + 1
    assert len(blocks) == len(plane.store.events(ended, limit=1000)) - last


def test_nothing_more_to_come_is_said_with_204(plane, ended):
    last = plane.store.events(ended, limit=1000)[-1].id
    answer = plane.http.get(
        f"/v1/jobs/{ended}/events", headers=STREAM | {"Last-Event-ID": str(last)}
    )
    assert answer.status_code == 204


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "²"])
def test_a_last_event_id_that_is_none(plane, ended, value):
    answer = plane.http.get(
        f"/v1/jobs/{ended}/events", headers=STREAM | {"Last-Event-ID": value.encode()}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_last_event_id")


def test_the_stream_of_an_unknown_job(plane):
    answer = plane.http.get("/v1/jobs/job-none/events", headers=STREAM)
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


def test_events_arrive_as_they_happen_with_comments_in_between(plane):
    job = plane.running()
    before = len(plane.store.events(job))
    with plane.http.stream("GET", f"/v1/jobs/{job}/events", headers=STREAM) as answer:
        blocks = parse(answer.iter_lines())
        seen = [next(b for b in blocks if "data" in b) for _ in range(before)]
        assert ":" in next(blocks)  # silent: a comment keeps the connection
        plane.store.append_event(job, "note", "now", attempt=1)
        fresh = next(b for b in blocks if "data" in b)
        assert json.loads(fresh["data"])["message"] == "now"
        assert int(fresh["id"]) == len(seen) + 1
        plane.store.set_state(job, "succeeded", attempt=1)
        assert [b["event"] for b in blocks if "data" in b] == ["state"]


def test_an_interruption_in_the_past_does_not_end_the_stream(plane):
    job = plane.running()
    plane.store.set_state(job, "interrupted", attempt=1)
    plane.store.begin_attempt(job)
    states = []

    def follow():
        with httpx.stream(
            "GET", f"{plane.url}/v1/jobs/{job}/events", headers=STREAM, timeout=20
        ) as answer:
            for block in parse(answer.iter_lines()):
                if block.get("event") == "state":
                    states.append(json.loads(block["data"])["data"]["to"])

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    plane.wait_for("the interruption", lambda: "queued" in states)
    for state in ("starting", "running", "succeeded"):
        plane.store.set_state(job, state, attempt=2)
    follower.join(15)
    assert not follower.is_alive()
    assert states[-4:] == ["queued", "starting", "running", "succeeded"]


def test_streams_end_when_the_control_plane_does(plane):
    job = plane.running()
    with plane.http.stream("GET", f"/v1/jobs/{job}/events", headers=STREAM) as answer:
        blocks = parse(answer.iter_lines())
        next(blocks)
        plane.context.closing.set()
        list(blocks)
    assert plane.state(job) == "running"
