"""Idempotency keys in SQLite."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading

from services.control.idempotency import (
    KEEP_SECONDS,
    Answer,
    Decision,
    Reservation,
    decide,
)
from services.control.presence import Presence
from services.control.sqlite_database import ControlDatabase
from services.stores.identity import new_suffix


class SqliteIdempotency:
    """:class:`services.control.idempotency.IdempotencyStore` in the control database."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database
        self._entering = threading.Lock()
        self._presence: Presence | None = None

    def begin(self, tenant: str, key: str, fingerprint: str, now: float) -> Decision:
        presence = self._present()
        with self._database.write() as db:
            row = db.execute(
                "SELECT * FROM idempotency WHERE tenant = ? AND key = ?", (tenant, key)
            ).fetchone()
            known = None if row is None else _reservation(row)
            decision = decide(known, fingerprint, now, new_suffix(), presence.lives)
            if decision.kind == "act":
                db.execute(
                    "INSERT OR REPLACE INTO idempotency"
                    " (tenant, key, fingerprint, resource, state, began_at, first_at, holder)"
                    " VALUES (?, ?, ?, ?, 'in_flight', ?, ?, ?)",
                    (
                        *(tenant, key, fingerprint, decision.resource, now),
                        now if decision.since is None else decision.since,
                        presence.name,
                    ),
                )
                if secrets.randbelow(100) == 0:
                    db.execute("DELETE FROM idempotency WHERE began_at < ?", (now - KEEP_SECONDS,))
            return decision

    def finish(self, tenant: str, key: str, answer: Answer) -> None:
        with self._database.write() as db:
            db.execute(
                "UPDATE idempotency SET state = 'done', status = ?, headers = ?, body = ?"
                " WHERE tenant = ? AND key = ?",
                (answer.status, json.dumps(answer.headers), answer.body, tenant, key),
            )

    def reopen(self, tenant: str, key: str) -> None:
        with self._database.write() as db:
            db.execute(
                "UPDATE idempotency SET state = 'open' WHERE tenant = ? AND key = ?", (tenant, key)
            )

    def forget(self, tenant: str, key: str) -> None:
        with self._database.write() as db:
            db.execute("DELETE FROM idempotency WHERE tenant = ? AND key = ?", (tenant, key))

    def leave(self) -> None:
        with self._entering:
            if self._presence is not None:
                self._presence.leave()
                self._presence = None

    def _present(self) -> Presence:
        """Commands that only look at the database need none."""
        with self._entering:
            if self._presence is None:
                self._presence = Presence(self._database.presence)
            return self._presence


def _reservation(row: sqlite3.Row) -> Reservation:
    answer = None
    if row["state"] == "done":
        answer = Answer(row["status"], json.loads(row["headers"]), row["body"])
    return Reservation(
        fingerprint=row["fingerprint"],
        resource=row["resource"],
        state=row["state"],
        began_at=row["began_at"],
        holder=row["holder"],
        answer=answer,
        first_at=row["first_at"],
    )
