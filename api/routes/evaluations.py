"""Evaluations: create, list, look at, cancel, resume, and what came out."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from api.dependencies import Context, Ctx
from api.evaluation_submission import submit_evaluation
from api.job_actions import cancel_job, refuse_when_closing, resume_job
from api.problems import ApiProblem
from api.schemas import CreateEvaluation, Evaluation, JobPage, JobSummary
from services.evaluation.result_folder import EVALUATION, ResultFolder
from services.spec.evaluation_job import EvaluationJobSpec, name_of
from services.stores.lifecycle import JobState
from services.stores.protocol import JobNotFound, JobRecord

router = APIRouter(prefix="/v1/evaluations", tags=["evaluations"])

PARQUET = "application/vnd.apache.parquet"


@router.post("", status_code=201, response_model=Evaluation, operation_id="createEvaluation")
def create(body: CreateEvaluation, response: Response, context: Ctx) -> Evaluation:
    """Check an evaluation and put it into the queue. A 422 names every field that is wrong."""
    refuse_when_closing(context)
    record = submit_evaluation(context, body.spec)
    response.headers["Location"] = f"/v1/evaluations/{record.id}"
    return Evaluation.of(record)


@router.get("", response_model=JobPage, operation_id="listEvaluations")
def list_evaluations(
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
    state: Annotated[list[JobState] | None, Query(description="only in these states")] = None,
) -> JobPage:
    """Evaluations, newest first."""
    try:
        records, cursor = context.store.list_jobs(limit, after, state, "evaluation")
    except JobNotFound as error:
        detail = f"{after!r} is not a cursor; use next_cursor of the page before"
        raise ApiProblem(400, "unknown_cursor", detail) from error
    return JobPage(
        data=[JobSummary.of(r) for r in records], has_more=cursor is not None, next_cursor=cursor
    )


@router.get("/{job_id}", response_model=Evaluation, operation_id="getEvaluation")
def get(job_id: str, context: Ctx) -> Evaluation:
    return Evaluation.of(_found(context, job_id)[0])


@router.post(
    "/{job_id}/cancel", status_code=202, response_model=Evaluation, operation_id="cancelEvaluation"
)
def cancel(job_id: str, response: Response, context: Ctx) -> Evaluation:
    """End an evaluation for good. 200: it is cancelled. 202: its driver was asked to end itself."""
    record = cancel_job(context, _found(context, job_id)[0])
    if record.state == "cancelled":
        response.status_code = 200
    return Evaluation.of(record)


@router.post(
    "/{job_id}/resume", status_code=202, response_model=Evaluation, operation_id="resumeEvaluation"
)
def resume(job_id: str, context: Ctx) -> Evaluation:
    """Queue an interrupted or failed evaluation again; finished chunks are not drawn again."""
    _found(context, job_id)
    return Evaluation.of(resume_job(context, job_id))


@router.get("/{job_id}/result", operation_id="getEvaluationResult")
def result(job_id: str, context: Ctx) -> dict[str, Any]:
    """What ``evaluation.json`` holds: the figures of the benchmarks that are complete, and
    everything needed to quote them. 404 until the first is."""
    record, _ = _found(context, job_id)
    path = _folder(context, job_id).root / EVALUATION
    if not path.exists():
        detail = f"evaluation {job_id} is {record.state} and has finished no benchmark yet"
        raise ApiProblem(404, "result_not_ready", detail)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@router.get(
    "/{job_id}/responses/{benchmark}",
    operation_id="getEvaluationResponses",
    response_class=FileResponse,
    responses={200: {"content": {PARQUET: {}}}},
)
def responses(job_id: str, benchmark: str, context: Ctx) -> FileResponse:
    """Every response to a benchmark, as a Parquet file. 404 until the benchmark is complete."""
    record, spec = _found(context, job_id)
    names = [name_of(b) for b in spec.benchmarks]
    if benchmark not in names:
        detail = f"evaluation {job_id} has no benchmark {benchmark!r}; it has {', '.join(names)}"
        raise ApiProblem(404, "unknown_benchmark", detail)
    path = _folder(context, job_id).responses(benchmark)
    if not path.exists():
        detail = f"evaluation {job_id} is {record.state} and has not finished {benchmark} yet"
        raise ApiProblem(404, "result_not_ready", detail)
    return FileResponse(path, media_type=PARQUET, filename=path.name)


def _found(context: Context, job_id: str) -> tuple[JobRecord, EvaluationJobSpec]:
    """The record and its specification; a training job is none (404)."""
    record = context.store.get_job(job_id)
    return record, record.evaluation


def _folder(context: Context, job_id: str) -> ResultFolder:
    return ResultFolder(context.settings.home.job(job_id).result)
