"""``laconic logs -f`` while the control plane is started again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

from tests.integration.api.conftest import RecordingLauncher, serve
from tests.integration.waiting import wait_until

AWAY_SECONDS = 4.0
"""Longer than a request is tried again for."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def write(plane, job, text) -> None:
    folder = plane.context.settings.home.job(job)
    folder.logs.mkdir(parents=True, exist_ok=True)
    with (folder.logs / "learner-0.log").open("a") as log:
        log.write(text)


def test_a_restart_of_the_control_plane_does_not_end_it(tmp_path, body):
    launcher, port = RecordingLauncher(), free_port()
    said: list[str] = []
    with serve(tmp_path / "home", body, port=port, launcher=launcher) as plane:
        job = plane.running()
        write(plane, job, "one\n")
        command = [sys.executable, "-m", "api.cli", "logs", job, "learner", "-f"]
        follower = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "LACONIC_URL": plane.url, "PYTHONUNBUFFERED": "1"},
        )
        reader = threading.Thread(target=lambda: said.extend(follower.stdout))
        reader.start()
        wait_until("the first line", lambda: said == ["one\n"], 60)
    # Nobody is there for a while; the job works on.
    write(plane, job, "two\n")
    time.sleep(AWAY_SECONDS)
    assert follower.poll() is None, said
    with serve(tmp_path / "home", body, port=port, launcher=launcher) as plane:
        wait_until("the second line", lambda: said == ["one\n", "two\n"], 60)
        assert follower.poll() is None
        write(plane, job, "three, which has no end")
        plane.store.set_state(job, "succeeded", attempt=1)
        assert follower.wait(60) == 0
        reader.join(10)
        launcher.shown = {}
    assert said == ["one\n", "two\n", "three, which has no end"]
