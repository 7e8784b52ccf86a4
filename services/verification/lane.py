"""The three lanes of a pool."""

from __future__ import annotations

from enum import IntEnum


class Lane(IntEnum):
    """How soon a task comes, and how long it may go on while others wait."""

    FAST = 0
    """Where tasks begin."""
    SLOW = 1
    """Those that took longer than what answers usually take, or look as if they would."""
    LAST = 2
    """Those that look as if they overrun."""
