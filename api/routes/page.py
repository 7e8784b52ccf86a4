"""The live page: the list of jobs at ``/``, one job at ``/jobs/{id}``, and their assets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from api.operation import Operation, needs
from api.page.assets import assets
from api.page.headers import PAGE
from api.page.render import render

router = APIRouter(include_in_schema=False, route_class=Operation)


def is_open(path: str) -> bool:
    """Whether a path is one of the page's, which says nothing of a job and needs no key."""
    return path == "/" or path.startswith(("/jobs/", "/assets/"))


@router.get("/", openapi_extra=needs(None))
async def jobs_page() -> HTMLResponse:
    return render("jobs.html.j2")


@router.get("/jobs/{job_id}", openapi_extra=needs(None))
async def job_page(job_id: str) -> HTMLResponse:
    """The same page for every id: whether there is such a job, the API says to who may know."""
    return render("job.html.j2", job_id=job_id)


@router.get("/assets/{name:path}", openapi_extra=needs(None))
async def asset(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    found = assets().get(name)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    headers = {**PAGE, "ETag": found.etag}
    if if_none_match == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)


_Handler = Callable[[Request, Exception], Awaitable[Response]]


def install_not_found(app: FastAPI) -> None:
    """Show a page where a person asks for one that is not there; programs get their problem, by
    the handler installed before this one."""
    otherwise = cast("_Handler", app.exception_handlers[HTTPException])

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        asks = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        api = request.url.path.startswith("/v1/")
        if error.status_code == HTTPStatus.NOT_FOUND and asks and not api:
            return render("not_found.html.j2", status=404, path=request.url.path)
        return await otherwise(request, error)

    app.add_exception_handler(HTTPException, refused)
