"""Everything a control plane remembers besides its jobs, on a Redis server."""

from __future__ import annotations

from services.control.redis_audit import RedisAudit
from services.control.redis_idempotency import RedisIdempotency
from services.control.redis_keys import RedisKeys, RedisQuotas
from services.control.redis_script import CONTROL
from services.control.redis_webhooks import RedisWebhooks
from services.control.stores import ControlStores
from services.stores.redis_address import RedisAddress
from services.stores.redis_calls import RedisCalls
from services.stores.redis_layout import begin


def open_on_redis(address: RedisAddress, patience: float) -> ControlStores:
    """Open it, and begin a store where there is none.

    Args:
        address: the server; the job store is on the same and has the same prefix.
        patience: how long each operation is repeated, in seconds, while it cannot be reached.

    Raises:
        UnknownLayout: a newer version of Laconic wrote it.
        StoreUnavailable: the server cannot be reached, or refuses.
    """
    calls = RedisCalls(address, patience, CONTROL)
    begin(calls)
    return ControlStores(
        keys=RedisKeys(calls),
        quotas=RedisQuotas(calls),
        idempotency=RedisIdempotency(calls),
        audit=RedisAudit(calls),
        webhooks=RedisWebhooks(calls),
    )
