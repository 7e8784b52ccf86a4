"""Counts the streams that are open, so that neither one caller nor all together take them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.limits import Limits
from api.problems import ApiProblem


class StreamSlots:
    """Lives in the event loop of the server."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """Streams that are open now."""
        return self._open.total()

    def check(self, caller: str) -> None:
        """Refuse a stream that would be one too many.

        Raises:
            ApiProblem: 429 for the caller's own bound, 503 for that of all.
        """
        later = {"Retry-After": "10"}
        if self._open[caller] >= self._limits.max_streams_per_key:
            detail = f"{self._open[caller]} streams are open for this key; close one"
            raise ApiProblem(429, "too_many_streams", detail, headers=later)
        if self.open >= self._limits.max_streams:
            detail = "no more streams can be opened; ask for pages instead"
            raise ApiProblem(503, "too_many_streams", detail, headers=later)

    @contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Count one stream as long as the context is open."""
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
