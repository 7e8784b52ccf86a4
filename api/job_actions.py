"""What can be done to a job of any kind. ``author`` and ``reason`` go into its event log; ``since``
is when the request was first begun, where it may have acted before (:mod:`api.repeated`)."""

from __future__ import annotations

import contextlib

from api.dependencies import Context
from api.repeated import was_done
from api.usage import note_begun, refuse_over_quota
from services.stores.lifecycle import ACTIVE, RESUMABLE
from services.stores.protocol import IllegalTransition, JobRecord


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
    if record.state == "cancelled" or was_done(
        context.store, record.id, since, "cancel", author, reason
    ):
        return record
    if record.state not in ACTIVE or record.state == "queued":
        cancelled = context.store.set_state(
            record.id,
            "cancelled",
            attempt=record.attempt,
            cause="cancelled on request",
            expect=expect,
            author=author,
            reason=reason,
        )
        # A driver that was just submitted is fenced off; the reconciler stops it.
        context.wake.set()
        return cancelled
    data = {} if grace_seconds is None else {"grace_seconds": grace_seconds}
    context.store.send_command(
        record.id, "cancel", data, expect=expect, author=author, reason=reason
    )
    return context.store.get_job(record.id)


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
    is_so = record.state in ("pausing", "paused")
    if is_so or was_done(context.store, record.id, since, "pause", author, reason):
        return record
    if record.state == "queued":
        # Its driver may come in between: then that is asked.
        with contextlib.suppress(IllegalTransition):
            paused = context.store.set_state(
                record.id,
                "paused",
                attempt=record.attempt,
                cause="paused on request before it had started",
                expect=expect,
                author=author,
                reason=reason,
            )
            context.wake.set()
            return paused
    context.store.send_command(record.id, "pause", {}, expect=expect, author=author, reason=reason)
    return context.store.get_job(record.id)


def resume_job(
    context: Context,
    record: JobRecord,
    *,
    expect: int | None = None,
    author: str | None = None,
    reason: str | None = None,
    since: float | None = None,
) -> JobRecord:
    """Queue a paused, interrupted or failed job again.

    Raises:
        IllegalTransition: it is none of these.
        ApiProblem: 403, its tenant has as much as it may have.
    """
    if was_done(context.store, record.id, since, "resume", author, reason):
        note_begun(context, record)
        return record
    # A job that ended has left its place to others.
    with context.creating:
        if record.state in RESUMABLE:
            refuse_over_quota(context, record.tenant, record.spec)
        begun = context.store.begin_attempt(record.id, expect=expect, author=author, reason=reason)
    note_begun(context, begun)
    return begun
