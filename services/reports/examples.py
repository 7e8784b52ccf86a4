"""Which answers a report shows before and after: a fixed rule, so that nobody picks favourites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from algorithms.computations import ComputationSplit, split_computations
from services.reports.comparison import Evaluation, paired_responses

Outcome = Literal["kept", "gained", "lost", "failed"]


@dataclass(frozen=True)
class Response:
    """One answer as the evaluation recorded it."""

    text: str
    tokens: int
    verdict: str
    finish_reason: str

    @property
    def computation(self) -> ComputationSplit:
        """Where it computes: before or after ``</think>``."""
        return split_computations(self.text)


@dataclass(frozen=True)
class Example:
    """One question with the answer of the base model and of the last evaluated policy."""

    question_id: str
    question: str
    gold: tuple[str, ...]
    outcome: Outcome
    before: Response
    after: Response

    @property
    def tokens_saved(self) -> int:
        return self.before.tokens - self.after.tokens


def choose_examples(before: Evaluation, after: Evaluation, count: int = 3) -> list[Example]:
    """Return up to ``count`` examples, the largest saving of each kind first.

    One question answered only after training, where there is one; the rest answered correctly both
    times. Where those do not suffice, answers lost and then never right fill up.
    """
    by_outcome: dict[Outcome, list[Example]] = {"kept": [], "gained": [], "lost": [], "failed": []}
    for question, old, new in paired_responses(before, after):
        example = _example(question, old, new)
        by_outcome[example.outcome].append(example)
    for examples in by_outcome.values():
        examples.sort(key=lambda e: (-e.tokens_saved, e.question_id))
    gained = by_outcome["gained"]
    kept = by_outcome["kept"][: count - bool(gained)]
    rest = [*gained, *by_outcome["lost"], *by_outcome["failed"]]
    return [*kept, *rest][:count]


def _example(
    question: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> Example:
    outcomes: dict[tuple[bool, bool], Outcome] = {
        (True, True): "kept",
        (False, True): "gained",
        (True, False): "lost",
        (False, False): "failed",
    }
    return Example(
        question_id=question["id"],
        question=question["question"],
        gold=tuple(question["gold"]),
        outcome=outcomes[old["correct"], new["correct"]],
        before=_response(old),
        after=_response(new),
    )


def _response(record: Mapping[str, Any]) -> Response:
    return Response(record["text"], record["tokens"], record["verdict"], record["finish_reason"])
