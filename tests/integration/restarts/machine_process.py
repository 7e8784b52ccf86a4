"""A machine that outlives the control plane: ``python -m ...machine_process PORT FOLDER``.

It takes the place of a Ray cluster and nothing else: it speaks Ray's Jobs API, so the control plane
on it is the whole ``laconic serve`` with its real launcher, and every driver is a process of its
own. Where Ray would take seconds to start, this process has imported everything once and forks
what it is asked for: drivers through the Jobs API, control planes at ``/test/control-planes``.

As Ray does, it takes a submission id once, reports a driver as ended only when its process is gone,
and stops one with SIGTERM and then SIGKILL.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shlex
import signal
import sys
import time
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
from ray.job_submission import JobSubmissionClient
from ray.util.state import list_nodes

from actors.attempt import run_driver
from api.commands.running import serve
from api.serving import ControlPlane
from services.stores.redis import RedisJobStore
from tests.integration.restarts.quick_driver import QuickDriver

WARM = (JobSubmissionClient, list_nodes, ControlPlane, RedisJobStore)
"""Imported where they are used, by those who are forked."""
STOP_SECONDS = 3.0
"""From SIGTERM to SIGKILL, as with Ray."""
PR_SET_PDEATHSIG = 1


class Machine(HTTPServer):
    """One thread: a request is answered between two looks at the processes."""

    def __init__(self, port: int, folder: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder
        self.drivers: dict[str, dict] = {}
        """By submission id: entrypoint, pid, begin, end, code."""
        self.submissions: list[str] = []
        """Every one that was asked for, also those that were refused."""
        self.silent = False
        """Whether the Jobs API answers nothing of use, as a head that restarts."""
        self._kill_at: dict[str, float] = {}
        self._others: set[int] = set()

    def service_actions(self) -> None:
        for name, driver in self.drivers.items():
            if driver["end"] is None:
                self._look_at(name, driver)
        for pid in list(self._others):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._others.remove(pid)

    def _look_at(self, name: str, driver: dict) -> None:
        pid, status = os.waitpid(driver["pid"], os.WNOHANG)
        if pid:
            driver["end"], driver["code"] = time.time(), os.waitstatus_to_exitcode(status)
        elif name in self._kill_at and time.time() > self._kill_at[name]:
            os.kill(driver["pid"], signal.SIGKILL)

    def submit(self, name: str, entrypoint: str) -> None:
        words = shlex.split(entrypoint.removeprefix("exec "))
        arguments = words[words.index("-m") + 2 :]
        begin = time.time()
        pid = self.fork(
            self.folder / f"{name}.log",
            {"LACONIC_TEST_STEPS": str(self.folder / "steps")},
            lambda: _drive(arguments),
        )
        self.drivers[name] = {
            "submission": name,
            "pid": pid,
            "begin": begin,
            "end": None,
            "code": None,
        }

    def stop(self, name: str) -> None:
        if self.drivers[name]["end"] is None:
            os.kill(self.drivers[name]["pid"], signal.SIGTERM)
            self._kill_at.setdefault(name, time.time() + STOP_SECONDS)

    def serve_control_plane(self, port: int, home: str, environment: dict, log: str) -> int:
        def child() -> None:
            serve(port=port, home=Path(home))

        pid = self.fork(Path(log), environment, child)
        self._others.add(pid)
        return pid

    def fork(self, log: Path, environment: dict, child) -> int:
        """A process of its own that ends with this one at the latest."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.closerange(3, 256)
            _open_as(log, 1, 2)
            os.environ.update(environment)
            # Nothing is inherited but what was imported.
            logging.getLogger().handlers.clear()
            child()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


class Handler(BaseHTTPRequestHandler):
    """Ray's Jobs API (version 4) as far as the launcher uses it, and what tests ask besides."""

    server: Machine

    def do_GET(self) -> None:
        if self.path == "/test/drivers":
            found = {"drivers": self.server.drivers, "submissions": self.server.submissions}
            self._answer(200, found)
        elif self.server.silent:
            self._answer(503, "restarting")
        elif self.path == "/api/version":
            self._answer(200, {"version": "4", "ray_version": "2.60.0", "ray_commit": ""})
        elif self.path.startswith("/api/v0/nodes"):
            self._answer(200, _nodes())
        else:
            name, _, what = self.path.removeprefix("/api/jobs/").partition("/")
            driver = self.server.drivers.get(name)
            if driver is None:
                self._answer(404, f"Job {name} does not exist")
            elif what == "logs":
                log = self.server.folder / f"{name}.log"
                self._answer(200, {"logs": log.read_text(errors="replace")})
            else:
                self.server.service_actions()
                self._answer(200, _details(driver))

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(text) if text else {}
        if self.path == "/test/control-planes":
            self._answer(200, {"pid": self.server.serve_control_plane(**body)})
        elif self.path == "/test/silent":
            self.server.silent = body["silent"]
            self._answer(200, {})
        elif self.server.silent:
            self._answer(503, "restarting")
        elif self.path == "/api/jobs/":
            name = body["submission_id"]
            self.server.submissions.append(name)
            if name in self.server.drivers:
                self._answer(400, f"Job with submission_id {name} already exists")
                return
            self.server.submit(name, body["entrypoint"])
            self._answer(200, {"job_id": name, "submission_id": name})
        else:
            name = self.path.removeprefix("/api/jobs/").removesuffix("/stop")
            if name not in self.server.drivers:
                self._answer(404, f"Job {name} does not exist")
                return
            self.server.stop(name)
            self._answer(200, {"stopped": True})

    def _answer(self, status: int, content: object) -> None:
        is_text = isinstance(content, str)
        data = str(content).encode() if is_text else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _details(driver: dict) -> dict:
    if driver["end"] is None:
        status, message = "RUNNING", "Job is currently running."
    elif driver["code"] == 0:
        status, message = "SUCCEEDED", "Job finished successfully."
    elif driver["code"] == -signal.SIGTERM:
        status, message = "STOPPED", "Job was intentionally stopped."
    else:
        status = "FAILED"
        message = f"Job entrypoint command failed with exit code {driver['code']}"
    return {
        "type": "SUBMISSION",
        "submission_id": driver["submission"],
        "status": status,
        "message": message,
        "entrypoint": "",
    }


def _nodes() -> dict:
    node = {
        "node_id": "1",
        "node_ip": "127.0.0.1",
        "is_head_node": True,
        "state": "ALIVE",
        "state_message": "",
        "node_name": "head",
        "resources_total": {"CPU": 64.0},
        "labels": {},
        "start_time_ms": 0,
        "end_time_ms": 0,
    }
    found = {
        "result": [node],
        "total": 1,
        "num_after_truncation": 1,
        "num_filtered": 1,
        "partial_failure_warning": "",
        "warnings": [],
    }
    return {"result": True, "msg": "", "data": {"result": found}}


def _drive(arguments: list[str]) -> None:
    sys.argv = ["quick_driver", *arguments]
    run_driver(QuickDriver, "A driver whose steps are short.")


def _open_as(log: Path, *descriptors: int) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in descriptors:
        os.dup2(file, descriptor)


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if threads := psutil.Process().num_threads() - 1:
        # A fork copies no thread; one that holds a lock would leave it held.
        print(f"{threads} threads besides the main one", flush=True)
    with Machine(port, folder) as machine:
        machine.serve_forever(poll_interval=0.02)


if __name__ == "__main__":
    main()
