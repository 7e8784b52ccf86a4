"""A real job on a real cluster, whose driver holds the Ray token: it says it to nobody."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from tests.e2e.control_plane import ROOT, SHORT, Server

pytestmark = pytest.mark.timeout(900)

BRIEF = {
    **SHORT,
    "stages": {
        name: {**SHORT["stages"][name], "steps": 1, "prompts_per_step": 4}
        for name in ("compression", "exploration")
    },
    "evaluation": {"questions": 8},
}


def token_of(job_id: str) -> str | None:
    """The Ray token in the environment of the job's driver, once it runs."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "actors.driver" in command and job_id in command:
            return process.environ().get("RAY_AUTH_TOKEN")
    return None


def told(server: Server, job: str) -> dict[str, str]:
    """Everything there is to read of a job, over HTTP."""
    base = f"/v1/jobs/{job}"
    paths = [
        *("", "/events?limit=1000", "/metrics", "/metrics.csv", "/logs", "/artifacts"),
        *("/checkpoints", "/report"),
    ]
    found = {path: server.client.get(base + path).raise_for_status().text for path in paths}
    html = {"Accept": "text/html"}
    # A report loads a plotting library first.
    page = server.client.get(f"{base}/report", headers=html, timeout=120)
    found["the report's page"] = page.raise_for_status().text
    sources = server.client.get(f"{base}/logs").json()["data"]
    assert {s["role"] for s in sources} >= {"driver", "generator", "learner"}
    stream = {"Accept": "text/event-stream"}
    for path in (
        "/events",
        *(f"/logs/{s['role']}/{s['rank']}" for s in sources),
    ):
        found[f"stream {path}"] = server.client.get(base + path, headers=stream).text
        assert found[f"stream {path}"].count("data:") > 0, path
    found["/metrics"] = server.client.get("/metrics").raise_for_status().text
    return found


def printed(server: Server, job: str) -> dict[str, str]:
    """What the command line prints of it."""
    found = {}
    for words in (
        ["status"],
        ["status", job],
        ["logs", job, "driver"],
        ["checkpoints", "list", job],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", *words],
            cwd=ROOT,
            env={**os.environ, "LACONIC_URL": server.url.rstrip("/")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        assert done.stdout, words
        found[f"laconic {' '.join(words)}"] = done.stdout + done.stderr
    return found


def test_the_token_of_the_cluster_is_in_nothing_a_job_leaves(server: Server) -> None:
    job = server.submit(BRIEF)
    server.wait(job, lambda j: j["state"] == "running", 240)
    token = token_of(job)
    assert token, "the driver has no token: there is nothing to look for"
    assert len(token) >= 32
    server.wait(job, lambda j: j["state"] == "succeeded", 600)
    outputs = told(server, job) | printed(server, job)
    assert [where for where, text in outputs.items() if token in text] == []
    files = [f for f in server.home.root.rglob("*") if f.is_file()]
    assert any("checkpoints" in f.parts for f in files)
    assert any(f.suffix == ".log" and f.stat().st_size for f in files)
    assert [str(f) for f in files if token.encode() in f.read_bytes()] == []
