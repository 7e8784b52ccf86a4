"""A real Ray cluster of one machine: it takes drivers, tells what became of them, and leaves
nothing behind, however its parent ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from functools import partial
from importlib.metadata import version

import httpx
import psutil
import pytest

from api.cluster import LocalCluster
from api.ray_posture import Posture, look
from services.launcher import ENDED, RayJobLauncher
from tests.integration import waiting

WAIT_SECONDS = 90
wait_until = partial(waiting.wait_until, seconds=WAIT_SECONDS)


def alive(processes):
    left = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster() as running:
        yield running


@pytest.fixture
def launcher(cluster, tmp_path):
    return RayJobLauncher(cluster.dashboard, tmp_path)


def test_the_folder_of_a_killed_cluster_is_removed_by_the_next(tmp_path, monkeypatch):
    from api import cluster

    monkeypatch.setattr(cluster.tempfile, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name, owner in (("abandoned", gone.pid), ("in-use", os.getpid())):
        (tmp_path / f"laconic-{name}").mkdir()
        (tmp_path / f"laconic-{name}" / "owner").write_text(str(owner))
    cluster._remove_abandoned()
    assert [f.name for f in tmp_path.iterdir()] == ["laconic-in-use"]


def test_the_size_of_the_cluster_is_known(launcher):
    assert launcher.cluster_size().cpus >= 1


def doors(cluster):
    """Every way to have the cluster do something over HTTP, and to read from it."""
    command = cluster._process.args
    agent = f"http://127.0.0.1:{command[command.index('--dashboard-agent-listen-port') + 1]}"
    sleep = {"entrypoint": "exec sleep 1"}
    return [
        ("GET", f"{cluster.dashboard}/api/jobs/", None),
        ("POST", f"{cluster.dashboard}/api/jobs/", sleep),
        ("GET", f"{cluster.dashboard}/api/v0/nodes", None),
        ("GET", f"{cluster.dashboard}/nodes?view=summary", None),
        ("POST", f"{agent}/api/job_agent/jobs/", sleep),
    ]


def test_nobody_gets_in_without_the_token(cluster, launcher):
    from ray.job_submission import JobSubmissionClient

    before = {job.submission_id for job in JobSubmissionClient(cluster.dashboard).list_jobs()}
    for method, url, body in doors(cluster):
        for headers in ({}, {"Authorization": "Bearer " + "0" * 64}):
            answer = httpx.request(method, url, json=body, headers=headers, timeout=30)
            assert answer.status_code in (401, 403), (method, url, headers, answer.text[:200])
    own = {"Authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
    for method, url, _ in doors(cluster):
        if method == "GET":
            assert httpx.get(url, headers=own, timeout=30).status_code == 200, url
    after = {job.submission_id for job in JobSubmissionClient(cluster.dashboard).list_jobs()}
    assert after == before
    posture = look(cluster.dashboard, os.environ["RAY_AUTH_TOKEN"])
    assert posture == Posture(open=False, version=version("ray"))


def test_a_driver_is_started_and_its_end_is_seen(launcher):
    name = launcher.submit("job-unknown", 1, "training")
    assert (
        launcher.submit("job-unknown", 1, "training") == name
    )  # submitting again starts nothing else
    seen = wait_until("the driver's end", lambda: _ended(launcher, name))
    # The driver ran, with our arguments: it found no such job in the empty home folder.
    assert seen.status == "failed"
    assert "job-unknown" in launcher.logs(name)


def _ended(launcher, name):
    seen = launcher.status(name)
    return seen if seen.status in ENDED else None


def test_a_running_job_is_stopped(launcher, cluster):
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(cluster.dashboard)
    client.submit_job(entrypoint="exec sleep 600", submission_id="job-sleeper-1")
    wait_until("running", lambda: launcher.status("job-sleeper-1").status == "running")
    launcher.stop("job-sleeper-1")
    wait_until("stopped", lambda: launcher.status("job-sleeper-1").status == "stopped")


def test_a_job_nobody_submitted_is_missing(launcher):
    assert launcher.status("job-none-1").status == "missing"
    launcher.stop("job-none-1")


def test_a_cluster_that_does_not_answer_is_unobservable(tmp_path, cluster):
    away = RayJobLauncher("http://127.0.0.1:9", tmp_path)
    assert away.status("job-none-1").status == "unobservable"
    assert away.cluster_size() is None


OPEN = """
import sys
from api.cluster import LocalCluster
from api.ray_posture import look
from api.serving import refuse_open_ray
export = LocalCluster._export
LocalCluster._export = lambda self, _: export(
    self, {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "unused"}
)
with LocalCluster() as cluster:
    print(look(cluster.dashboard), flush=True)
    refuse_open_ray(cluster.dashboard)
"""


def test_a_cluster_without_tokens_is_seen_to_be_open():
    """Real Ray, with the token setting taken away: what the control plane must notice of another's
    cluster, and the proof that the refusals above come from that setting."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Posture(open=True" in done.stdout
    assert "takes jobs from whoever reaches it" in done.stderr


CHILD = """
import time
from api.cluster import LocalCluster
from ray.job_submission import JobSubmissionClient
cluster = LocalCluster().start()
client = JobSubmissionClient(cluster.dashboard)
client.submit_job(entrypoint="exec sleep 600", submission_id="job-sleeper-1")
while client.get_job_status("job-sleeper-1") != "RUNNING":
    time.sleep(0.2)
print("up", flush=True)
time.sleep(600)
"""

STOP = "\nimport signal; signal.signal(signal.SIGTERM, lambda *_: (cluster.stop(), exit(0)))\n"


def family_with_sleeper(pid):
    family = psutil.Process(pid).children(recursive=True)
    return family if any("sleep" in p.name() for p in family) else None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_parent(number):
    code = CHILD.replace('print("up"', STOP.strip() + '\nprint("up"')
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout.readline().strip() == "up"
        # A job counts as running a moment before its shell has become the command.
        family = wait_until("the job's process", lambda: family_with_sleeper(parent.pid))
        assert any(p.name() == "raylet" for p in family)
        os.kill(parent.pid, number)
        parent.wait(WAIT_SECONDS)
        wait_until("the end of all", lambda: not alive(family))
    finally:
        for process in alive([psutil.Process(parent.pid)] if parent.poll() is None else []):
            process.kill()
