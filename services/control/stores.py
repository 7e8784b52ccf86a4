"""Everything a control plane remembers besides its jobs, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.control.api_keys import KeyStore
from services.control.audit import AuditStore
from services.control.idempotency import IdempotencyStore
from services.control.quotas import QuotaStore
from services.control.sqlite_audit import SqliteAudit
from services.control.sqlite_database import ControlDatabase
from services.control.sqlite_idempotency import SqliteIdempotency
from services.control.sqlite_keys import SqliteKeys, SqliteQuotas
from services.control.sqlite_webhooks import SqliteWebhooks
from services.control.webhooks import WebhookStore


@dataclass(frozen=True)
class ControlStores:
    """One protocol each, so that another backend can take their place."""

    keys: KeyStore
    quotas: QuotaStore
    idempotency: IdempotencyStore
    audit: AuditStore
    webhooks: WebhookStore


def open_control(path: Path) -> ControlStores:
    """Open or create the SQLite file.

    Raises:
        UnknownLayout: a newer version of Laconic wrote it.
        sqlite3.Error: the file cannot be opened or is no database.
    """
    database = ControlDatabase(path)
    return ControlStores(
        keys=SqliteKeys(database),
        quotas=SqliteQuotas(database),
        idempotency=SqliteIdempotency(database),
        audit=SqliteAudit(database),
        webhooks=SqliteWebhooks(database),
    )
