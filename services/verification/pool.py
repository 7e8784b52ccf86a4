"""The verification pool: exact answers decided in place, the others in killable processes."""

from __future__ import annotations

import select
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from algorithms.trajectory import Judgement
from services.verification.process import WorkerProcess
from services.verification.settle import Settled, settle

_START_SECONDS = 60.0
"""Longest start of a worker: it imports sympy, on a busy machine."""
_MAX_ATTEMPTS = 2
_CACHE_SIZE = 10_000
_CACHED = ("correct", "incorrect", "unparsable")
"""Verdicts about the answer; a timeout or an error is about this attempt and is not kept."""

Key = tuple[tuple[str, ...], str]


@dataclass
class _Task:
    """An answer that the exact layers left open."""

    index: int
    golds: tuple[str, ...]
    answer: str
    well_formed: bool
    attempts: int = 0

    @property
    def key(self) -> Key:
        return self.golds, self.answer


class PoolClosed(RuntimeError):
    """The pool was used after :meth:`VerificationPool.close`."""


class VerificationPool:
    """Judges responses. One caller at a time; call from any thread, e.g. of a Ray actor."""

    def __init__(
        self, workers: int, timeout_seconds: float, memory_mib: int, *, warm: bool = False
    ) -> None:
        """Start nothing yet, or with ``warm`` all workers.

        Args:
            timeout_seconds: wall clock of one answer.
            memory_mib: address space of a worker beyond what its imports need.
        """
        self._wanted = workers
        self._timeout = timeout_seconds
        self._memory_mib = memory_mib
        self._workers: list[WorkerProcess] = []
        self._peak = 0
        """Most workers that were ever needed."""
        self._counters: Counter[str] = Counter()
        self._cache: OrderedDict[Key, tuple[Any, str]] = OrderedDict()
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="verification-spawner")
        self._closed = False
        if warm:
            self._fill(self._wanted)

    def judge(self, items: Sequence[tuple[tuple[str, ...], str]]) -> list[Judgement]:
        """Judge ``(accepted answers, response text)`` pairs; the order is kept.

        Ends after at most (timeout + start of a replacement) x attempts for each answer given to a
        worker, shared among the workers; an answer that overruns gets the verdict ``timeout``.
        A worker that died is replaced and its answer tried once more; then it is an ``error``.

        Raises:
            PoolClosed: the pool was closed.
        """
        if self._closed:
            raise PoolClosed("the verification pool is closed")
        judgements: list[Judgement | None] = [None] * len(items)
        tasks: deque[_Task] = deque()
        for index, (gold, text) in enumerate(items):
            settled = self._settle(index, gold, text)
            if isinstance(settled, Judgement):
                judgements[index] = settled
            else:
                tasks.append(settled)
        if tasks:
            self._run(tasks, judgements)
            self._fill(self._peak)  # replacements warm up while the caller does something else
        done = [j for j in judgements if j is not None]
        assert len(done) == len(items)
        self._counters.update(f"verdict_{j.verdict}" for j in done)
        return done

    def gauges(self) -> dict[str, int]:
        """Return counts since the start, and the worker processes that are up now."""
        names = ("exact", "cached", "symbolic", "timeouts", "crashes", "retries", "spawned")
        verdicts = {k: n for k, n in sorted(self._counters.items()) if k.startswith("verdict_")}
        return {n: self._counters[n] for n in names} | verdicts | {"workers": len(self._workers)}

    def pids(self) -> list[int]:
        """Return the process ids of the workers."""
        return [w.pid for w in list(self._workers)]

    def busy(self) -> list[int]:
        """Return the process ids of the workers that are at work on an answer."""
        return [w.pid for w in list(self._workers) if w.task is not None]

    def close(self) -> None:
        """Kill the workers. Repeating it changes nothing."""
        self._closed = True
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        self._spawner.shutdown(wait=False)

    def __enter__(self) -> VerificationPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- in this process ----------------------------------------------------------------------

    def _settle(self, index: int, gold: tuple[str, ...], text: str) -> Judgement | _Task:
        """Decide a response without a worker, or say what a worker has to decide."""
        started = time.perf_counter()
        found = settle(gold, text)
        if isinstance(found, Settled):
            self._counters["exact"] += 1
            seconds = time.perf_counter() - started
            return Judgement(found.verdict, found.reason, found.well_formed, seconds)
        task = _Task(index, found.golds, found.answer, found.well_formed)
        if (known := self._cache.get(task.key)) is not None:
            self._cache.move_to_end(task.key)
            self._counters["cached"] += 1
            return Judgement(known[0], known[1], found.well_formed, 0.0)
        return task

    # -- in worker processes ------------------------------------------------------------------

    def _run(self, tasks: deque[_Task], judgements: list[Judgement | None]) -> None:
        """Have the workers decide every task, replacing those that die or overrun."""
        left = len(tasks)
        failed_starts = 0
        while left:
            busy = sum(w.task is not None for w in self._workers)
            self._fill(min(self._wanted, busy + len(tasks)))
            self._assign(tasks)
            for worker in self._wait():
                before = worker.ready
                outcome, gone = self._progress(worker)
                if gone:
                    self._drop(worker)
                    failed_starts = failed_starts if before else failed_starts + 1
                if outcome is None:
                    continue
                task, verdict, reason, seconds = outcome
                if verdict is None:
                    task.attempts += 1
                    if task.attempts < _MAX_ATTEMPTS:
                        self._counters["retries"] += 1
                        tasks.appendleft(task)
                        continue
                    verdict = "error"
                judgements[task.index] = self._conclude(task, verdict, reason, seconds)
                left -= 1
            if failed_starts >= _MAX_ATTEMPTS * self._wanted and len(tasks) == left:
                for task in tasks:
                    judgements[task.index] = self._conclude(task, "error", "no_worker", 0.0)
                return

    def _conclude(self, task: _Task, verdict: Any, reason: str, seconds: float) -> Judgement:
        self._counters["symbolic"] += 1
        if verdict in _CACHED:
            self._cache[task.key] = (verdict, reason)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        return Judgement(verdict, reason, task.well_formed, seconds)

    def _fill(self, wanted: int) -> None:
        self._peak = max(self._peak, wanted)
        while len(self._workers) < wanted:
            self._workers.append(WorkerProcess(self._memory_mib, _START_SECONDS, self._spawner))
            self._counters["spawned"] += 1

    def _assign(self, tasks: deque[_Task]) -> None:
        """Give tasks to idle workers; an idle worker found dead is replaced at the next turn."""
        for worker in [w for w in self._workers if w.ready and w.task is None]:
            if not tasks:
                return
            task = tasks[0]
            request = {"id": task.index, "golds": task.golds, "answer": task.answer}
            if worker.ask(task, request, self._timeout):
                tasks.popleft()
            else:
                self._counters["crashes"] += 1
                self._drop(worker)

    def _wait(self) -> list[WorkerProcess]:
        """Wait for a worker to speak, end or overrun; return those that did."""
        deadlines = [w.deadline for w in self._workers if w.deadline is not None]
        seconds = max(0.0, min(deadlines, default=0.0) - time.monotonic())
        poll = select.poll()
        by_fd = {w.fileno(): w for w in self._workers}
        for fd in by_fd:
            poll.register(fd, select.POLLIN | select.POLLHUP | select.POLLERR)
        spoke = [by_fd[fd] for fd, _ in poll.poll(1000 * seconds + 1)]
        now = time.monotonic()
        late = [w for w in self._workers if w.deadline is not None and w.deadline <= now]
        return spoke + [w for w in late if w not in spoke]

    def _progress(self, worker: WorkerProcess) -> tuple[tuple[_Task, Any, str, float] | None, bool]:
        """Read a worker: what became of its task (verdict None: died), and whether it is gone."""
        message, alive = worker.listen()
        task: _Task | None = worker.task
        if message is not None and "ready" in message:
            worker.ready, worker.deadline = True, None
            return None, not alive
        if message is not None and task is not None and message.get("id") == task.index:
            worker.task, worker.deadline = None, None
            outcome = (task, message["verdict"], message["reason"], message["seconds"])
            return outcome, not alive or message["last"]
        if not alive:
            self._counters["crashes"] += 1
            return (task, None, "worker_died", 0.0) if task is not None else None, True
        if worker.deadline is not None and worker.deadline <= time.monotonic():
            if task is None:
                return None, True
            self._counters["timeouts"] += 1
            return (task, "timeout", "wall_clock", self._timeout), True
        return None, False

    def _drop(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        worker.kill()
