"""The step records of a job: in pages, as curves of several jobs, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.answers.metrics import Curves, JobCurves
from api.dependencies import Caller, Context, Ctx, VisibleJob, visible_job
from api.operation import Operation, needs
from api.schemas import MetricsPage
from services.metric_series import csv_lines
from services.metric_series import curves as series

router = APIRouter(prefix="/v1", tags=["metrics"], route_class=Operation)

_PAGE: Final = 1000


@router.get(
    "/jobs/{job_id}/metrics",
    response_model=MetricsPage,
    operation_id="getMetrics",
    openapi_extra=needs("jobs:read"),
)
def metrics(
    job: VisibleJob,
    context: Ctx,
    after_step: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> MetricsPage:
    """Records of the steps above ``after_step``. After a resume the steps that were lost are
    written again, so a reader that follows a job starts over when its attempt changes."""
    found = context.store.metrics(job.id, after_step, limit + 1)
    page = found[:limit]
    return MetricsPage(
        data=page,
        has_more=len(found) > limit,
        next_after_step=int(page[-1]["step"]) if page else after_step,
    )


@router.get(
    "/jobs/{job_id}/metrics.csv",
    response_class=StreamingResponse,
    operation_id="exportMetrics",
    openapi_extra=needs("jobs:read"),
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def export(job: VisibleJob, context: Ctx) -> StreamingResponse:
    """Every record as a line of a table (RFC 4180); names of nested figures are joined by dots."""
    return StreamingResponse(
        csv_lines(lambda: _records(context, job.id)),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{job.id}.csv"'},
    )


@router.get(
    "/metrics",
    response_model=Curves,
    operation_id="getCurves",
    openapi_extra=needs("jobs:read", heavy=True),
)
def curves(
    context: Ctx,
    caller: Caller,
    job: Annotated[list[str], Query(min_length=1, max_length=20, description="ids of jobs")],
    field: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=20,
            description="names of figures, nested ones with dots, e.g. seconds.generate",
        ),
    ],
    points: Annotated[
        int, Query(ge=3, le=5000, description="most points of a curve; what stands out stays")
    ] = 500,
) -> Curves:
    """Figures of several jobs over their steps, each with at most so many points."""
    data = []
    for job_id in dict.fromkeys(job):
        visible_job(job_id, context, caller)
        found = series(_records(context, job_id), dict.fromkeys(field), points)
        data.append(JobCurves(job=job_id, curves=found))
    return Curves(data=data)


def _records(context: Context, job_id: str) -> Iterator[dict[str, Any]]:
    step = 0
    while page := context.store.metrics(job_id, step, _PAGE):
        yield from page
        step = int(page[-1]["step"])
