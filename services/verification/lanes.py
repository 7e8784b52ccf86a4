"""Which task is next: a fast and a slow lane, each fair between jobs. No processes here."""

from __future__ import annotations

from collections.abc import Callable

from services.verification.fair_queue import FairQueue
from services.verification.task import Task

LONGEST_BATCH = 8
"""Most tasks that a fast worker is handed at a time."""
_TYPICAL, _FACTOR = 0.025, 4.0
_LEAST_ALLOWANCE, _MOST_ALLOWANCE = 0.02, 0.2
_WEIGHT = 0.02
"""Of one more answer in the running mean of the processor time of answers."""


class Lanes:
    """Tasks begin in the fast lane unless they look slow; those that exceed an allowance there go
    on in the slow lane. In the slow lane, what looks hopeless comes last."""

    def __init__(self, workers: int, hopeless: Callable[[Task], bool]) -> None:
        """
        Args:
            workers: room of either lane, in tasks at work.
            hopeless: whether a task looks like one that overran.
        """
        self.workers = workers
        self._hopeless = hopeless
        self._fast: FairQueue[Task] = FairQueue()
        self._slow: FairQueue[Task] = FairQueue()
        self._last: FairQueue[Task] = FairQueue()
        self._mean = _TYPICAL

    @property
    def fast_waiting(self) -> int:
        return len(self._fast)

    @property
    def slow_waiting(self) -> int:
        return len(self._slow) + len(self._last)

    @property
    def waiting(self) -> int:
        """Tasks that no worker has."""
        return self.fast_waiting + self.slow_waiting

    @property
    def allowance(self) -> float:
        """Seconds of processor time a task gets in the fast lane while others wait: a few times
        what an answer usually takes."""
        return min(max(_FACTOR * self._mean, _LEAST_ALLOWANCE), _MOST_ALLOWANCE)

    def answered(self, cpu: float) -> None:
        """Hear how much processor time an answer took that came, in seconds."""
        self._mean += _WEIGHT * (min(cpu, _MOST_ALLOWANCE) - self._mean)

    def add(self, task: Task) -> None:
        """Put a task behind those of its lane and job."""
        (self._slow if task.slow else self._fast).append(task.job, task)

    def put_back(self, task: Task) -> None:
        """Put a task before all others of its lane: it has waited already."""
        (self._slow if task.slow else self._fast).put_back(task.job, task)

    def next_fast(self) -> list[Task]:
        """Remove what a fast worker is handed next: several tasks if many wait, so that handing
        over takes less time, but never more than leaves each worker its part twice over."""
        size = min(LONGEST_BATCH, max(1, len(self._fast) // (2 * self.workers)))
        batch: list[Task] = []
        while self._fast and len(batch) < size:
            batch.append(self._fast.pop())
        return batch

    def next_slow(self) -> Task | None:
        """Remove what a slow worker is handed next."""
        while self._slow:
            task = self._slow.pop()
            if not self._hopeless(task):
                return task
            self._last.append(task.job, task)
        return self._last.pop() if self._last else None

    def sweep(self) -> list[Task]:
        """Remove and return the tasks that nobody waits for any more."""
        tasks = self.drain()
        for task in tasks:
            if task.wanted:
                self.add(task)
        return [task for task in tasks if not task.wanted]

    def drain(self) -> list[Task]:
        """Remove and return everything."""
        return [*self._fast.drain(), *self._slow.drain(), *self._last.drain()]
