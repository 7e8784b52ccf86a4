"""Webhooks and their outbox in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from services.control.sqlite_database import ControlDatabase
from services.control.webhooks import Delivery, DeliveryState, Webhook


class SqliteWebhooks:
    """:class:`services.control.webhooks.WebhookStore` in the control database."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    # -- webhooks -----------------------------------------------------------------------------

    def add(self, webhook: Webhook) -> Webhook:
        with self._database.write() as db:
            known = db.execute("SELECT * FROM webhooks WHERE id = ?", (webhook.id,)).fetchone()
            if known:
                return _webhook(known)
            _insert(db, "webhooks", _values(webhook))
        return webhook

    def find(self, webhook_id: str) -> Webhook | None:
        db = self._database.read()
        row = db.execute("SELECT * FROM webhooks WHERE id = ?", (webhook_id,)).fetchone()
        return None if row is None else _webhook(row)

    def of_tenant(self, tenant: str | None) -> list[Webhook]:
        db = self._database.read()
        rows = db.execute(
            "SELECT * FROM webhooks WHERE ?1 IS NULL OR tenant = ?1 ORDER BY created_at, id",
            (tenant,),
        )
        return [_webhook(r) for r in rows]

    def replace(self, webhook: Webhook) -> None:
        values = _values(webhook)
        with self._database.write() as db:
            db.execute(
                f"UPDATE webhooks SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",
                [*values.values(), webhook.id],
            )

    def remove(self, webhook_id: str) -> None:
        with self._database.write() as db:
            db.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))
            db.execute("DELETE FROM deliveries WHERE webhook_id = ?", (webhook_id,))

    # -- positions ----------------------------------------------------------------------------

    def position(self, job_id: str) -> int | None:
        db = self._database.read()
        row = db.execute(
            "SELECT position FROM webhook_positions WHERE job_id = ?", (job_id,)
        ).fetchone()
        return None if row is None else int(row["position"])

    def follow(self, job_ids: Sequence[str]) -> None:
        with self._database.write() as db:
            db.executemany(
                "INSERT INTO webhook_positions (job_id, position, closed) VALUES (?, 0, 0)"
                " ON CONFLICT (job_id) DO UPDATE SET closed = 0",
                [(job_id,) for job_id in job_ids],
            )

    def open_jobs(self) -> list[str]:
        db = self._database.read()
        rows = db.execute("SELECT job_id FROM webhook_positions WHERE closed = 0")
        return [row["job_id"] for row in rows]

    def enqueue(self, job_id: str, position: int, closed: bool, deliveries: list[Delivery]) -> None:
        with self._database.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO webhook_positions (job_id, position, closed)"
                " VALUES (?, ?, ?)",
                (job_id, position, closed),
            )
            for delivery in deliveries:
                # Two control planes may have read the same event: it goes out once.
                _insert(db, "deliveries", vars(delivery), "OR IGNORE")

    # -- deliveries ---------------------------------------------------------------------------

    def put(self, delivery: Delivery) -> None:
        values = dict(vars(delivery))
        with self._database.write() as db:
            changed = db.execute(
                f"UPDATE deliveries SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",
                [*values.values(), delivery.id],
            )
            # A delivery under way may have lost its webhook: it is not brought back.
            known = db.execute(
                "SELECT 1 FROM webhooks WHERE id = ?", (delivery.webhook_id,)
            ).fetchone()
            if changed.rowcount == 0 and known:
                _insert(db, "deliveries", values)

    def take_due(
        self, now: float, lease: float, limit: int, leave: Collection[str] = ()
    ) -> list[Delivery]:
        marks = ", ".join("?" * len(leave))
        with self._database.write() as db:
            rows = db.execute(
                "SELECT * FROM deliveries WHERE state = 'pending' AND due_at <= ?"
                f" AND webhook_id NOT IN ({marks}) ORDER BY due_at LIMIT ?",
                (now, *leave, limit),
            ).fetchall()
            db.executemany(
                "UPDATE deliveries SET due_at = ? WHERE id = ?",
                [(now + lease, row["id"]) for row in rows],
            )
            return [_delivery(row) for row in rows]

    def delivery(self, delivery_id: str) -> Delivery | None:
        db = self._database.read()
        row = db.execute("SELECT * FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
        return None if row is None else _delivery(row)

    def deliveries(self, webhook_id: str, after: str | None, limit: int) -> list[Delivery]:
        db = self._database.read()
        before = 2**62
        if after is not None:
            row = db.execute("SELECT seq FROM deliveries WHERE id = ?", (after,)).fetchone()
            before = row["seq"] if row else 0
        rows = db.execute(
            "SELECT * FROM deliveries WHERE webhook_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
            (webhook_id, before, limit),
        )
        return [_delivery(row) for row in rows]

    def counts(self) -> dict[DeliveryState, int]:
        db = self._database.read()
        return {r[0]: r[1] for r in db.execute("SELECT state, COUNT(*) FROM deliveries GROUP BY 1")}

    def trim(self, before: float) -> int:
        with self._database.write() as db:
            gone = db.execute(
                "DELETE FROM deliveries WHERE created_at < ? AND state != 'pending'", (before,)
            )
            return gone.rowcount


def _insert(db: sqlite3.Connection, table: str, values: dict[str, Any], how: str = "") -> None:
    marks = ", ".join("?" * len(values))
    db.execute(
        f"INSERT {how} INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())
    )


def _values(webhook: Webhook) -> dict[str, Any]:
    return {**vars(webhook), "topics": " ".join(sorted(webhook.topics))}


def _webhook(row: sqlite3.Row) -> Webhook:
    values = {k: row[k] for k in row.keys() if k != "seq"}  # noqa: SIM118
    return Webhook(**{**values, "topics": frozenset(row["topics"].split())})


def _delivery(row: sqlite3.Row) -> Delivery:
    return Delivery(**{k: row[k] for k in row.keys() if k != "seq"})  # noqa: SIM118
