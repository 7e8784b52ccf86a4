"""What an evaluation asks, in chunks: the unit that is drawn at a time and never half done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.datasets import Question
from services.prompt_stream import derive_seed
from services.rollout.request import Decoding, RolloutRequest


@dataclass(frozen=True)
class Chunk:
    """Some of the questions of a data set, with what the generators are handed for them."""

    index: int
    """From 0."""
    questions: tuple[Question, ...]
    requests: tuple[RolloutRequest, ...]
    """One for each question, in order."""
    decoding: Decoding

    @property
    def responses(self) -> int:
        return len(self.requests) * self.decoding.group_size


def plan(
    questions: Sequence[Question],
    decoding: Decoding,
    *,
    suffix: str,
    seed: int,
    chunk_responses: int,
) -> list[Chunk]:
    """Cut an evaluation into chunks.

    A question's seed depends on its id and ``seed`` alone, so every model is asked with the same
    seeds. Which questions are drawn together matters too: it decides the shapes that the engine
    computes with, and so the last bits of its logits.

    Args:
        questions: in the order of the data set.
        decoding: how responses are drawn; ``group_size`` is the responses to each question.
        suffix: appended to every question.
        seed: of the evaluation.
        chunk_responses: most responses of a chunk; a question with more makes a chunk of its own.
    """
    size = max(1, chunk_responses // decoding.group_size)
    chunks = []
    for index, start in enumerate(range(0, len(questions), size)):
        taken = tuple(questions[start : start + size])
        requests = tuple(_request(q, suffix, seed) for q in taken)
        chunks.append(Chunk(index, taken, requests, decoding))
    return chunks


def _request(question: Question, suffix: str, seed: int) -> RolloutRequest:
    return RolloutRequest(
        group_id=f"evaluation/{question.id}",
        question_id=question.id,
        prompt=question.question + suffix,
        gold=question.gold,
        tolerance=question.tolerance,
        seed=derive_seed(seed, "evaluation", question.id),
    )
