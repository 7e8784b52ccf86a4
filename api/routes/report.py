"""The report of a job: its figures as JSON, or the page that ``laconic report`` writes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse

from api.dependencies import Context, Ctx, VisibleJob
from api.operation import Operation, needs
from api.page.headers import REPORT
from api.problems import ApiProblem
from services.stores.lifecycle import ACTIVE

if TYPE_CHECKING:
    from services.reports.collect import ReportData

router = APIRouter(prefix="/v1/jobs", tags=["report"], route_class=Operation)

_DRAWING = threading.Lock()
"""The plotting library keeps settings that all threads share: one report is drawn at a time."""
_DRAWING_SECONDS: Final = 30.0
"""Longest wait for the reports before."""


@router.get(
    "/{job_id}/report",
    operation_id="getReport",
    response_model=dict[str, Any],
    openapi_extra=needs("jobs:read", heavy=True),
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def report(
    job: VisibleJob, context: Ctx, accept: Annotated[str, Header()] = "*/*"
) -> Response | dict[str, Any]:
    """The figures of a job that has ended; 404 until then. With ``Accept: text/html``, as a browser
    asks, the page that shows them."""
    if job.state in ACTIVE:
        detail = f"job {job.id} is {job.state}; its report is there when it has ended"
        raise ApiProblem(404, "report_not_ready", detail)
    # Loaded where it is needed: the plotting library behind it takes seconds.
    from services.reports.collect import ReportError, collect
    from services.reports.write import report_content

    try:
        data = collect(context.store, context.settings.home.job(job.id), job.id)
    except ReportError as error:
        raise ApiProblem(404, "report_not_ready", str(error)) from error
    if not data.evaluations and not data.steps:
        detail = f"job {job.id} {job.state} before its first step: there is nothing to report"
        raise ApiProblem(404, "report_not_ready", detail)
    if "text/html" in accept:
        return HTMLResponse(_page(context, data), headers=REPORT)
    return report_content(data)


def _page(context: Context, data: ReportData) -> str:
    from services.analysis.write import analyse_job
    from services.reports.render import render_html

    if not _DRAWING.acquire(timeout=_DRAWING_SECONDS):
        detail = "other reports are being drawn; try again in a moment"
        raise ApiProblem(503, "report_busy", detail, headers={"Retry-After": "5"})
    try:
        sections = analyse_job(data, context.settings.home.job(str(data.job["id"]))).sections
        return render_html(data, sections)
    finally:
        _DRAWING.release()
