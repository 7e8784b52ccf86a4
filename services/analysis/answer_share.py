"""How much of a model's computation stands after ``</think>`` (paper, figure 5, appendix C)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from algorithms.computations import (
    COMPUTATIONS_VERSION,
    NOTHING,
    ComputationSplit,
    split_computations,
)
from services.reports.comparison import Evaluation
from services.reports.connectors import count_connectors


@dataclass(frozen=True)
class AnswerShare:
    """Of all responses of one evaluation together."""

    label: str
    responses: int
    split: ComputationSplit
    """Pooled: each computation weighs alike, so that long responses weigh more."""
    connectors_per_1000: float | None
    """Connectors per 1,000 response tokens."""

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "answer_share": self.split.answer_share,
            "answer_token_share": self.split.answer_token_share,
            "repeated_share": self.split.repeated_share,
            "computations_version": COMPUTATIONS_VERSION,
        }


def answer_share(evaluation: Evaluation) -> AnswerShare:
    """Count the computations, words and connectors of an evaluation."""
    responses = [r for q in evaluation["records"] for r in q["responses"]]
    tokens = sum(r["tokens"] for r in responses)
    connectors = sum(count_connectors(r["text"]) for r in responses)
    return AnswerShare(
        label=evaluation["label"],
        responses=len(responses),
        split=sum((split_computations(r["text"]) for r in responses), NOTHING),
        connectors_per_1000=1000 * connectors / tokens if tokens else None,
    )
