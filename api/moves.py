"""What may be asked of a job now: read off the table of its life and its list of stages."""

from __future__ import annotations

from typing import Final, Literal

from algorithms.schedule import names_ahead
from services.stores.lifecycle import ACTIVE, allowed
from services.stores.protocol import JobRecord

Move = Literal["pause", "resume", "stage", "cancel"]
"""Each is the last part of the path it is asked at: ``POST /v1/jobs/{id}/MOVE``."""

_LEADS_TO: Final[dict[Move, str]] = {"pause": "pausing", "resume": "queued", "cancel": "cancelled"}
"""The state a move leads to; the move is legal where that state may follow."""


def stages_ahead(record: JobRecord) -> tuple[str, ...]:
    """Names of the stages that lie ahead of where the job is, nearest first."""
    progress = record.progress or {}
    cycle, index = int(progress.get("cycle", 1)), int(progress.get("stage_index", 0))
    position = (cycle - 1) * len(record.spec.stages) + index
    return tuple(names_ahead(record.spec.schedule, position))


def moves(record: JobRecord) -> tuple[Move, ...]:
    """The moves that the job's state permits, in a fixed order."""
    following: set[str] = set(allowed(record.state))
    legal: list[Move] = [move for move, state in _LEADS_TO.items() if state in following]
    if record.state in ACTIVE and stages_ahead(record):
        legal.insert(len(legal) - ("cancel" in legal), "stage")
    return tuple(legal)
