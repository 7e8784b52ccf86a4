"""One criterion at work in one stage: what it has seen, and whether it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from algorithms.criteria import ClipRatio, Criterion, EntropyPlateau, LengthTarget
from algorithms.plateau import smoothed_slope

Evidence = dict[str, int | float | str | None]
"""The numbers a decision rests on, as plain JSON types."""


class CriterionWatch:
    """Follows the steps of a stage. A step without a finite figure is no evidence: it neither
    supports the criterion nor speaks against it."""

    def __init__(self, criterion: Criterion) -> None:
        self.criterion = criterion
        self._seen: list[tuple[int, float]] = []
        self._reading: float | None = None
        self._limit: float | None = None
        self._streak = 0

    def observe(
        self, step: int, metrics: Mapping[str, float | None], base_length: float | None
    ) -> None:
        """Take in a finished step.

        Args:
            step: of the stage, counted from 1.
            metrics: the step record's figures.
            base_length: mean response length of the base model on the held-out questions, in
                tokens; None while it is not known.
        """
        value = metrics.get(self.criterion.metric)
        if value is None or not math.isfinite(value):
            return
        self._seen = [*self._seen, (step, float(value))][-self.criterion.memory :]
        self._reading = self._read()
        self._limit = _limit(self.criterion, base_length)
        self._streak = self._streak + 1 if self._met() else 0

    @property
    def holds(self) -> bool:
        """Whether what was seen so far fulfils the criterion."""
        criterion = self.criterion
        return self._streak >= criterion.patience and self._seen[-1][0] >= criterion.min_steps

    @property
    def evidence(self) -> Evidence:
        """What :attr:`holds` rests on: the reading, its limit, and the window behind it."""
        return {
            "criterion": self.criterion.type,
            "metric": self.criterion.metric,
            "reading": self._reading,
            "limit": self._limit,
            "window": self.criterion.window,
        }

    def gauges(self) -> dict[str, float]:
        """Return the figures to export; ``reading`` and ``limit`` once they are known."""
        known = {"reading": self._reading, "limit": self._limit, "streak": float(self._streak)}
        return {name: value for name, value in known.items() if value is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON types."""
        return {
            "seen": [list(point) for point in self._seen],
            "reading": self._reading,
            "limit": self._limit,
            "streak": self._streak,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._seen = [(int(step), float(value)) for step, value in state["seen"]]
        self._reading, self._limit = state["reading"], state["limit"]
        self._streak = int(state["streak"])

    def _read(self) -> float | None:
        """Slope in nats per step, or mean of the window; None while steps are too few."""
        criterion = self.criterion
        if isinstance(criterion, EntropyPlateau):
            return smoothed_slope(self._seen, criterion.smoothing, criterion.window)
        if len(self._seen) < criterion.window:
            return None
        return fmean(value for _, value in self._seen)

    def _met(self) -> bool:
        if self._reading is None or self._limit is None:
            return False
        if isinstance(self.criterion, EntropyPlateau):
            return abs(self._reading) < self._limit
        if isinstance(self.criterion, ClipRatio) and self.criterion.at_least is not None:
            return self._reading >= self._limit
        return self._reading <= self._limit


def _limit(criterion: Criterion, base_length: float | None) -> float | None:
    """Return what the reading is held against; None while the base length is not known."""
    if isinstance(criterion, EntropyPlateau):
        return criterion.slope
    if isinstance(criterion, LengthTarget):
        if criterion.ratio is None:
            return criterion.tokens
        return None if base_length is None else criterion.ratio * base_length
    return criterion.at_most if criterion.at_most is not None else criterion.at_least
