"""Requests that were refused before a key was accepted: counted, not recorded one by one."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

SUMMARY_SECONDS: Final = 600.0
"""Shortest time between two records of the audit log about them."""


class Refusals:
    """Whoever can connect can have requests refused, as many as they like: what is kept of them
    must not grow with their number. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._told = 0
        self._told_at: float | None = None

    def note(self, code: str) -> None:
        """One was refused with a problem of this code."""
        with self._lock:
            self._counts[code] += 1

    @property
    def counts(self) -> dict[str, int]:
        """How many there were, by the code of the problem."""
        with self._lock:
            return dict(self._counts)

    def due(self, now: float) -> int:
        """How many the audit log has not been told of, if it may be told again by now; else 0. They
        count as told.

        Args:
            now: seconds of the caller's clock.
        """
        with self._lock:
            untold = self._counts.total() - self._told
            early = self._told_at is not None and now - self._told_at < SUMMARY_SECONDS
            if not untold or early:
                return 0
            self._told += untold
            self._told_at = now
            return untold
