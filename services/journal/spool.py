"""What waits for a job store that is away, and when the store is tried again: a pure state
machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from services.journal.entry import Entry

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 5.0


class Spool:
    """Entries in their order, within a bound. Times are seconds on any clock that only grows."""

    def __init__(self, limit: int, waiting: Iterable[Entry] = ()) -> None:
        """Begin.

        Args:
            limit: bytes that may wait.
            waiting: what an attempt before has left, whatever the limit.
        """
        self._limit = limit
        self._waiting = deque((entry, len(entry.line())) for entry in waiting)
        self._size = sum(size for _, size in self._waiting)
        self._wait = _FIRST_WAIT
        self._next = float("-inf")
        self._away_since: float | None = None

    # -- what waits ---------------------------------------------------------------------------

    @property
    def first(self) -> Entry | None:
        """What is to be written next."""
        return self._waiting[0][0] if self._waiting else None

    def __len__(self) -> int:
        return len(self._waiting)

    def has_room_for(self, entry: Entry) -> bool:
        """Whether it may wait here."""
        return self._size + len(entry.line()) <= self._limit

    def add(self, entry: Entry) -> None:
        """Have it wait behind all others.

        Raises:
            ValueError: it would be out of order.
        """
        if self._waiting and entry.mark <= self._waiting[-1][0].mark:
            raise ValueError(f"{entry.mark} does not follow {self._waiting[-1][0].mark}")
        size = len(entry.line())
        self._waiting.append((entry, size))
        self._size += size

    def written(self) -> None:
        """Note that the store has :attr:`first`."""
        self._size -= self._waiting.popleft()[1]

    # -- the store ----------------------------------------------------------------------------

    def may_try(self, now: float) -> bool:
        """Whether the store is to be asked: always while it answers, now and then while it is
        away."""
        return now >= self._next

    def lost(self, now: float) -> None:
        """Note that the store did not answer."""
        if self._away_since is None:
            self._away_since = now
        self._next = now + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT)

    def found(self) -> None:
        """Note that the store answered."""
        self._wait, self._next, self._away_since = _FIRST_WAIT, float("-inf"), None

    def away_for(self, now: float) -> float | None:
        """How long the store has been away; None while it answers."""
        return None if self._away_since is None else now - self._away_since
