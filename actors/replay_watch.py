"""The state of the replay queue for the live view: a look that never holds anybody up."""

from __future__ import annotations

from typing import Any

import ray

from actors.roles import Handle

_PATIENCE_SECONDS = 0.2


class ReplayWatch:
    """Asks the queue for its gauges. A queue that is busy or gone costs a moment, not a heartbeat:
    its answer is taken at a later look."""

    def __init__(self, replay: Handle) -> None:
        self._replay = replay
        self._asked: ray.ObjectRef[Any] | None = None
        self._newest: dict[str, int] | None = None

    def gauges(self) -> dict[str, int] | None:
        """Return the newest gauges known; None until there was an answer.

        Raises:
            RayActorError: the queue is lost, and the run with it.
        """
        asked = self._asked or self._replay.gauges.remote()
        if ray.wait([asked], timeout=_PATIENCE_SECONDS)[0]:
            self._newest, self._asked = ray.get(asked), None
        else:
            self._asked = asked
        return self._newest
