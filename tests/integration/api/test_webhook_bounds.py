"""What a receiver may cost the others: one that never comes to its end, many that do not."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from api import webhook_attempt
from services.control.webhook_target import networks
from services.control.webhooks import Delivery, Webhook
from tests.integration.api.conftest import client_of, make_token, serve
from tests.integration.api.test_webhooks_api import Receiver, register

LOCAL = networks("127.0.0.0/8")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nX-Slow: "


class Dripping:
    """A receiver that always has a little more to say: no single read of it takes long."""

    def __init__(self, first: bytes, then: bytes) -> None:
        self.accepted = 0
        self.closed = 0
        self._ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._first, self._then = first, then
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(self._first)
                while not self._ending.wait(0.1):
                    connection.sendall(self._then)
            except OSError:
                self.closed += 1

    def close(self) -> None:
        self._ending.set()
        self._listener.close()


@pytest.fixture(params=[(CONTINUE, CONTINUE), (HEAD, b"a")], ids=["continue", "header"])
def dripping(request):
    found = Dripping(*request.param)
    yield found
    found.close()


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def message(number=1):
    return Delivery(f"msg-{number}", "wh-1", "webhook.test", "{}", "pending", 0, 0.0, 0.0)


def test_an_attempt_ends_in_time_whatever_the_receiver_sends(dripping):
    webhook = Webhook(
        "wh-1", "a", dripping.url, frozenset(), "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", 0
    )
    began = time.monotonic()
    status, error = webhook_attempt.attempt(webhook, message(), LOCAL, within=1.0)
    took = time.monotonic() - began
    assert (status, error) == (None, "the receiver has not answered within 1 s")
    assert 0.9 < took < 3
    deadline = time.monotonic() + 10
    while dripping.closed < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert dripping.closed == 1  # Its connection too is at an end.


def test_a_tenant_whose_receivers_never_end_does_not_hold_up_another(tmp_path, body, receiver):
    slow = [Dripping(CONTINUE, CONTINUE) for _ in range(6)]
    home = tmp_path / "home"
    tokens = [make_token(home, "jobs:write", "webhooks:write", tenant=t) for t in ("a", "b")]
    with serve(home, body, webhook_networks=LOCAL) as plane:
        a, b = (client_of(plane, t) for t in tokens)
        hooks = [register(plane, s, a) for s in slow]
        for _ in range(8):
            for hook in hooks:
                assert a.post(f"/v1/webhooks/{hook['id']}/test").status_code == 202
        plane.wait_for("the slow ones", lambda: sum(s.accepted for s in slow) >= 8)
        hook = register(plane, receiver, b)
        began = time.monotonic()
        b.post(f"/v1/webhooks/{hook['id']}/test")
        plane.wait_for("the message", lambda: receiver.got)
        assert time.monotonic() - began < 3
        # No more of them than their share, whatever is due.
        assert max(s.accepted for s in slow) <= 2
        assert sum(s.accepted for s in slow) == 8
        ended = time.monotonic()
    # Attempts under way do not hold up the end either.
    assert time.monotonic() - ended < 8
    for found in slow:
        found.close()


def test_what_waits_for_its_share_is_sent_as_soon_as_there_is_room(tmp_path, body, receiver):
    with serve(tmp_path / "home", body, webhook_networks=LOCAL, poll_seconds=1.0) as plane:
        hook = register(plane, receiver)
        for _ in range(20):
            plane.http.post(f"/v1/webhooks/{hook['id']}/test")
        began = time.monotonic()
        plane.wait_for("all messages", lambda: len(receiver.got) == 20)
        # Two at a time and one batch a look would take ten of them.
        assert time.monotonic() - began < 6
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 20
