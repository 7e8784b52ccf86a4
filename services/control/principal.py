"""Who is asking, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from services.stores.protocol import DEFAULT_TENANT

Scope = Literal[
    "jobs:read",
    "jobs:write",
    "jobs:cancel",
    "checkpoints:read",
    "checkpoints:write",
    "webhooks:write",
    "metrics:read",
    "admin",
]
"""``jobs:read``: look at jobs, events, figures, logs, reports. ``jobs:write``: submit, resume, move
to another stage. ``jobs:cancel``: end. ``checkpoints:read``: download weights and artifacts.
``checkpoints:write``: pin, promote and delete them. ``webhooks:write``: see and change webhooks.
``metrics:read``: the series of every tenant, for Prometheus. ``admin``: all of these, for every
tenant, and the audit log."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


@dataclass(frozen=True)
class Principal:
    """The bearer of a key, or whoever is on this machine while there are no keys."""

    actor: str
    """The name of the key; ``local`` without one."""
    tenant: str
    """Who new jobs belong to."""
    scopes: frozenset[Scope]
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the scope is theirs."""
        return scope in self.scopes or self.is_admin

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes

    def sees(self, tenant: str) -> bool:
        """Whether what belongs to ``tenant`` exists for them."""
        return self.is_admin or tenant == self.tenant


LOCAL: Final = Principal(actor="local", tenant=DEFAULT_TENANT, scopes=frozenset({"admin"}))
"""Everybody on this machine, while there are no keys."""

ANONYMOUS: Final = Principal(actor="unknown", tenant=DEFAULT_TENANT, scopes=frozenset())
"""Whoever reads, without a key, what needs none where others do."""
