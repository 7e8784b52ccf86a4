"""Two models on the same questions: what changed, and how sure that is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from algorithms.bootstrap import PairedDifference, paired_bootstrap
from algorithms.metrics import l_acc
from services.analysis.transition_groups import Answer, TransitionGroups, transition_groups
from services.evaluation.figures import Length, by_question
from services.evaluation.response import Response
from services.evaluation.training_record import question_records


@dataclass(frozen=True)
class Pair:
    """Two models on one benchmark. Figures are over the questions that both were asked."""

    benchmark: str
    questions: int
    accuracy: tuple[float | None, float | None]
    """avg@k before and after, as shares, over the questions with a verdict on both sides."""
    accuracy_change: PairedDifference | None
    """None where no question has a verdict on both sides."""
    length: tuple[float, float]
    length_change: PairedDifference
    l_acc: float | None
    """Of the second, with the first as its base."""
    transitions: TransitionGroups

    def as_json(self) -> dict[str, Any]:
        groups = self.transitions.as_json()
        return {**asdict(self), "transitions": groups}


def pair(
    benchmark: str,
    before: Sequence[Response],
    after: Sequence[Response],
    *,
    names: tuple[str, str],
    length: Length,
    seed: int,
) -> Pair:
    """Compare the responses of two models to one benchmark.

    Args:
        benchmark: its name.
        before: of the first model.
        after: of the second.
        names: of both.
        length: which count of tokens is the length.
        seed: of the resampling.

    Raises:
        ValueError: they have no question in common.
    """
    old, new = by_question(before), by_question(after)
    both = [q for q in old if q in new]
    if not both:
        raise ValueError(f"{names[0]} and {names[1]} have no question of {benchmark} in common")
    judged = [q for q in both if _judged(old[q]) and _judged(new[q])]
    shares = [[_share(side[q]) for q in judged] for side in (old, new)]
    old_lengths, new_lengths = ([_mean(side[q], length) for q in both] for side in (old, new))
    first, second = statistics.fmean(old_lengths), statistics.fmean(new_lengths)
    accuracy = [statistics.fmean(values) if values else None for values in shares]
    answer: Answer = "majority" if max(map(len, (*old.values(), *new.values()))) > 1 else "first"
    return Pair(
        benchmark=benchmark,
        questions=len(both),
        accuracy=(accuracy[0], accuracy[1]),
        accuracy_change=paired_bootstrap(shares[0], shares[1], seed) if judged else None,
        length=(first, second),
        length_change=paired_bootstrap(old_lengths, new_lengths, seed),
        l_acc=None if accuracy[1] is None else l_acc(accuracy[1], second, first).value,
        transitions=transition_groups(
            _evaluation(names[0], before), _evaluation(names[1], after), answer
        ),
    )


def _judged(responses: Sequence[Response]) -> bool:
    return any(r.judged for r in responses)


def _share(responses: Sequence[Response]) -> float:
    judged = [r for r in responses if r.judged]
    return sum(r.correct for r in judged) / len(judged)


def _mean(responses: Sequence[Response], length: Length) -> float:
    return statistics.fmean(getattr(r, length) for r in responses)


def _evaluation(label: str, responses: Sequence[Response]) -> dict[str, Any]:
    """The shape in which analyses read an evaluation."""
    return {"label": label, "records": question_records(responses)}
