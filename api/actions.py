"""What can be asked of a job now."""

from __future__ import annotations

from algorithms.schedule import names_ahead
from services.stores.lifecycle import Action
from services.stores.protocol import JobRecord


def actions_of(job: JobRecord) -> list[Action]:
    """The verbs that would be taken; the others are answered 409."""
    if job.kind == "evaluation":
        return [a for a in job.actions if a in ("cancel", "resume")]
    return [a for a in job.actions if a != "stage" or stages_ahead(job)]


def stages_ahead(job: JobRecord) -> list[str]:
    """Names of the stages a training job can be moved to, in order."""
    progress = job.progress or {}
    cycle, index = int(progress.get("cycle", 1)), int(progress.get("stage_index", 0))
    here = (cycle - 1) * len(job.training.stages) + index
    return list(names_ahead(job.training.schedule, here))
