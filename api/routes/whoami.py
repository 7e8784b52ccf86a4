"""Who the key is, what it may do, and what its tenant has left."""

from __future__ import annotations

from fastapi import APIRouter

from api.answers.whoami import Share, WhoAmI
from api.dependencies import Caller, Ctx
from api.operation import Operation, needs

router = APIRouter(prefix="/v1", tags=["keys"], route_class=Operation)


@router.get(
    "/whoami", response_model=WhoAmI, operation_id="whoAmI", openapi_extra=needs("jobs:read")
)
def whoami(context: Ctx, caller: Caller) -> WhoAmI:
    """What the control plane makes of the key this is sent with."""
    quota = context.control.quotas.quota(caller.tenant) or context.settings.limits.quota
    jobs, workers = context.usage.shown(caller.tenant)
    storage = context.storage.last(caller.tenant)
    return WhoAmI(
        actor=caller.actor,
        key_id=caller.key_id,
        tenant=caller.tenant,
        scopes=sorted(caller.scopes),
        jobs=Share(used=jobs, allowed=quota.jobs),
        workers=Share(used=workers, allowed=quota.workers),
        storage_bytes=Share(used=storage, allowed=quota.storage_bytes),
    )
