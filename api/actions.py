"""What can be asked of a job: read off the table of its life and its list of stages."""

from __future__ import annotations

from typing import Final, Literal

from algorithms.schedule import names_ahead
from services.stores.lifecycle import ACTIVE, allowed
from services.stores.protocol import JobRecord

Action = Literal["pause", "resume", "stage", "cancel"]
"""Each is the last part of the path it is asked at: ``POST /v1/jobs/{id}/ACTION``."""

_LEADS_TO: Final[dict[Action, str]] = {
    "pause": "pausing",
    "resume": "queued",
    "cancel": "cancelled",
}
"""The state an action leads to; it is legal where that state may follow."""


def actions_of(job: JobRecord) -> list[Action]:
    """What would be taken now; the rest is answered 409."""
    following: set[str] = set(allowed(job.state))
    legal = {action for action, state in _LEADS_TO.items() if state in following}
    if job.state in ACTIVE and stages_ahead(job):
        legal.add("stage")
    order: tuple[Action, ...] = ("pause", "resume", "stage", "cancel")
    return [action for action in order if action in legal]


def stages_ahead(job: JobRecord) -> list[str]:
    """Names of the stages the job can be moved to, nearest first."""
    progress = job.progress or {}
    cycle, index = int(progress.get("cycle", 1)), int(progress.get("stage_index", 0))
    position = (cycle - 1) * len(job.spec.stages) + index
    return list(names_ahead(job.spec.schedule, position))
