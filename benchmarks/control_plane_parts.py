"""The other processes of :mod:`benchmarks.control_plane`: the server, and what drivers write."""

from __future__ import annotations

import itertools
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final

import uvicorn

from api.app import create_app
from api.http_protocol import server_config
from api.settings import Settings
from services.home import Home
from services.launcher import Observation
from services.spec.kind import JobKind
from services.spec.validation import ClusterSize
from services.stores.open import open_store

RECORD: Final = {f"figure_{n}": n / 7 for n in range(60)}
"""About as much as a step record holds."""


class NoCluster:
    """Takes every job, starts nothing, and has everything running."""

    def cluster_size(self) -> ClusterSize | None:
        return ClusterSize(cpus=2, gpus=0)

    def submit(self, job_id: str, attempt: int, kind: JobKind) -> str:
        return f"{job_id}-{attempt}"

    def status(self, submission_id: str) -> Observation:
        return Observation("running")

    def stop(self, submission_id: str) -> None:
        pass

    def logs(self, submission_id: str) -> str:
        return ""


def serve(home: Home) -> None:
    """Serve a home folder, as ``laconic serve`` does; print the port."""
    settings = Settings(home=home)
    app = create_app(settings, launcher=NoCluster())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        print(listener.getsockname()[1], flush=True)
        config = server_config(
            app, settings.limits, log_level="warning", timeout_graceful_shutdown=3
        )
        uvicorn.Server(config).run(sockets=[listener])


def drive(home: Home, per_second: float, jobs: Sequence[str]) -> None:
    """Write events, heartbeats and step records of jobs, in turns, so many of each a second."""
    store = open_store(f"sqlite:///{home.database}", home)
    started = time.monotonic()
    progress = {"stage": "compression", "total_steps": 10**6, "phase": "train"}
    for n, job in enumerate(itertools.cycle(jobs)):
        time.sleep(max(0.0, started + n / per_second - time.monotonic()))
        step = 100 + n // len(jobs)
        store.heartbeat(job, 1, {**progress, "step": step})
        store.append_metrics(job, 1, step, RECORD)
        store.append_event(job, "checkpoint", f"checkpoint of step {step}", data={"step": step})


if __name__ == "__main__":
    what, home, *rest = sys.argv[1:]
    if what == "serve":
        serve(Home.resolve(home))
    else:
        drive(Home.resolve(home), float(rest[0]), rest[1:])
