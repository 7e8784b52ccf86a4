"""Is the process alive, and can it do its work?"""

from __future__ import annotations

import time

from fastapi import APIRouter

from api.dependencies import Ctx
from api.gate import closing
from api.operation import Operation, needs
from api.problems import ApiProblem

router = APIRouter(tags=["health"], route_class=Operation)

_STALE_SECONDS = 60.0
"""A reconciler that has not looked for this long is taken for stuck."""


@router.get("/livez", operation_id="livez", openapi_extra=needs(None))
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", operation_id="readyz", openapi_extra=needs(None))
def readyz(context: Ctx) -> dict[str, str]:
    """The store answers and jobs are being looked after."""
    if context.closing.is_set():
        raise closing()
    context.store.ping()
    last = context.last_reconciled
    if last is None or time.time() - last > _STALE_SECONDS:
        raise ApiProblem(503, "reconciler_stale", "the reconciler has not looked at the jobs yet")
    return {"status": "ready"}
