"""Work items for the learners: put into the replay queue one at a time, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray

from actors.roles import Handle
from actors.waiting import Waiter
from services.storage_full import StorageFull


class LearnerFailed(RuntimeError):
    """A learner reported why it could not do its work."""


class LearnerWork:
    """The driver's side of the learner loop."""

    def __init__(self, replay: Handle, waiter: Waiter, timeout_seconds: float) -> None:
        self._replay, self._waiter, self._timeout = replay, waiter, timeout_seconds
        self.last_id = 0
        """Number of the newest item; a resumed job goes on counting from it."""

    def train(
        self, item: dict[str, Any], what: str, beside: Callable[[], object] | None = None
    ) -> dict[str, Any]:
        """Have the learners train one step and publish their policy; return their figures.

        Args:
            item: what to train.
            what: for messages.
            beside: is called while the learners train; they publish once it has returned. The
                figures then have ``held_up_seconds``, which is how long the learners were done
                before it was.
        """
        if beside is None:
            return self.do({**item, "publish": True}, what)
        started = time.monotonic()
        work_id = self.begin({**item, "publish": False})
        beside()
        seconds = time.monotonic() - started
        result = self.finish(work_id, what)
        publish = {"kind": "publish", "version": item["version"]}
        published = self.do(publish, "the learners to publish their policy")
        held_up = max(0.0, seconds - result["train_seconds"])
        return {**result, **published, "held_up_seconds": held_up}

    def do(self, item: dict[str, Any], what: str) -> dict[str, Any]:
        """Give the learners one work item and wait for its acknowledgement.

        Raises:
            LearnerFailed: with the learner's own words.
        """
        return self.finish(self.begin(item), what)

    def begin(self, item: dict[str, Any]) -> int:
        """Give the learners one work item; return its number."""
        self.last_id += 1
        put = self._replay.put_work.remote({**item, "work_id": self.last_id})
        self._waiter.one(put, 60, "the replay queue to take a work item")
        return self.last_id

    def finish(self, work_id: int, what: str) -> dict[str, Any]:
        """Wait for the acknowledgement of a work item.

        Raises:
            StorageFull, LearnerFailed: with the learner's own words.
        """

        def poll() -> dict[str, Any] | None:
            answer: dict[str, Any] | None = ray.get(
                self._replay.wait_result.remote(work_id, 0.5), timeout=60
            )
            return answer

        result: dict[str, Any] = self._waiter.until(poll, self._timeout, what)
        if result.get("storage_full"):
            raise StorageFull(result["error"])
        if "error" in result:
            raise LearnerFailed(f"{result['error']}\n{result['where']}")
        return result
