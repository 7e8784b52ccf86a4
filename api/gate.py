"""Middleware: what every request passes before a route sees it.

In this order: is it meant for us, may it come now, who sends it, not too often, and is its body
small, prompt and strict JSON.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.authentication import Unauthenticated
from api.dependencies import Context
from api.problems import ApiProblem, render, translate
from services.control.idempotency import HEADER as IDEMPOTENCY_KEY
from services.control.json_guard import objection
from services.control.principal import ANONYMOUS, LOCAL, Principal
from services.control.redaction import holds_secret

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
OPEN_PATHS: Final = frozenset({"/", "/livez", "/readyz", "/openapi.json", "/docs"})
"""What can be had without a key; none of it says anything of a job. The live page asks for its
reader's key and reads the API with it."""
_LONGEST_TARGET: Final = 8192
_LARGEST_HEAD: Final = 32 * 1024
_OWN_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Gate:
    """Leaves ``request.state.principal`` behind, and a body that has been read."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            request.state.principal = await self._admit(request)
            # Nobody's body is waited for: what needs no key takes none.
            body = await self._body(request) if is_known(request) else b""
        except ClientDisconnect:
            return
        except Exception as error:
            # Also a store of keys that does not answer.
            if (problem := translate(error)) is None:
                raise
            if isinstance(error, ApiProblem) and not is_known(request):
                self._context.refusals.note(problem.code)
            await render(request, problem)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _admit(self, request: Request) -> Principal:
        context = self._context
        _check_size(request)
        changes = request.method not in READING
        if changes and context.closing.is_set():
            raise closing()
        if changes and _is_foreign(request):
            detail = "a page of another site may not send this; use the API from its own page"
            raise ApiProblem(403, "cross_site", detail)
        caller = f"address:{client_address(request)}"
        refusal: ApiProblem | None = None
        principal = ANONYMOUS
        # What needs no key does not wait for the store of keys either: /livez least of all.
        if not context.needs_no_key(request.url.path):
            try:
                given = request.headers.get("authorization")
                principal = await asyncio.to_thread(context.authenticator.principal, given)
                caller = principal.key_id or caller
            except Unauthenticated as error:
                refusal = ApiProblem(
                    401,
                    "unauthenticated",
                    str(error),
                    headers={"WWW-Authenticate": 'Bearer realm="laconic"'},
                )
        if wait := context.rate.take(caller, time.monotonic()):
            detail = f"too many requests; the next one can be sent in {wait:.1f} s"
            raise ApiProblem(429, "too_many_requests", detail, headers=retry_after(wait))
        if refusal is not None:
            raise refusal
        if changes and principal is ANONYMOUS:
            detail = f"{request.url.path[:200]} can only be read"
            raise ApiProblem(405, "method_not_allowed", detail, headers={"Allow": "GET"})
        # From the first key on a key opens, under whatever name: the page behind a proxy and the
        # probes of an orchestrator are asked for by names and addresses of theirs.
        if principal is LOCAL:
            self._check_host(request)
        return principal

    def _check_host(self, request: Request) -> None:
        """Without keys whoever reaches the port may do anything: a web page must not, by giving
        its own name this machine's address."""
        try:
            host = urlsplit("//" + request.headers.get("host", "")).hostname or ""
        except ValueError:
            host = ""
        if host not in _OWN_HOSTS and host not in self._context.settings.allowed_hosts:
            detail = (
                f"this control plane does not answer as {host!r}; use 127.0.0.1 or localhost, "
                "add the name to LACONIC_ALLOWED_HOSTS, or make keys with laconic keys create"
            )
            raise ApiProblem(421, "misdirected_request", detail)

    async def _body(self, request: Request) -> bytes:
        limits = self._context.settings.limits
        too_large = ApiProblem(
            413,
            "body_too_large",
            f"the body is longer than {limits.max_body_bytes} bytes; send less at a time (data "
            "sets and models are named by their path, not sent)",
        )
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limits.max_body_bytes:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(limits.max_body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > limits.max_body_bytes:
                        raise too_large
                    parts.append(part)
        except TimeoutError:
            detail = f"the body was not complete after {limits.max_body_seconds:g} s"
            raise ApiProblem(408, "body_too_slow", detail) from None
        body = b"".join(parts)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and (kind == "application/json" or kind.endswith("+json")):
            objected = await asyncio.to_thread(objection, body)
            if objected is not None:
                raise ApiProblem(400, "malformed_json", objected)
        secret = await asyncio.to_thread(holds_secret, body)
        if secret:
            detail = "the body holds an API key or a webhook secret, which would be kept; remove it"
            raise ApiProblem(400, "secret_in_body", detail)
        if holds_secret(request.headers.get(IDEMPOTENCY_KEY, "").encode()):
            detail = f"{IDEMPOTENCY_KEY} holds an API key or a webhook secret, which would be kept"
            raise ApiProblem(400, "secret_in_header", f"{detail}; send another one")
        return body


def is_known(request: Request) -> bool:
    """Whether it is known who sent a request: a key was accepted, or none is needed."""
    return getattr(request.state, "principal", ANONYMOUS) is not ANONYMOUS


def closing() -> ApiProblem:
    """What a control plane answers that is about to end."""
    detail = "the control plane is shutting down; try again later"
    return ApiProblem(503, "closing", detail, headers=retry_after(5))


def retry_after(seconds: float) -> dict[str, str]:
    """The header, in whole seconds, at least one."""
    return {"Retry-After": str(max(1, -int(-seconds // 1)))}


def client_address(request: Request) -> str:
    """Where a request came from."""
    return request.client.host if request.client else "unknown"


def _check_size(request: Request) -> None:
    """The server bounds a head that comes in pieces; this bounds one that comes at once."""
    target = len(request.scope.get("raw_path", b"")) + len(request.scope["query_string"])
    if target > _LONGEST_TARGET:
        detail = f"the URL is longer than {_LONGEST_TARGET} characters"
        raise ApiProblem(414, "url_too_long", detail)
    if sum(len(n) + len(v) for n, v in request.headers.raw) > _LARGEST_HEAD:
        detail = f"the headers are larger than {_LARGEST_HEAD} bytes"
        raise ApiProblem(431, "headers_too_large", detail)


def _is_foreign(request: Request) -> bool:
    """Whether a browser sent this for a page of another origin."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _replay(body: bytes, receive: Receive) -> Receive:
    """What hands on the body that has been read, then whatever else comes."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
