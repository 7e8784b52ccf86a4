"""The bounded wait of the integration tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_until(what: str, condition: Callable[[], Any], seconds: float, tick: float = 0.2) -> Any:
    """Return the first true value of ``condition``; fail after ``seconds``, saying what for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(tick)
    raise AssertionError(f"{what}: not within {seconds:g} s")
