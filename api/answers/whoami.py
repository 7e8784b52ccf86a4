"""Who a key is and what is left."""

from __future__ import annotations

from algorithms.strict import Strict
from services.control.principal import Scope


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
