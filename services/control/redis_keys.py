"""API keys and quotas on a Redis server.

A hash of records each; when a key was last used stands beside, so that noting it changes no record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import redis

from services.control.api_keys import ApiKey
from services.control.quotas import Quota
from services.stores.redis_calls import RedisCalls


class RedisKeys:
    """:class:`services.control.api_keys.KeyStore` on a Redis server."""

    def __init__(self, calls: RedisCalls) -> None:
        self._calls = calls
        self._keys, self._used = f"{calls.prefix}control:keys", f"{calls.prefix}control:keys:used"

    def add(self, key: ApiKey) -> bool:
        (added,) = self._calls.run("add_key", token=True, id=key.id, record=_record(key))
        return bool(added)

    def find(self, key_id: str) -> ApiKey | None:
        def question(client: redis.Redis) -> list[str | None]:
            pipe = client.pipeline(transaction=False)
            pipe.hget(self._keys, key_id)
            pipe.hget(self._used, key_id)
            return list(pipe.execute())

        record, used = self._calls.ask(question)
        return None if record is None else _key(record, used)

    def all(self) -> list[ApiKey]:
        def question(client: redis.Redis) -> list[Mapping[str, str]]:
            pipe = client.pipeline(transaction=False)
            pipe.hgetall(self._keys)
            pipe.hgetall(self._used)
            return list(pipe.execute())

        records, used = self._calls.ask(question)
        found = [_key(record, used.get(key_id)) for key_id, record in records.items()]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def replace(self, key: ApiKey) -> None:
        self._calls.run("replace_key", id=key.id, record=_record(key))

    def touch(self, key_id: str, now: float) -> None:
        self._calls.ask(lambda client: client.hset(self._used, key_id, repr(now)))

    def any(self) -> bool:
        return bool(self._calls.ask(lambda client: client.exists(self._keys)))


class RedisQuotas:
    """:class:`services.control.quotas.QuotaStore` on a Redis server."""

    def __init__(self, calls: RedisCalls) -> None:
        self._calls, self._quotas = calls, f"{calls.prefix}control:quotas"

    def quota(self, tenant: str) -> Quota | None:
        found = self._calls.ask(lambda client: client.hget(self._quotas, tenant))
        return None if found is None else Quota(**json.loads(str(found)))

    def set_quota(self, tenant: str, quota: Quota | None) -> None:
        if quota is None:
            self._calls.ask(lambda client: client.hdel(self._quotas, tenant))
            return
        record = json.dumps(asdict(quota))
        self._calls.ask(lambda client: client.hset(self._quotas, tenant, record))

    def quotas(self) -> dict[str, Quota]:
        found: Mapping[str, str] = self._calls.ask(
            lambda client: client.execute_command("HGETALL", self._quotas)
        )
        return {tenant: Quota(**json.loads(found[tenant])) for tenant in sorted(found)}


def _record(key: ApiKey) -> str:
    values = {**vars(key), "scopes": sorted(key.scopes)}
    del values["last_used_at"]
    return json.dumps(values)


def _key(record: str, used: str | None) -> ApiKey:
    values = json.loads(record)
    return ApiKey(
        **{**values, "scopes": frozenset(values["scopes"])},
        last_used_at=None if used is None else float(used),
    )
