"""Connections that hold their place without using it, over real sockets."""

from __future__ import annotations

import contextlib
import select
import socket
import time

import httpx
import pytest

from api.http_protocol import origin_of
from api.limits import Limits
from tests.integration.api.conftest import client_of, make_token, serve

STALL = 1.0


@pytest.fixture
def guarded(tmp_path, body):
    """A control plane with a key, and its token."""
    home = tmp_path / "home"
    token = make_token(home, "jobs:read", "jobs:write")
    limits = Limits(max_stall_seconds=STALL, rate_per_second=10**6, rate_burst=10**6)
    with serve(home, body, limits=limits) as plane:
        yield plane, token


@contextlib.contextmanager
def connected(plane, receive=4096):
    """A connection whose reader takes little at a time."""
    host, port = plane.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.connect((host, int(port)))
        yield connection


def fill(connection, request, seconds=20.0):
    """Send requests, one after the other, and read nothing, until no more can be sent."""
    connection.setblocking(False)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not select.select([], [connection], [], 0.3)[1]:
            return
        try:
            connection.send(request * 50)
        except (ConnectionResetError, BrokenPipeError):
            return
        except BlockingIOError:
            pass
    raise AssertionError("the server went on reading for ever")


def open_connections(plane):
    return sum(plane.origins.values())


@pytest.fixture
def counted(guarded):
    """With a look at how many connections the server counts, the test's own client gone."""
    plane, token = guarded
    plane.http.close()
    plane.origins = plane.server.config.http.origins
    plane.wait_for("the connections to be gone", lambda: open_connections(plane) == 0)
    return plane, token


@pytest.mark.parametrize("path", ["/openapi.json", "/"])
def test_who_asks_without_end_and_never_reads_is_cut_off(counted, path):
    """Without a key, on paths that need none."""
    plane, _ = counted
    with connected(plane) as connection:
        fill(connection, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        plane.wait_for("the end of the connection", lambda: open_connections(plane) == 0)


def test_who_leaves_a_few_answers_unread_is_cut_off(counted):
    """Too few to hold the server up: it closes an idle connection, which has to end too."""
    plane, _ = counted
    plane.server.config.timeout_keep_alive = 1
    with connected(plane) as connection:
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(asked * 12)
        plane.wait_for("the end of the connection", lambda: open_connections(plane) == 0)


def test_who_reads_slowly_gets_everything(counted):
    """A stall is no byte in the whole time, not an answer that takes longer than it."""
    plane, _ = counted
    whole = httpx.get(f"{plane.url}/openapi.json").content
    with connected(plane) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        started, got = time.monotonic(), b""
        pause = 3 * STALL / (len(whole) / 4096)
        while piece := connection.recv(4096):
            got += piece
            time.sleep(pause)
        assert time.monotonic() - started > 2 * STALL
        assert got.endswith(whole[-1000:])
        assert len(got) > len(whole)


def test_a_stream_with_a_slow_reader_lives_on(counted):
    """It reads a little now and then, for much longer than a stall may last, and misses nothing
    within its bound."""
    plane, token = counted
    with client_of(plane, token) as http:
        job = plane.create(http)
    for number in range(400):
        plane.store.append_event(job, "note", "x" * 4000, data={"n": number})
    with connected(plane) as connection:
        connection.sendall(
            f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        got, started = b"", time.monotonic()
        while b'"n": 399' not in got and b'"n":399' not in got:
            piece = connection.recv(64 * 1024)
            assert piece, f"closed after {len(got)} bytes"
            got += piece
            time.sleep(0.05 if time.monotonic() - started < 4 * STALL else 0)
        assert time.monotonic() - started > 3 * STALL
        assert b"event: gap" not in got


def test_a_stream_that_nobody_reads_is_cut_off_and_lets_its_place_go(counted):
    plane, token = counted
    with client_of(plane, token) as http:
        job = plane.create(http)
    for number in range(400):
        plane.store.append_event(job, "note", "x" * 20_000, data={"n": number})
    with connected(plane) as connection:
        connection.sendall(
            f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        plane.wait_for("the stream to be open", lambda: plane.context.streams.open == 1)
        plane.wait_for("the end of the connection", lambda: open_connections(plane) == 0)
        plane.wait_for("its place", lambda: plane.context.streams.open == 0)


def test_one_address_cannot_take_every_connection(tmp_path, body):
    limits = Limits(max_connections=10, max_connections_per_address=2)
    with serve(tmp_path / "home", body, limits=limits) as plane:
        with contextlib.ExitStack() as held:
            clients = [
                held.enter_context(
                    httpx.Client(
                        base_url=plane.url,
                        transport=httpx.HTTPTransport(local_address=address),
                    )
                )
                for address in ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2")
            ]
            answers = [c.get("/livez") for c in clients]
            assert [a.status_code for a in answers] == [200, 200, 429, 200]
            assert answers[2].json()["code"] == "too_many_connections"
            assert int(answers[2].headers["retry-after"]) >= 1
        plane.wait_for("room", lambda: plane.http.get("/livez").status_code == 200)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:0:2", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address, origin):
    assert origin_of(address) == origin
