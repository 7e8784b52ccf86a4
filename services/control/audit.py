"""The audit log: who asked for what change, and what came of it. Records are only ever added, and
each carries a digest over itself and the one before, so that a change of the past shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, Protocol

GENESIS: Final = "0" * 64
"""What the first record follows."""


@dataclass(frozen=True)
class AuditEntry:
    """One request that could change something."""

    time: float
    """Unix seconds."""
    tenant: str
    actor: str
    """Name of the key; ``local`` without keys, ``unknown`` where none was accepted."""
    key_id: str | None
    address: str
    """Where the request came from."""
    method: str
    path: str
    operation: str | None
    """Id of the operation; None where there was none."""
    status: int
    code: str | None
    """Of the problem it was answered with."""
    request_id: str


@dataclass(frozen=True)
class AuditRecord:
    """An entry in its place in the log."""

    id: int
    """Dense: 1, 2, 3, ..."""
    entry: AuditEntry
    digest: str


class AuditStore(Protocol):
    """Where the log is kept. Safe from several processes and threads."""

    def append(self, entry: AuditEntry) -> AuditRecord: ...

    def records(
        self, after: int = 0, limit: int = 100, tenant: str | None = None
    ) -> list[AuditRecord]:
        """Records with ids above ``after``, oldest first; of one tenant or of all."""
        ...


def digest(previous: str, entry: AuditEntry) -> str:
    """SHA-256 over the digest before and the entry, in hexadecimal."""
    content = json.dumps(asdict(entry), sort_keys=True)
    return hashlib.sha256(f"{previous}\n{content}".encode()).hexdigest()


def first_broken(records: Iterable[AuditRecord]) -> int | None:
    """Return the id of the first record that does not follow from the one before, or None.

    Args:
        records: the whole log, from the first record on.
    """
    previous, expected = GENESIS, 1
    for record in records:
        if record.id != expected or record.digest != digest(previous, record.entry):
            return record.id
        previous, expected = record.digest, expected + 1
    return None
