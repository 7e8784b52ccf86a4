"""Errors as ``application/problem+json`` (RFC 9457), whatever raised them."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.control.cursor import BadCursor
from services.control.redaction import redact
from services.presets.registry import UnknownPreset
from services.spec.problems import Problem, SpecError, pointer
from services.stores.protocol import (
    ChangedMeanwhile,
    IllegalTransition,
    JobNotFound,
    StaleAttempt,
    StoreUnavailable,
)

log = logging.getLogger("laconic.api")

MEDIA_TYPE = "application/problem+json"


class ApiProblem(Exception):
    """An error a route answers with."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Problem] = (),
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = extra or {}
        self.headers = headers or {}


def render(request: Request, problem: ApiProblem) -> Response:
    """The response of a problem; the audit log finds its code in ``request.state.problem``."""
    request.state.problem = problem.code
    body = {
        "type": f"urn:laconic:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "errors": [{"pointer": e.pointer, "detail": e.detail} for e in problem.errors],
        "request_id": getattr(request.state, "request_id", None),
        **problem.extra,
    }
    return Response(
        # Some problems say what was sent, and a key may have been sent in the wrong place.
        redact(json.dumps(body)),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def translate(error: Exception) -> ApiProblem | None:
    """The problem that an error of the services stands for; None where it stands for a fault."""
    problem: ApiProblem | None = None
    extra: dict[str, Any]
    if isinstance(error, ApiProblem):
        problem = error
    elif isinstance(error, JobNotFound):
        problem = ApiProblem(404, "job_not_found", str(error))
    elif isinstance(error, IllegalTransition):
        extra = {"state": error.state, "allowed": list(error.allowed)}
        problem = ApiProblem(409, "illegal_transition", str(error), extra=extra)
    elif isinstance(error, ChangedMeanwhile):
        extra = {"revision": error.current}
        problem = ApiProblem(412, "changed_meanwhile", str(error), extra=extra)
    elif isinstance(error, StaleAttempt):
        detail = f"job {error.job_id} changed in the meantime; look at it and try again"
        problem = ApiProblem(409, "changed_meanwhile", detail, extra={"state": error.state})
    elif isinstance(error, BadCursor):
        problem = ApiProblem(400, "bad_cursor", str(error))
    elif isinstance(error, SpecError):
        problem = ApiProblem(422, "invalid_spec", _summary(error.problems), errors=error.problems)
    elif isinstance(error, UnknownPreset):
        problems = [Problem("/preset", str(error))]
        problem = ApiProblem(422, "unknown_preset", str(error), errors=problems)
    elif isinstance(error, sqlite3.Error | StoreUnavailable):
        log.error("a store failed: %s", error)
        detail = "the store does not answer; try again later"
        problem = ApiProblem(503, "store_unavailable", detail, headers={"Retry-After": "5"})
    return problem


def status_of(error: Exception) -> int:
    """The status an error is answered with."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return _invalid(error).status
    problem = translate(error)
    return problem.status if problem else 500


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem, those of the framework too."""

    async def known(request: Request, error: Exception) -> Response:
        problem = translate(error)
        assert problem is not None
        return render(request, problem)

    for kind in (
        ApiProblem,
        BadCursor,
        ChangedMeanwhile,
        IllegalTransition,
        JobNotFound,
        SpecError,
        StaleAttempt,
        StoreUnavailable,
        UnknownPreset,
        sqlite3.Error,
    ):
        app.add_exception_handler(kind, known)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).name.lower()
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {request.url.path}; /docs lists what there is"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = ", ".join(_methods(request))
            detail = f"{request.method} is not possible here; use {allowed}"
            headers = {"Allow": allowed}
        else:
            detail = str(error.detail)
        return render(request, ApiProblem(error.status_code, code, detail, headers=headers))

    app.add_exception_handler(HTTPException, refused)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return render(request, _invalid(error))

    app.add_exception_handler(RequestValidationError, invalid)


def _methods(request: Request) -> list[str]:
    """Every method that some route has at the path of a request: the framework names those of the
    first route only."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


def fault(request: Request) -> Response:
    """The answer to a fault; what it was stands in the log, under the same request id."""
    identity = getattr(request.state, "request_id", None)
    detail = f"an error of the server; its log has the details under request {identity}"
    return render(request, ApiProblem(500, "internal_error", detail))


def _invalid(error: RequestValidationError) -> ApiProblem:
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        reason = found[0].get("ctx", {}).get("error", "")
        return ApiProblem(400, "malformed_json", f"the body is not JSON: {reason}")
    problems = []
    for e in found:
        source, *path = e["loc"]
        # Parameters outside the body are named as they are written in the request.
        where = pointer(path) if source == "body" else f"{source}:{'.'.join(map(str, path))}"
        message = str(e["msg"]).removeprefix("Value error, ")
        if e["type"] == "extra_forbidden":
            message = f"unknown field {path[-1]!r}; remove it"
        elif e["type"] == "missing":
            message = "this is required; add it" if path else "a JSON body is required"
        problems.append(Problem(where, message))
    return ApiProblem(422, "invalid_request", _summary(problems), errors=problems)


def _summary(problems: Sequence[Problem]) -> str:
    first = f"{problems[0].pointer}: {problems[0].detail}".removeprefix(": ")
    more = len(problems) - 1
    return first + (f" (and {more} more)" if more else "")
