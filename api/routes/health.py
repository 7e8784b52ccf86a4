"""Is the process alive, and can it do its work?"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from fastapi import APIRouter

from api.dependencies import Ctx
from api.gate import closing
from api.operation import Operation, needs
from api.problems import ApiProblem

router = APIRouter(tags=["health"], route_class=Operation)

_STALE_SECONDS = 60.0
"""A reconciler that has not looked for this long is taken for stuck."""
_PING_SECONDS: Final = 5.0
_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="ready")


@router.get("/livez", operation_id="livez", openapi_extra=needs(None))
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", operation_id="readyz", openapi_extra=needs(None))
async def readyz(context: Ctx) -> dict[str, str]:
    """The store answers and jobs are being looked after."""
    if context.closing.is_set():
        raise closing()
    # In a thread of its own: that all others are taken says nothing of the store.
    asked = asyncio.get_running_loop().run_in_executor(_THREADS, context.store.ping)
    try:
        await asyncio.wait_for(asked, _PING_SECONDS)
    except TimeoutError:
        detail = f"the store has not answered within {_PING_SECONDS:g} s"
        later = {"Retry-After": "5"}
        raise ApiProblem(503, "store_unavailable", detail, headers=later) from None
    last = context.last_reconciled
    if last is None or time.time() - last > _STALE_SECONDS:
        raise ApiProblem(503, "reconciler_stale", "the reconciler has not looked at the jobs yet")
    return {"status": "ready"}
