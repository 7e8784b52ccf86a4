"""The worker processes of a pool: who is free, who is at work, and where new ones come from."""

from __future__ import annotations

import logging
import selectors
import time

from services.verification.process import NurseryProcess, WorkerProcess
from services.verification.task import Task

log = logging.getLogger("laconic.verification")

START_SECONDS = 300.0
"""Longest start of a worker. The first ones wait for the nursery's imports: two seconds of
processor time, which may take minutes on a machine that is far too busy."""
_PAUSE_SECONDS = 0.5
"""Between a failed start and the next."""


class Crew:
    """Workers and nursery of one pool. Used by one thread, which must live as long as it does."""

    def __init__(self, kind: str, memory_mib: int) -> None:
        """Start nothing yet."""
        self._kind, self._memory_mib = kind, memory_mib
        self._nursery: NurseryProcess | None = None
        self._selector = selectors.DefaultSelector()
        self.workers: list[WorkerProcess] = []
        self.spawned = 0
        self.failed_starts = 0
        """Since a worker last came up."""
        self.may_start_at = 0.0
        """When the pause after a failed start is over (monotonic clock)."""

    # -- who is there -----------------------------------------------------------------------------

    @property
    def idle(self) -> list[WorkerProcess]:
        """Workers ready for either lane."""
        return [w for w in self.workers if w.ready and not w.tasks and not w.slow]

    @property
    def fast(self) -> list[WorkerProcess]:
        """Workers at work in the fast lane."""
        return [w for w in self.workers if w.tasks and not w.slow]

    @property
    def slow(self) -> list[WorkerProcess]:
        """Workers of the slow lane, those without a task too."""
        return [w for w in self.workers if w.slow]

    # -- who comes and goes -----------------------------------------------------------------------

    def fill(self, wanted: int) -> None:
        """Have as many idle workers as wanted, those that are starting counted."""
        missing = wanted - sum(not w.tasks and not w.slow for w in self.workers)
        if missing <= 0 or time.monotonic() < self.may_start_at:
            return
        if self._nursery is None:
            self._nursery = NurseryProcess(self._kind, self._memory_mib)
            self._selector.register(self._nursery, selectors.EVENT_READ)
        for _ in range(missing):
            worker = self._nursery.fork(START_SECONDS)
            if worker is None:
                self.start_failed(replace_nursery=True)
                return
            self.workers.append(worker)
            self.spawned += 1
            self._selector.register(worker, selectors.EVENT_READ)

    def hand(self, worker: WorkerProcess, tasks: list[Task], seconds: float) -> bool:
        """Give an idle worker something to do; False if it turns out to be dead."""
        alive = worker.ask(tasks, seconds)
        self._watch(worker)
        return alive

    def drop(self, worker: WorkerProcess) -> None:
        """Kill a worker and forget it."""
        self.workers.remove(worker)
        self._selector.unregister(worker)
        worker.kill()

    def came_up(self, worker: WorkerProcess, pid: int) -> None:
        """Take in that a worker is ready."""
        worker.ready, worker.pid, worker.deadline = True, pid, None
        self.failed_starts = 0

    def start_failed(self, *, replace_nursery: bool = False) -> None:
        """Take in that workers did not come up; the next start waits a moment.

        Every worker that came from the nursery ends with it.
        """
        if replace_nursery:
            self._close_nursery()
        now = time.monotonic()
        if now >= self.may_start_at:  # several that end together are one failure
            self.failed_starts += 1
            self.may_start_at = now + _PAUSE_SECONDS

    # -- who has something to say -----------------------------------------------------------------

    def add_waker(self, fd: int) -> None:
        """Have :meth:`wait` return when ``fd`` becomes readable."""
        self._selector.register(fd, selectors.EVENT_READ)

    def wait(self, seconds: float) -> list[WorkerProcess]:
        """Wait until a worker speaks or ends or a waker is readable; return those workers."""
        spoke: list[WorkerProcess] = []
        for key, events in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._nursery:
                self._hear_nursery()
            elif isinstance(key.fileobj, WorkerProcess):
                if events & selectors.EVENT_WRITE:
                    key.fileobj.flush()
                    self._watch(key.fileobj)
                if events & selectors.EVENT_READ:
                    spoke.append(key.fileobj)
        return spoke

    def _watch(self, worker: WorkerProcess) -> None:
        """Have :meth:`wait` send on what the worker had no room for yet."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
        if self._selector.get_key(worker).events != events:
            self._selector.modify(worker, events)

    def _hear_nursery(self) -> None:
        if self._nursery is None or self._nursery.listen():
            return
        if self._nursery.failure:
            log.error("verification workers cannot start: %s", self._nursery.failure)
        self._close_nursery()

    def _close_nursery(self) -> None:
        if self._nursery is not None:
            self._selector.unregister(self._nursery)
            self._nursery.close()
            self._nursery = None

    def close(self) -> None:
        """End every process. Repeating it changes nothing."""
        for worker in list(self.workers):
            self.drop(worker)
        self._close_nursery()
        self._selector.close()
