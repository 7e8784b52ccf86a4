"""Whether a job whose driver is gone is resumed by itself: its history in, a decision out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.spec.restarts import RestartSpec
from services.stores.protocol import EventRecord

AUTO_RESUMED: Final = "auto_resumed"
"""Type of the event that stands for such a resume."""


@dataclass(frozen=True)
class Resume:
    """The job goes on as a new attempt."""

    count: int
    """How many there are with this one, in a row without progress in between."""
    pause_seconds: float
    """How long its driver waits in the queue."""
    reached: int
    """How far the job had come."""
    at_fault: bool = True
    """Whether something went wrong; else the control plane had stopped the job as it ended, which
    does not count."""


@dataclass(frozen=True)
class Leave:
    """The job stays as it is."""

    why: str | None
    """What to say of it; None where nobody expects it to go on."""


@dataclass
class _Past:
    """What the history says that counts here."""

    count: int = 0
    reached_before: int = 0
    """How far the job had come at the last resume by itself."""
    reached: int = 0
    stopping: bool = False
    """Whether the control plane asked the last attempt to stop, as it ended itself."""
    pausing: bool = False
    """Whether a person asked the last attempt to pause."""


def decide(
    events: Iterable[EventRecord], progress: Mapping[str, Any] | None, restarts: RestartSpec
) -> Resume | Leave:
    """Decide about a job whose driver is gone and has neither failed nor ended it.

    Progress is what a resume would go on from: checkpoints of training, finished responses of an
    evaluation.

    Args:
        events: the job's log, in order.
        progress: what the driver last said.
        restarts: the job's setting.
    """
    past = _past(events)
    if past.pausing:
        return Leave("it was asked to pause, so it is not resumed by itself")
    if restarts.limit == 0:
        return Leave(None)
    done = (progress or {}).get("responses_done")
    reached = max(past.reached, done if isinstance(done, int) else 0)
    before = past.count if reached <= past.reached_before else 0
    reached = max(reached, past.reached_before)
    if past.stopping:
        return Resume(before, 0.0, reached, at_fault=False)
    if before >= restarts.limit:
        return Leave(
            f"resumed by itself {before} times without getting further than before (restarts.limit)"
        )
    return Resume(before + 1, restarts.pause(before + 1), reached)


def _past(events: Iterable[EventRecord]) -> _Past:
    past = _Past()
    for event in events:
        if event.type == "checkpoint":
            past.reached = max(past.reached, int(event.data.get("step", 0)))
        elif event.type == AUTO_RESUMED:
            past.reached_before = int(event.data.get("reached", 0))
            past.count = int(event.data.get("count", 0))
        elif event.type == "command":
            past.stopping = past.stopping or event.data.get("kind") == "stop"
            past.pausing = past.pausing or event.data.get("kind") == "pause"
        elif event.type == "state" and event.data.get("to") == "queued":
            past.stopping = past.pausing = False
            if event.author is not None:  # whoever resumed it wants it to be tried anew
                past.count = 0
    return past
