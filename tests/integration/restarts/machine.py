"""What a test holds of the machine that outlives its control planes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.integration.stores.redis_server import free_port
from tests.integration.waiting import wait_until

MODULE = "tests.integration.restarts.machine_process"
START_SECONDS = 120.0
"""It imports everything that a control plane and a driver need."""
STOP_SECONDS = 15.0


class Machine:
    """A process; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        """``folder`` takes the logs of drivers, and the log of steps."""
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def __enter__(self) -> Machine:
        self.folder.mkdir(parents=True, exist_ok=True)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("LACONIC_", "RAY_"))}
        with (self.folder / "machine.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, self.url.rpartition(":")[2], str(self.folder)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean,
            )
        wait_until("the machine", self._answers, START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._http.close()
        self._process.kill()  # whatever it has forked ends with it
        self._process.wait(STOP_SECONDS)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError((self.folder / "machine.log").read_text())
        with contextlib.suppress(httpx.TransportError):
            return self._http.get("/api/version").is_success
        return False

    def serve(self, port: int, home: Path, environment: dict[str, str], log: Path) -> int:
        """Fork a control plane, ``laconic serve``; return its process id."""
        body = {"port": port, "home": str(home), "environment": environment, "log": str(log)}
        return int(
            self._http.post("/test/control-planes", json=body).raise_for_status().json()["pid"]
        )

    def silence(self, silent: bool) -> None:
        """Have the Jobs API answer nothing of use, or answer again."""
        self._http.post("/test/silent", json={"silent": silent}).raise_for_status()

    def drivers(self) -> dict[str, dict]:
        """All that were started, by submission id: pid, begin, end and code."""
        return self._http.get("/test/drivers").json()["drivers"]

    def submissions(self) -> list[str]:
        """Every submission that was asked for, in order."""
        return self._http.get("/test/drivers").json()["submissions"]

    def steps(self) -> list[dict]:
        """The steps that drivers have finished: job, attempt, step, begin, end."""
        file = self.folder / "steps"
        return [json.loads(x) for x in file.read_text().splitlines()] if file.exists() else []

    def release(self, job: str) -> None:
        """Let a driver that waits go on."""
        (self.folder / f"release-{job}").touch()

    def kill_drivers(self) -> None:
        """End all that are left."""
        for driver in self.drivers().values():
            if driver["end"] is None:
                kill(driver["pid"])
        wait_until(
            "the end of all drivers",
            lambda: all(d["end"] is not None for d in self.drivers().values()),
            STOP_SECONDS,
            tick=0.02,
        )


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
