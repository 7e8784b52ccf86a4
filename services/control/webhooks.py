"""Webhooks: whom to tell of what, and the outbox of what has to be told."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

Topic = Literal[
    "job.created",
    "job.running",
    "job.stage",
    "job.paused",
    "job.interrupted",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
    "webhook.test",
]
"""``job.STATE``: the job has come to the state. ``job.stage``: it goes on with another stage."""

RETRY_SECONDS: Final = (5.0, 30.0, 120.0, 600.0, 3600.0, 3 * 3600.0, 8 * 3600.0)
"""Waits between attempts; after the last of them a delivery is dead."""
MAX_ATTEMPTS: Final = len(RETRY_SECONDS) + 1
OVERLAP_SECONDS: Final = 24 * 3600.0
"""How long the secret before a rotation still signs."""

DeliveryState = Literal["pending", "delivered", "dead"]


@dataclass(frozen=True)
class Webhook:
    """An address that is told. Times are Unix seconds."""

    id: str
    tenant: str
    url: str
    topics: frozenset[Topic]
    secret: str
    """``whsec_`` and 32 bytes in base64; signs every message."""
    created_at: float
    description: str = ""
    old_secret: str | None = None
    """The secret before the last rotation, which signs too until ``old_until``."""
    old_until: float | None = None
    disabled: str | None = None
    """Why nothing is sent any more, in words."""

    def secrets(self, now: float) -> list[str]:
        """The secrets that sign now, the newest first."""
        if self.old_secret and self.old_until and now < self.old_until:
            return [self.secret, self.old_secret]
        return [self.secret]


@dataclass(frozen=True)
class Delivery:
    """One message for one webhook."""

    id: str
    """Goes out as ``webhook-id``: the same for every attempt."""
    webhook_id: str
    topic: Topic
    body: str
    """The JSON that is signed and sent."""
    state: DeliveryState
    attempts: int
    created_at: float
    due_at: float
    """When the next attempt is made."""
    status: int | None = None
    """HTTP status of the last attempt; None where there was no answer."""
    error: str | None = None
    """What went wrong with the last attempt, in words."""


class WebhookStore(Protocol):
    """Where webhooks and their outbox are kept. Safe from several processes and threads."""

    def add(self, webhook: Webhook) -> Webhook:
        """Keep it; where there is one of this id already, that one is returned."""
        ...

    def find(self, webhook_id: str) -> Webhook | None: ...

    def of_tenant(self, tenant: str | None) -> list[Webhook]:
        """A tenant's webhooks, or all there are, oldest first."""
        ...

    def replace(self, webhook: Webhook) -> None: ...

    def remove(self, webhook_id: str) -> None:
        """Take the webhook away, with its deliveries."""
        ...

    def position(self, job_id: str) -> int | None:
        """Id of the job's last event that has been put into the outbox; None where none was."""
        ...

    def follow(self, job_ids: Sequence[str]) -> None:
        """Have the logs of these jobs read to their end, also if the jobs have ended by the time
        somebody looks."""
        ...

    def open_jobs(self) -> list[str]:
        """Jobs of which not everything is in the outbox yet."""
        ...

    def enqueue(self, job_id: str, position: int, closed: bool, deliveries: list[Delivery]) -> None:
        """Put deliveries into the outbox and move the job's position, in one step. ``closed``: the
        job has ended, nothing follows unless it is resumed."""
        ...

    def put(self, delivery: Delivery) -> None:
        """Put one delivery into the outbox, or write what became of one."""
        ...

    def take_due(
        self, now: float, lease: float, limit: int, leave: Collection[str] = ()
    ) -> list[Delivery]:
        """Pending deliveries whose time has come, but none of the webhooks in ``leave``; for
        ``lease`` seconds nobody else gets them."""
        ...

    def delivery(self, delivery_id: str) -> Delivery | None: ...

    def deliveries(self, webhook_id: str, after: str | None, limit: int) -> list[Delivery]:
        """The deliveries of a webhook, newest first, from behind the one with the id ``after``."""
        ...

    def counts(self) -> dict[DeliveryState, int]: ...

    def trim(self, before: float) -> int:
        """Drop deliveries that were created before and are no longer pending; return how many."""
        ...


def retry_delay(attempts: int, jitter: float | None = None) -> float | None:
    """Seconds until the next attempt after ``attempts`` failed ones, None where it was the last.

    A fifth is left to chance, so that receivers that came back are not hit by all at once.
    ``jitter`` (0 to 1) takes the place of chance.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    share = random.random() if jitter is None else jitter
    return RETRY_SECONDS[attempts - 1] * (0.9 + 0.2 * share)
