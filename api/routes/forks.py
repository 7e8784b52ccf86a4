"""Forking jobs: a new one that goes on from a checkpoint of another."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.dependencies import Caller, Ctx, Reserved, VisibleJob
from api.etag import etag_of
from api.going_on import fork_job
from api.operation import Operation, needs
from api.schemas import ForkJob, Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=Operation)


@router.post(
    "/{job_id}/fork",
    status_code=201,
    response_model=Job,
    operation_id="forkJob",
    openapi_extra=needs("jobs:write"),
)
def fork(
    job: VisibleJob,
    response: Response,
    context: Ctx,
    caller: Caller,
    reserved: Reserved,
    body: ForkJob | None = None,
) -> Job:
    """Create a job that goes on from a checkpoint of this one, with a copy of its own; what is yet
    to come may differ. It takes a place in the quota, and the job it comes from goes on as it
    is."""
    new_id = f"job-{reserved}" if reserved else None
    record = fork_job(context, caller, job, body or ForkJob(), new_id)
    response.headers["Location"] = f"/v1/jobs/{record.id}"
    response.headers["ETag"] = etag_of(record)
    return Job.of(record)
