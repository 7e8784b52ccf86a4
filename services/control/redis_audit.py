"""The audit log on a Redis server: a stream whose ids are those of the records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import redis

from services.control.audit import GENESIS, AuditEntry, AuditRecord, digest
from services.stores.redis_calls import RedisCalls


class RedisAudit:
    """:class:`services.control.audit.AuditStore` on a Redis server.

    The digest is made here, for Redis has no SHA-256: a record is added behind the last one that
    was seen, and again behind a later one where another writer was quicker.
    """

    def __init__(self, calls: RedisCalls) -> None:
        self._calls, self._log = calls, f"{calls.prefix}control:audit"
        self._last = (0, GENESIS)
        """The last record that was seen here; where it is not the last, a round is lost."""

    def append(self, entry: AuditEntry) -> AuditRecord:
        while True:
            number, before = self._last
            record = AuditRecord(number + 1, entry, digest(before, entry))
            later = self._calls.run(
                "append_audit",
                token=True,
                after=str(number),
                tenant=entry.tenant,
                entry=json.dumps(asdict(entry)),
                digest=record.digest,
            )
            if not later:
                self._last = (record.id, record.digest)
                return record
            # Somebody's record is in the log for each round lost.
            self._last = (int(later[0]), later[1] or GENESIS)

    def records(
        self, after: int = 0, limit: int = 100, tenant: str | None = None
    ) -> list[AuditRecord]:
        if tenant is None:
            found = self._calls.ask(
                lambda client: client.execute_command(
                    "XRANGE", self._log, f"{after + 1}-0", "+", "COUNT", limit
                )
            )
            return [_record(entry) for entry in found]
        ids = self._calls.ask(
            lambda client: client.execute_command(
                *("ZRANGEBYSCORE", f"{self._log}:of:{tenant}", f"({after}", "+inf"),
                *("LIMIT", 0, limit),
            )
        )

        def question(client: redis.Redis) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            for number in ids:
                pipe.execute_command("XRANGE", self._log, f"{number}-0", f"{number}-0")
            return list(pipe.execute())

        return [_record(entry) for part in self._calls.ask(question) for entry in part]


def _record(entry: tuple[str, Mapping[str, str]]) -> AuditRecord:
    identity, found = entry
    said = AuditEntry(**json.loads(found["entry"]))
    return AuditRecord(int(identity.partition("-")[0]), said, found["digest"])
