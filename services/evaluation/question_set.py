"""The questions of one benchmark of an evaluation, and what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.benchmarks.registry import entry_of
from services.builtin import BENCHMARK_PREFIX
from services.datasets import DataSet, load_data
from services.question import Question
from services.spec.evaluation_job import BenchmarkSpec, name_of


@dataclass(frozen=True)
class QuestionSet:
    """Questions under the name that results use."""

    name: str
    data: DataSet
    variant: str | None
    """Which of the sets that go by the benchmark's name; None for a file."""

    @property
    def questions(self) -> list[Question]:
        return self.data.questions

    @property
    def record(self) -> dict[str, Any]:
        """What results keep of it."""
        kept = self.data.record
        return {k: v for k, v in kept.items() if k != "questions"} | {"variant": self.variant}


def load_question_set(benchmark: BenchmarkSpec, limit: int | None) -> QuestionSet:
    """Read a benchmark; ``limit`` takes its head.

    Raises:
        DataError: it cannot be used.
    """
    data = load_data(benchmark.data, limit)
    named = benchmark.path.startswith(BENCHMARK_PREFIX)
    variant = entry_of(benchmark.path.removeprefix(BENCHMARK_PREFIX)).variant if named else None
    return QuestionSet(name_of(benchmark), data, variant)
