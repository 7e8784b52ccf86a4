"""Steering jobs: cancel, pause, resume, move to another stage."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.actions import stages_ahead
from api.dependencies import Caller, Ctx, VisibleJob
from api.etag import Expect, etag_of
from api.job_actions import cancel_job, pause_job, resume_job
from api.operation import Operation, needs
from api.problems import ApiProblem
from api.repeated import Since, was_done
from api.schemas import CancelJob, ChangeStage, Job, ResumeJob, StageChange, Wish
from services.spec.problems import Problem
from services.stores.lifecycle import ACTIVE
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
def cancel(
    job: VisibleJob,
    expect: Expect,
    response: Response,
    context: Ctx,
    caller: Caller,
    since: Since,
    body: CancelJob | None = None,
) -> Job:
    """End a job for good. 200: it is cancelled. 202: its driver was asked to end itself."""
    wish = body or CancelJob()
    record = cancel_job(
        context,
        job,
        expect=expect,
        grace_seconds=wish.grace_seconds,
        author=caller.actor,
        reason=wish.reason,
        since=since,
    )
    return _answer(record, response, at_once=record.state == "cancelled")


@router.post(
    "/{job_id}/pause",
    status_code=202,
    response_model=Job,
    operation_id="pauseJob",
    openapi_extra=needs("jobs:write"),
    responses={200: {"model": Job, "description": "It is paused."}},
)
def pause(
    job: VisibleJob,
    expect: Expect,
    response: Response,
    context: Ctx,
    caller: Caller,
    since: Since,
    body: Wish | None = None,
) -> Job:
    """Free the workers of a job that shall go on later. 200: it is paused. 202: its driver finishes
    the step it is in and leaves a checkpoint first."""
    reason = (body or Wish()).reason
    record = pause_job(context, job, expect=expect, author=caller.actor, reason=reason, since=since)
    return _answer(record, response, at_once=record.state == "paused")


@router.post(
    "/{job_id}/resume",
    status_code=202,
    response_model=Job,
    operation_id="resumeJob",
    openapi_extra=needs("jobs:write"),
)
def resume(
    job: VisibleJob,
    expect: Expect,
    response: Response,
    context: Ctx,
    caller: Caller,
    since: Since,
    body: ResumeJob | None = None,
) -> Job:
    """Queue a paused, interrupted or failed job again; it goes on from its newest checkpoint, or
    from that of ``from_step``: then what it did after that step is set aside."""
    wish = body or ResumeJob()
    record = resume_job(
        context,
        job,
        from_step=wish.from_step,
        expect=expect,
        author=caller.actor,
        reason=wish.reason,
        since=since,
    )
    return _answer(record, response, at_once=False)


@router.post(
    "/{job_id}/stage",
    status_code=202,
    response_model=StageChange,
    operation_id="changeStage",
    openapi_extra=needs("jobs:write"),
)
def change_stage(
    body: ChangeStage,
    job: VisibleJob,
    expect: Expect,
    context: Ctx,
    caller: Caller,
    since: Since,
) -> StageChange:
    """Ask the driver to go on with another stage; it does so between two steps."""
    if was_done(context.store, job.id, since, "stage", caller.actor, body.reason):
        return StageChange(to=body.to, command=None)
    names = [s.name for s in job.training.stages]
    if body.to != "next" and body.to not in names:
        detail = f"the job has no stage {body.to!r}; use next or one of {', '.join(names)}"
        raise ApiProblem(422, "unknown_stage", detail, errors=[Problem("/to", detail)])
    if job.state in ACTIVE:
        ahead = stages_ahead(job)
        if (body.to == "next" and not ahead) or (body.to != "next" and body.to not in ahead):
            options = ["next", *ahead] if ahead else []
            raise IllegalTransition(job.id, job.state, f"go on with stage {body.to}", options)
    command = context.store.send_command(
        job.id, "stage", {"to": body.to}, expect=expect, author=caller.actor, reason=body.reason
    )
    return StageChange(to=body.to, command=command)


def _answer(record: JobRecord, response: Response, *, at_once: bool) -> Job:
    if at_once:
        response.status_code = 200
    response.headers["ETag"] = etag_of(record)
    return Job.of(record)
