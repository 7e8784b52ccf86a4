"""Held-out evaluation within a training job."""

from __future__ import annotations

import time
from typing import Any

from actors.examiner import Examiner
from actors.roles import Roles
from actors.waiting import Waiter
from services.datasets import Question
from services.evaluation.plan import plan
from services.evaluation.response import Response
from services.evaluation.training_record import save_evaluation, training_record
from services.home import JobFolder
from services.rollout.request import Decoding
from services.spec.job import JobSpec


class Evaluator:
    """Asks every held-out question with the same seeds at every checkpoint of a job."""

    def __init__(
        self,
        spec: JobSpec,
        paths: JobFolder,
        roles: Roles,
        waiter: Waiter,
        questions: list[Question],
    ) -> None:
        self._spec, self._paths = spec, paths
        self._roles, self._waiter = roles, waiter
        self._questions = questions

    def run(self, label: str, step: int, version: int) -> dict[str, Any]:
        """Evaluate the policy the generators hold; write and return the record."""
        started = time.monotonic()
        responses = self._ask()
        seconds = time.monotonic() - started
        record = training_record(label, step, version, seconds, responses, self._spec.seed)
        save_evaluation(self._paths.evaluations, record, responses)
        return record

    def _ask(self) -> list[Response]:
        """Put the questions in chunks that fill every generator once, so that each wait is for a
        bounded piece of work."""
        wanted, generator = self._spec.evaluation, self._spec.generator
        assert wanted is not None
        examiner = Examiner(
            self._roles.generators,
            self._roles.verifier,
            self._waiter,
            generator,
            self._spec.verifier,
            "reward",
        )
        decoding = Decoding(
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            max_tokens=wanted.max_tokens,
            group_size=wanted.samples,
            logprobs=False,
        )
        chunks = plan(
            self._questions[: wanted.questions],
            decoding,
            suffix=self._spec.data.prompt_suffix,
            seed=self._spec.seed,
            chunk_responses=generator.workers * generator.max_sequences,
        )
        return [response for chunk in chunks for response in examiner.answer(chunk)]
