"""The audit log as it is shown."""

from __future__ import annotations

from dataclasses import asdict

from algorithms.strict import Strict
from services.control.audit import AuditRecord


class AuditLine(Strict):
    """One request that could change something."""

    id: int
    """Dense: 1, 2, 3, ..."""
    time: float
    """Unix seconds."""
    tenant: str
    actor: str
    """Name of the key; ``local`` without keys, ``unknown`` where none was accepted."""
    key_id: str | None
    address: str
    method: str
    path: str
    operation: str | None
    """Operation id of this document; null where the request met none."""
    status: int
    code: str | None
    """Of the problem it was answered with."""
    request_id: str
    digest: str
    """SHA-256 over the digest of the record before and this one."""

    @classmethod
    def of(cls, record: AuditRecord) -> AuditLine:
        return cls(id=record.id, digest=record.digest, **asdict(record.entry))


class AuditPage(Strict):
    """Records, oldest first."""

    data: list[AuditLine]
    has_more: bool
    next_after: int
    """Give it as ``after`` to go on behind this page."""
