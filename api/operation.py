"""The class of every route: it asks for a scope, refuses what is not in its description, and gives
requests that carry an idempotency key one answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi._compat.shared import field_annotation_is_sequence
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.dependencies import context_of
from api.gate import READING, retry_after
from api.problems import ApiProblem, status_of
from services.control.idempotency import HEADER, Answer, fingerprint, is_key
from services.control.principal import Principal, Scope

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

SCOPE_FIELD: Final = "x-laconic-scope"
MAP_FIELD: Final = "x-laconic-maps"
LOOKS_FIELD: Final = "x-laconic-looks"
HEAVY_FIELD: Final = "x-laconic-heavy"
_NOT_REPEATED: Final = frozenset({"content-length", "x-request-id", "date", "server"})
"""Headers that belong to an answer's first sending."""
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
"""What the framework takes for true."""


def needs(
    scope: Scope | None,
    *,
    maps: tuple[str, ...] = (),
    heavy: bool | str = False,
    only_looks: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """What a route gives as ``openapi_extra``.

    Args:
        scope: what the key must have; None for what needs no key.
        maps: query parameters written ``name[key]=value``.
        heavy: whether it may take seconds: then a tenant has so many of them at work and no more. A
            name: it does where the query parameter of this name is true.
        only_looks: whether it creates and changes nothing although it is a POST. Sent again it does
            the same, so that no answer is kept for its idempotency key.
        **more: further fields of the operation in the OpenAPI document.
    """
    return {
        SCOPE_FIELD: scope,
        MAP_FIELD: list(maps),
        HEAVY_FIELD: heavy,
        LOOKS_FIELD: only_looks,
        **more,
    }


class Operation(APIRoute):
    """A route whose description says what it takes and who may call it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        extra = self.openapi_extra or {}
        if SCOPE_FIELD not in extra:
            raise TypeError(f"{self.path}: say who may call it, with openapi_extra=needs(SCOPE)")
        self.scope: Scope | None = extra[SCOPE_FIELD]

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()
        flat = get_flat_dependant(self.dependant)
        lists = {
            f.alias
            for f in flat.query_params
            if field_annotation_is_sequence(f.field_info.annotation)  # type: ignore[arg-type]
        }
        single = {f.alias for f in flat.query_params} - lists
        maps = tuple(f"{name}[" for name in (self.openapi_extra or {}).get(MAP_FIELD, ()))
        takes_body = self.body_field is not None
        heavy = (self.openapi_extra or {}).get(HEAVY_FIELD, False)
        only_looks = bool((self.openapi_extra or {}).get(LOOKS_FIELD))
        answered = inner if only_looks else _answering(inner)

        async def handle(request: Request) -> Response:
            _check_scope(request, self.scope)
            _check_query(request, single, lists, maps)
            if takes_body:
                await _check_content_type(request)
            if not _is_heavy(request, heavy):
                return await answered(request)
            # Before anything takes a thread: those are for all, and there are only so many.
            async with context_of(request).heavy.place(request.state.principal.tenant):
                return await answered(request)

        # The extra fields have done their duty; the document says it in its own way.
        return handle


def _check_scope(request: Request, scope: Scope | None) -> None:
    principal: Principal = request.state.principal
    if scope is not None and not principal.may(scope):
        detail = f"the key {principal.actor!r} may not do this: it lacks the scope {scope}"
        raise ApiProblem(403, "missing_scope", detail, extra={"scope": scope})


def _check_query(
    request: Request, single: set[str], lists: set[str], maps: tuple[str, ...]
) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name in lists or (name.startswith(maps) and name.endswith("]") and maps):
            continue
        if name not in single:
            known = ", ".join(sorted({*single, *lists, *(f"{m}KEY]" for m in maps)}))
            detail = f"unknown query parameter {name!r}; " + (
                f"there are {known}" if known else "this takes none"
            )
            raise ApiProblem(400, "unknown_parameter", detail)
        if names.count(name) > 1:
            raise ApiProblem(400, "repeated_parameter", f"{name!r} is given twice; give it once")


async def _check_content_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not await request.body() or kind == "application/json" or kind.endswith("+json"):
        return
    shown = repr(kind) if kind else "missing"
    detail = f"the content type is {shown}; send JSON as application/json"
    raise ApiProblem(415, "unsupported_media_type", detail)


def _is_heavy(request: Request, heavy: bool | str) -> bool:
    if isinstance(heavy, bool):
        return heavy
    return request.query_params.get(heavy, "").lower() in _TRUE


def _answering(inner: Handler) -> Handler:
    """What heeds an idempotency key."""

    async def answered(request: Request) -> Response:
        key = request.headers.get(HEADER)
        if key is None or request.method in READING:
            return await inner(request)
        return await _once(request, key, inner)

    return answered


async def _once(request: Request, key: str, inner: Handler) -> Response:
    """Act on a request that carries an idempotency key, unless that has been done."""
    if not is_key(key):
        detail = f"{HEADER} must be 1 to 255 visible ASCII characters"
        raise ApiProblem(400, "bad_idempotency_key", detail)
    store = context_of(request).control.idempotency
    tenant = request.state.principal.tenant
    target = request.url.path + "?" + request.url.query
    print_ = fingerprint(request.method, target, await request.body())
    decision = await asyncio.to_thread(store.begin, tenant, key, print_, time.time())
    if decision.kind == "mismatch":
        detail = f"this {HEADER} was used for another request; use a new one for a new request"
        raise ApiProblem(422, "idempotency_mismatch", detail)
    if decision.kind == "in_flight":
        detail = "the same request is being answered; ask again for its answer"
        raise ApiProblem(409, "idempotency_in_flight", detail, headers=retry_after(1))
    if decision.answer is not None:
        answer = decision.answer
        headers = {**answer.headers, "Idempotent-Replayed": "true"}
        return Response(answer.body, status_code=answer.status, headers=headers)
    request.state.reserved = decision.resource
    request.state.repeated_since = decision.since
    try:
        response = await inner(request)
    except Exception as error:
        # A refusal has not acted; a fault may have, and goes on under the same id.
        fault = status_of(error) >= 500 and not isinstance(error, HTTPException)
        await asyncio.to_thread(store.reopen if fault else store.forget, tenant, key)
        raise
    kept = {k: v for k, v in response.headers.items() if k not in _NOT_REPEATED}
    answer = Answer(response.status_code, kept, bytes(response.body))
    await asyncio.to_thread(store.finish, tenant, key, answer)
    return response
