"""The queue between generators and learners: references, leases and balanced accounting."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from services.replay_ledger import ReplayLedger
from services.replay_records import LedgerError, State
from services.spec.job import ReplaySpec

T = TypeVar("T")

_TICK_SECONDS = 0.25
"""Longest sleep of a wait: how late an expired lease is noticed."""
_RESULTS_KEPT = 256


@dataclass
class _Work:
    """One item for the learner, from :meth:`ReplayQueue.put_work` to its result."""

    item: dict[str, Any]
    lease: str | None = None
    """Newest lease under which it was handed out."""
    consumer: str | None = None
    deliveries: int = 0

    @property
    def groups(self) -> list[str]:
        return list(self.item.get("groups", ()))


class ReplayQueue:
    """Thin shell around :class:`ReplayLedger`, to be run as an asyncio Ray actor.

    It holds references into the object store and never a payload: callers pass each reference
    inside a list of its own, which Ray leaves unresolved. Methods named as in the ledger do the
    same. All methods run on one event loop, so none sees another half done; every wait is bounded.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        settings = ReplaySpec.model_validate(spec)
        self._ledger = ReplayLedger(settings.max_staleness)
        self._lease_seconds = settings.lease_seconds
        self._work: dict[int, _Work] = {}
        self._queued: deque[int] = deque()
        self._results: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Condition()

    # -- the ledger's moves -------------------------------------------------------------------

    async def admit(self, group_id: str, size: int, stage: str, version: int) -> None:
        await self._change(lambda: self._ledger.admit(group_id, size, stage, version))

    async def admit_all(self, groups: Sequence[tuple[str, int, str, int]]) -> None:
        """Admit ``(group_id, size, stage, version)`` and mark them as being generated."""

        def admit() -> None:
            for group in groups:
                self._ledger.admit(*group)
            self._ledger.start_generating([group[0] for group in groups])

        await self._change(admit)

    async def start_generating(self, group_ids: list[str]) -> None:
        await self._change(lambda: self._ledger.start_generating(group_ids))

    async def commit_generated(
        self, group_id: str, ref: list[Any], version: int | None = None
    ) -> bool:
        """``ref``: the trajectory reference in a list of its own."""
        return await self._change(lambda: self._ledger.commit_generated(group_id, ref, version))

    async def commit_generated_all(self, groups: Sequence[tuple[str, list[Any]]]) -> None:
        """Commit ``(group_id, [trajectory reference])`` for each group."""
        for group_id, ref in groups:
            await self.commit_generated(group_id, ref)

    async def commit_scored(
        self, group_id: str, ref: list[Any], dispositions: Sequence[str]
    ) -> bool:
        """``ref``: the reference to the score columns in a list of its own."""
        return await self._change(lambda: self._ledger.commit_scored(group_id, ref, dispositions))

    async def commit_scored_all(
        self, groups: Sequence[tuple[str, list[Any], Sequence[str]]]
    ) -> None:
        """Commit ``(group_id, [score reference], dispositions)`` for each group."""
        for group_id, ref, dispositions in groups:
            await self.commit_scored(group_id, ref, dispositions)

    async def exclude(self, group_ids: list[str], reason: str) -> int:
        return await self._change(lambda: self._ledger.exclude(group_ids, reason))

    async def withdraw(self, group_ids: list[str]) -> None:
        await self._change(lambda: self._ledger.withdraw(group_ids))

    async def set_version(self, version: int) -> None:
        await self._change(lambda: self._ledger.set_version(version))

    async def wait_lease(
        self, consumer: str, timeout: float, count: int = 1
    ) -> dict[str, Any] | None:
        """Lease the ``count`` groups that were admitted first, once so many are ready.

        Returns:
            ``id``, ``consumer``, ``groups``, ``expires_at`` and ``refs``: per group the trajectory
            and the score reference. None after ``timeout`` seconds.
        """

        def poll() -> dict[str, Any] | None:
            lease = self._ledger.lease(count, consumer, time.monotonic(), self._lease_seconds)
            return None if lease is None else {**asdict(lease), "refs": self._refs(lease.groups)}

        return await self._until(poll, timeout)

    async def renew(self, lease_id: str) -> float:
        """Let the lease run its full time again from now; return its new end (monotonic clock)."""
        return await self._change(
            lambda: self._ledger.renew(lease_id, time.monotonic(), self._lease_seconds).expires_at
        )

    async def acknowledge(
        self, lease_id: str, group_ids: list[str] | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Return group ids under ``trained``, ``repeated`` and ``refused``."""
        return await self._change(lambda: asdict(self._ledger.acknowledge(lease_id, group_ids)))

    async def release(self, lease_id: str) -> tuple[str, ...]:
        return await self._change(lambda: self._ledger.release(lease_id))

    # -- work for the learner -----------------------------------------------------------------

    async def put_work(self, item: dict[str, Any]) -> None:
        """Queue an item: ``work_id``, ``kind`` and whatever the learner needs.

        An item with ``groups`` (ids) is handed out with a lease on them. Putting an item again
        changes nothing.

        Raises:
            LedgerError: a group named is not ready.
        """
        work_id = int(item["work_id"])
        if work_id in self._work or work_id in self._results:
            return
        work = _Work(dict(item))
        for group_id in work.groups:
            self._ledger.refs(group_id)

        def put() -> None:
            self._work[work_id] = work
            self._queued.append(work_id)

        await self._change(put)

    async def next_work(self, consumer: str, timeout: float) -> dict[str, Any] | None:
        """Hand the next item to a consumer; None if there was none for ``timeout`` seconds.

        The item gains ``lease_id`` and, with ``groups``, ``refs`` (per group id the trajectory and
        the score reference). Groups that ended meanwhile, e.g. as stale, are left out of
        ``groups`` and named under ``dropped``. A consumer works on one item at a time: asking
        again means that it lost the one it held, which goes back to the head of the queue.
        """
        for work in self._work.values():
            if work.consumer == consumer and work.lease is not None:
                self._ledger.release(work.lease)
        return await self._until(lambda: self._hand_out(consumer), timeout)

    async def complete_work(
        self, work_id: int, result: dict[str, Any], lease_id: str | None = None
    ) -> bool:
        """Take the result of an item and acknowledge its groups; repeating it changes nothing.

        A result with ``error`` trains nothing: its groups are ready again, for the driver to end.

        Args:
            lease_id: the one that came with the item. It may be left out only while the item has
                been handed out once, for then there is nobody to confuse the caller with.

        Returns:
            False if it is refused: the item was handed to someone else since. The caller must
            discard what it did.
        """
        work = self._work.get(work_id)
        if work is None:
            return work_id in self._results
        if work.lease is None or (lease_id or work.lease) != work.lease:
            return False
        if lease_id is None and work.deliveries > 1:
            return False

        def complete() -> bool:
            if "error" in result:
                self._ledger.release(str(work.lease))
                self._finish(work_id, result)
            else:
                refused = self._ledger.acknowledge(str(work.lease)).refused
                # Groups that the driver ended meanwhile stay as it ended them.
                self._finish(work_id, {**result, "refused": list(refused)})
            return True

        return await self._change(complete)

    async def wait_result(self, work_id: int, timeout: float) -> dict[str, Any] | None:
        """Return the result of an item, or None if it is not there after ``timeout`` seconds."""
        return await self._until(lambda: self._results.get(work_id), timeout)

    # -- reading ------------------------------------------------------------------------------

    async def in_state(self, state: State) -> tuple[str, ...]:
        return self._ledger.in_state(state)

    async def counts(self) -> dict[str, Any]:
        return self._ledger.counts()

    async def gauges(self) -> dict[str, int]:
        """Return the ledger's gauges and the number of items queued and handed out."""
        queued = len(self._queued)
        return {
            **self._ledger.gauges(),
            "work_queued": queued,
            "work_out": len(self._work) - queued,
        }

    async def state_dict(self) -> dict[str, Any]:
        return self._ledger.state_dict()

    async def load_state_dict(self, state: dict[str, Any]) -> tuple[str, ...]:
        return await self._change(lambda: self._ledger.load_state_dict(state))

    # -- inside -------------------------------------------------------------------------------

    def _refs(self, group_ids: Sequence[str]) -> dict[str, list[Any]]:
        return {g: [r for ref in self._ledger.refs(g) for r in ref] for g in group_ids}

    def _hand_out(self, consumer: str) -> dict[str, Any] | None:
        """Lease and return the first queued item that can be handed out."""
        self._requeue_lost()
        while self._queued:
            work_id = self._queued.popleft()
            try:
                item = self._deliver(self._work[work_id], consumer)
            except LedgerError as e:
                # The driver asked for something impossible; the learner must not die of it.
                self._fail(work_id, str(e))
                continue
            if item is not None:
                return item
            self._fail(work_id, "none of its groups is left")
        return None

    def _deliver(self, work: _Work, consumer: str) -> dict[str, Any] | None:
        wanted = [g for g in work.groups if not self._ledger.ended(g)]
        lease = self._ledger.lease(wanted, consumer, time.monotonic(), self._lease_seconds)
        if lease is None or (work.groups and not lease.groups):
            return None
        work.lease, work.consumer = lease.id, consumer
        work.deliveries += 1
        item = {**work.item, "lease_id": lease.id}
        if "groups" in item:
            kept = set(lease.groups)
            item["groups"] = [g for g in work.groups if g in kept]
            item["dropped"] = [g for g in work.groups if g not in kept]
            item["refs"] = self._refs(lease.groups)
        return item

    def _requeue_lost(self) -> None:
        """Put items whose lease has ended back at the head of the queue, oldest first."""
        self._ledger.expire(time.monotonic())
        queued = set(self._queued)
        lost = [
            i
            for i, w in self._work.items()
            if i not in queued and not (w.lease and self._ledger.held(w.lease))
        ]
        self._queued.extendleft(reversed(lost))

    def _fail(self, work_id: int, why: str) -> None:
        self._finish(work_id, {"error": f"work {work_id}: {why}", "where": "replay queue"})

    def _finish(self, work_id: int, result: dict[str, Any]) -> None:
        del self._work[work_id]
        if work_id in self._queued:
            self._queued.remove(work_id)
        self._results[work_id] = result
        while len(self._results) > _RESULTS_KEPT:
            del self._results[next(iter(self._results))]

    async def _change(self, move: Callable[[], T]) -> T:
        async with self._changed:
            outcome = move()
            self._changed.notify_all()
        return outcome

    async def _until(self, poll: Callable[[], T | None], timeout: float) -> T | None:
        """Return the first value of ``poll`` that is not None, or None after ``timeout`` s."""
        deadline = time.monotonic() + timeout
        async with self._changed:
            while (value := poll()) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), min(left, _TICK_SECONDS))
            self._changed.notify_all()
        return value
