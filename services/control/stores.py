"""Everything a control plane remembers besides its jobs, opened together."""

from __future__ import annotations

from dataclasses import dataclass

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
from services.home import Home
from services.stores.open import DEFAULT_PATIENCE, locate
from services.stores.redis_address import RedisAddress


@dataclass(frozen=True)
class ControlStores:
    """One protocol each, with two backends behind the same tests."""

    keys: KeyStore
    quotas: QuotaStore
    idempotency: IdempotencyStore
    audit: AuditStore
    webhooks: WebhookStore


def open_control(
    home: Home, url: str | None = None, *, patience: float = DEFAULT_PATIENCE
) -> ControlStores:
    """Open or create it where the jobs are: on the Redis server, else in the home folder.

    Args:
        home: the home folder.
        url: of the job store; None looks for it as :mod:`services.stores.open` says.
        patience: as for :func:`services.stores.open.open_store`.

    Raises:
        BadStoreUrl: the URL cannot be read.
        UnknownLayout: a newer version of Laconic wrote it.
        StoreUnavailable: the server cannot be reached, or refuses.
        sqlite3.Error: the file cannot be opened or is no database.
    """
    place = locate(url, home)
    if isinstance(place, RedisAddress):
        # As for the job store: who keeps a file need not wait for the client of a server.
        from services.control.redis_stores import open_on_redis

        return open_on_redis(place, patience)
    database = ControlDatabase(home.control_database)
    return ControlStores(
        keys=SqliteKeys(database),
        quotas=SqliteQuotas(database),
        idempotency=SqliteIdempotency(database),
        audit=SqliteAudit(database),
        webhooks=SqliteWebhooks(database),
    )
