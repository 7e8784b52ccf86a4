"""The accuracy guard at work in one stage: the best evaluation, and whether a later one is too
far below."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from algorithms.criteria import AccuracyGuard
from algorithms.criterion_watch import Evidence

_ROUNDING = 1e-9
"""Accuracies are quotients: a drop of exactly the accepted size must not trip on their last bit."""


@dataclass(frozen=True)
class EvaluationOutcome:
    """What one held-out evaluation reports."""

    step: int
    """Finished steps of the job when it was made."""
    accuracy: float | None
    """Share of correct answers; None when no answer could be judged."""
    accuracy_ci95: tuple[float, float]
    """Its 95 % interval."""
    length: float
    """Mean response length in tokens."""

    @classmethod
    def from_dict(cls, state: Mapping[str, Any] | None) -> EvaluationOutcome | None:
        """Return what ``asdict`` was given, through JSON or not."""
        if state is None:
            return None
        low, high = state["accuracy_ci95"]
        return cls(**{**state, "accuracy_ci95": (low, high)})


class GuardWatch:
    """Follows the evaluations of one stage, beginning with the one the stage began with."""

    def __init__(self, guard: AccuracyGuard | None) -> None:
        self.guard = guard
        self.best: EvaluationOutcome | None = None

    @property
    def rollback_step(self) -> int | None:
        """Step whose checkpoint a rollback would need; None when there will be no rollback."""
        if self.guard is None or self.guard.action != "rollback" or self.best is None:
            return None
        return self.best.step

    def note(self, found: EvaluationOutcome) -> None:
        """Remember the best; of equals the newest, which has more of the stage's work in it."""
        if found.accuracy is None or not math.isfinite(found.accuracy):
            return
        if self.best is None or found.accuracy >= (self.best.accuracy or 0.0):
            self.best = found

    def judge(self, found: EvaluationOutcome, base: EvaluationOutcome | None) -> Evidence | None:
        """Return the evidence when accuracy fell by more than is accepted, else None.

        Without a judged answer, here or in the reference, there is no evidence.
        """
        if self.guard is None:
            return None
        reference = base if self.guard.reference == "base" else self.best
        if reference is None or reference.accuracy is None or found.accuracy is None:
            return None
        drop = reference.accuracy - found.accuracy
        if not drop > self.guard.max_drop + _ROUNDING:
            return None
        low, high = found.accuracy_ci95
        return {
            "accuracy": found.accuracy,
            "accuracy_low95": low,
            "accuracy_high95": high,
            "reference": self.guard.reference,
            "reference_accuracy": reference.accuracy,
            "drop": drop,
            "max_drop": self.guard.max_drop,
            "best_step": None if self.best is None else self.best.step,
            "best_accuracy": None if self.best is None else self.best.accuracy,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON types."""
        return {"best": None if self.best is None else asdict(self.best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self.best = EvaluationOutcome.from_dict(state["best"])
