"""Work items for the learners: put into the replay queue one at a time, and waited for."""

from __future__ import annotations

from typing import Any

import ray

from actors.roles import Handle
from actors.waiting import Waiter


class LearnerFailed(RuntimeError):
    """A learner reported why it could not do its work."""


class LearnerWork:
    """The driver's side of the learner loop."""

    def __init__(self, replay: Handle, waiter: Waiter, timeout_seconds: float) -> None:
        self._replay, self._waiter, self._timeout = replay, waiter, timeout_seconds
        self.last_id = 0
        """Number of the newest item; a resumed job goes on counting from it."""

    def do(self, item: dict[str, Any], what: str) -> dict[str, Any]:
        """Give the learners one work item and wait for its acknowledgement.

        Raises:
            LearnerFailed: with the learner's own words.
        """
        self.last_id += 1
        replay, work_id = self._replay, self.last_id
        put = replay.put_work.remote({**item, "work_id": work_id})
        self._waiter.one(put, 60, "the replay queue to take a work item")

        def poll() -> dict[str, Any] | None:
            answer: dict[str, Any] | None = ray.get(
                replay.wait_result.remote(work_id, 0.5), timeout=60
            )
            return answer

        result: dict[str, Any] = self._waiter.until(poll, self._timeout, what)
        if "error" in result:
            raise LearnerFailed(f"{result['error']}\n{result['where']}")
        return result
