"""Jobs: create, list, look at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Caller, Ctx, Reserved, VisibleJob
from api.etag import IfNoneMatch, etag_of, unchanged
from api.job_listing import labels_of, listed
from api.operation import Operation, needs
from api.schemas import CreateJob, Job, JobPage
from api.submission import submit
from services.stores.lifecycle import JobState
from services.stores.listing import JobFilter

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=Operation)


@router.post(
    "",
    status_code=201,
    response_model=Job,
    operation_id="createJob",
    openapi_extra=needs("jobs:write", heavy=True),
)
def create(
    body: CreateJob, response: Response, context: Ctx, caller: Caller, reserved: Reserved
) -> Job:
    """Check a job and put it into the queue. A 422 names every field that is wrong."""
    record = submit(context, caller, body, f"job-{reserved}" if reserved else None)
    response.headers["Location"] = f"/v1/jobs/{record.id}"
    response.headers["ETag"] = etag_of(record)
    return Job.of(record)


@router.get(
    "",
    response_model=JobPage,
    operation_id="listJobs",
    openapi_extra=needs("jobs:read", maps=("label",)),
)
def list_jobs(
    request: Request,
    context: Ctx,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(max_length=500, description="next_cursor of the page before")
    ] = None,
    state: Annotated[list[JobState] | None, Query(description="only jobs in these states")] = None,
    name: Annotated[str | None, Query(max_length=63, description="only jobs of this name")] = None,
    stage: Annotated[
        str | None, Query(max_length=40, description="only jobs in this stage, of any cycle")
    ] = None,
    created_after: Annotated[
        float | None, Query(ge=0, le=1e12, description="Unix seconds, included")
    ] = None,
    created_before: Annotated[
        float | None, Query(ge=0, le=1e12, description="Unix seconds, not included")
    ] = None,
) -> JobPage:
    """Jobs, newest first. ``label[KEY]=VALUE`` shows those that have the label."""
    where = JobFilter(
        kind="training",
        tenant=None if caller.is_admin else caller.tenant,
        name=name,
        stage=stage,
        labels=labels_of(request),
        created_after=created_after,
        created_before=created_before,
    )
    return listed(context, limit, after, state, where)


@router.get(
    "/{job_id}",
    response_model=Job,
    operation_id="getJob",
    openapi_extra=needs("jobs:read"),
    responses={304: {"description": "If-None-Match: nothing has changed."}},
)
def get(
    job: VisibleJob,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Job | Response:
    """A job with its resolved specification."""
    return unchanged(job, if_none_match, response) or Job.of(job)
