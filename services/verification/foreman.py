"""Hands tasks to workers, keeps their time, and replaces those that overrun. No thread here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from services.verification.crew import Crew
from services.verification.kinds import VERDICTS
from services.verification.lane import Lane
from services.verification.lanes import Lanes
from services.verification.process import ProcessorTime, WorkerProcess
from services.verification.task import Task
from services.verification.verdict_memory import Outcome, VerdictMemory

_MAX_ATTEMPTS = 2
_MAX_FAILED_STARTS = 3
_SHARE = 0.02
"""Part of the workers' time that the slow lane gets however many tasks wait in the fast one."""
_IDLENESS = 50.0
"""Seconds in which a task sleeps that count like one in which it works."""


class Foreman:
    """One turn after the other, whenever a worker speaks or a time is up."""

    def __init__(
        self,
        crew: Crew,
        lanes: Lanes,
        memory: VerdictMemory,
        counters: Counter[str],
        timeout_seconds: float,
        conclude: Callable[[Task, Outcome, float], None],
    ) -> None:
        """
        Args:
            conclude: is called once for each task, with its outcome and the time when it was
                handed to the worker that found it (monotonic clock).
        """
        self._crew, self._lanes, self._memory, self._counters = crew, lanes, memory, counters
        self._timeout, self._conclude = timeout_seconds, conclude
        self._spares = 1 + lanes.workers // 2
        """Workers kept idle beyond those in use: they take over at once from one that is killed."""
        self._next_share = float("inf")
        """When the slow lane may begin a task next although the fast one is crowded."""

    def turn(self, spoke: list[WorkerProcess]) -> None:
        """Take in what workers said, end what is overdue, hand out what waits."""
        for worker in spoke:
            self._hear(worker)
        now = time.monotonic()
        self._end_overdue(now)
        self._relieve(now)
        self._give_up()
        self._fill(now)
        self._hand_out_fast()
        self._hand_out_slow(now)

    def next_look(self) -> float:
        """When a turn is due although nobody speaks (monotonic clock)."""
        times = [w.deadline for w in self._crew.workers if w.deadline is not None]
        times += [self._due(w) for w in self._in_the_way()]
        now = time.monotonic()
        if self._lanes.waiting():
            # Once these are over, what is missing is a worker, and that one speaks.
            times += [t for t in (self._next_share, self._crew.may_start_at) if t > now]
        return min(times, default=float("inf"))

    # -- what workers say -------------------------------------------------------------------------

    def _hear(self, worker: WorkerProcess) -> None:
        messages, alive = worker.listen()
        for message in messages:
            if not worker.ready and "ready" in message:
                self._crew.came_up(worker, int(message["ready"]))
                continue
            if not worker.tasks or not _is_response(message, worker.tasks[0]):
                alive = False
                break
            self._take_answer(worker, message)
            if message["last"] or worker.leaving:
                self._release(worker)
                return
        if not alive:
            self._bury(worker)

    def _take_answer(self, worker: WorkerProcess, message: dict[str, Any]) -> None:
        task, handed = worker.tasks.popleft(), worker.since
        worker.begin(self._timeout)
        outcome = Outcome(message["verdict"], message["reason"], message["seconds"])
        self._memory.place(task.shape, self._lanes.answered(message["cpu"]), time.monotonic())
        self._conclude(task, outcome, handed)

    def _release(self, worker: WorkerProcess) -> None:
        """End a worker; what it has not begun goes back to its lane."""
        for task in reversed(worker.tasks):
            self._lanes.put_back(task)
        self._crew.drop(worker)

    def _bury(self, worker: WorkerProcess) -> None:
        """Take in that a worker has died: its task is tried once more, by another."""
        if not worker.ready:
            self._crew.start_failed()
        else:
            self._counters["crashes"] += 1
        if worker.tasks:
            task = worker.tasks[0]
            task.attempts += 1
            if task.attempts < _MAX_ATTEMPTS:
                self._counters["retries"] += 1
            else:
                worker.tasks.popleft()
                self._conclude(task, Outcome("error", "worker_died"), worker.since)
        self._release(worker)

    # -- what takes too long ----------------------------------------------------------------------

    def _end_overdue(self, now: float) -> None:
        for worker in list(self._crew.workers):
            if worker.deadline is None or worker.deadline > now:
                continue
            if not worker.ready:
                self._crew.drop(worker)
                self._crew.start_failed(replace_nursery=True)
                continue
            task, spent = worker.tasks.popleft(), worker.spent()
            self._release(worker)
            self._overran(task, worker.since, spent, now)

    def _overran(self, task: Task, since: float, spent: ProcessorTime | None, now: float) -> None:
        """Conclude a task that is out of time, or try it once more if it hardly had any: its
        worker was ready to run, and others, of this pool or not, had the processor."""
        starved = spent is not None and spent.waited > self._timeout / 2
        if starved and not task.starved:
            task.starved = True
            task.lane = max(task.lane, Lane.SLOW)
            self._counters["starved"] += 1
            self._lanes.add(task)
            return
        self._counters["timeouts"] += 1
        self._memory.quarantine(task.key, now)
        self._memory.suspect(task.shape, Lane.LAST, now)
        self._conclude(task, Outcome("timeout", "wall_clock", self._timeout), since)

    @property
    def _crowded(self) -> bool:
        """Whether tasks wait because all places of the fast lane are taken."""
        return self._lanes.waiting(Lane.FAST) > 0 and len(self._crew.fast) >= self._lanes.workers

    def _in_the_way(self) -> list[WorkerProcess]:
        """Return the workers whose task keeps others of its lane waiting: any, or those that were
        handed to the same worker."""
        crowded = self._crowded
        found = [w for w in self._crew.fast if crowded or len(w.tasks) > 1]
        if self._lanes.waiting(Lane.SLOW) and len(self._crew.slow) >= self._lanes.workers:
            found += [w for w in self._crew.slow if w.tasks and w.tasks[0].lane is Lane.SLOW]
        return found

    def _due(self, worker: WorkerProcess) -> float:
        """When to look whether the task of a worker exceeds its allowance."""
        return max(worker.look_at, worker.since + self._lanes.allowance(worker.tasks[0].lane))

    def _relieve(self, now: float) -> None:
        """Have the slow lane yield the processor if the fast one is crowded, and move on what
        exceeds its allowance and keeps others waiting."""
        crowded = self._crowded
        for worker in self._crew.slow:
            worker.give_way(crowded and not worker.keeps_pace)
        if not crowded:
            self._next_share = float("inf")
        elif self._next_share == float("inf"):
            self._take_share(now)
        for worker in self._in_the_way():
            if self._due(worker) > now:
                continue
            left = self._lanes.allowance(worker.tasks[0].lane) - self._effort(worker, now)
            if left > 0:
                worker.look_at = now + left
            else:
                self._demote(worker, now)
                return  # the next turn sees whether others still wait

    @staticmethod
    def _effort(worker: WorkerProcess, now: float) -> float:
        """Return the seconds that a task has cost its place: those it worked, and part of those in
        which it did nothing although it could. Waiting for a processor is no fault of its own."""
        spent = worker.spent()
        if spent is None:
            return now - worker.since
        idle = max(0.0, now - worker.since - spent.used - spent.waited)
        return spent.used + idle / _IDLENESS

    def _demote(self, worker: WorkerProcess, now: float) -> None:
        """Move the task of a worker to the next lane: at once where it stands if there is room,
        else from its beginning when its turn comes."""
        task = worker.tasks.popleft()
        while worker.tasks:
            self._lanes.put_back(worker.tasks.pop())
            worker.leaving = True
        stays = task.lane is Lane.FAST and len(self._crew.slow) < self._lanes.workers
        task.lane = Lane(task.lane + 1)
        self._counters["demoted"] += 1
        self._memory.suspect(task.shape, task.lane, now)
        if stays:
            worker.tasks.append(task)
            worker.slow = True
            worker.give_way(True)
        else:
            self._lanes.add(task)
            self._crew.drop(worker)

    def _slow_places(self, now: float) -> int:
        """How many workers may be at work in the slow lane."""
        if not self._crowded:
            return self._lanes.workers
        return len(self._crew.slow) + (now >= self._next_share)

    def _take_share(self, now: float) -> None:
        """Put off the slow lane's next turn by what one limit is of its share."""
        self._next_share = now + self._timeout / (_SHARE * self._lanes.workers)

    # -- who gets what ----------------------------------------------------------------------------

    def _give_up(self) -> None:
        """When no worker comes up at all, say so to everybody who waits."""
        if self._crew.failed_starts >= _MAX_FAILED_STARTS and not self._crew.workers:
            self._crew.failed_starts = 0
            for task in self._lanes.drain():
                self._conclude(task, Outcome("error", "no_worker"), time.monotonic())

    def _fill(self, now: float) -> None:
        fast = min(self._lanes.waiting(Lane.FAST), self._lanes.workers - len(self._crew.fast))
        slow = min(
            self._lanes.waiting(Lane.SLOW, Lane.LAST),
            self._slow_places(now) - len(self._crew.slow),
        )
        self._crew.fill(self._spares + max(fast, 0) + max(slow, 0))

    def _hand_out_fast(self) -> None:
        idle = self._crew.idle
        free = self._lanes.workers - len(self._crew.fast)
        while free > 0 and idle and (batch := self._lanes.next_fast()):
            free -= self._hand(idle.pop(), batch)

    def _hand_out_slow(self, now: float) -> None:
        for worker in self._crew.slow:
            if not worker.tasks:
                self._dismiss(worker)
        idle = self._crew.idle
        while idle and len(self._crew.slow) < self._slow_places(now):
            if (task := self._lanes.next_slow()) is None:
                return
            worker = idle.pop()
            worker.slow = True
            if self._crowded:
                worker.keeps_pace = True
                self._take_share(now)
            self._hand(worker, [task])

    def _dismiss(self, worker: WorkerProcess) -> None:
        """Have a worker leave the slow lane."""
        worker.give_way(False)
        if worker.yielding:  # for good: it must not come to the fast lane
            self._crew.drop(worker)
        worker.slow = worker.keeps_pace = False

    def _hand(self, worker: WorkerProcess, tasks: list[Task]) -> bool:
        """Give a worker something to do; False if it turned out to be dead."""
        if self._crew.hand(worker, tasks, self._timeout):
            return True
        self._counters["crashes"] += 1
        self._release(worker)
        return False


def _is_response(message: dict[str, Any], task: Task) -> bool:
    """Whether a worker answers the task; what else it may say comes from one gone astray."""
    return (
        message.get("id") == task.request["id"]
        and message.get("verdict") in VERDICTS
        and {"reason", "seconds", "cpu", "last"} <= message.keys()
    )
