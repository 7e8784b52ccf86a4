"""A real control plane for the end-to-end tests: Ray, vLLM, DeepSpeed, SQLite, nothing replaced."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.home import Home

ROOT = Path(__file__).parents[2]

SHORT: dict[str, Any] = {
    "seed": 7,
    "stages": {
        "compression": {
            "steps": 3,
            "prompts_per_step": 8,
            "prompts_per_update": 2,
            "sampling": {"group_size": 4},
        },
        "exploration": {
            "steps": 2,
            "prompts_per_step": 8,
            "prompts_per_update": 2,
            "sampling": {"group_size": 4},
        },
    },
    "evaluation": {"questions": 16},
    "checkpoint": {"every_steps": 1},
}
"""The newcomer's preset in miniature: every mechanism, few samples."""


@dataclass
class Server:
    """A ``laconic serve`` of its own."""

    process: subprocess.Popen[bytes]
    url: str
    home: Home
    client: httpx.Client

    def submit(self, overrides: dict[str, Any] | None = None) -> str:
        body = {"preset": "tiny-cpu", "overrides": overrides or SHORT}
        response = self.client.post("/v1/jobs", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/v1/jobs/{job_id}").raise_for_status().json())

    def metrics(self, job_id: str) -> list[dict[str, Any]]:
        page = self.client.get(f"/v1/jobs/{job_id}/metrics").raise_for_status().json()
        return list(page["data"])

    def events(self, job_id: str) -> list[dict[str, Any]]:
        page = self.client.get(f"/v1/jobs/{job_id}/events", params={"limit": 1000})
        return list(page.raise_for_status().json()["data"])

    def wait(self, job_id: str, done: Callable[[dict[str, Any]], bool], seconds: float) -> Any:
        """Return the job once ``done`` holds for it; a job that ended otherwise fails the test."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(job_id)
            if done(job):
                return job
            if job["state"] in ("failed", "cancelled", "interrupted", "succeeded"):
                log = self.home.job(job_id).driver_log
                tail = log.read_text()[-4000:] if log.exists() else "no driver log"
                pytest.fail(f"job ended as {job['state']} ({job['cause']})\n{tail}")
            assert time.monotonic() < deadline, f"waited {seconds} s, job is {job}"
            time.sleep(0.1)


def goes_on(server: Server, job_id: str, attempt: int, seconds: float = 60) -> None:
    """Wait until a job whose driver was lost has gone on by itself, as that attempt."""
    deadline = time.monotonic() + seconds
    while (job := server.job(job_id))["attempt"] < attempt:
        assert job["state"] not in ("succeeded", "failed", "cancelled"), job
        assert time.monotonic() < deadline, f"waited {seconds} s for attempt {attempt}: {job}"
        time.sleep(0.2)
    assert job["attempt"] == attempt


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start_server(home: Path) -> Server:
    port = free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "serve", "--port", str(port), "--home", str(home)],
        cwd=ROOT,
        env=env,
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    server = Server(process, str(client.base_url), Home(home), client)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "laconic serve ended by itself"
        try:
            if client.get("/readyz").status_code == 200:
                return server
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    stop_server(server)
    raise AssertionError("waited 120 s for /readyz")


def stop_server(server: Server) -> list[psutil.Process]:
    """Stop as Ctrl-C does; return the processes that were below it."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.process.send_signal(signal.SIGINT)
    try:
        server.process.wait(timeout=180)
    finally:
        if server.process.poll() is None:
            server.process.kill()
    return family
