"""How far an evaluation is, and what it found so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from algorithms.pass_at_k import avg_at_k
from services.evaluation.figures import by_question
from services.evaluation.response import Response


class EvaluationProgress:
    """Running figures of one attempt. Chunks that an earlier attempt finished count as done, but
    not for speed."""

    def __init__(self, questions_total: int) -> None:
        self.questions_total = questions_total
        self.questions_done = 0
        self.responses_done = 0
        self._asked_here = self._tokens_here = 0
        self._seconds_here = 0.0
        self._correct: list[int] = []
        self._judged: list[int] = []

    def found(self, responses: Sequence[Response]) -> None:
        """Count a chunk that was on disk already."""
        for answers in by_question(responses).values():
            self.questions_done += 1
            self._correct.append(sum(r.correct and r.judged for r in answers))
            self._judged.append(sum(r.judged for r in answers))
        self.responses_done += len(responses)

    def drawn(self, responses: Sequence[Response], seconds: float) -> None:
        """Count a chunk that took ``seconds`` to draw and judge."""
        before = self.questions_done
        self.found(responses)
        self._asked_here += self.questions_done - before
        self._tokens_here += sum(r.response_tokens for r in responses)
        self._seconds_here += seconds

    def begin_benchmark(self) -> None:
        """Start the running accuracy over: it is that of one benchmark."""
        self._correct, self._judged = [], []

    def as_json(self) -> dict[str, Any]:
        """Return what the live view shows; None for what cannot be known yet."""
        timed = self._seconds_here > 0
        left = self.questions_total - self.questions_done
        rate = self._tokens_here / self._seconds_here if timed else None
        each = self._seconds_here / self._asked_here if timed and self._asked_here else None
        return {
            "questions_done": self.questions_done,
            "questions_total": self.questions_total,
            "responses_done": self.responses_done,
            "accuracy": avg_at_k(self._correct, self._judged),
            "tokens_per_second": rate,
            "eta_seconds": each * left if each is not None else None,
        }
