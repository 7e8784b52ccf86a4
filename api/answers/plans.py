"""What would become of a job."""

from __future__ import annotations

from algorithms.strict import Strict
from api.schemas import ProblemDetail
from services.spec.job import JobSpec


class Capability(Strict):
    """What the control plane can do for the job now."""

    cluster_cpus: float | None
    """Null where the cluster does not answer."""
    cluster_gpus: float | None
    max_running_jobs: int
    active_jobs: int
    """Queued, starting or running, of all tenants."""
    starts_at_once: bool
    """Whether the job would not have to wait for another one."""


class ValidJob(Strict):
    """A job that would be taken."""

    spec: JobSpec
    """With every default and override resolved."""
    warnings: list[ProblemDetail]
    """What is allowed and perhaps not meant."""
    capability: Capability
