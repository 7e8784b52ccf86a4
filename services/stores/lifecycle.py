"""The life of a job as tables: which state may follow which, and what may be asked for in each.

``docs/lifecycle.md`` prints both, and a test compares them.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

JobState = Literal[
    "queued",
    "starting",
    "running",
    "pausing",
    "paused",
    "stopping",
    "reconciling",
    "succeeded",
    "failed",
    "cancelled",
    "interrupted",
]

STATES: Final[tuple[JobState, ...]] = get_args(JobState)

MEANING: Final[dict[JobState, str]] = {
    "queued": "waits for its driver",
    "starting": "its driver starts the workers",
    "running": "it trains",
    "pausing": "its driver was asked to pause: it drains to a step boundary and saves it",
    "paused": "a person paused it: a checkpoint of the last whole step, no worker",
    "stopping": "its driver was asked to end",
    "reconciling": "it cannot be observed now; nothing is known against it",
    "succeeded": "every stage was trained",
    "failed": "it could not go on; the cause says why",
    "cancelled": "a person ended it for good",
    "interrupted": "its driver was stopped or lost without a fault of the job, and nobody asked "
    "for a pause; goes on by itself as its `restarts` say",
}

TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    # Without a driver there is nothing to drain: a pause or a cancel takes effect at once.
    "queued": frozenset({"starting", "paused", "failed", "cancelled", "interrupted"}),
    "starting": frozenset(
        {"running", "pausing", "stopping", "reconciling", "failed", "cancelled", "interrupted"}
    ),
    "running": frozenset(
        {"pausing", "stopping", "reconciling", "succeeded", "failed", "cancelled", "interrupted"}
    ),
    # The last step may end, or fail, while the driver drains.
    "pausing": frozenset(
        {"paused", "stopping", "reconciling", "succeeded", "failed", "cancelled", "interrupted"}
    ),
    "paused": frozenset({"queued", "cancelled"}),
    "stopping": frozenset({"reconciling", "succeeded", "failed", "cancelled", "interrupted"}),
    # Whatever may follow the state it had when it was last seen; see :func:`is_legal`.
    "reconciling": frozenset(
        {
            "starting",
            "running",
            "pausing",
            "paused",
            "stopping",
            "succeeded",
            "failed",
            "cancelled",
            "interrupted",
        }
    ),
    "succeeded": frozenset(),
    # Back to the queue only by resuming, which opens a new attempt.
    "failed": frozenset({"queued"}),
    "cancelled": frozenset(),
    "interrupted": frozenset({"queued", "cancelled"}),
}

ACTIVE: Final[frozenset[JobState]] = frozenset(
    {"queued", "starting", "running", "pausing", "stopping", "reconciling"}
)
"""The job has, or will have, a driver."""

RESUMABLE: Final[frozenset[JobState]] = frozenset(
    state for state, targets in TRANSITIONS.items() if "queued" in targets
)

TERMINAL: Final[frozenset[JobState]] = frozenset(
    state for state, targets in TRANSITIONS.items() if not targets
)
"""Never left."""

ENDED: Final[frozenset[JobState]] = TERMINAL | {"failed"}
"""The job is over unless somebody takes it up again: what retention may remove."""

CommandKind = Literal["stage", "pause", "cancel", "stop"]
"""``stage``: go on with another stage. ``pause``: end as paused, at a step boundary. ``cancel``:
end for good. ``stop``: end so that the job can be resumed."""

COMMANDS: Final[dict[CommandKind, frozenset[JobState]]] = {
    "stage": ACTIVE - {"stopping", "reconciling"},
    "pause": frozenset({"queued", "starting", "running"}),
    "cancel": ACTIVE - {"reconciling"},
    "stop": ACTIVE - {"reconciling"},
}
"""What a driver may be asked for, by the state the job is in or, while it is ``reconciling``, the
state it was last seen in."""

_SEEN_AS: Final[dict[CommandKind, JobState]] = {
    "pause": "pausing",
    "cancel": "stopping",
    "stop": "stopping",
}

Action = Literal["pause", "resume", "cancel", "stage"]
"""What a person may ask for."""


def seen(state: JobState, held: JobState | None) -> JobState:
    """The state that counts for what may follow: of a ``reconciling`` job, the one it was last seen
    in (``held``)."""
    return held if state == "reconciling" and held is not None else state


def allowed(state: JobState, held: JobState | None = None) -> tuple[JobState, ...]:
    """The states that may follow, in the order of the life of a job.

    Args:
        state: what the job is.
        held: for a job that is ``reconciling``, the state it was last seen in: only that, and what
            may follow it, are open. None takes every state that ever may follow.
    """
    targets = TRANSITIONS[state]
    if state == "reconciling" and held is not None:
        targets = (TRANSITIONS[held] | {held}) - {"reconciling"}
    return tuple(s for s in STATES if s in targets)


def is_legal(state: JobState, target: JobState, held: JobState | None = None) -> bool:
    """Whether a job in ``state`` may go to ``target``; staying where it is always may."""
    return target == state or target in allowed(state, held)


def actions(state: JobState, held: JobState | None = None) -> tuple[Action, ...]:
    """What a person may ask of a job."""
    now = seen(state, held)
    legal: dict[Action, bool] = {
        "pause": now in COMMANDS["pause"],
        "resume": now in RESUMABLE,
        "cancel": "cancelled" in TRANSITIONS[now],
        "stage": now in COMMANDS["stage"],
    }
    return tuple(action for action, is_open in legal.items() if is_open)


def after_command(kind: CommandKind, state: JobState) -> JobState:
    """The state of a job whose driver was sent a command: that it pauses or stops is seen at once,
    not only when the driver gets to it. A queued job stays queued until its driver comes, and a
    pause under way satisfies a stop."""
    if kind == "stop" and state == "pausing":
        return state
    target = _SEEN_AS.get(kind, state)
    return target if target in TRANSITIONS[state] else state


def settled(target: JobState, *, cancelling: bool) -> JobState:
    """The state a job gets that shall end as ``target``: a cancel that was accepted is never lost
    to a driver that had not seen it and leaves the job where it could be resumed."""
    return "cancelled" if cancelling and target in ("paused", "interrupted") else target
