"""An evaluation, chunk by chunk: what is finished is on disk, where the next attempt finds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from services.evaluation.figures import Length, figures
from services.evaluation.plan import Chunk, plan
from services.evaluation.progress import EvaluationProgress
from services.evaluation.question_set import QuestionSet
from services.evaluation.response import Response
from services.evaluation.result_folder import ResultFolder
from services.rollout.request import Decoding
from services.spec.evaluation_job import BenchmarkSpec, EvaluationJobSpec


class EvaluationJournal(Protocol):
    """The outside of an evaluation; its driver is one."""

    def event(self, kind: str, message: str, data: dict[str, Any]) -> None: ...

    def progress(self, progress: dict[str, Any]) -> None: ...

    def poll_commands(self) -> None: ...


class EvaluationRun:
    """One attempt at an evaluation."""

    def __init__(
        self,
        spec: EvaluationJobSpec,
        sets: Sequence[QuestionSet],
        result: ResultFolder,
        journal: EvaluationJournal,
        examine: Callable[[], Callable[[Chunk], list[Response]]],
    ) -> None:
        """Nothing is asked yet.

        Args:
            spec: resolved.
            sets: one for each benchmark of the specification.
            result: where chunks and results go.
            journal: is told what happens.
            examine: starts the workers, when the first chunk has to be drawn, and returns what
                draws and judges the responses of a chunk.
        """
        self._spec, self._sets, self._result = spec, sets, result
        self._journal, self._examine = journal, examine
        self._answer: Callable[[Chunk], list[Response]] | None = None
        self._progress = EvaluationProgress(sum(len(s.questions) for s in sets))
        self._benchmark = ""

    def run(self, conclude: Callable[[Mapping[str, Any]], None]) -> None:
        """Evaluate every benchmark.

        Args:
            conclude: called after each with the figures, by name, of those that are complete.
        """
        done: dict[str, Any] = {}
        for benchmark, questions in zip(self._spec.benchmarks, self._sets, strict=True):
            self._benchmark = questions.name
            self._progress.begin_benchmark()
            responses, seconds = self._responses(benchmark, questions)
            done[questions.name] = self._figures(questions, responses, seconds)
            conclude(done)
            self._tell(questions.name, done[questions.name])

    def progress(self) -> dict[str, Any]:
        """Return what the live view shows."""
        return {
            "benchmark": self._benchmark,
            "benchmarks": len(self._sets),
            **self._progress.as_json(),
        }

    def _responses(
        self, benchmark: BenchmarkSpec, questions: QuestionSet
    ) -> tuple[list[Response], float]:
        """Return all responses to a benchmark, drawing those that are not there yet."""
        if (kept := self._result.kept(questions.name)) is not None:
            self._progress.found(kept[0])
            return kept
        everything: list[Response] = []
        total = 0.0
        for chunk in self._chunks(benchmark, questions):
            responses, seconds = self._chunk(questions.name, chunk)
            everything += responses
            total += seconds
            self._journal.progress(self.progress())
            self._journal.poll_commands()
        self._result.keep(questions.name, everything, total)
        return everything, total

    def _chunk(self, name: str, chunk: Chunk) -> tuple[list[Response], float]:
        if (found := self._result.chunk(name, chunk.index)) is not None:
            self._progress.found(found[0])
            return found
        if self._answer is None:
            self._answer = self._examine()
        started = time.monotonic()
        responses = self._answer(chunk)
        seconds = time.monotonic() - started
        self._result.keep_chunk(name, chunk.index, responses, seconds)
        self._progress.drawn(responses, seconds)
        return responses, seconds

    def _chunks(self, benchmark: BenchmarkSpec, questions: QuestionSet) -> list[Chunk]:
        spec = self._spec
        assert benchmark.samples is not None
        decoding = Decoding(
            temperature=spec.temperature,
            top_p=spec.top_p,
            max_tokens=spec.max_tokens,
            group_size=benchmark.samples,
            logprobs=False,
        )
        return plan(
            questions.questions,
            decoding,
            suffix=spec.prompt_suffix,
            seed=spec.seed,
            chunk_responses=spec.chunk,
        )

    def _figures(
        self, questions: QuestionSet, responses: Sequence[Response], seconds: float
    ) -> dict[str, Any]:
        parity = self._spec.policy == "thinkless-parity"
        length: Length = "thinkless_tokens" if parity else "response_tokens"
        return {
            **questions.record,
            **figures(responses, self._spec.seed, length),
            "seconds": seconds,
            "verification_seconds": sum(r.seconds for r in responses),
            "tokens_per_second": sum(r.response_tokens for r in responses) / max(seconds, 1e-9),
        }

    def _tell(self, name: str, found: dict[str, Any]) -> None:
        accuracy = found["accuracy"]
        shown = "no response could be judged" if accuracy is None else f"{100 * accuracy:.1f} %"
        self._journal.event(
            "evaluation",
            f"{name}: accuracy {shown}, mean length {found['length_mean']:.0f} tokens",
            {"label": name, **found},
        )
