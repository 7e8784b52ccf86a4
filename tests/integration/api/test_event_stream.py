"""Events over HTTP: pages, and the stream that can be picked up anywhere."""

from __future__ import annotations

import json
import socket
import threading

import httpx
import pytest

from api.limits import Limits
from services.stores.sqlite_rows import add_event
from tests.integration.api.conftest import serve

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


MANY = 600
PADDING = "x" * 8000
"""So many events of this size are more than any buffer between server and reader holds."""


def slow_read(plane, job):
    """Open a stream, read its beginning, let it wait while many events happen, read the rest."""
    host, port = plane.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect((host, int(port)))
        connection.sendall(
            f"GET /v1/jobs/{job}/events HTTP/1.0\r\nHost: localhost\r\n"
            "Accept: text/event-stream\r\n\r\n".encode()
        )
        received = b""
        while b"event: state" not in received:
            received += connection.recv(4096)
        for i in range(MANY):
            plane.store.append_event(job, "note", PADDING, attempt=1, data={"i": i})
        last = plane.store.append_event(job, "note", "last", attempt=1)
        topic = lambda: plane.context.feed._topics.get(job)  # noqa: E731
        plane.wait_for("the feed", lambda: topic() and topic().head >= last)
        plane.store.set_state(job, "succeeded", attempt=1)
        while piece := connection.recv(65536):
            received += piece
    return [b for b in parse(received.decode().splitlines()) if "data" in b]


def test_a_slow_reader_within_its_bound_gets_everything(plane):
    job = plane.running()
    blocks = slow_read(plane, job)
    assert [int(b["id"]) for b in blocks] == [e.id for e in plane.store.events(job, limit=9999)]
    assert "gap" not in {b["event"] for b in blocks}


def test_a_slow_reader_beyond_its_bound_is_told_what_it_has_missed(tmp_path, body):
    with serve(tmp_path / "home", body, limits=Limits(max_stream_lag=50)) as plane:
        job = plane.running()
        blocks = slow_read(plane, job)
        gaps = [json.loads(b["data"]) for b in blocks if b["event"] == "gap"]
        assert gaps
        missed = {i for g in gaps for i in range(g["from"], g["to"] + 1)}
        seen = [int(b["id"]) for b in blocks if b["event"] != "gap"]
        # Every event was either delivered, once and in order, or named as missing.
        assert sorted([*seen, *missed]) == [e.id for e in plane.store.events(job, limit=9999)]
        assert seen == sorted(seen)
        page = plane.http.get(
            f"/v1/jobs/{job}/events",
            params={"after": gaps[0]["from"] - 1, "limit": min(len(missed), 1000)},
        )
        assert page.json()["data"][0]["id"] == gaps[0]["from"]


def test_one_reading_of_the_store_serves_all_that_follow(plane):
    job = plane.running()
    calls, asked = [], plane.store.events

    def counted(*arguments, **options):
        calls.append(arguments)
        return asked(*arguments, **options)

    followers, seen = [], []
    for _ in range(20):
        seen.append([])

        def follow(into=seen[-1]):
            with httpx.stream(
                "GET", f"{plane.url}/v1/jobs/{job}/events", headers=STREAM, timeout=60
            ) as answer:
                into += [b for b in parse(answer.iter_lines()) if "data" in b]

        followers.append(threading.Thread(target=follow, daemon=True))
        followers[-1].start()
    plane.wait_for("all streams", lambda: plane.context.streams.open == 20)
    topic = lambda: plane.context.feed._topics.get(job)  # noqa: E731
    plane.wait_for("all at the head", lambda: topic() and topic().followers == 20)
    plane.store.events = counted
    for i in range(10):
        plane.store.append_event(job, "note", f"{i}", attempt=1)
    plane.store.set_state(job, "succeeded", attempt=1)
    for follower in followers:
        follower.join(60)
        assert not follower.is_alive()
    plane.store.events = asked
    expected = [e.id for e in plane.store.events(job, limit=999)]
    assert all([int(b["id"]) for b in blocks] == expected for blocks in seen)
    # A poll each tick, whoever follows; 20 readers of their own would each have asked for these.
    behind_the_start = [c for c in calls if c[1] < expected[-1]]
    assert len(behind_the_start) < 20


