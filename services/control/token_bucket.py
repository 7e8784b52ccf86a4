"""Token buckets: so many requests at once, so many a second from then on."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass
class TokenBucket:
    """``burst`` tokens at most, ``rate`` new ones a second; a request takes one."""

    rate: float
    burst: float
    tokens: float
    updated: float
    """Seconds of the clock the caller uses."""

    def take(self, now: float) -> float:
        """Take a token. Return 0, or the seconds until there is one; then none was taken."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.updated) * self.rate)
        self.updated = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


class RateLimiter:
    """A bucket for each caller; those not seen for longest are forgotten, full by then or not."""

    def __init__(self, rate: float, burst: float, callers: int = 10_000) -> None:
        self.rate, self.burst, self._callers = rate, burst, callers
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, caller: str, now: float) -> float:
        """Take one of the caller's tokens, as :meth:`TokenBucket.take` does."""
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = TokenBucket(self.rate, self.burst, self.burst, now)
            if len(self._buckets) > self._callers:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller)
        return bucket.take(now)

    def remaining(self, caller: str) -> int:
        """Whole tokens the caller had left after the last request."""
        bucket = self._buckets.get(caller)
        return int(bucket.tokens) if bucket else int(self.burst)
