"""The verification pool: exact answers decided in place, the others in killable processes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from algorithms.trajectory import Judgement
from services.verification import kinds
from services.verification.case import Case
from services.verification.dispatcher import Dispatcher, Timing
from services.verification.extract import extract
from services.verification.settle import Settled, settle
from services.verification.verdict_memory import Outcome, key_of, shape_of

WINDOW = 16_384
"""Most cases of one stream that are taken in before the first of them has its verdict. So many, for
answers that overrun keep none of those behind them waiting as long as they are in it together."""
_PENDING = 16_384
"""Most tasks of one job without a verdict; their answers are in memory, 2 kB at most each."""
_AHEAD = 512
"""Most tasks of one job that wait for a worker and do not look slow. Those taken in beyond half of
that would keep the caller's thread busy, and with it (they share an interpreter) the dispatcher."""
_MAX_OUTPUT = 1 << 20
"""Longest response given to an installed verifier, in characters."""
_STALL_SECONDS = 400.0
"""Longest time without any verdict at all, beyond two limits: workers may have to start anew."""

GAUGES = (
    "exact",
    "cached",
    "quarantined",
    "joined",
    "tasks",
    "timeouts",
    "starved",
    "given_up",
    "demoted",
    "crashes",
    "retries",
    "spawned",
    "workers",
    "busy_fast",
    "busy_slow",
    "waiting",
)
"""What :meth:`VerificationPool.gauges` counts besides verdicts (docs/verification-pool.md)."""

CaseLike = Case | tuple[Any, ...]
"""A :class:`Case`, or a plain tuple of its first two, three or four fields."""


class PoolClosed(RuntimeError):
    """The pool was used after :meth:`VerificationPool.close`, or has failed; its log says why."""


class PoolStalled(RuntimeError):
    """No worker brought a verdict for longer than is possible; the message says how long."""


@dataclass(frozen=True)
class _Question:
    """What a worker has to be asked: the accepted answers left, and the answer in question."""

    case: Case
    well_formed: bool

    @property
    def request(self) -> dict[str, Any]:
        """As it travels."""
        bounds = self.case.tolerance
        return {
            "golds": self.case.golds,
            "answer": self.case.output,
            "policy": self.case.policy,
            "tolerance": None if bounds is None else [bounds.absolute, bounds.relative],
        }


@dataclass(frozen=True)
class _Pending:
    """A judgement that a worker has to make."""

    future: Future[Outcome]
    well_formed: bool


def _done(found: Judgement | _Pending) -> bool:
    return isinstance(found, Judgement) or found.future.done()


