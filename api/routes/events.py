"""The log of a job: in pages, or as server-sent events that follow it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from api.dependencies import Context, Ctx
from api.problems import ApiProblem
from api.schemas import Event, EventPage
from services.stores.lifecycle import ACTIVE
from services.stores.protocol import EventRecord

router = APIRouter(prefix="/v1", tags=["events"])

_BATCH = 200
_RETRY_MILLISECONDS = 2000
"""When a browser whose stream broke comes back."""


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: {"description": "Stream only: the job has ended and every event was delivered."},
}


@router.get(
    "/jobs/{job_id}/events",
    response_model=EventPage,
    operation_id="getEvents",
    responses=_ANSWERS,
)
@router.get(
    "/evaluations/{job_id}/events",
    response_model=EventPage,
    operation_id="getEvaluationEvents",
    responses=_ANSWERS,
)
async def events(
    job_id: str,
    request: Request,
    context: Ctx,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    accept: Annotated[str, Header()] = "*/*",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response | EventPage:
    """Events with ids above ``after``, oldest first.

    With ``Accept: text/event-stream`` the answer is a stream. Its ids are the event ids, so a
    client that comes back with ``Last-Event-ID`` misses nothing; it ends after the event that
    ended the job.
    """
    if "text/event-stream" not in accept:
        found = await asyncio.to_thread(context.store.events, job_id, after, limit + 1)
        page = found[:limit]
        return EventPage(
            data=[Event.of(e) for e in page],
            has_more=len(found) > limit,
            next_after=page[-1].id if page else after,
        )
    start = max(after, _parse(last_event_id))
    ended = await asyncio.to_thread(_has_ended, context, job_id)
    if ended and not await asyncio.to_thread(context.store.events, job_id, start, 1):
        # Tells a browser not to connect again.
        return Response(status_code=204)
    return EventSourceResponse(
        _follow(context, request, job_id, start),
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _parse(last_event_id: str | None) -> int:
    if last_event_id is None or last_event_id == "":
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit()):
        detail = f"Last-Event-ID must be the id of an event, not {last_event_id!r}"
        raise ApiProblem(400, "bad_last_event_id", detail)
    return int(last_event_id)


def _has_ended(context: Context, job_id: str) -> bool:
    return context.store.get_job(job_id).state not in ACTIVE


async def _follow(
    context: Context, request: Request, job_id: str, after: int
) -> AsyncIterator[bytes]:
    """Yield events as they are written, until the job has ended and none is left."""
    yield format_sse_event(retry=_RETRY_MILLISECONDS)
    last_sent = time.monotonic()
    while True:
        # Asked before the events are read: whatever ended the job is then among them.
        ended = await asyncio.to_thread(_has_ended, context, job_id)
        batch = await asyncio.to_thread(context.store.events, job_id, after, _BATCH)
        for event in batch:
            yield _encode(event)
            after, last_sent = event.id, time.monotonic()
        if len(batch) == _BATCH:
            continue
        if ended or context.closing.is_set() or await request.is_disconnected():
            return
        if time.monotonic() - last_sent >= context.settings.stream_heartbeat_seconds:
            yield KEEPALIVE_COMMENT
            last_sent = time.monotonic()
        await asyncio.sleep(context.settings.poll_seconds)


def _encode(event: EventRecord) -> bytes:
    return format_sse_event(
        data_str=Event.of(event).model_dump_json(), event=event.type, id=str(event.id)
    )
