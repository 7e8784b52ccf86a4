"""An evaluation next to the base model's: length ratio, L-Acc, answers lost and gained."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from algorithms.metrics import l_acc, mcnemar_exact_p
from algorithms.trajectory import JUDGED
from services.reports.connectors import count_connectors

Evaluation = Mapping[str, Any]
"""An evaluation file as ``services.evaluation`` writes it."""


@dataclass(frozen=True)
class Transitions:
    """What became of the base model's answers (paper, figure 4), first response of each question.

    Questions whose response the verifier could not judge on either side are left out.
    """

    preserved: int
    """Correct before and after."""
    lost: int
    """Correct before, not after."""
    gained: int
    """Correct after, not before."""
    failed: int
    """Correct neither time."""
    mcnemar_p: float
    """Chance of a difference at least this large if neither model were better."""


@dataclass(frozen=True)
class EvaluationFigures:
    """The figures of one evaluation; lengths in response tokens, accuracies as shares."""

    label: str
    step: int
    policy_version: int
    questions: int
    samples: int
    """Responses per question."""
    unverified: int
    """Responses the verifier could not judge."""
    accuracy: float | None
    """None when the verifier judged no response."""
    accuracy_ci95: tuple[float, float]
    """Wilson interval."""
    length_mean: float
    length_median: float
    length_ratio: float | None
    """Mean length over the base model's; None without a base evaluation."""
    l_acc: float | None
    """``Acc * sqrt(1 - L / L_base)`` (E11) as a share, 0 when the responses grew."""
    truncated_ratio: float
    connectors_mean: float
    """Connectors per response."""
    seconds: float
    against_base: Transitions | None


def compare(evaluation: Evaluation, base: Evaluation | None) -> EvaluationFigures:
    """Return the figures of ``evaluation``, relative to ``base`` where there is one."""
    accuracy, length = evaluation["accuracy"], evaluation["length_mean"]
    ratio = discounted = None
    if base is not None and base["length_mean"] > 0:
        ratio = length / base["length_mean"]
        if accuracy is not None:
            discounted = l_acc(accuracy, length, base["length_mean"]).value
    texts = [r["text"] for q in evaluation["records"] for r in q["responses"]]
    low, high = evaluation["accuracy_ci95"]
    return EvaluationFigures(
        label=evaluation["label"],
        step=evaluation["step"],
        policy_version=evaluation["policy_version"],
        questions=evaluation["questions"],
        samples=evaluation["samples"],
        unverified=evaluation["unverified"],
        accuracy=accuracy,
        accuracy_ci95=(low, high),
        length_mean=length,
        length_median=evaluation["length_median"],
        length_ratio=ratio,
        l_acc=discounted,
        truncated_ratio=evaluation["truncated_ratio"],
        connectors_mean=statistics.fmean(map(count_connectors, texts)) if texts else 0.0,
        seconds=evaluation["seconds"],
        against_base=transitions(base, evaluation) if base and base is not evaluation else None,
    )


def transitions(before: Evaluation, after: Evaluation) -> Transitions:
    """Count preserved, lost, gained and failed questions between two evaluations."""
    pairs = [
        (b["correct"], a["correct"])
        for _, b, a in paired_responses(before, after)
        if b["verdict"] in JUDGED and a["verdict"] in JUDGED
    ]
    lost, gained = pairs.count((True, False)), pairs.count((False, True))
    return Transitions(
        preserved=pairs.count((True, True)),
        lost=lost,
        gained=gained,
        failed=pairs.count((False, False)),
        mcnemar_p=mcnemar_exact_p(lost, gained),
    )


def paired_responses(
    before: Evaluation, after: Evaluation
) -> list[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """Return (question, first response before, first response after) of the questions in both."""
    later = {q["id"]: q for q in after["records"] if q["responses"]}
    return [
        (q, q["responses"][0], later[q["id"]]["responses"][0])
        for q in before["records"]
        if q["responses"] and q["id"] in later
    ]
