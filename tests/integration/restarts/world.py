"""A store, control planes on it and the machine their drivers run on: all of them real processes,
each of which can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from services.home import Home
from services.stores.open import open_store
from services.stores.protocol import JobStore
from tests.integration.restarts.machine import STOP_SECONDS, Machine, kill
from tests.integration.stores.redis_server import RedisServer, free_port
from tests.integration.waiting import wait_until

BACKENDS = ("sqlite", "redis")
UP_SECONDS = 120.0
"""A cold start on a machine that is far too busy."""


class Plane:
    """One control plane, which keeps its port when it is started again."""

    def __init__(self, world: World, number: int) -> None:
        self._world, self._port, self._pid = world, free_port(), 0
        self.log = world.folder / f"control-plane-{number}.log"
        self.url = f"http://127.0.0.1:{self._port}"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def start(self, *, cold: bool = False) -> None:
        """Start it, as a fork of the machine or ``cold`` from the command line."""
        world = self._world
        if not cold:
            self._pid = world.machine.serve(
                self._port, world.home.root, world.environment, self.log
            )
            return
        command = [sys.executable, "-m", "api.cli", "serve", "--port", str(self._port)]
        with self.log.open("ab") as log:
            self._pid = subprocess.Popen(
                [*command, "--home", str(world.home.root)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **world.environment},
            ).pid

    @property
    def is_alive(self) -> bool:
        if not self._pid:
            return False
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self._pid).status() != psutil.STATUS_ZOMBIE
        return False

    def kill(self) -> None:
        """End it as a power cut would end its process."""
        if self.is_alive:
            kill(self._pid)
            self._wait_for_end()

    def terminate(self) -> None:
        """Ask it to end, and wait until it has."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        self._wait_for_end(40.0)

    def _wait_for_end(self, seconds: float = STOP_SECONDS) -> None:
        wait_until("the end of it", lambda: not self.is_alive, seconds, tick=0.01)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def wait_ready(self, seconds: float = UP_SECONDS) -> None:
        wait_until("an answer of /readyz", self._is_ready, seconds, tick=0.02)

    def _is_ready(self) -> bool:
        if not self.is_alive:
            raise AssertionError(f"the control plane has ended: {self.log.read_text()[-3000:]}")
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/readyz").is_success
        return False

    def leads(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return "\nlaconic_leader 1.0" in self.http.get("/metrics").text
        return False

    def job(self, job_id: str) -> dict:
        return self.http.get(f"/v1/jobs/{job_id}").raise_for_status().json()

    def state(self, job_id: str) -> str:
        return str(self.job(job_id)["state"])


class World:
    """Use as a context manager; nothing of it is left afterwards but its folder."""

    def __init__(
        self, folder: Path, machine: Machine, backend: str, *, planes: int = 1, **environment: str
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: of its own.
            machine: where drivers run.
            backend: ``sqlite`` or ``redis``.
            planes: how many control planes.
            environment: of the control planes, besides what they need.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.machine, self.backend = folder, machine, backend
        self.home = Home(folder / "home").create()
        self.redis: RedisServer | None = None
        self.store_url = "sqlite:///jobs.db"
        if backend == "redis":
            settings = ("--appendonly", "yes", "--appendfsync", "always")
            self.redis = RedisServer(folder / "redis", *settings)
            self.store_url = self.redis.url
        self.environment = {
            "RAY_API_SERVER_ADDRESS": machine.url,
            "LACONIC_STORE": self.store_url,
            "COLUMNS": "200",
            # A driver that died is noticed that much sooner.
            "LACONIC_HEARTBEAT_FRESH_SECONDS": "3",
            **environment,
        }
        self.planes = [Plane(self, n) for n in range(planes)]

    def __enter__(self) -> World:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        if self.redis is not None:
            self.redis.start()
        for plane in self.planes:
            plane.start()
        for plane in self.planes:
            plane.wait_ready()

    def __exit__(self, *_: object) -> None:
        self.machine.silence(False)
        for plane in self.planes:
            plane.kill()
            plane.http.close()
        self.machine.kill_drivers()
        if self.redis is not None:
            self.redis.stop()

    @property
    def plane(self) -> Plane:
        return self.planes[0]

    def open_store(self) -> JobStore:
        return open_store(self.store_url, self.home)

    def create(self, *, restarts: int = 0, **labels: str) -> str:
        """A job that goes on by itself so many times in a row."""
        overrides = {"restarts": {"limit": restarts, "pause_seconds": 0.1}}
        body = {"preset": "tiny-cpu", "labels": labels, "overrides": overrides}
        answer = self.plane.http.post("/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ask(self, job: str, verb: str, **body: object) -> None:
        answer = self.plane.http.post(f"/v1/jobs/{job}/{verb}", json=body)
        assert answer.is_success, answer.text

    def wait_for_state(self, job: str, *states: str, seconds: float = 30.0) -> str:
        return wait_until(
            f"{job} {' or '.join(states)}",
            lambda: (now := self.plane.state(job)) in states and now,
            seconds,
            tick=0.02,
        )

    def wait_for(self, what: str, condition: Callable[[], Any], seconds: float = 30.0) -> Any:
        return wait_until(what, condition, seconds, tick=0.02)

    def jobs(self) -> list[str]:
        return [j["id"] for j in self.plane.http.get("/v1/jobs?limit=100").json()["data"]]

    def drivers_of(self, job: str) -> dict[str, dict]:
        """What the machine knows of the drivers of a job, by submission id."""
        found = self.machine.drivers().items()
        return {name: driver for name, driver in found if name.rpartition("-")[0] == job}

    def live_drivers(self, job: str) -> list[str]:
        """Names of those whose process has not ended."""
        return [name for name, d in self.drivers_of(job).items() if d["end"] is None]

    def kill_driver(self, job: str) -> None:
        """End the last driver of a job as a power cut would."""
        kill(list(self.drivers_of(job).values())[-1]["pid"])

    def terminate_driver(self, job: str) -> None:
        os.kill(list(self.drivers_of(job).values())[-1]["pid"], signal.SIGTERM)

    def steps_of(self, job: str) -> list[dict]:
        return [step for step in self.machine.steps() if step["job"] == job]

    def is_submitted(self, job: str, state: str) -> bool:
        """Whether the store knows of the driver, where there is one: it may report before."""
        if state == "queued":
            return True
        with contextlib.closing(self.open_store()) as store:
            return store.get_job(job).ray_submission_id is not None

    def is_looked_after(self) -> bool:
        """Whether a control plane says that it has looked at all jobs, and goes on doing so."""
        return any(plane.leads() for plane in self.planes)
