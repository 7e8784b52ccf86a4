"""API keys and quotas in SQLite."""

from __future__ import annotations

import sqlite3
from typing import Any

from services.control.api_keys import ApiKey
from services.control.quotas import Quota
from services.control.sqlite_database import ControlDatabase


class SqliteKeys:
    """:class:`services.control.api_keys.KeyStore` in the control database."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def add(self, key: ApiKey) -> bool:
        values = _values(key)
        with self._database.write() as db:
            added = db.execute(
                f"INSERT OR IGNORE INTO api_keys ({', '.join(values)})"
                f" VALUES ({', '.join('?' * len(values))})",
                list(values.values()),
            )
            return added.rowcount == 1

    def find(self, key_id: str) -> ApiKey | None:
        db = self._database.read()
        row = db.execute("SELECT * FROM api_keys WHERE id = ?", (key_id,)).fetchone()
        return None if row is None else _key(row)

    def all(self) -> list[ApiKey]:
        rows = self._database.read().execute("SELECT * FROM api_keys ORDER BY created_at, id")
        return [_key(row) for row in rows]

    def replace(self, key: ApiKey) -> None:
        values = _values(key)
        with self._database.write() as db:
            db.execute(
                f"UPDATE api_keys SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",
                [*values.values(), key.id],
            )

    def touch(self, key_id: str, now: float) -> None:
        with self._database.write() as db:
            db.execute("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (now, key_id))

    def any(self) -> bool:
        return (
            self._database.read().execute("SELECT 1 FROM api_keys LIMIT 1").fetchone() is not None
        )


class SqliteQuotas:
    """:class:`services.control.quotas.QuotaStore` in the control database."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def quota(self, tenant: str) -> Quota | None:
        return self.quotas().get(tenant)

    def set_quota(self, tenant: str, quota: Quota | None) -> None:
        with self._database.write() as db:
            db.execute("DELETE FROM quotas WHERE tenant = ?", (tenant,))
            if quota is not None:
                db.execute(
                    "INSERT INTO quotas (tenant, jobs, workers, storage_bytes) VALUES (?, ?, ?, ?)",
                    (tenant, quota.jobs, quota.workers, quota.storage_bytes),
                )

    def quotas(self) -> dict[str, Quota]:
        rows = self._database.read().execute("SELECT * FROM quotas ORDER BY tenant")
        return {r["tenant"]: Quota(r["jobs"], r["workers"], r["storage_bytes"]) for r in rows}


def _values(key: ApiKey) -> dict[str, Any]:
    values = {**vars(key), "scopes": " ".join(sorted(key.scopes))}
    del values["last_used_at"]
    return values


def _key(row: sqlite3.Row) -> ApiKey:
    return ApiKey(**{**dict(row), "scopes": frozenset(row["scopes"].split())})
