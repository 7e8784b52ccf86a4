"""How often a job goes on by itself after its driver was lost."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from algorithms.strict import Strict

LONGEST_PAUSE_SECONDS: Final = 600.0


class RestartSpec(Strict):
    """What becomes of the job when its driver is killed, runs out of memory, or is lost with its
    machine or with Ray. A driver that ends its job itself (``failed``, ``paused``, ``cancelled``)
    is not concerned."""

    limit: int = Field(default=3, ge=0, le=100)
    """How many times in a row the job is resumed by itself without getting further: each new
    checkpoint, and of an evaluation each finished chunk, begins the count anew. 0 leaves resuming
    to people."""
    pause_seconds: float = Field(default=5.0, ge=0, le=LONGEST_PAUSE_SECONDS)
    """Wait before the first of them; each further one in a row waits twice as long, 10 minutes at
    most."""

    def pause(self, count: int) -> float:
        """Seconds before the ``count``-th resume in a row."""
        return min(self.pause_seconds * 2.0 ** (count - 1), LONGEST_PAUSE_SECONDS)
