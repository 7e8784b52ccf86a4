"""How long ago each driver was last heard."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic, time

from services.stores.protocol import JobRecord


class Pulse:
    """Counts from when a new heartbeat was seen here, not by what it says of its time: clocks of
    several machines may disagree. Only the first heartbeat that is seen of a job is taken at its
    word, for it may be old."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}

    def age(self, job: JobRecord) -> float | None:
        """Seconds since the driver of a job was last heard; None before its first heartbeat."""
        if job.heartbeat_at is None:
            self._seen.pop(job.id, None)
            return None
        known = self._seen.get(job.id)
        if known is None or known[0] != job.heartbeat_at:
            age = max(0.0, time() - job.heartbeat_at) if known is None else 0.0
            known = self._seen[job.id] = (job.heartbeat_at, monotonic() - age)
        return monotonic() - known[1]

    def keep(self, jobs: Collection[str]) -> None:
        """Forget all others."""
        self._seen = {job: seen for job, seen in self._seen.items() if job in jobs}
