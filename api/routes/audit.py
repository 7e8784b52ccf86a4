"""The audit log, in pages or as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.answers.audit import AuditLine, AuditPage
from api.dependencies import Context, Ctx
from api.operation import Operation, needs

router = APIRouter(prefix="/v1", tags=["audit"], route_class=Operation)

_PAGE: Final = 1000


@router.get(
    "/audit",
    response_model=AuditPage,
    operation_id="getAuditLog",
    openapi_extra=needs("admin"),
)
def audit(
    context: Ctx,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    tenant: Annotated[str | None, Query(max_length=40, description="only of this tenant")] = None,
) -> AuditPage:
    """Requests that could change something, and what came of them."""
    found = context.control.audit.records(after, limit + 1, tenant)
    page = found[:limit]
    return AuditPage(
        data=[AuditLine.of(r) for r in page],
        has_more=len(found) > limit,
        next_after=page[-1].id if page else after,
    )


@router.get(
    "/audit.ndjson",
    response_class=StreamingResponse,
    operation_id="exportAuditLog",
    openapi_extra=needs("admin"),
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def export(context: Ctx) -> StreamingResponse:
    """The whole log, a JSON object a line. Each line's digest is over the one before, so that a
    change of the past shows."""
    return StreamingResponse(
        _lines(context),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": 'attachment; filename="audit.ndjson"'},
    )


def _lines(context: Context) -> Iterator[str]:
    after = 0
    while records := context.control.audit.records(after, _PAGE):
        for record in records:
            yield json.dumps(AuditLine.of(record).model_dump()) + "\n"
        after = records[-1].id
