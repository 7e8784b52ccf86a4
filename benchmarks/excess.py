"""What some steps of a run take beyond the steps next to them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

NEIGHBOURS = 2
"""Steps to each side that a step is compared with: lengths change slowly over a few."""

Step = Mapping[str, Any]


def excess(steps: Sequence[Step], special: Callable[[Step], bool], phase: str) -> list[float]:
    """Return the seconds of each special step beyond the median of the plain steps next to it in
    its stage; a step without such neighbours is left out.

    Args:
        steps: records of a report.
        special: which steps are compared with the others.
        phase: whose seconds, or ``total``.
    """
    found = []
    for step in filter(special, steps):
        beside = [
            s["seconds"][phase]
            for s in steps
            if s["stage"] == step["stage"]
            and not special(s)
            and abs(s["step"] - step["step"]) <= NEIGHBOURS
        ]
        if beside:
            found.append(step["seconds"][phase] - statistics.median(beside))
    return found
