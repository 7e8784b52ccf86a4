"""A queue in which every job gets its turn, however much the others have put in."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First in, first out within a job; round robin between the jobs that have something in it.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, deque[T]] = OrderedDict()
        """In the order of their turns; a job without an entry is not kept."""
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def waiting(self, job: str) -> int:
        """Return how many entries of a job there are."""
        return len(self._jobs.get(job, ()))

    def append(self, job: str, item: T) -> None:
        """Put an entry behind all others of its job."""
        self._jobs.setdefault(job, deque()).append(item)
        self._length += 1

    def put_back(self, job: str, item: T) -> None:
        """Put an entry before all others of its job, and the job before all others."""
        self._jobs.setdefault(job, deque()).appendleft(item)
        self._jobs.move_to_end(job, last=False)
        self._length += 1

    def pop(self) -> T:
        """Remove and return the next entry; its job waits for its next turn.

        Raises:
            KeyError: the queue is empty.
        """
        job, items = self._jobs.popitem(last=False)
        item = items.popleft()
        if items:
            self._jobs[job] = items
        self._length -= 1
        return item

    def drain(self) -> Iterable[T]:
        """Remove and return everything, in the order of the turns."""
        return [self.pop() for _ in range(self._length)]
