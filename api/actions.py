"""What can be asked of a job, by the state it is in."""

from __future__ import annotations

from typing import Literal

from algorithms.schedule import names_ahead
from services.stores.lifecycle import ACTIVE, RESUMABLE
from services.stores.protocol import JobRecord

Action = Literal["cancel", "resume", "stage"]


def actions_of(job: JobRecord) -> list[Action]:
    """The verbs that would be taken now; the others are answered 409."""
    found: list[Action] = []
    if job.state in ACTIVE or job.state == "interrupted":
        found.append("cancel")
    if job.state in RESUMABLE:
        found.append("resume")
    if job.state in ACTIVE and stages_ahead(job):
        found.append("stage")
    return found


def stages_ahead(job: JobRecord) -> list[str]:
    """Names of the stages the job can be moved to, in order."""
    progress = job.progress or {}
    cycle, index = int(progress.get("cycle", 1)), int(progress.get("stage_index", 0))
    here = (cycle - 1) * len(job.spec.stages) + index
    return list(names_ahead(job.spec.schedule, here))
