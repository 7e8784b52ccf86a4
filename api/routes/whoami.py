"""Who the key is, what it may do, and what its tenant has left."""

from __future__ import annotations

from fastapi import APIRouter

from algorithms.strict import Strict
from api.dependencies import Caller, Ctx
from api.operation import Operation, needs
from services.control.principal import Scope

router = APIRouter(prefix="/v1", tags=["keys"], route_class=Operation)


class Share(Strict):
    """What there is of something, and what is allowed."""

    used: int
    allowed: int | None
    """Null is no bound."""


class WhoAmI(Strict):
    actor: str
    """Name of the key; ``local`` without keys."""
    key_id: str | None
    tenant: str
    scopes: list[Scope]
    jobs: Share
    """Queued or at work, as of the last second."""
    workers: Share
    """Of those jobs."""
    storage_bytes: Share
    """As measured lately."""


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
