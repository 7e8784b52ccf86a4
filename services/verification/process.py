"""One worker process as the pool sees it: start, ask, listen, kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from services.verification import frames

_ROOT = Path(__file__).resolve().parents[2]
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
"""Environment passed on: a process that works on model output gets no secrets."""


class WorkerProcess:
    """A worker that is starting, idle or busy. Not thread-safe."""

    def __init__(self, memory_mib: int, start_seconds: float, spawner: Executor) -> None:
        """Start the process from the spawner's thread and return at once.

        The kernel ends the worker with the *thread* that started it, so that thread must live as
        long as the pool does.
        """
        self._popen = spawner.submit(_spawn, memory_mib).result(timeout=30)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._stdin, self._stdout = self._popen.stdin, self._popen.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._buffer = bytearray()
        self.ready = False
        self.task: Any = None
        self.deadline: float | None = time.monotonic() + start_seconds
        """When the start, or the answer in hand, has taken too long (monotonic clock)."""

    @property
    def pid(self) -> int:
        return self._popen.pid

    def fileno(self) -> int:
        """Readable when the worker has said something or has ended."""
        return self._stdout.fileno()

    def ask(self, task: Any, request: dict[str, Any], seconds: float) -> bool:
        """Hand a task to an idle worker; False if the worker turns out to be dead."""
        try:
            self._stdin.write(frames.encode(request))
            self._stdin.flush()
        except OSError:
            return False
        self.task, self.deadline = task, time.monotonic() + seconds
        return True

    def listen(self) -> tuple[dict[str, Any] | None, bool]:
        """Return a whole message, if one has come, and whether the worker still lives."""
        alive = True
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._stdout.fileno(), 1 << 16)
            alive = bool(chunk)
            self._buffer += chunk
        try:
            return frames.take(self._buffer), alive
        except ValueError:
            return None, False

    def kill(self) -> None:
        """End the process and everything it started, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=5)
        for stream in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                stream.close()


def _spawn(memory_mib: int) -> subprocess.Popen[bytes]:
    inherited = os.environ.get("PYTHONPATH")
    env = {k: os.environ[k] for k in _KEPT if k in os.environ}
    env["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])])
    command = [sys.executable, "-m", "services.verification.worker"]
    return subprocess.Popen(
        [*command, str(memory_mib), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
        start_new_session=True,
    )
