"""A Ray cluster of one machine, as a child of this process that leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx
import psutil

from services.launcher import RayJobLauncher

START_SECONDS: Final = 180.0
"""Longest wait for the dashboard, which takes jobs."""
STOP_SECONDS: Final = 15.0
"""Longest wait for Ray's own orderly end before it is killed."""
OBJECT_STORE_BYTES: Final = 500 * 2**20
_FOLDER: Final = "laconic-"
_AGENT_HEALTH: Final = "/api/local_raylet_healthz"
_MARK: Final = "LACONIC_CLUSTER"
"""Variable in the environment of every process of the cluster: finds those that left the tree."""


class ClusterError(RuntimeError):
    """The cluster did not start; the message has the end of its output."""


class HeadEnded(ClusterError):
    """``ray start`` ended by itself before the cluster was up."""


class LocalCluster:
    """``ray start --head`` in a process group of its own; a context manager.

    Start it from a thread that lives as long as the cluster shall: the kernel ends the cluster
    with the thread that started it.
    """

    def __init__(self) -> None:
        self._identity = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        # Paths of Unix sockets are below it, and those may have 107 bytes only.
        self._folder = Path(tempfile.gettempdir()) / f"{_FOLDER}{self._identity[:6]}"
        self._saved: dict[str, str | None] = {}
        self.dashboard = ""
        """Address that takes jobs, once started."""

    def start(self) -> LocalCluster:
        """Start Ray and wait until it takes jobs.

        Sets ``RAY_AUTH_MODE`` and ``RAY_AUTH_TOKEN`` in this process, so that clients made from
        now on may talk to the cluster.

        Raises:
            ClusterError: Ray ended twice, or was not up in time.
        """
        try:
            self._launch()
        except HeadEnded:
            # On a busy machine Ray gives up on its own parts after 30 s; the second time their
            # files are in memory.
            self._launch()
        return self

    def _launch(self) -> None:
        port, dashboard, client, agent = _free_ports(4)
        self.dashboard = f"http://127.0.0.1:{dashboard}"
        self._export({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
        _remove_abandoned()
        # Ray opens its own folder to everybody: it lies in one that is not.
        self._folder.mkdir(mode=0o700)
        (self._folder / "owner").write_text(str(os.getpid()))
        command = [
            *(sys.executable, "-m", "api.ray_head", str(os.getpid()), "--head", "--block"),
            *("--node-ip-address", "127.0.0.1", "--port", str(port)),
            *("--include-dashboard", "true", "--dashboard-host", "127.0.0.1"),
            *("--dashboard-port", str(dashboard), "--dashboard-agent-listen-port", str(agent)),
            *("--ray-client-server-port", str(client)),
            # 0: any free port, so that two clusters on one machine do not meet.
            *("--min-worker-port", "0", "--max-worker-port", "0"),
            *("--object-store-memory", str(OBJECT_STORE_BYTES), "--disable-usage-stats"),
            *("--temp-dir", str(self._folder / "ray")),
        ]
        if cpus := os.environ.get("LACONIC_NUM_CPUS"):
            command += ["--num-cpus", cpus]
        with (self._folder / "ray-start.log").open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(),
            )
        try:
            self._wait(f"http://127.0.0.1:{agent}{_AGENT_HEALTH}")
        except BaseException:
            self.stop()
            raise

    def is_alive(self) -> bool:
        """Whether the head runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End every process of the cluster: politely, then by force. Safe to call again."""
        if self._process is None:
            return
        # Processes that outlive their parent leave the tree: they are listed before it falls.
        members = self._members()
        # The head alone: it ends its processes in order.
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            left = [p for p in {*members, *self._members()} if _is_alive(p)]
            if not left or time.monotonic() > deadline:
                break
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=1)
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._restore()
        if left:
            names = ", ".join(f"{p.pid}" for p in left)
            raise ClusterError(f"processes {names} of the Ray cluster could not be ended")

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # -- the inside -----------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        root = str(Path(__file__).resolve().parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        kept = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
        return {
            **kept,
            _MARK: self._identity,
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ten threads and more allocate in a worker: with an arena for each, memory that one has
            # freed is of no use to the others.
            "MALLOC_ARENA_MAX": "2",
            # Ray runs workers at niceness 15: anything else on the machine then doubles the run.
            "RAY_worker_niceness": "0",
            # The only node has nowhere to move its work to: do not wait for that on SIGTERM.
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            # Drivers and workers import Laconic wherever Ray starts them.
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def _wait(self, agent: str) -> None:
        """Until the Jobs API and the agent that it hands jobs to answer authorised requests, and
        the node offers its CPUs."""
        assert self._process is not None
        launcher = RayJobLauncher(self.dashboard, self._folder)
        headers = {"Authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
        deadline = time.monotonic() + START_SECONDS
        last = "no answer"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise HeadEnded(
                    f"ray start ended with code {self._process.returncode}: {self._output()}"
                )
            try:
                for url in (f"{self.dashboard}/api/jobs/", agent):
                    httpx.get(url, headers=headers, timeout=5).raise_for_status()
                if launcher.cluster_size() is not None:
                    return
                last = "no node yet"
            except httpx.HTTPError as error:
                last = str(error)
            time.sleep(0.3)
        raise ClusterError(
            f"the Ray dashboard was not up after {START_SECONDS:g} s ({last}): {self._output()}"
        )

    def _output(self) -> str:
        with contextlib.suppress(OSError):
            text = (self._folder / "ray-start.log").read_text(errors="replace")
            # Whole lines, and in words what Ray says at length.
            end = text[-2000:].partition("\n")[2] if len(text) > 2000 else text
            busy = "the machine was too busy for Ray to start in time; try again\n"
            return "\n" + (busy if "timed out during startup" in text else "") + end
        return "no output"

    def _members(self) -> set[psutil.Process]:
        """The descendants of the head, and what carries the cluster's mark outside its tree."""
        assert self._process is not None
        found: set[psutil.Process] = set()
        with contextlib.suppress(psutil.Error):
            found.update(psutil.Process(self._process.pid).children(recursive=True))
        for process in psutil.process_iter():
            # Processes that renamed themselves have overwritten the mark, but not left the tree.
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == self._identity:
                    found.add(process)
        return found

    def _export(self, variables: dict[str, str]) -> None:
        for name, value in variables.items():
            self._saved[name] = os.environ.get(name)
            os.environ[name] = value
        _refresh_ray()

    def _restore(self) -> None:
        for name, value in self._saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._saved.clear()
        _refresh_ray()


def _refresh_ray() -> None:
    """Have Ray read mode and token again: it keeps what it found when this process first used it,
    and would go on with no token, or the one of a cluster that has ended."""
    if raylet := sys.modules.get("ray._raylet"):
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _remove_abandoned() -> None:
    """Remove the folders of clusters whose parent was killed before it could."""
    for owner in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*/owner"):
        with contextlib.suppress(OSError, ValueError):
            if owner.stat().st_uid == os.getuid() and not psutil.pid_exists(int(owner.read_text())):
                shutil.rmtree(owner.parent, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on now; held together so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [int(s.getsockname()[1]) for s in sockets]
