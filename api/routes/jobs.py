"""Jobs: create, list, look at, cancel, resume, move to another stage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from algorithms.schedule import names_ahead
from api.dependencies import Context, Ctx
from api.job_actions import cancel_job, refuse_when_closing, resume_job
from api.problems import ApiProblem
from api.schemas import ChangeStage, CreateJob, Job, JobPage, JobSummary, StageChange
from api.submission import submit
from services.spec.problems import Problem
from services.stores.lifecycle import ACTIVE, JobState
from services.stores.protocol import IllegalTransition, JobNotFound, JobRecord

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", status_code=201, response_model=Job, operation_id="createJob")
def create(body: CreateJob, response: Response, context: Ctx) -> Job:
    """Check a job and put it into the queue. A 422 names every field that is wrong."""
    refuse_when_closing(context)
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
        records, cursor = context.store.list_jobs(limit, after, state, "training")
    except JobNotFound as error:
        detail = f"{after!r} is not a cursor; use next_cursor of the page before"
        raise ApiProblem(400, "unknown_cursor", detail) from error
    return JobPage(
        data=[JobSummary.of(r) for r in records], has_more=cursor is not None, next_cursor=cursor
    )


@router.get("/{job_id}", response_model=Job, operation_id="getJob")
def get(job_id: str, context: Ctx) -> Job:
    return Job.of(_training(context, job_id))


@router.post("/{job_id}/cancel", status_code=202, response_model=Job, operation_id="cancelJob")
def cancel(job_id: str, response: Response, context: Ctx) -> Job:
    """End a job for good. 200: it is cancelled. 202: its driver was asked to end itself."""
    record = cancel_job(context, _training(context, job_id))
    if record.state == "cancelled":
        response.status_code = 200
    return Job.of(record)


@router.post("/{job_id}/resume", status_code=202, response_model=Job, operation_id="resumeJob")
def resume(job_id: str, context: Ctx) -> Job:
    """Queue an interrupted or failed job again; it goes on from its last checkpoint."""
    _training(context, job_id)
    return Job.of(resume_job(context, job_id))


@router.post(
    "/{job_id}/stage", status_code=202, response_model=StageChange, operation_id="changeStage"
)
def change_stage(job_id: str, body: ChangeStage, context: Ctx) -> StageChange:
    """Ask the driver to go on with another stage; it does so between two steps."""
    record = context.store.get_job(job_id)
    spec = record.training
    names = [s.name for s in spec.stages]
    if body.to != "next" and body.to not in names:
        detail = f"the job has no stage {body.to!r}; use next or one of {', '.join(names)}"
        raise ApiProblem(422, "unknown_stage", detail, errors=[Problem("/to", detail)])
    if record.state in ACTIVE:
        progress = record.progress or {}
        cycle, index = int(progress.get("cycle", 1)), int(progress.get("stage_index", 0))
        ahead = list(names_ahead(spec.schedule, (cycle - 1) * len(names) + index))
        if (body.to == "next" and not ahead) or (body.to != "next" and body.to not in ahead):
            options = ["next", *ahead] if ahead else []
            raise IllegalTransition(job_id, record.state, f"go on with stage {body.to}", options)
    command = context.store.send_command(job_id, "stage", {"to": body.to})
    return StageChange(to=body.to, command=command)


def _training(context: Context, job_id: str) -> JobRecord:
    """The record of a training job; an evaluation is none (404)."""
    record = context.store.get_job(job_id)
    _ = record.training
    return record
