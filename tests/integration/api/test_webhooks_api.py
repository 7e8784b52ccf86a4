"""Webhooks end to end: a real receiver, real signatures, refusals, retries, restarts."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.control import webhooks as webhook_rules
from services.control.webhook_signature import verify
from services.control.webhook_target import networks
from services.home import Home
from services.stores.sqlite import SqliteJobStore
from tests.integration.api.conftest import client_of, make_token, problem, serve

TOPICS = ["job.created", "job.running", "job.succeeded", "job.stage"]


class Receiver:
    """A web server that notes what it is sent, and answers as a test says."""

    def __init__(self) -> None:
        self.got: list[tuple[dict, str]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["content-length"])
                text = self.rfile.read(length).decode()
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, text))
                status = outer.answers.pop(0) if outer.answers else 204
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"

    @property
    def topics(self):
        return [json.loads(text)["type"] for _, text in self.got]


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def local(tmp_path, body):
    with serve(tmp_path / "home", body, webhook_networks=networks("127.0.0.0/8")) as plane:
        yield plane


def register(plane, receiver, http=None, **more):
    sent = {"url": receiver.url, "topics": TOPICS, **more}
    answer = (http or plane.http).post("/v1/webhooks", json=sent)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/webhooks/{answer.json()['id']}"
    return answer.json()


def test_a_receiver_is_told_what_happens_signed_and_once(local, receiver):
    plane = local
    before = plane.create()
    hook = register(plane, receiver)
    job = plane.running()
    plane.store.append_event(job, "stage", "exploration begins", data={"to": "exploration"})
    plane.store.append_event(job, "note", "not told")
    plane.store.set_state(job, "succeeded", attempt=1)
    plane.wait_for("four messages", lambda: len(receiver.got) >= 4)
    time.sleep(0.3)
    assert sorted(receiver.topics) == [
        "job.created",
        "job.running",
        "job.stage",
        "job.succeeded",
    ]
    assert before not in "".join(text for _, text in receiver.got)
    for headers, text in receiver.got:
        verify(headers, text, hook["secret"], time.time())
        assert headers["content-type"] == "application/json"
        assert json.loads(text)["data"]["job"] == job
    assert len({h["webhook-id"] for h, _ in receiver.got}) == 4
    page = plane.http.get(f"/v1/webhooks/{hook['id']}/deliveries", params={"limit": 3}).json()
    assert [d["state"] for d in page["data"]] == ["delivered"] * 3
    rest = plane.http.get(
        f"/v1/webhooks/{hook['id']}/deliveries",
        params={"after": page["next_cursor"]},
    ).json()
    assert (len(rest["data"]), rest["has_more"]) == (1, False)


def test_a_failed_message_is_sent_again_with_the_same_id_until_it_is_given_up(
    local, receiver, monkeypatch
):
    plane = local
    monkeypatch.setattr(webhook_rules, "RETRY_SECONDS", (0.05, 0.05))
    monkeypatch.setattr(webhook_rules, "MAX_ATTEMPTS", 3)
    hook = register(plane, receiver)
    receiver.answers = [500, 302]
    answer = plane.http.post(f"/v1/webhooks/{hook['id']}/test")
    assert answer.status_code == 202
    plane.wait_for("three attempts", lambda: len(receiver.got) == 3)
    assert len({h["webhook-id"] for h, _ in receiver.got}) == 1
    path = f"/v1/webhooks/{hook['id']}/deliveries"

    def newest():
        return plane.http.get(path).json()["data"][0]

    plane.wait_for("its delivery", lambda: newest()["state"] == "delivered")
    assert newest()["attempts"] == 3
    receiver.answers = [500, 500, 500]
    dead = plane.http.post(f"/v1/webhooks/{hook['id']}/test").json()["id"]
    plane.wait_for("its end", lambda: newest()["state"] == "dead")
    assert newest()["error"] == "the receiver answered 500"
    assert plane.http.post(f"{path}/{dead}/redeliver").status_code == 202
    plane.wait_for("the delivery after all", lambda: newest()["state"] == "delivered")
    problem(plane.http.post(f"{path}/msg-none/redeliver"), 404, "delivery_not_found")


def test_a_receiver_that_is_gone_for_good_is_left_alone(local, receiver):
    plane = local
    hook = register(plane, receiver)
    receiver.answers = [410]
    plane.http.post(f"/v1/webhooks/{hook['id']}/test")
    path = f"/v1/webhooks/{hook['id']}"
    plane.wait_for("its end", lambda: plane.http.get(path).json()["disabled"])
    plane.http.post(f"{path}/test")
    newest = lambda: plane.http.get(f"{path}/deliveries").json()["data"][0]  # noqa: E731
    plane.wait_for("the refusal", lambda: newest()["state"] == "dead")
    assert len(receiver.got) == 1
    assert plane.http.post(f"{path}/rotate").json()["disabled"] is None


def test_a_rotated_secret_signs_beside_the_old_one(local, receiver):
    plane = local
    hook = register(plane, receiver)
    answer = plane.http.post(f"/v1/webhooks/{hook['id']}/rotate").json()
    assert answer["secret"] != hook["secret"]
    plane.http.post(f"/v1/webhooks/{hook['id']}/test")
    plane.wait_for("the message", lambda: receiver.got)
    for secret in (hook["secret"], answer["secret"]):
        verify(*receiver.got[0], secret, time.time())
    shown = plane.http.get(f"/v1/webhooks/{hook['id']}")
    assert "secret" not in shown.json()
    assert shown.json()["old_secret_until"] > time.time()


def test_what_happened_while_the_control_plane_was_down_is_told_after(tmp_path, body, receiver):
    home, allowed = tmp_path / "home", networks("127.0.0.0/8")
    with serve(home, body, webhook_networks=allowed) as plane:
        plane.launcher.refuses = "no cluster"
        register(plane, receiver, topics=["job.created", "job.cancelled"])
        job = plane.create()
        plane.wait_for("the first message", lambda: receiver.topics == ["job.created"])
    SqliteJobStore(Home(home).database).set_state(job, "cancelled", attempt=1)
    with serve(home, body, webhook_networks=allowed) as plane:
        plane.wait_for("the last message", lambda: len(receiver.got) == 2)
        time.sleep(0.3)
        assert receiver.topics == ["job.created", "job.cancelled"]


def test_tenants_have_their_own_webhooks(tmp_path, body, receiver):
    home = tmp_path / "home"
    scopes = ("jobs:read", "jobs:write", "webhooks:write")
    tokens = [make_token(home, *scopes, tenant=t) for t in ("a", "b")]
    with serve(home, body, webhook_networks=networks("127.0.0.0/8")) as plane:
        a, b = (client_of(plane, t) for t in tokens)
        hook = register(plane, receiver, a)
        for verb, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/rotate"),
            ("POST", "/test"),
            ("GET", "/deliveries"),
            ("POST", "/deliveries/msg-x/redeliver"),
        ):
            answer = b.request(verb, f"/v1/webhooks/{hook['id']}{path}")
            problem(answer, 404, "webhook_not_found")
        assert b.get("/v1/webhooks").json()["data"] == []
        plane.create(b)
        job = plane.create(a)
        plane.wait_for("a message", lambda: receiver.got)
        time.sleep(0.3)
        assert {json.loads(text)["data"]["job"] for _, text in receiver.got} == {job}
        assert a.delete(f"/v1/webhooks/{hook['id']}").status_code == 204
        assert a.get("/v1/webhooks").json()["data"] == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "https://localhost/", "https://169.254.169.254/latest", "ftp://x/"],
)
def test_a_webhook_into_the_house_is_refused(plane, url):
    answer = plane.http.post("/v1/webhooks", json={"url": url, "topics": ["job.failed"]})
    found = problem(answer, 422, "bad_webhook_target")
    assert found["errors"][0]["pointer"] == "/url"


def test_a_name_that_moves_into_the_house_is_not_followed(local, receiver, monkeypatch):
    plane = local
    hook = register(plane, receiver)
    # The network is allowed no more: as if the name had moved out of what is.
    object.__setattr__(plane.context.settings, "webhook_networks", ())
    plane.http.post(f"/v1/webhooks/{hook['id']}/test")
    newest = lambda: plane.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"][0]  # noqa: E731
    plane.wait_for("an attempt", lambda: newest()["attempts"] == 1)
    assert "not public" in newest()["error"]
    assert receiver.got == []


def test_there_are_only_so_many(local, receiver):
    for _ in range(20):
        register(local, receiver)
    sent = {"url": receiver.url, "topics": TOPICS}
    problem(local.http.post("/v1/webhooks", json=sent), 403, "quota_exceeded")
