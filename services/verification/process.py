"""The processes of a pool as the pool sees them: the nursery and the workers forked from it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.verification import frames
from services.verification.nursery import receive, send
from services.verification.task import Task

_ROOT = Path(__file__).resolve().parents[2]
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
"""Environment passed on: a process that works on model output gets no secrets."""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""The nursery forks, and a fork copies one thread only."""
_CHUNK = 1 << 16


@dataclass(frozen=True)
class ProcessorTime:
    """Of one process since its start, in seconds."""

    used: float
    waited: float
    """Ready to run while others ran."""


class WorkerProcess:
    """A worker that is starting, idle or busy. Not thread-safe."""

    def __init__(self, channel: socket.socket, start_seconds: float) -> None:
        self._channel = channel
        self._channel.setblocking(False)
        self._incoming, self._outgoing = bytearray(), bytearray()
        self._handle: int | None = None
        self.pid: int | None = None
        """None until the nursery has said it."""
        self.ready = False
        self.slow = False
        """Whether it is in the slow lane."""
        self.yielding = False
        """Whether it runs only when nobody else wants the processor."""
        self.keeps_pace = False
        """Whether it never yields: it works in the slow lane's guaranteed share."""
        self.leaving = False
        """Whether it ends once it has answered: it was asked what others answer by now."""
        self.tasks: deque[Task] = deque()
        """What it was asked and has not answered; it is at work on the first."""
        self.since = time.monotonic()
        """When the first of the tasks was its turn (monotonic clock)."""
        self.deadline: float | None = self.since + start_seconds
        """When the start, or the first of the tasks, has taken too long (monotonic clock)."""
        self.look_at = 0.0
        """When to look next whether the first of the tasks takes long (monotonic clock)."""
        self._before = ProcessorTime(0.0, 0.0)

    def fileno(self) -> int:
        """Readable when the worker has said something or has ended."""
        return self._channel.fileno()

    @property
    def unsent(self) -> bool:
        """Whether a request still waits for the worker to read."""
        return bool(self._outgoing)

    def adopt(self, pid: int, handle: int) -> None:
        """Take over the process id and the file descriptor that stands for the process."""
        self.pid, self._handle = pid, handle

    def ask(self, tasks: list[Task], seconds: float) -> bool:
        """Hand tasks to an idle worker, the first to begin now; False if it turns out to be
        dead, and none of them was begun."""
        self.tasks.extend(tasks)
        for task in tasks:
            self._outgoing += frames.encode(task.request)
        self.begin(seconds)
        return self.flush()

    def begin(self, seconds: float) -> None:
        """Start the clock of the first task, or stop it if there is none."""
        self.since = time.monotonic()
        self.deadline = self.since + seconds if self.tasks else None
        self.look_at = self.since
        if self.tasks:
            self._before = self._times() or self._before

    def flush(self) -> bool:
        """Send as much as the worker takes without waiting; False if it is dead."""
        try:
            while self._outgoing:
                sent = self._channel.send(self._outgoing[:_CHUNK])
                del self._outgoing[:sent]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def listen(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the whole messages that have come, and whether the worker still lives."""
        alive = True
        try:
            chunk = self._channel.recv(_CHUNK)
            alive = bool(chunk)
            self._incoming += chunk
        except BlockingIOError:
            pass
        except OSError:
            alive = False
        messages = []
        try:
            while (message := frames.take(self._incoming)) is not None:
                messages.append(message)
        except ValueError:
            alive = False
        return messages, alive

    def spent(self) -> ProcessorTime | None:
        """Return the processor time since the first task began; None if the system keeps none."""
        now = self._times()
        if now is None:
            return None
        used = now.used - self._before.used
        if self._wants_processor():
            # What it waits for at this moment, the system counts only when it is over.
            return ProcessorTime(used, max(0.0, time.monotonic() - self.since - used))
        return ProcessorTime(used, now.waited - self._before.waited)

    def _times(self) -> ProcessorTime | None:
        try:
            with open(f"/proc/{self.pid}/schedstat") as f:
                used, waited, _ = f.read().split()
        except (OSError, ValueError):
            return None
        return ProcessorTime(int(used) / 1e9, int(waited) / 1e9)

    def _wants_processor(self) -> bool:
        try:
            with open(f"/proc/{self.pid}/stat") as f:
                return f.read().rpartition(")")[2].split()[0] == "R"
        except (OSError, IndexError):
            return False

    def give_way(self, yielding: bool) -> None:
        """Run only when nobody else wants the processor, or as usual again.

        The latter takes a privilege; without it the worker goes on yielding.
        """
        if yielding == self.yielding or self.pid is None:
            return
        policy = os.SCHED_IDLE if yielding else os.SCHED_OTHER
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.sched_setscheduler(self.pid, policy, os.sched_param(0))
            self.yielding = yielding

    def kill(self) -> None:
        """End the process; the nursery reaps it, and ends what it has started."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
            self._handle = None
        # One whose process id is not known yet ends when it finds its stream closed.
        self._channel.close()


class NurseryProcess:
    """The process that forks workers. Not thread-safe; the kernel ends it with the *thread* that
    made this object, so that thread must live as long as it."""

    def __init__(self, kind: str, memory_mib: int) -> None:
        """Start the process and return at once; what it is asked meanwhile waits."""
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._expected: deque[WorkerProcess] = deque()
        """Workers asked for whose process id has not come yet."""
        with other:
            module = [sys.executable, "-m", "services.verification.nursery"]
            numbers = [str(memory_mib), str(os.getpid())]
            self._popen = subprocess.Popen(
                [*module, str(other.fileno()), kind, *numbers],
                stdin=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=(other.fileno(),),
                start_new_session=True,
            )
        self.failure = ""
        """What the process said before it gave up."""

    def fileno(self) -> int:
        """Readable when the nursery has said something or has ended."""
        return self._control.fileno()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def fork(self, start_seconds: float) -> WorkerProcess | None:
        """Ask for a worker; None if the nursery takes no request."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                send(self._control, {}, theirs.fileno())
            except OSError:
                ours.close()
                return None
        worker = WorkerProcess(ours, start_seconds)
        self._expected.append(worker)
        return worker

    def listen(self) -> bool:
        """Take in process ids; False when the nursery has ended."""
        while True:
            try:
                found = receive(self._control)
            except BlockingIOError:
                return True
            if found is None:
                return False
            message, handles = found
            if "failed" in message:
                self.failure = str(message["failed"])
            if self._expected:
                worker = self._expected.popleft()
                if handles and worker.fileno() != -1:
                    worker.adopt(int(str(message["pid"])), handles.pop())
            for handle in handles:  # of a worker that was given up meanwhile
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                os.close(handle)

    def close(self) -> None:
        """End the nursery, and with it every worker; reap it."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=2)
            return
        self._popen.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=5)


def _environment() -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    env = {k: os.environ[k] for k in _KEPT if k in os.environ}
    env["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])])
    return env | dict.fromkeys(_ONE_THREAD, "1")
