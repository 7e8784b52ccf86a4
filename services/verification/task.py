"""One question to a worker, and everybody who waits for its answer."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from services.verification.lane import Lane
from services.verification.verdict_memory import Key, Outcome


@dataclass(eq=False)
class Task:
    """Two tasks are the same only if they are one."""

    key: Key
    request: dict[str, Any]
    """What the worker is sent."""
    shape: str
    job: str
    """On whose turn it is handed to a worker."""
    futures: list[Future[Outcome]]
    lane: Lane = Lane.FAST
    queued: float = field(default_factory=time.monotonic)
    attempts: int = 0
    """Workers that died at it."""
    starved: bool = False
    """Whether it has overrun once because others had the processor."""

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not all(f.cancelled() for f in self.futures)
