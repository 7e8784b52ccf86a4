"""Which jobs a listing shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.spec.kind import JobKind


@dataclass(frozen=True)
class JobFilter:
    """Narrows a listing of jobs; a field that is not set does not."""

    kind: JobKind | None = None
    tenant: str | None = None
    name: str | None = None
    stage: str | None = None
    """Name of the stage the job is in, whatever the cycle."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The job has every one of these."""
    created_after: float | None = None
    """Unix seconds, included."""
    created_before: float | None = None
    """Unix seconds, not included."""


EVERY_JOB = JobFilter()
