"""Errors as ``application/problem+json`` (RFC 9457), whatever raised them."""

from __future__ import annotations

import json
import logging
import sqlite3
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.presets.registry import UnknownPreset
from services.spec.problems import Problem, SpecError, pointer
from services.stores.protocol import IllegalTransition, JobNotFound, StaleAttempt

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
        self.headers = headers


def render(
    request: Request, problem: ApiProblem, headers: dict[str, str] | None = None
) -> Response:
    """The response of a problem."""
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
    response = Response(
        json.dumps(body), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers
    )
    if body["request_id"] is not None:
        # The answer to a fault is sent outside the middleware that sets this on all others.
        response.headers["X-Request-ID"] = str(body["request_id"])
    return response


def translate(error: Exception) -> ApiProblem | None:
    """The problem that an error of the services stands for; None where it stands for a fault."""
    problem: ApiProblem | None = None
    if isinstance(error, ApiProblem):
        problem = error
    elif isinstance(error, JobNotFound):
        problem = ApiProblem(404, "job_not_found", str(error))
    elif isinstance(error, IllegalTransition):
        extra = {"state": error.state, "allowed": list(error.allowed)}
        problem = ApiProblem(409, "illegal_transition", str(error), extra=extra)
    elif isinstance(error, StaleAttempt):
        detail = f"job {error.job_id} changed in the meantime; look at it and try again"
        problem = ApiProblem(409, "changed_meanwhile", detail, extra={"state": error.state})
    elif isinstance(error, SpecError):
        problem = ApiProblem(422, "invalid_spec", _summary(error.problems), errors=error.problems)
    elif isinstance(error, UnknownPreset):
        problems = [Problem("/preset", str(error))]
        problem = ApiProblem(422, "unknown_preset", str(error), errors=problems)
    elif isinstance(error, sqlite3.Error):
        log.error("the job store failed: %s", error)
        problem = ApiProblem(503, "store_unavailable", f"the job store does not answer: {error}")
    return problem


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem, those of the framework too."""

    async def known(request: Request, error: Exception) -> Response:
        problem = translate(error)
        assert problem is not None
        return render(request, problem, problem.headers)

    for kind in (
        ApiProblem,
        JobNotFound,
        IllegalTransition,
        StaleAttempt,
        SpecError,
        UnknownPreset,
        sqlite3.Error,
    ):
        app.add_exception_handler(kind, known)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).name.lower()
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {request.url.path}; /docs lists what there is"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = (error.headers or {}).get("Allow") or (error.headers or {}).get("allow", "")
            detail = f"{request.method} is not possible here; use {allowed}"
        else:
            detail = str(error.detail)
        problem = ApiProblem(error.status_code, code, detail)
        return render(request, problem, dict(error.headers or {}))

    app.add_exception_handler(HTTPException, refused)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return render(request, _invalid(error))

    app.add_exception_handler(RequestValidationError, invalid)

    async def fault(request: Request, error: Exception) -> Response:
        identity = getattr(request.state, "request_id", None)
        log.error("request %s failed", identity, exc_info=error)
        detail = f"an error of the server; its log has the details under request {identity}"
        return render(request, ApiProblem(500, "internal_error", detail))

    app.add_exception_handler(Exception, fault)


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


class RequestIdentity:
    """Middleware: a request id in ``request.state`` and in the header ``X-Request-ID``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = "req-" + uuid.uuid4().hex[:16]
        scope.setdefault("state", {})["request_id"] = identity

        async def send_with_identity(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if all(name != b"x-request-id" for name, _ in headers):
                    headers.append((b"x-request-id", identity.encode()))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_identity)
