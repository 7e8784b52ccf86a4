"""What is kept of one response."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from algorithms.repetition import repetition_rate
from algorithms.trajectory import (
    JUDGED,
    FinishReason,
    Judgement,
    TrajectoryGroup,
    Verdict,
    is_correct,
)
from services.evaluation.answer_text import answer_text
from services.evaluation.plan import Chunk
from services.verification.case import Case
from services.verification.policy import Policy


@dataclass(frozen=True)
class Response:
    """One response with everything that figures are made of."""

    question_id: str
    sample: int
    """From 0 within the question."""
    seed: int
    """Of the question's first response; the engine derives those of the others."""
    question: str
    gold: tuple[str, ...]
    text: str
    response_tokens: int
    """As the engine drew them, end token included."""
    thinkless_tokens: int
    """Of the whole conversation (``services/evaluation/thinkless_tokens.py``)."""
    token_digest: str
    """First 16 hexadecimal digits of SHA-256 over the token ids (int32, little-endian): whether two
    evaluations drew the same."""
    repetition: float
    """Share of n-grams that stood in the response before (``algorithms/repetition.py``)."""
    finish_reason: FinishReason
    verdict: Verdict
    reason: str
    correct: bool
    seconds: float
    """What the verifier took."""

    @property
    def judged(self) -> bool:
        """Whether the verdict is about the response, not about a verifier that failed."""
        return self.verdict in JUDGED


def cases_of(
    chunk: Chunk, groups: Sequence[TrajectoryGroup], policy: Policy, *, opened: bool
) -> list[Case]:
    """Return what the verifier is asked about the responses to a chunk, question by question.

    Args:
        chunk: what was asked.
        groups: one for each question of the chunk.
        policy: to grade by.
        opened: the chat template opens the thought when it asks for a response.
    """
    return [
        Case(question.gold, answer_text(text, policy, opened=opened), policy, question.tolerance)
        for question, group in zip(chunk.questions, groups, strict=True)
        for text in group.texts
    ]


def responses_of(
    chunk: Chunk,
    groups: Sequence[TrajectoryGroup],
    judgements: Sequence[Judgement],
    thinkless: Sequence[int],
    policy: Policy,
) -> list[Response]:
    """Put together what the engine drew and what the verifier found.

    Args:
        chunk: what was asked.
        groups: one for each question of the chunk.
        judgements: of all responses, question by question.
        thinkless: tokens by the count of Thinkless, in the same order.
        policy: it graded the responses. Under ``thinkless-parity`` a right answer in a response cut
            at the cap counts, as it does there; else it does not.
    """
    found = iter(zip(judgements, thinkless, strict=True))
    responses = []
    for question, request, group in zip(chunk.questions, chunk.requests, groups, strict=True):
        for sample in range(group.size):
            judgement, tokens = next(found)
            ids = group.response_ids[group.offsets[sample] : group.offsets[sample + 1]]
            finish = group.finish_reasons[sample]
            finished = finish == "stop" or policy == "thinkless-parity"
            responses.append(
                Response(
                    question_id=question.id,
                    sample=sample,
                    seed=request.seed,
                    question=question.question,
                    gold=question.gold,
                    text=group.texts[sample],
                    response_tokens=len(ids),
                    thinkless_tokens=tokens,
                    token_digest=hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest()[:16],
                    repetition=repetition_rate(ids.tolist()),
                    finish_reason=finish,
                    verdict=judgement.verdict,
                    reason=judgement.reason,
                    correct=is_correct(judgement.verdict, finished),
                    seconds=judgement.seconds,
                )
            )
    return responses