def followed(plane, job, into, last=None):
    """A thread that reads a stream to its end."""
    headers = STREAM if last is None else STREAM | {"Last-Event-ID": str(last)}

    def follow():
        with httpx.stream(
            "GET", f"{plane.url}/v1/jobs/{job}/events", headers=headers, timeout=20
        ) as answer:
            for block in parse(answer.iter_lines()):
                if "data" in block:
                    into.append(block)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


def ids(blocks):
    return [int(b["id"]) for b in blocks]


def test_a_reader_ahead_of_the_log_silences_nobody_and_gets_the_log_itself(plane):
    job = plane.running()
    begun = len(plane.store.events(job))
    ahead, other = [], []
    first = followed(plane, job, ahead, last=10**15)
    plane.wait_for("the first reader", lambda: job in plane.context.feed._topics)
    second = followed(plane, job, other)
    plane.wait_for("the second reader", lambda: len(other) == begun)
    plane.store.append_event(job, "note", "now", attempt=1)
    plane.store.set_state(job, "succeeded", attempt=1)
    for thread in (first, second):
        thread.join(10)
        assert not thread.is_alive()
    everything = [e.id for e in plane.store.events(job)]
    assert ids(other) == everything
    assert "gap" not in {b["event"] for b in other}
    assert (ahead[0]["event"], ahead[0]["id"]) == ("gap", "0")
    assert json.loads(ahead[0]["data"]) == {"from": 1, "to": 0, "reset": True}
    assert ids(ahead[1:]) == everything


def test_a_reader_ahead_of_the_log_of_a_job_that_has_ended(plane, ended):
    blocks = read_all(plane, ended, **{"Last-Event-ID": str(10**15)})
    assert blocks[0]["event"] == "gap"
    assert ids(blocks[1:]) == [e.id for e in plane.store.events(ended, limit=1000)]


def test_a_page_behind_the_end_of_the_log_says_where_to_begin(plane, ended):
    path, last = f"/v1/jobs/{ended}/events", plane.store.events(ended, limit=1000)[-1].id
    at_the_end = plane.http.get(path, params={"after": last}).json()
    assert (at_the_end["data"], at_the_end["next_after"]) == ([], last)
    beyond = plane.http.get(path, params={"after": last + 1}).json()
    assert (beyond["data"], beyond["has_more"], beyond["next_after"]) == ([], False, 0)


@pytest.mark.parametrize("written_since", [0, 3])
def test_a_store_that_lost_its_last_moments_is_told_to_who_follows(plane, written_since):
    """As Redis does with ``appendfsync everysec`` when the power goes."""
    job = plane.running()
    begun = len(plane.store.events(job))
    seen = []
    plane.store.append_event(job, "note", "kept", attempt=1)
    thread = followed(plane, job, seen)
    plane.wait_for("the reader at the end", lambda: len(seen) == begun + 1)
    plane.store.append_event(job, "note", "lost", attempt=1)
    plane.wait_for("the event to be lost", lambda: len(seen) == begun + 2)
    with plane.store._write() as db:
        db.execute("DELETE FROM events WHERE job_id = ? AND id > ?", (job, begun + 1))
        for n in range(written_since):
            add_event(db, job, "note", f"after the loss {n}", attempt=1)
    plane.wait_for("the reset", lambda: any(b["event"] == "gap" for b in seen))
    plane.store.set_state(job, "succeeded", attempt=1)
    thread.join(10)
    assert not thread.is_alive()
    reset = next(i for i, b in enumerate(seen) if b["event"] == "gap")
    assert json.loads(seen[reset]["data"])["reset"]
    kept = plane.store.events(job)
    assert ids(seen[reset + 1 :]) == [e.id for e in kept]
    messages = [json.loads(b["data"])["message"] for b in seen[reset + 1 :]]
    assert messages == [e.message for e in kept]
