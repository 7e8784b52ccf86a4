"""One response to judge, and what its verdict depends on."""

from __future__ import annotations

from typing import NamedTuple

from services.verification.policy import Policy
from services.verification.tolerance import Tolerance


class Case(NamedTuple):
    """A plain tuple of the first two fields, or three, or four, will do where a case is asked
    for."""

    golds: tuple[str, ...]
    """Accepted answers; any of them will do."""
    output: str
    """The whole response."""
    policy: Policy = "reward"
    tolerance: Tolerance | None = None
    """Accepted distance of a number; None for none."""
