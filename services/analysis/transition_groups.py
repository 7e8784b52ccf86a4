"""What became of each answer, with tokens and reasoning steps before and after (figure 4)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from algorithms.metrics import mcnemar_exact_p
from algorithms.segmentation import SEGMENTER_VERSION, Segmenter, reasoning_steps
from algorithms.trajectory import JUDGED
from services.reports.comparison import Evaluation
from services.tiny_reasoner.traces import CONNECTORS

Group = Literal["preserved", "lost", "gained", "failed"]

GROUPS: Final[dict[tuple[bool, bool], Group]] = {
    (True, True): "preserved",
    (True, False): "lost",
    (False, True): "gained",
    (False, False): "failed",
}
"""By correctness before and after."""

SEGMENTERS: Final[tuple[Segmenter, ...]] = ("blank-lines", "connectors")

Answer = Literal["first", "majority"]
"""What stands for a question: its first response (the paper's one sample), or all of them, correct
where more than half of the judged ones are and as long as their mean."""

Measure = Literal["tokens", "blank-lines", "connectors"]
MEASURES: Final[tuple[Measure, ...]] = ("tokens", *SEGMENTERS)
"""Response tokens, and reasoning steps as each segmenter counts them."""


@dataclass(frozen=True)
class Box:
    """One box plot: quartiles, Tukey's whiskers, and what lies beyond them."""

    count: int
    mean: float
    q1: float
    median: float
    q3: float
    whisker_low: float
    """Smallest value at most 1.5 interquartile ranges below ``q1``."""
    whisker_high: float
    outliers: Sequence[float]


def box(values: Sequence[float]) -> Box | None:
    """Return the box of some values; None without any."""
    if not values:
        return None
    column = np.sort(np.asarray(values, np.float64))
    q1, median, q3 = (float(q) for q in np.quantile(column, (0.25, 0.5, 0.75)))
    reach = 1.5 * (q3 - q1)
    within = column[(column >= q1 - reach) & (column <= q3 + reach)]
    # Interpolated quartiles may lie beyond the last value in reach: a whisker never points inwards.
    low, high = min(float(within[0]), q1), max(float(within[-1]), q3)
    outliers = [float(v) for v in column if v < low or v > high]
    return Box(len(column), float(column.mean()), q1, median, q3, low, high, outliers)


@dataclass(frozen=True)
class BeforeAfter:
    """One measure of one group."""

    before: Box | None
    after: Box | None


@dataclass(frozen=True)
class TransitionGroups:
    """The four groups between the base model and one later evaluation."""

    label: str
    answer: Answer
    counts: Mapping[Group, int]
    """Questions; those the verifier could not judge are left out."""
    mcnemar_p: float
    """Chance of a difference at least this large if neither model were better."""
    boxes: Mapping[Group, Mapping[Measure, BeforeAfter]]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "segmenter_version": SEGMENTER_VERSION}


Responses = Sequence[Mapping[str, Any]]
"""Judged responses that stand for one question on one side."""


def transition_groups(
    before: Evaluation, after: Evaluation, answer: Answer = "first"
) -> TransitionGroups:
    """Group the questions of both evaluations and box their lengths and step counts."""
    members: dict[Group, list[tuple[Responses, Responses]]] = {
        group: [] for group in GROUPS.values()
    }
    for old, new in _pairs(before, after, answer):
        if old and new:
            members[GROUPS[_correct(old), _correct(new)]].append((old, new))
    return TransitionGroups(
        label=after["label"],
        answer=answer,
        counts={group: len(pairs) for group, pairs in members.items()},
        mcnemar_p=mcnemar_exact_p(len(members["lost"]), len(members["gained"])),
        boxes={
            group: {
                measure: BeforeAfter(
                    _box_of([old for old, _ in pairs], measure),
                    _box_of([new for _, new in pairs], measure),
                )
                for measure in MEASURES
            }
            for group, pairs in members.items()
        },
    )


def _pairs(
    before: Evaluation, after: Evaluation, answer: Answer
) -> list[tuple[Responses, Responses]]:
    """Return the judged responses of every question that both evaluations asked."""

    def judged(question: Mapping[str, Any]) -> Responses:
        chosen = question["responses"][: 1 if answer == "first" else None]
        return [r for r in chosen if r["verdict"] in JUDGED]

    later = {q["id"]: q for q in after["records"]}
    return [(judged(q), judged(later[q["id"]])) for q in before["records"] if q["id"] in later]


def _correct(responses: Responses) -> bool:
    return 2 * sum(bool(r["correct"]) for r in responses) > len(responses)


def _box_of(questions: Sequence[Responses], measure: Measure) -> Box | None:
    return box([statistics.fmean(_measured(r, measure) for r in rs) for rs in questions])


def _measured(response: Mapping[str, Any], measure: Measure) -> int:
    if measure == "tokens":
        return int(response["tokens"])
    return len(reasoning_steps(response["text"], measure, CONNECTORS))
