"""The questions of one benchmark of an evaluation, and what they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from services.datasets import Question, load_questions
from services.spec.evaluation_job import BenchmarkSpec, name_of


@dataclass(frozen=True)
class QuestionSet:
    """Questions and where they came from."""

    name: str
    questions: tuple[Question, ...]
    source: str
    sha256: str
    """Over the questions asked and their accepted answers, in order."""


def load_question_set(benchmark: BenchmarkSpec, limit: int | None) -> QuestionSet:
    """Read a benchmark; ``limit`` takes its head.

    Raises:
        DataError: it cannot be used.
    """
    questions = tuple(load_questions(benchmark.data, limit))
    return QuestionSet(name_of(benchmark), questions, benchmark.path, _digest(questions))


def _digest(questions: Sequence[Question]) -> str:
    lines = "".join(json.dumps([q.question, list(q.gold)]) + "\n" for q in questions)
    return hashlib.sha256(lines.encode()).hexdigest()
