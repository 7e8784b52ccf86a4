"""The life of a job as a table: which state may follow which."""

from __future__ import annotations

from typing import Final, Literal, get_args

JobState = Literal[
    "queued", "starting", "running", "succeeded", "failed", "cancelled", "interrupted"
]
"""``queued``: waits for its driver. ``starting``: the driver starts its actors. ``running``: it
trains. ``interrupted``: stopped at a consistent point without a fault. The rest says itself."""

STATES: Final[tuple[JobState, ...]] = get_args(JobState)

TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    "queued": frozenset({"starting", "cancelled", "interrupted", "failed"}),
    "starting": frozenset({"running", "cancelled", "interrupted", "failed"}),
    "running": frozenset({"succeeded", "failed", "cancelled", "interrupted"}),
    # Back to the queue only by resuming, which opens a new attempt.
    "interrupted": frozenset({"queued", "cancelled"}),
    "failed": frozenset({"queued"}),
    "succeeded": frozenset(),
    "cancelled": frozenset(),
}

ACTIVE: Final[frozenset[JobState]] = frozenset({"queued", "starting", "running"})
"""The job has, or will have, a driver."""

RESUMABLE: Final[frozenset[JobState]] = frozenset(
    state for state, targets in TRANSITIONS.items() if "queued" in targets
)

TERMINAL: Final[frozenset[JobState]] = frozenset(
    state for state, targets in TRANSITIONS.items() if not targets
)
"""Never left."""


def allowed(state: JobState) -> tuple[JobState, ...]:
    """The states that may follow, in the order of the life of a job."""
    return tuple(s for s in STATES if s in TRANSITIONS[state])


def is_legal(state: JobState, target: JobState) -> bool:
    """Whether a job in ``state`` may go to ``target``; staying where it is always may."""
    return target == state or target in TRANSITIONS[state]
