"""Two control planes on a Redis store, each with a home folder of its own: what one is told, the
other knows."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time

import pytest

from services.control.audit import first_broken
from services.control.secret import server_secret
from services.control.webhook_target import networks
from services.home import Home
from services.stores.open import VARIABLE
from tests.integration.api.conftest import client_of, make_token, problem, serve
from tests.integration.api.test_idempotency import KEY, jobs, killed_before_the_answer
from tests.integration.api.test_webhooks_api import Receiver, register
from tests.integration.stores.redis_server import RedisServer

SCOPES = ("jobs:read", "jobs:write", "webhooks:write", "admin")
ANSWER_SECONDS = 25.0
"""A store that is away is waited for, for ten seconds."""


@pytest.fixture
def server(tmp_path):
    found = RedisServer(tmp_path / "redis", "--appendonly", "yes").start()
    yield found
    found.stop()


@pytest.fixture
def homes(tmp_path, server, monkeypatch):
    """Two folders with one secret, and the store of both in the environment."""
    monkeypatch.setenv(VARIABLE, server.url)
    monkeypatch.delenv("LACONIC_SECRET", raising=False)
    first, second = (Home(tmp_path / name).create() for name in ("first", "second"))
    server_secret(first.secret)
    shutil.copy(first.secret, second.secret)
    return first.root, second.root


@pytest.fixture
def two(homes, body):
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                serve(home, body, alone=False, webhook_networks=networks("127.0.0.0/8"))
            )
            for home in homes
        ]


def test_a_key_made_beside_one_opens_the_other_until_it_is_revoked(homes, body):
    token = make_token(homes[0], "jobs:read")
    with serve(homes[1], body, alone=False) as plane:
        problem(plane.http.get("/v1/jobs"), 401, "unauthenticated")
        http = client_of(plane, token)
        assert http.get("/v1/jobs").status_code == 200
        keys = plane.context.control.keys
        (key,) = keys.all()
        assert key.last_used_at is not None
        keys.replace(type(key)(**{**vars(key), "revoked_at": time.time()}))
        plane.wait_for("the end of it", lambda: http.get("/v1/jobs").status_code == 401)
    assert not (homes[0] / "control.db").exists()
    assert not (homes[1] / "control.db").exists()


def test_a_request_sent_to_both_acts_once(two):
    first, second = (p.http.post("/v1/jobs", json=two[0].body, headers=KEY) for p in two)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
    assert jobs(two[0]) == jobs(two[1]) == [first.json()["id"]]
    other = {**two[0].body, "labels": {"a": "b"}}
    problem(two[1].http.post("/v1/jobs", json=other, headers=KEY), 422, "idempotency_mismatch")


def test_a_request_sent_to_both_at_once_acts_once(two):
    begin, answers = threading.Barrier(6), []

    def send(plane):
        begin.wait(20)
        answers.append(plane.http.post("/v1/jobs", json=plane.body, headers=KEY))

    threads = [threading.Thread(target=send, args=(plane,)) for plane in (*two, *two, *two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    made = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert made
    assert len(made) + len(waiting) == 6
    assert {answer.json()["id"] for answer in made} == set(jobs(two[0]))
    assert len(jobs(two[0])) == 1
    assert [a.headers.get("idempotent-replayed") for a in made].count(None) == 1


def test_a_request_whose_answer_is_lost_is_finished_by_the_other(two):
    first, second = two
    created = first.store.create_job

    def create_then_fail(*arguments, **options):
        created(*arguments, **options)
        raise RuntimeError("the answer is lost")

    first.store.create_job = create_then_fail
    problem(first.http.post("/v1/jobs", json=first.body, headers=KEY), 500, "internal_error")
    answer = second.http.post("/v1/jobs", json=first.body, headers=KEY)
    assert answer.status_code == 201
    assert jobs(first) == [answer.json()["id"]]
    first.store.create_job = created
    again = first.http.post("/v1/jobs", json=first.body, headers=KEY)
    assert again.content == answer.content


def test_a_wish_whose_control_plane_ended_is_finished_by_the_other(two):
    first, second = two
    job = first.create()
    path, sent = f"/v1/jobs/{job}/cancel", {"reason": "lunch"}
    act = lambda _: first.http.post(path, json=sent).raise_for_status()  # noqa: E731
    killed_before_the_answer(first, path, sent, act)
    before = [e for e in first.store.events(job) if e.reason == "lunch"]
    for plane in (second, first):
        assert plane.http.post(path, json=sent, headers=KEY).status_code in (200, 202)
    assert [e for e in first.store.events(job) if e.reason == "lunch"] == before


def test_both_write_one_audit_log(two):
    def send(plane):
        for n in range(10):
            plane.http.post(f"/v1/jobs/job-{n}/cancel")

    threads = [threading.Thread(target=send, args=(plane,)) for plane in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    pages = [plane.http.get("/v1/audit?limit=100").json()["data"] for plane in two]
    assert len(pages[0]) == 20
    assert pages[0] == pages[1]
    assert first_broken(two[0].context.control.audit.records(limit=100)) is None


def test_a_message_goes_out_once_though_both_send(two):
    receiver = Receiver()
    try:
        register(two[0], receiver)
        made = [plane.create() for plane in (*two, *two, *two)]
        for plane in two:
            plane.wait_for("the messages", lambda: receiver.topics.count("job.created") >= 6)
        time.sleep(0.5)
        told = [
            json.loads(t)["data"] for h, t in receiver.got if "created" in json.loads(t)["type"]
        ]
        assert sorted(message["job"] for message in told) == sorted(made)
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()


def test_while_the_store_is_away_nobody_gets_in_and_the_process_says_that_it_lives(
    homes, body, server, caplog
):
    token = make_token(homes[0], *SCOPES)
    with serve(homes[0], body, alone=False) as plane:
        http = client_of(plane, token)
        assert http.get("/v1/jobs").status_code == 200
        server.kill()
        time.sleep(1.1)
        for _ in range(2):
            started = time.monotonic()
            problem(http.post("/v1/jobs", json=body), 503, "store_unavailable")
            assert time.monotonic() - started < ANSWER_SECONDS
            started = time.monotonic()
            for path in ("/livez", "/"):
                assert http.get(path).status_code == 200
                assert plane.http.get(path).status_code == 200
            assert time.monotonic() - started < 5
        assert token not in caplog.text
        server.start()
        plane.wait_for("it to be back", lambda: http.get("/v1/jobs").status_code == 200)
        problem(plane.http.get("/v1/jobs"), 401, "unauthenticated")
        assert http.post("/v1/jobs", json=body).status_code == 201
