"""A stream does not outlive the key it was opened with."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from services.control.api_keys import make_key
from services.control.secret import server_secret
from services.control.stores import open_control
from services.home import Home
from tests.integration.api.conftest import client_of, make_token, serve

WITHIN_SECONDS = 4.0
"""A key counts for up to 2.5 s after its end (api/stream_access.py); the rest is this machine."""


class Reader:
    """Reads a stream to its end in a thread of its own."""

    def __init__(self, http, path: str) -> None:
        self.lines: list[str] = []
        self.ended: float | None = None
        self._http, self._path = http, path
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        headers = {"Accept": "text/event-stream"}
        with self._http.stream("GET", self._path, headers=headers) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                self.lines.append(line)
        self.ended = time.monotonic()


def with_log(plane):
    job = plane.running()
    folder = plane.context.settings.home.job(job).logs
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "learner-0.log").write_text("a line\n")
    return job


@pytest.mark.parametrize("what", ["events", "logs"])
@pytest.mark.parametrize("how", ["revoked", "expired", "scope"])
def test_a_stream_ends_with_its_key_and_others_go_on(tmp_path, body, what, how):
    home = tmp_path / "home"
    tokens = [make_token(home, "jobs:read", "jobs:write", name=n) for n in ("doomed", "other")]
    keys = open_control(Home.resolve(home)).keys
    # No heartbeat comes along that could bring the question up.
    with serve(home, body, stream_heartbeat_seconds=600) as plane:
        clients = [client_of(plane, t) for t in tokens]
        plane.http.headers.update(clients[1].headers)
        job = with_log(plane) if what == "logs" else plane.running()
        path = f"/v1/jobs/{job}/" + ("events" if what == "events" else "logs/learner/0")
        doomed, other = (Reader(http, path) for http in clients)
        plane.wait_for("both", lambda: len(doomed.lines) > 3 and len(other.lines) > 3)
        time.sleep(1.5)
        assert doomed.ended is None
        (key,) = (k for k in keys.all() if k.name == "doomed")
        now = time.time()
        changes = {
            "revoked": {"revoked_at": now},
            "expired": {"expires_at": now},
            "scope": {"scopes": frozenset({"metrics:read"})},
        }
        began = time.monotonic()
        keys.replace(replace(key, **changes[how]))
        plane.wait_for("its end", lambda: doomed.ended)
        assert doomed.ended - began < WITHIN_SECONDS
        assert [x for x in doomed.lines if x][-1] == "retry: 2000"
        plane.wait_for("its place", lambda: plane.context.streams.open == 1)
        plane.store.append_event(job, "note", "still here", attempt=1)
        if what == "events":
            plane.wait_for("more", lambda: any("still here" in line for line in other.lines))
        assert other.ended is None
        plane.store.set_state(job, "succeeded", attempt=1)
        plane.wait_for("the end of the job", lambda: other.ended)
        assert not any("key of this stream" in line for line in other.lines)


def test_a_stream_without_a_key_ends_when_keys_are_needed(plane):
    job = plane.running()
    reader = Reader(plane.http, f"/v1/jobs/{job}/events")
    plane.wait_for("its begin", lambda: reader.lines)
    place = plane.context.settings.home
    key, _ = make_key(server_secret(place.secret), name="first", scopes={"admin"}, now=time.time())
    plane.context.control.keys.add(key)
    plane.wait_for("its end", lambda: reader.ended)
    assert any("key of this stream" in line for line in reader.lines)
