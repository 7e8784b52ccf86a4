"""What can be done to a job of any kind."""

from __future__ import annotations

from api.dependencies import Context
from api.problems import ApiProblem
from services.stores.lifecycle import ACTIVE, allowed
from services.stores.protocol import IllegalTransition, JobRecord


def cancel_job(context: Context, record: JobRecord) -> JobRecord:
    """End a job at once where it has no driver, else ask its driver to.

    Raises:
        IllegalTransition: it has ended.
    """
    if record.state == "cancelled":
        return record
    if record.state in ("queued", "interrupted"):
        cancelled = context.store.set_state(
            record.id, "cancelled", attempt=record.attempt, cause="cancelled on request"
        )
        # A driver that was just submitted is fenced off; the reconciler stops it.
        context.wake.set()
        return cancelled
    if record.state not in ACTIVE:
        raise IllegalTransition(record.id, record.state, "be cancelled", allowed(record.state))
    context.store.send_command(record.id, "cancel", {})
    return context.store.get_job(record.id)


def resume_job(context: Context, job_id: str) -> JobRecord:
    """Queue an interrupted or failed job again.

    Raises:
        IllegalTransition: it is neither.
    """
    refuse_when_closing(context)
    record = context.store.begin_attempt(job_id)
    context.wake.set()
    return record


def refuse_when_closing(context: Context) -> None:
    """Take no work any more once the control plane is about to end.

    Raises:
        ApiProblem: it is (503).
    """
    if context.closing.is_set():
        raise ApiProblem(503, "closing", "the control plane is shutting down; try again later")
