"""Jobs: create, list, look at, cancel, resume, move to another stage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.actions import stages_ahead
from api.dependencies import Context, Ctx
from api.problems import ApiProblem
from api.schemas import ChangeStage, CreateJob, Job, JobPage, JobSummary, StageChange
from api.submission import submit
from services.spec.problems import Problem
from services.stores.lifecycle import ACTIVE, JobState, allowed
from services.stores.protocol import IllegalTransition, JobNotFound, JobRecord

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", status_code=201, response_model=Job, operation_id="createJob")
def create(body: CreateJob, response: Response, context: Ctx) -> Job:
    """Check a job and put it into the queue. A 422 names every field that is wrong."""
    _refuse_when_closing(context)
    record = submit(context, body)
    response.headers["Location"] = f"/v1/jobs/{record.id}"
    return Job.of(record)


@router.get("", response_model=JobPage, operation_id="listJobs")
def list_jobs(
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
    state: Annotated[list[JobState] | None, Query(description="only jobs in these states")] = None,
) -> JobPage:
    """Jobs, newest first."""
    try:
        records, cursor = context.store.list_jobs(limit, after, state)
    except JobNotFound as error:
        detail = f"{after!r} is not a cursor; use next_cursor of the page before"
        raise ApiProblem(400, "unknown_cursor", detail) from error
    return JobPage(
        data=[JobSummary.of(r) for r in records], has_more=cursor is not None, next_cursor=cursor
    )


@router.get("/{job_id}", response_model=Job, operation_id="getJob")
def get(job_id: str, context: Ctx) -> Job:
    return Job.of(context.store.get_job(job_id))


@router.post("/{job_id}/cancel", status_code=202, response_model=Job, operation_id="cancelJob")
def cancel(job_id: str, response: Response, context: Ctx) -> Job:
    """End a job for good. 200: it is cancelled. 202: its driver was asked to end itself."""
    record = _cancel(context, context.store.get_job(job_id))
    if record.state == "cancelled":
        response.status_code = 200
    return Job.of(record)


def _cancel(context: Context, record: JobRecord) -> JobRecord:
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


@router.post("/{job_id}/resume", status_code=202, response_model=Job, operation_id="resumeJob")
def resume(job_id: str, context: Ctx) -> Job:
    """Queue an interrupted or failed job again; it goes on from its last checkpoint."""
    _refuse_when_closing(context)
    record = context.store.begin_attempt(job_id)
    context.wake.set()
    return Job.of(record)


@router.post(
    "/{job_id}/stage", status_code=202, response_model=StageChange, operation_id="changeStage"
)
def change_stage(job_id: str, body: ChangeStage, context: Ctx) -> StageChange:
    """Ask the driver to go on with another stage; it does so between two steps."""
    record = context.store.get_job(job_id)
    names = [s.name for s in record.spec.stages]
    if body.to != "next" and body.to not in names:
        detail = f"the job has no stage {body.to!r}; use next or one of {', '.join(names)}"
        raise ApiProblem(422, "unknown_stage", detail, errors=[Problem("/to", detail)])
    if record.state in ACTIVE:
        ahead = stages_ahead(record)
        if (body.to == "next" and not ahead) or (body.to != "next" and body.to not in ahead):
            options = ["next", *ahead] if ahead else []
            raise IllegalTransition(job_id, record.state, f"go on with stage {body.to}", options)
    command = context.store.send_command(job_id, "stage", {"to": body.to})
    return StageChange(to=body.to, command=command)


def _refuse_when_closing(context: Context) -> None:
    if context.closing.is_set():
        raise ApiProblem(503, "closing", "the control plane is shutting down; try again later")
