"""The log of a job: in pages, or as server-sent events that follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse

from api.dependencies import Caller, Context, Ctx, VisibleOfAnyKind
from api.event_feed import follow
from api.gate import client_address
from api.operation import Operation, needs
from api.problems import ApiProblem
from api.schemas import Event, EventPage
from api.stream_access import StreamAccess, while_allowed
from services.stores.lifecycle import ACTIVE

router = APIRouter(prefix="/v1", tags=["events"], route_class=Operation)

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: {"description": "Stream only: the job has ended and every event was delivered."},
}


@router.get(
    "/jobs/{job_id}/events",
    response_model=EventPage,
    operation_id="getEvents",
    openapi_extra=needs("jobs:read"),
    responses=_ANSWERS,
)
@router.get(
    "/evaluations/{job_id}/events",
    response_model=EventPage,
    operation_id="getEvaluationEvents",
    openapi_extra=needs("jobs:read"),
    responses=_ANSWERS,
)
async def events(
    job: VisibleOfAnyKind,
    request: Request,
    context: Ctx,
    caller: Caller,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    accept: Annotated[str, Header()] = "*/*",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response | EventPage:
    """Events with ids above ``after``, oldest first.

    With ``Accept: text/event-stream`` the answer is a stream. Its ids are the event ids, so a
    client that comes back with ``Last-Event-ID`` misses nothing; it ends after the event that
    ended the job. A reader that falls far behind gets an event ``gap`` with the ids it has missed
    (``from``, ``to``), which it can have in pages. One that names an event the log does not have
    (the store lost its last moments) gets a ``gap`` with ``reset`` and the log from its beginning;
    a page then is empty and its ``next_after`` 0. The stream ends when its
    key does.
    """
    if "text/event-stream" not in accept:
        found = await asyncio.to_thread(context.store.events, job.id, after, limit + 1)
        page = found[:limit]
        if not page and not await context.feed.has(job.id, after):
            after = 0
        return EventPage(
            data=[Event.of(e) for e in page],
            has_more=len(found) > limit,
            next_after=page[-1].id if page else after,
        )
    start = max(after, _parse(last_event_id))
    # The job was read before the events are: whatever ended it is then among them.
    ended = job.state not in ACTIVE
    is_read = not await asyncio.to_thread(context.store.events, job.id, start, 1)
    if ended and is_read and await context.feed.has(job.id, start):
        # Tells a browser not to connect again.
        return Response(status_code=204)
    who = caller.key_id or client_address(request)
    context.streams.check(who)
    access = StreamAccess(context.stream_keys, request, "jobs:read", job.tenant)
    return EventSourceResponse(
        while_allowed(_counted(context, who, job.id, start, ended), access),
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _counted(
    context: Context, who: str, job_id: str, start: int, ended: bool
) -> AsyncGenerator[bytes]:
    settings = context.settings
    with context.streams.taken(who):
        async for block in follow(
            context.feed,
            job_id,
            start,
            ended,
            settings.limits.max_stream_lag,
            settings.stream_heartbeat_seconds,
        ):
            yield block


def _parse(last_event_id: str | None) -> int:
    if last_event_id is None or last_event_id == "":
        return 0
    digits = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19
    if not digits:
        detail = f"Last-Event-ID must be the id of an event, not {last_event_id[:40]!r}"
        raise ApiProblem(400, "bad_last_event_id", detail)
    return int(last_event_id)
