"""The logs of a job's workers: in pieces, or as a stream that follows one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from api.answers.logs import LogPiece, LogSource, LogSources
from api.dependencies import Caller, Context, Ctx, VisibleJob
from api.event_feed import RETRY_MILLISECONDS
from api.gate import client_address
from api.operation import Operation, needs
from api.problems import ApiProblem
from api.stream_access import StreamAccess, while_allowed
from services.log_files import ROLE, log_files, read_log, rest_of
from services.stores.lifecycle import ACTIVE

router = APIRouter(prefix="/v1/jobs", tags=["logs"], route_class=Operation)

_PIECE: Final = 64 * 1024


@router.get(
    "/{job_id}/logs",
    response_model=LogSources,
    operation_id="listLogs",
    openapi_extra=needs("jobs:read"),
)
def list_logs(job: VisibleJob, context: Ctx) -> LogSources:
    """Which workers have a log, by role and rank."""
    found = log_files(context.settings.home.job(job.id))
    return LogSources(data=[LogSource(**vars(f)) for f in found])


@router.get(
    "/{job_id}/logs/{role}/{rank}",
    response_model=LogPiece,
    operation_id="getLog",
    openapi_extra=needs("jobs:read"),
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def get(
    job: VisibleJob,
    role: Annotated[str, Path(pattern=ROLE, description="driver, generator, learner, verifier")],
    rank: Annotated[int, Path(ge=0, lt=10**6)],
    request: Request,
    context: Ctx,
    caller: Caller,
    start: Annotated[
        int,
        Query(gt=-(2**53), lt=2**53, description="first byte; negative counts from the end"),
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=2**20, description="most bytes")] = _PIECE,
    accept: Annotated[str, Header()] = "*/*",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response | LogPiece:
    """A piece of a worker's log, in whole lines.

    With ``Accept: text/event-stream`` the answer is a stream that follows the log until the job has
    ended; its ids are places in the log, so ``Last-Event-ID`` goes on behind what was read. The
    data of each event is a JSON string. The stream ends when its key does.
    """
    folder = context.settings.home.job(job.id)
    piece = await asyncio.to_thread(read_log, folder, role, rank, start, limit)
    if piece is None:
        detail = f"job {job.id} has no log of {role} {rank}; GET .../logs lists those there are"
        raise ApiProblem(404, "log_not_found", detail)
    if "text/event-stream" not in accept:
        if job.state not in ACTIVE and not piece.text:
            piece = await asyncio.to_thread(rest_of, folder, role, rank, piece.end, limit) or piece
        return LogPiece(text=piece.text, start=piece.start, next_start=piece.end, bytes=piece.size)
    place = piece.start if last_event_id is None else _parse(last_event_id)
    who = caller.key_id or client_address(request)
    context.streams.check(who)
    access = StreamAccess(context.stream_keys, request, "jobs:read", job.tenant)
    return EventSourceResponse(
        while_allowed(_follow(context, who, job.id, role, rank, place), access),
        headers={"X-Accel-Buffering": "no"},
    )


async def _follow(
    context: Context, who: str, job_id: str, role: str, rank: int, place: int
) -> AsyncGenerator[bytes]:
    folder = context.settings.home.job(job_id)
    last_sent = time.monotonic()
    with context.streams.taken(who):
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        while not context.closing.is_set():
            # Asked before the log is read: whatever was written before the end is then in it.
            job = await asyncio.to_thread(context.store.get_job, job_id)
            read = rest_of if job.state not in ACTIVE else read_log
            piece = await asyncio.to_thread(read, folder, role, rank, place, _PIECE)
            if piece is not None and piece.text:
                place, last_sent = piece.end, time.monotonic()
                yield format_sse_event(data_str=json.dumps(piece.text), event="log", id=str(place))
                continue
            if job.state not in ACTIVE:
                return
            if time.monotonic() - last_sent >= context.settings.stream_heartbeat_seconds:
                yield KEEPALIVE_COMMENT
                last_sent = time.monotonic()
            await asyncio.sleep(context.settings.poll_seconds)
        yield format_sse_event(retry=RETRY_MILLISECONDS, comment="shutting down")


def _parse(last_event_id: str) -> int:
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16):
        detail = f"Last-Event-ID must be a place in the log, not {last_event_id[:40]!r}"
        raise ApiProblem(400, "bad_last_event_id", detail)
    return int(last_event_id)