class VerificationPool:
    """Judges responses. Thread-safe; calls that name different jobs take turns."""

    def __init__(
        self,
        workers: int,
        timeout_seconds: float,
        memory_mib: int,
        *,
        kind: str = kinds.MATH,
        warm: bool = False,
    ) -> None:
        """Start nothing yet, or with ``warm`` the first workers.

        Args:
            workers: tasks at work at the same time in the fast lane, and as many in the slow one.
            timeout_seconds: wall clock of one answer.
            memory_mib: address space of a worker beyond what its imports need.
            kind: name of the verifier, see :mod:`services.verification.kinds`.

        Raises:
            UnknownKind: no verifier has the name.
        """
        kinds.check(kind)
        self._kind, self._timeout = kind, timeout_seconds
        self._dispatcher = Dispatcher(workers, timeout_seconds, memory_mib, kind)
        self._changed = self._dispatcher.changed
        if warm:
            with self._changed:
                self._dispatcher.start()

    def judge(
        self, cases: Sequence[CaseLike], *, job: str = "", within: float | None = None
    ) -> list[Judgement]:
        """Judge all cases; the order is kept, and each gets exactly one judgement.

        An answer that overruns gets the verdict ``timeout``, one that overran a short while ago
        too (``quarantined``). A worker that died is replaced and its answer tried once more; then
        it is an ``error``.

        Args:
            job: calls of different jobs take turns.
            within: seconds after which what is not judged gets the verdict ``timeout`` with the
                reason ``deadline``; None waits for all.

        Raises:
            PoolClosed: the pool was closed.
            PoolStalled: no worker brought any verdict for too long.
        """
        return list(self.stream(cases, job=job, within=within, window=len(cases)))

    def stream(
        self,
        cases: Iterable[CaseLike | Judgement],
        *,
        job: str = "",
        within: float | None = None,
        window: int = WINDOW,
    ) -> Iterator[Judgement]:
        """Judge cases as they come, of any number; see :meth:`judge`.

        At most ``window`` cases are taken in beyond the one whose judgement is yielded next. A
        judgement among the cases is passed on in its place.
        """
        ends = None if within is None else time.monotonic() + within
        begun: deque[Judgement | _Pending] = deque()
        try:
            for case in cases:
                begun.append(
                    case if isinstance(case, Judgement) else self._begin(Case(*case), job, ends)
                )
                while begun and (len(begun) > window or _done(begun[0])):
                    yield self._finish(begun.popleft(), ends)
            while begun:
                yield self._finish(begun.popleft(), ends)
        finally:
            if left := [p.future for p in begun if isinstance(p, _Pending)]:
                with self._changed:
                    self._dispatcher.abandon(left)

    def gauges(self) -> dict[str, int]:
        """Return counts since the start, and what there is now (docs/verification-pool.md)."""
        with self._changed:
            found = self._dispatcher.gauges()
        verdicts = {k: n for k, n in sorted(found.items()) if k.startswith("verdict_")}
        return {name: found.get(name, 0) for name in GAUGES} | verdicts

    def timings(self) -> list[Timing]:
        """Return how long the newest verdicts of workers took."""
        with self._changed:
            return list(self._dispatcher.timings)

    def pids(self) -> list[int]:
        """Return the process ids of the workers that are up."""
        with self._changed:
            return self._dispatcher.pids()

    def busy(self) -> list[int]:
        """Return the process ids of the workers that are at work on an answer."""
        with self._changed:
            return self._dispatcher.pids(busy=True)

    def close(self) -> None:
        """End every process. Repeating it changes nothing."""
        self._dispatcher.close()

    def __enter__(self) -> VerificationPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- one case -----------------------------------------------------------------------------

    def _begin(self, case: Case, job: str, ends: float | None) -> Judgement | _Pending:
        """Decide a case here, or hand it in."""
        started = time.perf_counter()
        try:
            found = self._open(case)
        except Exception as error:  # whatever a response may trip must not end the others
            reason = f"exception:{type(error).__name__}"
            return self._counted(Judgement("error", reason, False), "exact")
        if isinstance(found, Settled):
            seconds = time.perf_counter() - started
            judgement = Judgement(found.verdict, found.reason, found.well_formed, seconds)
            return self._counted(judgement, "exact")
        return self._hand_in(found, job, ends)

    def _open(self, case: Case) -> Settled | _Question:
        """Return the verdict, or what a worker has to be asked."""
        if self._kind != kinds.MATH:
            well_formed = extract(case.output).well_formed
            if len(case.output) > _MAX_OUTPUT:
                return Settled("unparsable", "too_long", well_formed)
            return _Question(case, well_formed)
        found = settle(case.golds, case.output, case.policy, case.tolerance)
        if isinstance(found, Settled):
            return found
        left = Case(found.golds, found.answer, case.policy, case.tolerance)
        return _Question(left, found.well_formed)

    def _hand_in(self, question: _Question, job: str, ends: float | None) -> Judgement | _Pending:
        key, well_formed = key_of(question.case), question.well_formed
        with self._changed:
            memory = self._dispatcher.memory
            if (known := memory.recall(key)) is not None:
                return self._counted(Judgement(known.verdict, known.reason, well_formed), "cached")
            if memory.quarantined(key, time.monotonic()):
                return self._counted(
                    Judgement("timeout", "quarantined", well_formed), "quarantined"
                )
            if not self._wait_for_room(job, ends):
                return self._counted(Judgement("timeout", "deadline", well_formed), "given_up")
            shape = shape_of(question.case.output)
            future = self._dispatcher.submit(key, question.request, shape, job)
        return _Pending(future, well_formed)

    def _wait_for_room(self, job: str, ends: float | None) -> bool:
        """Wait until the job has not too many tasks without a verdict; False if time is up."""
        began, ahead = time.monotonic(), _AHEAD
        while not self._dispatcher.closed and (
            self._dispatcher.pending(job) >= _PENDING or self._dispatcher.lined_up(job) >= ahead
        ):
            ahead = _AHEAD // 2
            seconds = self._patience(began, ends)
            if seconds <= 0:
                return False
            self._changed.wait(seconds)
        if self._dispatcher.closed:
            raise PoolClosed("the verification pool is closed")
        return True

    def _finish(self, found: Judgement | _Pending, ends: float | None) -> Judgement:
        """Wait for a judgement."""
        if isinstance(found, Judgement):
            return found
        began, seconds = time.monotonic(), 0.0
        while found.future.done() or (seconds := self._patience(began, ends)) > 0:
            try:
                outcome = found.future.result(timeout=seconds)
            except TimeoutError:
                continue
            except CancelledError:
                raise PoolClosed("the verification pool is closed") from None
            judgement = Judgement(
                outcome.verdict, outcome.reason, found.well_formed, outcome.seconds
            )
            return self._counted(judgement)
        with self._changed:
            self._dispatcher.abandon([found.future])
        return self._counted(Judgement("timeout", "deadline", found.well_formed), "given_up")

    def _patience(self, began: float, ends: float | None) -> float:
        """Seconds to wait from now; 0 or less when ``ends`` is over.

        Raises:
            PoolStalled: there was no verdict for too long since ``began``.
        """
        now = time.monotonic()
        limit = _STALL_SECONDS + 2 * self._timeout
        silent = now - max(began, self._dispatcher.last_verdict)
        if silent > limit:
            raise PoolStalled(
                f"no worker of the verification pool brought a verdict for {silent:.0f} s, with a "
                f"limit of {self._timeout:g} s for one answer; look at the machine's load and at "
                "the log of this process"
            )
        return min(limit - silent + 1.0, float("inf") if ends is None else ends - now)

    def _counted(self, judgement: Judgement, how: str | None = None) -> Judgement:
        with self._changed:
            self._dispatcher.counters[f"verdict_{judgement.verdict}"] += 1
            if how is not None:
                self._dispatcher.counters[how] += 1
        return judgement
