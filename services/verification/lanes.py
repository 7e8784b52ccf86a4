"""Which task is next: three lanes, each fair between jobs. No processes here."""

from __future__ import annotations

from collections.abc import Callable

from services.verification.fair_queue import FairQueue
from services.verification.lane import Lane
from services.verification.task import Task

LONGEST_BATCH = 8
"""Most tasks that a worker is handed at a time."""
_TYPICAL, _FACTOR = 0.0025, 4.0
_LEAST_ALLOWANCE, _MOST_ALLOWANCE = 0.01, 0.2
_WEIGHT = 0.02
"""Of one more answer in the running mean of the processor time of answers."""
_SLOW_FACTOR = 20.0
"""Allowance of the slow lane over that of the fast one."""


class Lanes:
    """Tasks begin in the fast lane unless they look slow. What exceeds the allowance of its lane
    while others wait there goes on in the next one; that of the last is the limit of the pool."""

    def __init__(self, workers: int, looks: Callable[[Task], Lane]) -> None:
        """
        Args:
            workers: tasks at work at a time in the fast lane, and as many in the two others.
            looks: the lane that a task belongs in by what it looks like. It is asked when a task's
                turn has come, for much may have been learnt while it waited.
        """
        self.workers = workers
        self._looks = looks
        self._queues: dict[Lane, FairQueue[Task]] = {lane: FairQueue() for lane in Lane}
        self._mean = _TYPICAL

    def waiting(self, *lanes: Lane) -> int:
        """Return how many tasks wait in some lanes, or in all."""
        return sum(len(self._queues[lane]) for lane in lanes or Lane)

    def lined_up(self, job: str) -> int:
        """Return how many tasks of a job wait in the fast lane."""
        return self._queues[Lane.FAST].waiting(job)

    def allowance(self, lane: Lane) -> float:
        """Return the seconds of processor time a task gets in a lane while others wait: a few times
        what an answer usually takes."""
        if lane is Lane.LAST:
            return float("inf")
        least = min(max(_FACTOR * self._mean, _LEAST_ALLOWANCE), _MOST_ALLOWANCE)
        return least * (_SLOW_FACTOR if lane is Lane.SLOW else 1.0)

    def answered(self, cpu: float) -> Lane:
        """Hear how much processor time an answer took, in seconds; return the lane it was for."""
        self._mean += _WEIGHT * (min(cpu, _MOST_ALLOWANCE) - self._mean)
        return next(lane for lane in Lane if cpu <= self.allowance(lane))

    def add(self, task: Task) -> None:
        """Put a task behind those of its lane and job."""
        self._queues[task.lane].append(task.job, task)

    def put_back(self, task: Task) -> None:
        """Put a task before all others of its lane: it has waited already."""
        self._queues[task.lane].put_back(task.job, task)

    def next_fast(self) -> list[Task]:
        """Remove what a fast worker is handed next: several tasks if many wait, so that handing
        over takes less time, but never more than leaves each worker its part twice over."""
        queue = self._queues[Lane.FAST]
        size = min(LONGEST_BATCH, max(1, len(queue) // (2 * self.workers)))
        batch: list[Task] = []
        while len(batch) < size and (task := self._pop(queue)) is not None:
            batch.append(task)
        return batch

    def next_slow(self) -> Task | None:
        """Remove what is next in the slow lane, or, if nothing is, in the last."""
        return self._pop(self._queues[Lane.SLOW]) or self._pop(self._queues[Lane.LAST])

    def _pop(self, queue: FairQueue[Task]) -> Task | None:
        """Remove the next task of a lane; those that look slower go on to where they belong."""
        while queue:
            task = queue.pop()
            looks = self._looks(task)
            if looks <= task.lane:
                return task
            task.lane = looks
            self.add(task)
        return None

    def sweep(self) -> list[Task]:
        """Remove and return the tasks that nobody waits for any more."""
        tasks = self.drain()
        for task in tasks:
            if task.wanted:
                self.add(task)
        return [task for task in tasks if not task.wanted]

    def drain(self) -> list[Task]:
        """Remove and return everything."""
        return [task for queue in self._queues.values() for task in queue.drain()]
