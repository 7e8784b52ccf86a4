"""The thread of a pool: takes tasks from any thread, and brings their verdicts."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from services.verification.crew import Crew
from services.verification.foreman import Foreman
from services.verification.lane import Lane
from services.verification.lanes import Lanes
from services.verification.task import Task
from services.verification.verdict_memory import Key, Outcome, VerdictMemory

log = logging.getLogger("laconic.verification")

_IDLE_SECONDS = 60.0
_END_SECONDS = 30.0
_TIMINGS = 20_000


@dataclass(frozen=True)
class Timing:
    """One verdict of a worker, in seconds."""

    verdict: str
    waited: float
    """From being submitted to being handed to the worker that decided it."""
    took: float
    """From being handed to that worker to the verdict."""
    at: float
    """When the verdict came (monotonic clock)."""


class Dispatcher:
    """Starts its thread with the first task. Whoever calls a method holds ``changed``, except
    :meth:`close`."""

    def __init__(self, workers: int, timeout_seconds: float, memory_mib: int, kind: str) -> None:
        """Start nothing yet; the arguments are those of the pool."""
        self.changed = threading.Condition()
        """Notified whenever tasks have gone on: to a worker, to another lane, to their verdict."""
        self.memory = VerdictMemory()
        self.counters: Counter[str] = Counter()
        self.timings: deque[Timing] = deque(maxlen=_TIMINGS)
        """Of the newest verdicts."""
        self.last_verdict = time.monotonic()
        self.closed = False
        """Whether no verdict comes any more."""
        self._lanes = Lanes(workers, self._looks)
        self._crew = Crew(kind, memory_mib)
        self._foreman = Foreman(
            self._crew, self._lanes, self.memory, self.counters, timeout_seconds, self._conclude
        )
        self._open: dict[Key, Task] = {}
        """Tasks without a verdict."""
        self._pending: Counter[str] = Counter()
        """How many those are, by job."""
        self._abandoned = False
        """Whether there may be tasks that nobody waits for any more."""
        self._thread: threading.Thread | None = None
        self._waker = self._alarm = -1
        """Ends of a pipe that has the thread look up."""

    def submit(self, key: Key, request: dict[str, Any], shape: str, job: str) -> Future[Outcome]:
        """Take in a task, or join one that asks the same."""
        future: Future[Outcome] = Future()
        if (task := self._open.get(key)) is not None:
            task.futures.append(future)
            self.counters["joined"] += 1
            return future
        self.counters["tasks"] += 1
        request = {"id": self.counters["tasks"], **request}
        task = Task(key, request, shape, job, [future])
        self._open[key] = task
        self._pending[job] += 1
        self._lanes.add(task)
        if self._thread is None:
            self.start()
        elif self._lanes.waiting(Lane.FAST) == 1:
            # With others before it, there is a turn to come already: when a worker speaks.
            self._wake()
        return future

    def abandon(self, futures: Iterable[Future[Outcome]]) -> None:
        """Forget tasks that no worker has begun, as far as nobody else waits for them."""
        for future in futures:
            future.cancel()
        self._abandoned = True
        self._wake()

    def pending(self, job: str) -> int:
        """Return how many tasks of a job are without a verdict."""
        return self._pending[job]

    def lined_up(self, job: str) -> int:
        """Return how many of them are new and wait for a worker."""
        return self._lanes.lined_up(job)

    def start(self) -> None:
        """Start the thread, and with it spare workers."""
        if self._thread is None and not self.closed:
            self._waker, self._alarm = os.pipe()
            os.set_blocking(self._waker, False)
            os.set_blocking(self._alarm, False)
            self._thread = threading.Thread(
                target=self._run, name="verification-dispatcher", daemon=True
            )
            self._thread.start()
            self._wake()

    def gauges(self) -> dict[str, int]:
        """Return the counters, and what there is now."""
        return {
            **self.counters,
            "spawned": self._crew.spawned,
            "workers": sum(w.ready for w in self._crew.workers),
            "busy_fast": len(self._crew.fast),
            "busy_slow": sum(bool(w.tasks) for w in self._crew.slow),
            "waiting": self._lanes.waiting(),
        }

    def pids(self, *, busy: bool = False) -> list[int]:
        """Return the process ids of the workers that are up, or of those at work."""
        there = [w for w in self._crew.workers if w.ready and (w.tasks or not busy)]
        return [w.pid for w in there if w.pid is not None]

    def close(self) -> None:
        """End the thread and every process; tasks without a verdict are cancelled."""
        with self.changed:
            self.closed = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._wake()
        if thread is not None:
            thread.join(timeout=_END_SECONDS)
            for fd in (self._waker, self._alarm):
                os.close(fd)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._alarm, b"!")

    def _run(self) -> None:
        try:
            self._crew.add_waker(self._waker)
            while not self.closed:
                self._turn()
        except BaseException:
            log.exception("a verification pool failed; it gives no verdict any more")
        finally:
            with self.changed:
                self.closed = True
                self._crew.close()
                for task in self._open.values():
                    for future in task.futures:
                        future.cancel()
                self._open.clear()
                self.changed.notify_all()

    def _turn(self) -> None:
        with self.changed:
            due = self._foreman.next_look()
        spoke = self._crew.wait(min(due - time.monotonic(), _IDLE_SECONDS))
        with contextlib.suppress(BlockingIOError):
            os.read(self._waker, 4096)
        with self.changed:
            if self._abandoned:
                self._abandoned = False
                for task in self._lanes.sweep():
                    self._forget(task)
            self._foreman.turn(spoke)
            self.changed.notify_all()

    def _looks(self, task: Task) -> Lane:
        return self.memory.lane_of(task.shape, time.monotonic())

    def _conclude(self, task: Task, outcome: Outcome, handed: float) -> None:
        now = time.monotonic()
        self._forget(task)
        self.memory.keep(task.key, outcome)
        self.timings.append(Timing(outcome.verdict, handed - task.queued, now - handed, now))
        self.last_verdict = now
        for future in task.futures:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)

    def _forget(self, task: Task) -> None:
        del self._open[task.key]
        self._pending[task.job] -= 1
        if not self._pending[task.job]:
            del self._pending[task.job]
