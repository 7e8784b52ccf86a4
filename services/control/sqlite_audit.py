"""The audit log in SQLite, where triggers refuse every change of a record."""

from __future__ import annotations

import json
from dataclasses import asdict

from services.control.audit import GENESIS, AuditEntry, AuditRecord, digest
from services.control.sqlite_database import ControlDatabase


class SqliteAudit:
    """:class:`services.control.audit.AuditStore` in the control database."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def append(self, entry: AuditEntry) -> AuditRecord:
        with self._database.write() as db:
            last = db.execute("SELECT id, digest FROM audit ORDER BY id DESC LIMIT 1").fetchone()
            number, before = (last["id"], last["digest"]) if last else (0, GENESIS)
            record = AuditRecord(number + 1, entry, digest(before, entry))
            db.execute(
                "INSERT INTO audit (id, tenant, entry, digest) VALUES (?, ?, ?, ?)",
                (record.id, entry.tenant, json.dumps(asdict(entry)), record.digest),
            )
            return record

    def records(
        self, after: int = 0, limit: int = 100, tenant: str | None = None
    ) -> list[AuditRecord]:
        owner, values = ("", [after]) if tenant is None else (" AND tenant = ?", [after, tenant])
        rows = self._database.read().execute(
            f"SELECT * FROM audit WHERE id > ?{owner} ORDER BY id LIMIT ?", [*values, limit]
        )
        return [
            AuditRecord(r["id"], AuditEntry(**json.loads(r["entry"])), r["digest"]) for r in rows
        ]
