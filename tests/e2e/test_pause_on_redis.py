"""A job whose store is a Redis server with a password: paused and resumed, and the server killed
under it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.checkpoints import CheckpointStore
from services.reports.write import write_report
from services.stores.redis_address import RedisAddress
from tests.e2e.control_plane import SHORT, Server, start_server, stop_server
from tests.integration.stores.redis_server import RedisServer, free_port

pytestmark = pytest.mark.timeout(1800)
PASSWORD = "correct-horse-battery"
STEPS = 5


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    port = free_port()
    settings = ("--requirepass", PASSWORD, "--appendonly", "yes", "--appendfsync", "always")
    url = RedisAddress("127.0.0.1", port, password=PASSWORD).secret
    server = RedisServer(tmp_path / "redis", *settings, url=url, port=port).start()
    yield server
    server.stop()


@pytest.fixture
def server(tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("LACONIC_STORE", f"redis://127.0.0.1:{redis.port}/0")
    monkeypatch.setenv("LACONIC_STORE_PASSWORD", PASSWORD)
    running = start_server(tmp_path / "home")
    yield running
    stop_server(running)


def workers(server: Server) -> list[str]:
    """Processes of Ray that do a job's work, by name."""
    names = []
    for process in psutil.Process(server.process.pid).children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:
            continue
        known = ("Generator", "VerifierPool", "ReplayQueue", "WeightPublisher", "TrainWorker")
        if "actors.driver" in title or (
            title.startswith("ray::") and any(k in title for k in known)
        ):
            names.append(title)
    return names


def until(server: Server, job_id: str, seconds: float, what: str, condition: Any) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    last: object = "no answer"
    while time.monotonic() < deadline:
        answer = server.client.get(f"/v1/jobs/{job_id}")
        last = answer.text
        # 503 is what a store that is away, or too slow, gets people told.
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            job: dict[str, Any] = answer.raise_for_status().json()
            if condition(job):
                return job
            assert job["state"] not in ("failed", "cancelled", "interrupted"), job
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s for {what}: {last}")


def in_step(job: dict[str, Any]) -> bool:
    progress = job["progress"] or {}
    return bool(progress.get("step") == 1 and progress["phase"] in ("generate", "verify", "train"))


def test_a_job_is_paused_resumed_and_outlives_its_store(
    server: Server, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = server.submit({**SHORT, "checkpoint": {"every_steps": 4}})
    until(server, job_id, 600, "the second step", in_step)
    shown = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    assert not [line for line in shown if PASSWORD in line and "redis-server" not in line]
    reason = {"reason": "somebody else needs the machine"}
    answer = server.client.post(f"/v1/jobs/{job_id}/pause", json=reason)
    assert (answer.status_code, answer.json()["state"]) == (202, "pausing")
    paused = until(server, job_id, 300, "the pause", lambda j: j["state"] == "paused")
    assert paused["cause"] == "paused on request after step 2"
    assert [r["step"] for r in server.metrics(job_id)] == [1, 2]
    checkpoint, _ = CheckpointStore(server.home.job(job_id).checkpoints).latest()
    assert checkpoint is not None
    assert checkpoint.step == 2
    deadline = time.monotonic() + 60
    while left := workers(server):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)
    events = server.events(job_id)
    assert {e["reason"] for e in events if e["data"].get("to") in ("pausing", "paused")} == {
        reason["reason"]
    }

    assert server.client.post(f"/v1/jobs/{job_id}/resume").status_code == 202
    until(server, job_id, 600, "the third step", lambda j: (j["progress"] or {}).get("step") == 3)
    redis.kill()
    # The driver goes on without it, to the end of the last stage: its checkpoints tell.
    later = server.home.job(job_id).checkpoints / "step-000005"
    deadline = time.monotonic() + 600
    while not later.exists():
        assert time.monotonic() < deadline, "waited 600 s for steps without a store"
        time.sleep(0.2)
    redis.start()
    until(server, job_id, 900, "the end", lambda j: j["state"] == "succeeded")
    records = server.metrics(job_id)
    assert [(r["step"], r["attempt"]) for r in records] == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
    events = server.events(job_id)
    assert [e["id"] for e in events] == list(range(1, len(events) + 1))
    assert records[-1]["samples"]["generated"] == 8 * 4 * STEPS

    # The report finds the store without the environment of the control plane.
    monkeypatch.delenv("LACONIC_STORE")
    monkeypatch.delenv("LACONIC_STORE_PASSWORD")
    write_report(server.home.root, job_id, tmp_path / "report")
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(content["steps"]) == STEPS
    for log in server.home.root.rglob("*.log"):
        assert PASSWORD not in log.read_text(errors="replace")
