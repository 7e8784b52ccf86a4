"""Bounded waits that keep an eye on everything else: commands, lost workers, the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import ray

_TICK_SECONDS = 0.25


class WaitTimeout(TimeoutError):
    """Something did not come in time; the message says what was waited for, and how long."""


class Waiter:
    """Waits for remote results. ``on_tick`` runs at every tick and may raise to end the wait.

    What is waited for has all of its time to itself: how long a tick takes (a job store may be
    away) does not count, and nothing is given up that was not looked at after its time was over.
    """

    def __init__(self, on_tick: Callable[[], None]) -> None:
        self._on_tick = on_tick

    def all(self, refs: Sequence[ray.ObjectRef[Any]], seconds: float, what: str) -> list[Any]:
        """Return the results in order.

        Raises:
            WaitTimeout: not all were there after ``seconds``.
        """
        pending, deadline = list(refs), time.monotonic() + seconds
        while pending:
            over = time.monotonic() > deadline
            done, pending = ray.wait(
                pending, num_returns=1, timeout=0 if over else _TICK_SECONDS, fetch_local=False
            )
            # A failed call raises here, before the rest has been waited for.
            ray.get(done)
            deadline += self._tick()
            if over and pending and not done:
                raise WaitTimeout(
                    f"waited {seconds:.0f} s for {what}; {len(pending)} of {len(refs)} still out"
                )
        return list(ray.get(list(refs)))

    def one(self, ref: ray.ObjectRef[Any], seconds: float, what: str) -> Any:
        """Return one result, as :meth:`all` does."""
        return self.all([ref], seconds, what)[0]

    def until(self, poll: Callable[[], Any], seconds: float, what: str) -> Any:
        """Return the first value of ``poll`` that is not None."""
        deadline = time.monotonic() + seconds
        over = False
        while (value := poll()) is None:
            if over:
                raise WaitTimeout(f"waited {seconds:.0f} s for {what}")
            deadline += self._tick()
            over = time.monotonic() > deadline
        return value

    def _tick(self) -> float:
        """Run the tick; return how long it took, in seconds."""
        started = time.monotonic()
        self._on_tick()
        return time.monotonic() - started
