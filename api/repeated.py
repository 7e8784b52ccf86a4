"""A request that is sent again because its answer was lost, after it had acted: what it did is
found, not done again.

What it creates is found under its reserved id, what it asked of a job in the job's log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Depends, Request

from services.stores.lifecycle import Action, JobState
from services.stores.protocol import EventRecord, JobNotFound, JobRecord, JobStore

_SKEW_SECONDS: Final = 1.0
"""How far the clocks of store and control plane may be apart."""
_PAGE: Final = 1000

_AT_ONCE: Final[dict[Action, JobState]] = {
    "resume": "queued",
    "cancel": "cancelled",
    "pause": "paused",
}
"""What a wish makes of a job that has no driver to ask."""


async def repeated_since(request: Request) -> float | None:
    """When this request was first begun, if it may have acted before. None of any other."""
    found: float | None = getattr(request.state, "repeated_since", None)
    return found


Since = Annotated[float | None, Depends(repeated_since)]


def made_before(store: JobStore, job_id: str | None) -> JobRecord | None:
    """The job of a reserved id, if it was created already."""
    if job_id is None:
        return None
    try:
        return store.get_job(job_id)
    except JobNotFound:
        return None


def was_done(
    store: JobStore,
    job_id: str,
    since: float | None,
    wish: Action,
    author: str | None,
    reason: str | None,
) -> bool:
    """Whether the log of a job has a wish of this author and for this reason.

    Args:
        store: the jobs.
        job_id: the job.
        since: only what was logged from then on counts; None of a request that has not acted.
        wish: what was asked for.
        author: who asked.
        reason: why.
    """
    return since is not None and any(
        event.time >= since - _SKEW_SECONDS
        and (event.author, event.reason) == (author, reason)
        and _is_of(event, wish)
        for event in _log(store, job_id)
    )


def _is_of(event: EventRecord, wish: Action) -> bool:
    if event.type == "command":
        return bool(event.data.get("kind") == wish)
    return event.type == "state" and wish in _AT_ONCE and event.data.get("to") == _AT_ONCE[wish]


def _log(store: JobStore, job_id: str) -> Iterator[EventRecord]:
    after = 0
    while page := store.events(job_id, after, _PAGE):
        yield from page
        after = page[-1].id
