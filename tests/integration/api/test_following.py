"""Programs that follow a job: the example of the client, and ``laconic logs -f`` while the control
plane is started again."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.integration.api.conftest import RecordingLauncher, serve
from tests.integration.api.page.recorded_run import RecordedRun
from tests.integration.api.test_checkpoints_api import write_checkpoint
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


EXAMPLE = re.compile(r"```python\n(from api.client.*?)```", re.DOTALL)


def test_the_example_of_the_client_runs(plane, tmp_path):
    """That of docs/api.md, as it stands there; only the training is recorded."""
    (text,) = EXAMPLE.findall((Path(__file__).parents[3] / "docs" / "api.md").read_text())
    file = tmp_path / "example.py"
    file.write_text(text)
    example = subprocess.Popen(
        [sys.executable, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "LACONIC_URL": plane.url, "PYTHONPATH": os.getcwd()},
    )
    jobs = lambda: plane.http.get("/v1/jobs").json()["data"]  # noqa: E731
    job = wait_until("the job", jobs, 60)[0]["id"]
    plane.wait_for("a driver", lambda: plane.store.get_job(job).ray_submission_id)
    for state in ("starting", "running"):
        plane.store.set_state(job, state, attempt=1)
    write_checkpoint(plane, job, 30, "exploration")
    RecordedRun(plane, job).begin().succeed()
    said, _ = example.communicate(timeout=60)
    assert example.returncode == 0, said
    assert "running" in said
    assert said.splitlines()[-1] == f"job='{job}' step=30 20"


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
