"""``laconic serve`` as a process: a signal ends it, its Ray and its drivers, and leaves each job
where it can be resumed or cancelled."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from functools import partial

import psutil
import pytest

from api.client import Client
from api.serving import ServingError, lock_home, with_driver
from services.home import Home
from services.presets.registry import resolve
from services.stores.sqlite import SqliteJobStore
from tests.integration import waiting

WAIT_SECONDS = 120
wait_until = partial(waiting.wait_until, seconds=WAIT_SECONDS)


def of_home(home):
    """Processes whose command line or environment names the home folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            named = str(home) in " ".join(process.cmdline())
            inherited = process.environ().get("LACONIC_HOME") == str(home)
            if (named or inherited) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture
def served(tmp_path):
    home = tmp_path / "home"
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    server = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, "LACONIC_HOME": str(home), "COLUMNS": "200"},
    )
    assert server.stdout is not None
    lines = iter(server.stdout.readline, "")
    url = next(m[0] for line in lines if (m := re.search(r"http://[0-9.]+:\d+", line)))
    yield server, url, home
    if server.poll() is None:
        server.kill()
        wait_until("the end of Ray", lambda: not of_home(home))


def test_a_home_folder_has_one_control_plane(tmp_path):
    home = Home(tmp_path).create()
    held = lock_home(home)
    with pytest.raises(ServingError, match=f"process {os.getpid()}.*--home"):
        lock_home(home)
    held.close()
    lock_home(home).close()


@pytest.mark.timeout(600)
def test_a_signal_leaves_no_process_and_jobs_that_go_on(served):
    server, url, home = served
    with Client(url) as client:
        first = client.submit({"preset": "tiny-cpu"}).id
        second = client.submit({"preset": "tiny-cpu"}).id
        wait_until("a driver", lambda: client.job(first).state == "starting")
        assert client.job(second).state == "queued"
    family = psutil.Process(server.pid).children(recursive=True)
    assert any("raylet" in p.name() for p in family)
    server.send_signal(signal.SIGTERM)
    assert server.wait(WAIT_SECONDS + 60) == 0
    assert of_home(home) == []
    store = SqliteJobStore(Home(home).database)
    # The one that had no driver yet starts at the next serve.
    assert [store.get_job(j).state for j in (first, second)] == ["interrupted", "queued"]
    assert "stopped on request" in store.get_job(first).cause
    assert Home(home).job(first).driver_log.read_text()
    assert store.begin_attempt(first).attempt == 2
    assert store.set_state(second, "cancelled", attempt=None).state == "cancelled"


def test_every_job_with_a_driver_is_stopped_however_many_wait(tmp_path):
    store = SqliteJobStore(tmp_path / "jobs.db")
    jobs = [store.create_job(resolve("tiny-cpu"), None).id for _ in range(250)]
    store.set_state(jobs[0], "starting", attempt=1)
    store.set_ray_submission(jobs[1], 1, f"{jobs[1]}-1")
    assert {j.id for j in with_driver(store)} == set(jobs[:2])


@pytest.mark.timeout(120)
def test_a_port_in_use_is_said_before_anything_starts(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", "serve", "--port", str(port)],
            capture_output=True,
            text=True,
            env={**os.environ, "LACONIC_HOME": str(tmp_path)},
            timeout=100,
            check=False,
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
