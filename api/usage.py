"""What a tenant has at the moment."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from api.problems import ApiProblem
from services.control.quotas import Quota, Usage, objection, workers_of
from services.spec.kind import Spec
from services.stores.lifecycle import ACTIVE, JobState
from services.stores.listing import JobFilter
from services.stores.protocol import JobRecord, JobStore, StoreUnavailable

if TYPE_CHECKING:
    from api.dependencies import Context

SHOWN_SECONDS: Final = 1.0
"""How long a count that is only shown is taken for true."""
_PAGE: Final = 100
_ADDING_SECONDS: Final = 10.0
"""Longest wait for a request of another control plane, and what one that was killed can cost."""


class UsageMemory:
    """Counts of jobs and workers for those who only want to see them: reading every job at work for
    each of them would cost more than all else they do. Safe from any thread."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, tuple[int, int]]] = {}

    def shown(self, tenant: str) -> tuple[int, int]:
        """Jobs and workers of a tenant, as of the last second."""
        with self._lock:
            then, found = self._known.get(tenant, (float("-inf"), (0, 0)))
            if time.monotonic() - then >= SHOWN_SECONDS:
                found = active_usage(self._store, tenant)
                self._known[tenant] = (time.monotonic(), found)
            return found

    def forget(self, tenant: str) -> None:
        """A job of the tenant has begun: whoever looks next shall see it."""
        with self._lock:
            self._known.pop(tenant, None)


def active_usage(store: JobStore, tenant: str) -> tuple[int, int]:
    """How many jobs of a tenant are queued or at work, and how many workers that takes."""
    jobs = workers = 0
    for job in _jobs(store, tenant, ACTIVE):
        jobs, workers = jobs + 1, workers + workers_of(job.spec)
    return jobs, workers


@contextmanager
def adding(context: Context, tenant: str) -> Iterator[None]:
    """Hold from counting what a tenant has to adding to it: two requests must not both find the
    last place free, nor two control planes.

    Raises:
        StoreUnavailable: another control plane holds it for too long.
    """
    with context.creating:
        bounds = _quota_of(context, tenant)
        if context.settings.alone or bounds == Quota():
            yield
            return
        store, name, owner = context.store, f"quota:{tenant}", secrets.token_hex(8)
        deadline = time.monotonic() + _ADDING_SECONDS
        while not store.hold(name, owner, _ADDING_SECONDS):
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"another control plane adds to {tenant}'s jobs; try again")
            time.sleep(0.02)
        try:
            yield
        finally:
            with suppress(StoreUnavailable):  # it runs out by itself
                store.release(name, owner)


def _quota_of(context: Context, tenant: str) -> Quota:
    return context.control.quotas.quota(tenant) or context.settings.limits.quota


def refuse_over_quota(context: Context, tenant: str, spec: Spec) -> None:
    """Refuse a job that would be one too many.

    Raises:
        ApiProblem: 403, with what is too much and the remedy.
    """
    quota = _quota_of(context, tenant)
    usage = _usage_of(context, tenant, quota)
    if (wrong := objection(quota, usage, workers_of(spec))) is not None:
        raise ApiProblem(403, "quota_exceeded", f"tenant {tenant}: {wrong}")


def note_begun(context: Context, job: JobRecord) -> None:
    """A job was created or resumed: it is seen to, and webhooks are told of it, even if it ends
    before anybody looks."""
    context.usage.forget(job.tenant)
    if context.control.webhooks.of_tenant(job.tenant):
        context.control.webhooks.follow([job.id])
    context.wake.set()


def _usage_of(context: Context, tenant: str, quota: Quota) -> Usage:
    """Count what a quota bounds; what it does not bound is not counted and is 0."""
    jobs = workers = 0
    if quota.jobs is not None or quota.workers is not None:
        jobs, workers = active_usage(context.store, tenant)
    size = 0 if quota.storage_bytes is None else context.storage.fresh(tenant)
    return Usage(jobs, workers, size)


def _jobs(store: JobStore, tenant: str, states: frozenset[JobState]) -> Iterator[JobRecord]:
    cursor: str | None = None
    while True:
        page, cursor = store.list_jobs(_PAGE, cursor, states, JobFilter(tenant=tenant))
        yield from page
        if cursor is None:
            return
