"""What can be done to a job of any kind. ``author`` and ``reason`` go into its event log; ``since``
is when the request was first begun, where it may have acted before (:mod:`api.repeated`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from api.dependencies import Context
from api.going_on import refuse_other_line
from api.repeated import was_done
from api.usage import adding, note_begun, refuse_over_quota
from services.stores.lifecycle import ACTIVE, RESUMABLE, JobState
from services.stores.protocol import (
    ChangedMeanwhile,
    IllegalTransition,
    JobRecord,
    StaleAttempt,
)

_TRIES: Final = 5
"""Times a wish is acted on as long as the job moves on under it."""


def cancel_job(
    context: Context,
    record: JobRecord,
    *,
    expect: int | None = None,
    grace_seconds: float | None = None,
    author: str | None = None,
    reason: str | None = None,
    since: float | None = None,
) -> JobRecord:
    """End a job at once where it has no driver, else ask its driver to.

    Args:
        context: the control plane.
        record: the job as it was seen.
        expect: the revision it must still be at; None for any.
        grace_seconds: how long the driver may take; None leaves it to the control plane.
        author: who asks.
        reason: why.
        since: of a request that may have acted before.

    Raises:
        IllegalTransition: it has ended.
    """
    if was_done(context.store, record.id, since, "cancel", author, reason):
        return record
    said = {"author": author, "reason": reason}
    data = {} if grace_seconds is None else {"grace_seconds": grace_seconds}

    def cancel(job: JobRecord) -> JobRecord:
        if job.state == "cancelled":
            return job
        if job.state in ACTIVE and job.state != "queued":
            context.store.send_command(job.id, "cancel", data, expect=expect, **said)
            return context.store.get_job(job.id)
        cancelled = _settle_at_once(context, job, "cancelled", "cancelled on request", expect, said)
        # A driver that was just submitted is fenced off; the reconciler stops it.
        context.wake.set()
        return cancelled

    return _as_it_is_now(context, record, expect, cancel)


def pause_job(
    context: Context,
    record: JobRecord,
    *,
    expect: int | None = None,
    author: str | None = None,
    reason: str | None = None,
    since: float | None = None,
) -> JobRecord:
    """Take a job out of the queue, or ask its driver to finish its step, leave a checkpoint and let
    its workers go.

    Raises:
        IllegalTransition: it has stopped, or is about to.
    """
    if was_done(context.store, record.id, since, "pause", author, reason):
        return record
    said = {"author": author, "reason": reason}

    def pause(job: JobRecord) -> JobRecord:
        if job.state in ("pausing", "paused"):
            return job
        if job.state != "queued":
            context.store.send_command(job.id, "pause", {}, expect=expect, **said)
            return context.store.get_job(job.id)
        cause = "paused on request before it had started"
        paused = _settle_at_once(context, job, "paused", cause, expect, said)
        context.wake.set()
        return paused

    return _as_it_is_now(context, record, expect, pause)


def resume_job(
    context: Context,
    record: JobRecord,
    *,
    from_step: int | None = None,
    expect: int | None = None,
    author: str | None = None,
    reason: str | None = None,
    since: float | None = None,
) -> JobRecord:
    """Queue a paused, interrupted or failed job again, to go on from its newest checkpoint or that
    of ``from_step``.

    Raises:
        IllegalTransition: it is none of these.
        ApiProblem: 403, its tenant has as much as it may have; 404 or 409, it cannot go on from
            that checkpoint.
    """
    if was_done(context.store, record.id, since, "resume", author, reason):
        note_begun(context, record)
        return record
    # A job that ended has left its place to others.
    with adding(context, record.tenant):
        if record.state in RESUMABLE:
            refuse_over_quota(context, record.tenant, record.spec)
            refuse_other_line(context, record, from_step)
        begun = context.store.begin_attempt(
            record.id, expect=expect, from_step=from_step, author=author, reason=reason
        )
    note_begun(context, begun)
    return begun


def _settle_at_once(
    context: Context,
    job: JobRecord,
    state: JobState,
    cause: str,
    expect: int | None,
    said: dict[str, str | None],
) -> JobRecord:
    """End a job that has no driver, if it is as it was seen: one that has a driver by now would
    have its end on record while it still works."""
    expected = job.revision if expect is None else expect
    return context.store.set_state(
        job.id, state, attempt=job.attempt, cause=cause, expect=expected, **said
    )


def _as_it_is_now(
    context: Context,
    job: JobRecord,
    expect: int | None,
    act: Callable[[JobRecord], JobRecord],
) -> JobRecord:
    """Act on a job as it was seen, again where it has moved on in between. Somebody who expects a
    revision is told instead."""
    for _ in range(_TRIES):
        try:
            return act(job)
        except (ChangedMeanwhile, StaleAttempt, IllegalTransition):
            now = context.store.get_job(job.id)
            if expect is not None or now.revision == job.revision:
                raise
            job = now
    return act(job)
