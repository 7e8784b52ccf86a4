"""Webhooks and their outbox on a Redis server."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast, get_args

import redis

from services.control.webhooks import Delivery, DeliveryState, Topic, Webhook
from services.stores.redis_calls import RedisCalls

_AT_ONCE: Final = 500
"""Deliveries dropped in one go; meanwhile the server does nothing else."""


class RedisWebhooks:
    """:class:`services.control.webhooks.WebhookStore` on a Redis server."""

    def __init__(self, calls: RedisCalls) -> None:
        self._calls, self._prefix = calls, f"{calls.prefix}control:"

    # -- webhooks -----------------------------------------------------------------------------

    def add(self, webhook: Webhook) -> Webhook:
        (found,) = self._calls.run("add_webhook", id=webhook.id, record=_record(webhook))
        return _webhook(found)

    def find(self, webhook_id: str) -> Webhook | None:
        found = self._ask("HGET", "webhooks", webhook_id)
        return None if found is None else _webhook(found)

    def of_tenant(self, tenant: str | None) -> list[Webhook]:
        found: Mapping[str, str] = self._ask("HGETALL", "webhooks")
        wanted = [w for w in map(_webhook, found.values()) if tenant in (None, w.tenant)]
        return sorted(wanted, key=lambda webhook: (webhook.created_at, webhook.id))

    def replace(self, webhook: Webhook) -> None:
        self._calls.run("replace_webhook", id=webhook.id, record=_record(webhook))

    def remove(self, webhook_id: str) -> None:
        self._repeat("remove_webhook", id=webhook_id)

    # -- positions ----------------------------------------------------------------------------

    def position(self, job_id: str) -> int | None:
        found = self._ask("HGET", "positions", job_id)
        return None if found is None else int(found)

    def follow(self, job_ids: Sequence[str]) -> None:
        self._calls.run("follow", jobs=list(job_ids))

    def open_jobs(self) -> list[str]:
        return list(self._ask("ZRANGEBYSCORE", "positions:open", "-inf", "+inf"))

    def enqueue(self, job_id: str, position: int, closed: bool, deliveries: list[Delivery]) -> None:
        self._calls.run(
            "enqueue",
            token=True,
            job=job_id,
            position=str(position),
            closed="1" if closed else None,
            deliveries=[_fields(delivery) for delivery in deliveries],
        )

    # -- deliveries ---------------------------------------------------------------------------

    def put(self, delivery: Delivery) -> None:
        self._calls.run("put_delivery", token=True, delivery=_fields(delivery))

    def take_due(
        self, now: float, lease: float, limit: int, leave: Collection[str] = ()
    ) -> list[Delivery]:
        (rows,) = self._calls.run(
            "take_due",
            token=True,
            now=repr(now),
            again=repr(now + lease),
            limit=str(limit),
            leave=dict.fromkeys(leave, True),
        )
        return [_delivery(json.loads(row)) for row in rows]

    def delivery(self, delivery_id: str) -> Delivery | None:
        found = self._ask("HGETALL", f"delivery:{delivery_id}")
        return _delivery(found) if found else None

    def deliveries(self, webhook_id: str, after: str | None, limit: int) -> list[Delivery]:
        (rows,) = self._calls.run("deliveries", webhook=webhook_id, after=after, limit=str(limit))
        return [_delivery(json.loads(row)) for row in rows]

    def counts(self) -> dict[DeliveryState, int]:
        states: tuple[DeliveryState, ...] = get_args(DeliveryState)

        def question(client: redis.Redis) -> list[int]:
            pipe = client.pipeline(transaction=True)
            for state in states:
                pipe.zcard(f"{self._prefix}deliveries:{state}")
            return list(pipe.execute())

        counts = self._calls.ask(question)
        return {state: count for state, count in zip(states, counts, strict=True) if count}

    def trim(self, before: float) -> int:
        return sum(
            self._repeat("trim_deliveries", state=state, before=repr(before))
            for state in ("delivered", "dead")
        )

    def _ask(self, command: str, key: str, *arguments: str) -> Any:
        return self._calls.ask(
            lambda client: client.execute_command(command, self._prefix + key, *arguments)
        )

    def _repeat(self, operation: str, **arguments: Any) -> int:
        """Run an operation that does a piece at a time until nothing is left; return how much it
        did."""
        total, done = 0, _AT_ONCE
        while done == _AT_ONCE:
            (answer,) = self._calls.run(operation, **{**arguments, "limit": str(_AT_ONCE)})
            done = int(answer)
            total += done
        return total


def _record(webhook: Webhook) -> str:
    return json.dumps({**vars(webhook), "topics": sorted(webhook.topics)})


def _webhook(record: str) -> Webhook:
    values = json.loads(record)
    return Webhook(**{**values, "topics": frozenset(values["topics"])})


def _fields(delivery: Delivery) -> dict[str, str]:
    """What is kept, as text: Lua's numbers are not exact enough for times."""
    values = {name: value for name, value in vars(delivery).items() if value is not None}
    return {name: v if isinstance(v, str) else repr(v) for name, v in values.items()}


def _delivery(found: Mapping[str, str]) -> Delivery:
    return Delivery(
        id=found["id"],
        webhook_id=found["webhook_id"],
        topic=cast(Topic, found["topic"]),
        body=found["body"],
        state=cast(DeliveryState, found["state"]),
        attempts=int(found["attempts"]),
        created_at=float(found["created_at"]),
        due_at=float(found["due_at"]),
        status=int(found["status"]) if "status" in found else None,
        error=found.get("error"),
    )
