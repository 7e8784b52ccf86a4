"""A Ray that takes connections and never answers: a control plane looks, keeps its lease and ends
all the same. Launcher, store and server are real."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
import time

import pytest

from services.home import Home
from services.launcher import Observation, RayJobLauncher
from services.presets.registry import resolve
from services.stores.sqlite import SqliteJobStore
from tests.integration.api.test_shutdown import GRACE_SECONDS, start
from tests.integration.waiting import wait_until

JOBS = 4
LEASE_SECONDS = 2


@contextlib.contextmanager
def answering(what):
    """A server that sends ``what`` to whoever asks, or nothing: its address, and a list with an
    entry for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                if what is not None:
                    connection.recv(65536)
                    connection.sendall(what)
                    connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", connections
    listener.close()
    for connection in connections:
        connection.close()


@pytest.fixture
def at_work(tmp_path):
    """A store with jobs that run."""
    store = SqliteJobStore(Home(tmp_path / "home").create().database)
    for _ in range(JOBS):
        job = store.create_job(resolve("tiny-cpu"), None)
        store.set_state(job.id, "starting", attempt=1)
        store.set_ray_submission(job.id, 1, f"{job.id}-1")
        store.set_state(job.id, "running", attempt=1)
    return store


@pytest.mark.timeout(180)
def test_looks_go_on_the_lease_is_kept_and_the_end_is_in_time(tmp_path, at_work):
    with answering(None) as (address, asked):
        process = start(
            tmp_path / "home",
            RAY_API_SERVER_ADDRESS=address,
            LACONIC_LEASE_SECONDS=str(LEASE_SECONDS),
        )
        try:
            lines = iter(process.stdout.readline, "")
            next(line for line in lines if re.search(r"http://[0-9.]+:\d+", line))
            wait_until("a question to Ray", lambda: asked, 30)
            began = time.monotonic()
            others = 0
            while not all(j.state == "reconciling" for j in at_work.list_jobs()[0]):
                others += at_work.hold("reconciler", "another control plane", 0.001)
                # One such wait, not one for each job.
                assert time.monotonic() - began < 15, [j.state for j in at_work.list_jobs()[0]]
                time.sleep(0.1)
            assert others == 0
            questions = len(asked)
            wait_until("the next look", lambda: len(asked) > questions, 20)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            print(f"ended {time.monotonic() - began:.1f} s after SIGTERM")
            assert time.monotonic() - began < GRACE_SECONDS
        finally:
            process.kill()
    assert [j.state for j in at_work.list_jobs()[0]] == ["reconciling"] * JOBS


VERSION = b'{"version": "4", "ray_version": "2.60.0", "ray_commit": ""}'


def reply(status, text):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return head.encode() + text


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"404 page not found", "unobservable"),
        (b"<html>no route</html>", "unobservable"),
        (b"Job job-x-1 does not exist", "missing"),
    ],
)
def test_only_ray_knows_that_there_is_no_such_job(tmp_path, monkeypatch, text, status):
    with answering(reply("404 Not Found", text)) as (address, _):
        launcher = RayJobLauncher(address, tmp_path)
        with answering(reply("200 OK", VERSION)) as (ray, _):
            launcher._address = ray
            client = launcher._client()
        client._address = address
        seen = launcher.status("job-x-1")
    assert isinstance(seen, Observation)
    assert seen.status == status, seen
