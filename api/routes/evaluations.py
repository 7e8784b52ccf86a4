"""Evaluations: create, list, look at, cancel, resume, and what came out."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from api.dependencies import Caller, Context, Ctx, Reserved, VisibleEvaluation
from api.etag import ExpectEvaluation, IfNoneMatch, etag_of, unchanged
from api.evaluation_submission import submit_evaluation
from api.files import FILE_RESPONSES, file_response
from api.job_actions import cancel_job, resume_job
from api.job_listing import labels_of, listed
from api.operation import Operation, needs
from api.problems import ApiProblem
from api.repeated import Since
from api.schemas import CancelJob, CreateEvaluation, Evaluation, JobPage, Wish
from services.evaluation.result_folder import EVALUATION, ResultFolder
from services.spec.evaluation_job import name_of
from services.stores.lifecycle import JobState
from services.stores.listing import JobFilter

router = APIRouter(prefix="/v1/evaluations", tags=["evaluations"], route_class=Operation)

PARQUET: Final = "application/vnd.apache.parquet"


@router.post(
    "",
    status_code=201,
    response_model=Evaluation,
    operation_id="createEvaluation",
    openapi_extra=needs("jobs:write", heavy=True),
)
def create(
    body: CreateEvaluation, response: Response, context: Ctx, caller: Caller, reserved: Reserved
) -> Evaluation:
    """Check an evaluation and put it into the queue. A 422 names every field that is wrong."""
    record = submit_evaluation(context, caller, body, f"eval-{reserved}" if reserved else None)
    response.headers["Location"] = f"/v1/evaluations/{record.id}"
    response.headers["ETag"] = etag_of(record)
    return Evaluation.of(record)


@router.get(
    "",
    response_model=JobPage,
    operation_id="listEvaluations",
    openapi_extra=needs("jobs:read", maps=("label",)),
)
def list_evaluations(
    request: Request,
    context: Ctx,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(max_length=500, description="next_cursor of the page before")
    ] = None,
    state: Annotated[list[JobState] | None, Query(description="only in these states")] = None,
    name: Annotated[str | None, Query(max_length=63, description="only of this name")] = None,
) -> JobPage:
    """Evaluations, newest first. ``label[KEY]=VALUE`` shows those that have the label."""
    tenant = None if caller.is_admin else caller.tenant
    where = JobFilter(kind="evaluation", tenant=tenant, name=name, labels=labels_of(request))
    return listed(context, limit, after, state, where)


@router.get(
    "/{job_id}",
    response_model=Evaluation,
    operation_id="getEvaluation",
    openapi_extra=needs("jobs:read"),
    responses={304: {"description": "If-None-Match: nothing has changed."}},
)
def get(
    job: VisibleEvaluation, response: Response, if_none_match: IfNoneMatch = None
) -> Evaluation | Response:
    """An evaluation with its resolved specification."""
    return unchanged(job, if_none_match, response) or Evaluation.of(job)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    response_model=Evaluation,
    operation_id="cancelEvaluation",
    openapi_extra=needs("jobs:cancel"),
    responses={200: {"model": Evaluation, "description": "It is cancelled."}},
)
def cancel(
    job: VisibleEvaluation,
    expect: ExpectEvaluation,
    response: Response,
    context: Ctx,
    caller: Caller,
    since: Since,
    body: CancelJob | None = None,
) -> Evaluation:
    """End an evaluation for good. 200: it is cancelled. 202: its driver was asked to end itself."""
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
    if record.state == "cancelled":
        response.status_code = 200
    response.headers["ETag"] = etag_of(record)
    return Evaluation.of(record)


@router.post(
    "/{job_id}/resume",
    status_code=202,
    response_model=Evaluation,
    operation_id="resumeEvaluation",
    openapi_extra=needs("jobs:write"),
)
def resume(
    job: VisibleEvaluation,
    expect: ExpectEvaluation,
    response: Response,
    context: Ctx,
    caller: Caller,
    since: Since,
    body: Wish | None = None,
) -> Evaluation:
    """Queue an interrupted or failed evaluation again; finished chunks are not drawn again."""
    reason = (body or Wish()).reason
    record = resume_job(
        context, job, expect=expect, author=caller.actor, reason=reason, since=since
    )
    response.headers["ETag"] = etag_of(record)
    return Evaluation.of(record)


@router.get(
    "/{job_id}/result",
    operation_id="getEvaluationResult",
    openapi_extra=needs("jobs:read"),
)
def result(job: VisibleEvaluation, context: Ctx) -> dict[str, Any]:
    """What ``evaluation.json`` holds: the figures of the benchmarks that are complete, and
    everything needed to quote them. 404 until the first is."""
    path = _folder(context, job.id).root / EVALUATION
    if not path.exists():
        detail = f"evaluation {job.id} is {job.state} and has finished no benchmark yet"
        raise ApiProblem(404, "result_not_ready", detail)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@router.get(
    "/{job_id}/responses/{benchmark}",
    operation_id="getEvaluationResponses",
    response_class=FileResponse,
    openapi_extra=needs("jobs:read"),
    responses=FILE_RESPONSES,
)
def responses(
    job: VisibleEvaluation, benchmark: str, request: Request, context: Ctx
) -> FileResponse:
    """Every response to a benchmark, as a Parquet file. 404 until the benchmark is complete."""
    names = [name_of(b) for b in job.evaluation.benchmarks]
    if benchmark not in names:
        detail = f"evaluation {job.id} has no benchmark {benchmark[:80]!r}; it has " + ", ".join(
            names
        )
        raise ApiProblem(404, "unknown_benchmark", detail)
    path = _folder(context, job.id).responses(benchmark)
    if not path.exists():
        detail = f"evaluation {job.id} is {job.state} and has not finished {benchmark} yet"
        raise ApiProblem(404, "result_not_ready", detail)
    return file_response(request, path, media_type=PARQUET)


def _folder(context: Context, job_id: str) -> ResultFolder:
    return ResultFolder(context.settings.home.job(job_id).result)
