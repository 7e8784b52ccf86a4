"""How many samples each objective took, step by step (paper, figure 3a)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ObjectiveCounts:
    """Samples of each step by the objective they were routed to."""

    steps: Sequence[int]
    compress: Sequence[float]
    """Prompts answered correctly at least half of the time: trained for length."""
    accuracy: Sequence[float]
    """The others: trained for accuracy."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def objective_counts(records: Sequence[Mapping[str, Any]]) -> ObjectiveCounts | None:
    """Return the counts of the steps that recorded them; None when none did. Only in an entangled
    stage, which mixes both objectives in one batch, is neither of them 0 throughout."""
    routed = [r for r in records if r.get("routed")]
    if not routed:
        return None
    return ObjectiveCounts(
        steps=[r["step"] for r in routed],
        compress=[r["routed"]["compress"] for r in routed],
        accuracy=[r["routed"]["accuracy"] for r in routed],
    )
