"""The report of a job as JSON."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.dependencies import Ctx
from api.problems import ApiProblem
from services.stores.lifecycle import ACTIVE

router = APIRouter(prefix="/v1/jobs", tags=["report"])


@router.get("/{job_id}/report", operation_id="getReport")
def report(job_id: str, context: Ctx) -> dict[str, Any]:
    """The figures of a job that has ended; 404 until then. ``laconic report`` draws them."""
    record = context.store.get_job(job_id)
    _ = record.training  # an evaluation has a result instead
    if record.state in ACTIVE:
        detail = f"job {job_id} is {record.state}; its report is there when it has ended"
        raise ApiProblem(404, "report_not_ready", detail)
    # Loaded where it is needed: the plotting library behind it takes seconds.
    from services.reports.collect import ReportError, collect
    from services.reports.write import report_content

    try:
        data = collect(context.store, context.settings.home.job(job_id), job_id)
    except ReportError as error:
        raise ApiProblem(404, "report_not_ready", str(error)) from error
    if not data.evaluations and not data.steps:
        detail = f"job {job_id} {record.state} before its first step: there is nothing to report"
        raise ApiProblem(404, "report_not_ready", detail)
    return report_content(data)
