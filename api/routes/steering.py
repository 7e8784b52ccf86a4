"""Steering jobs: cancel, resume, move to another stage."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.actions import stages_ahead
from api.dependencies import Context, Ctx, VisibleJob
from api.etag import Expect, etag_of
from api.operation import Operation, needs
from api.problems import ApiProblem
from api.schemas import ChangeStage, Job, StageChange
from api.submission import refuse_over_quota
from services.spec.problems import Problem
from services.stores.lifecycle import ACTIVE, allowed
from services.stores.protocol import IllegalTransition, JobRecord

router = APIRouter(prefix="/v1/jobs", tags=["steering"], route_class=Operation)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    response_model=Job,
    operation_id="cancelJob",
    openapi_extra=needs("jobs:cancel"),
    responses={200: {"model": Job, "description": "It is cancelled."}},
)
def cancel(job: VisibleJob, expect: Expect, response: Response, context: Ctx) -> Job:
    """End a job for good. 200: it is cancelled. 202: its driver was asked to end itself."""
    record = _cancel(context, job, expect)
    if record.state == "cancelled":
        response.status_code = 200
    response.headers["ETag"] = etag_of(record)
    return Job.of(record)


def _cancel(context: Context, record: JobRecord, expect: int | None) -> JobRecord:
    if record.state == "cancelled":
        return record
    if record.state in ("queued", "interrupted"):
        cancelled = context.store.set_state(
            record.id,
            "cancelled",
            attempt=record.attempt,
            cause="cancelled on request",
            expect=expect,
        )
        # A driver that was just submitted is fenced off; the reconciler stops it.
        context.wake.set()
        return cancelled
    if record.state not in ACTIVE:
        raise IllegalTransition(record.id, record.state, "be cancelled", allowed(record.state))
    context.store.send_command(record.id, "cancel", {}, expect=expect)
    return context.store.get_job(record.id)


@router.post(
    "/{job_id}/resume",
    status_code=202,
    response_model=Job,
    operation_id="resumeJob",
    openapi_extra=needs("jobs:write"),
)
def resume(job: VisibleJob, expect: Expect, response: Response, context: Ctx) -> Job:
    """Queue an interrupted or failed job again; it goes on from its last checkpoint."""
    # A job that ended has left its place to others.
    with context.creating:
        refuse_over_quota(context, job.tenant, job.spec)
        record = context.store.begin_attempt(job.id, expect=expect)
    context.wake.set()
    response.headers["ETag"] = etag_of(record)
    return Job.of(record)


@router.post(
    "/{job_id}/stage",
    status_code=202,
    response_model=StageChange,
    operation_id="changeStage",
    openapi_extra=needs("jobs:write"),
)
def change_stage(body: ChangeStage, job: VisibleJob, expect: Expect, context: Ctx) -> StageChange:
    """Ask the driver to go on with another stage; it does so between two steps."""
    names = [s.name for s in job.spec.stages]
    if body.to != "next" and body.to not in names:
        detail = f"the job has no stage {body.to!r}; use next or one of {', '.join(names)}"
        raise ApiProblem(422, "unknown_stage", detail, errors=[Problem("/to", detail)])
    if job.state in ACTIVE:
        ahead = stages_ahead(job)
        if (body.to == "next" and not ahead) or (body.to != "next" and body.to not in ahead):
            options = ["next", *ahead] if ahead else []
            raise IllegalTransition(job.id, job.state, f"go on with stage {body.to}", options)
    command = context.store.send_command(job.id, "stage", {"to": body.to}, expect=expect)
    return StageChange(to=body.to, command=command)
