"""What one tenant may have at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.spec.job import JobSpec
from services.spec.kind import Spec


@dataclass(frozen=True)
class Quota:
    """Bounds; None is no bound."""

    jobs: int | None = None
    """Jobs that are queued or at work."""
    workers: int | None = None
    """Generators, learners and verifier processes of those jobs."""
    storage_bytes: int | None = None
    """What all the tenant's jobs have on disk."""


@dataclass(frozen=True)
class Usage:
    """What a tenant has."""

    jobs: int
    workers: int
    storage_bytes: int


class QuotaStore(Protocol):
    """Quotas that differ from the default."""

    def quota(self, tenant: str) -> Quota | None: ...

    def set_quota(self, tenant: str, quota: Quota | None) -> None:
        """None takes the tenant's own quota away: the default counts again."""
        ...

    def quotas(self) -> dict[str, Quota]: ...


def workers_of(spec: Spec) -> int:
    """Processes that work for a job of this specification."""
    learners = spec.learner.workers if isinstance(spec, JobSpec) else 0
    return spec.generator.workers + learners + spec.verifier.workers


def objection(quota: Quota, usage: Usage, workers: int) -> str | None:
    """Say why a job with so many workers is one too many, or None."""
    if quota.jobs is not None and usage.jobs + 1 > quota.jobs:
        return (
            f"{usage.jobs} jobs are queued or at work and {quota.jobs} are allowed; wait for one "
            "to end, or cancel one"
        )
    if quota.workers is not None and usage.workers + workers > quota.workers:
        return (
            f"the job asks for {workers} workers, {usage.workers} are taken and {quota.workers} "
            "are allowed; ask for fewer, or wait for a job to end"
        )
    if quota.storage_bytes is not None and usage.storage_bytes >= quota.storage_bytes:
        return (
            f"jobs hold {usage.storage_bytes / 2**30:.1f} GiB on disk and "
            f"{quota.storage_bytes / 2**30:.1f} are allowed; delete checkpoints"
        )
    return None
