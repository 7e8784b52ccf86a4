"""What a tenant has at the moment."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from api.dependencies import Context
from api.problems import ApiProblem
from services.control.quotas import Quota, Usage, objection, workers_of
from services.spec.kind import Spec
from services.stores.lifecycle import ACTIVE, JobState
from services.stores.listing import JobFilter
from services.stores.protocol import JobRecord

STORAGE_FRESH_SECONDS: Final = 30.0
"""How long the size of a tenant's folders is taken for true."""
_PAGE: Final = 100

_sizes: dict[tuple[Path, str], tuple[float, int]] = {}


def usage_of(context: Context, tenant: str, quota: Quota) -> Usage:
    """Count what a quota bounds; what it does not bound is not counted and is 0."""
    jobs = workers = 0
    if quota.jobs is not None or quota.workers is not None:
        for job in _jobs(context, tenant, ACTIVE):
            jobs, workers = jobs + 1, workers + workers_of(job.spec)
    size = 0 if quota.storage_bytes is None else storage_of(context, tenant)
    return Usage(jobs, workers, size)


def refuse_over_quota(context: Context, tenant: str, spec: Spec) -> None:
    """Refuse a job that would be one too many.

    Raises:
        ApiProblem: 403, with what is too much and the remedy.
    """
    quota = context.control.quotas.quota(tenant) or context.settings.limits.quota
    usage = usage_of(context, tenant, quota)
    if (wrong := objection(quota, usage, workers_of(spec))) is not None:
        raise ApiProblem(403, "quota_exceeded", f"tenant {tenant}: {wrong}")


def storage_of(context: Context, tenant: str) -> int:
    """Bytes on disk of all a tenant's jobs and named models; a file that has several names counts
    once."""
    home = context.settings.home
    root = home.root
    known = _sizes.get((root, tenant))
    if known and time.monotonic() - known[0] < STORAGE_FRESH_SECONDS:
        return known[1]
    seen: set[tuple[int, int]] = set()
    total = 0
    folders = (home.job(job.id).root for job in _jobs(context, tenant, None))
    for folder in (*folders, home.promoted(tenant)):
        for status in _files(folder):
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    _sizes[root, tenant] = (time.monotonic(), total)
    return total


def _files(folder: Path) -> Iterator[os.stat_result]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(parent, name))
            except OSError:
                continue  # A checkpoint was pruned meanwhile.


def _jobs(context: Context, tenant: str, states: frozenset[JobState] | None) -> Iterator[JobRecord]:
    cursor: str | None = None
    while True:
        page, cursor = context.store.list_jobs(_PAGE, cursor, states, JobFilter(tenant=tenant))
        yield from page
        if cursor is None:
            return
