"""The step records of a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import Ctx, VisibleJob
from api.operation import Operation, needs
from api.schemas import MetricsPage

router = APIRouter(prefix="/v1/jobs", tags=["metrics"], route_class=Operation)


@router.get(
    "/{job_id}/metrics",
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
