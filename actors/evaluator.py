"""Held-out evaluation through the same generators and verifier pool as training."""

from __future__ import annotations

import time
from typing import Any

import ray

from actors.generation import generate
from actors.roles import Roles
from actors.waiting import Waiter
from algorithms.trajectory import Judgement, TrajectoryGroup
from services.datasets import Question
from services.evaluation import evaluation_requests, question_records, save_evaluation, summarise
from services.home import JobFolder
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
        assert self._spec.evaluation is not None
        started = time.monotonic()
        requests, decoding = evaluation_requests(
            self._spec.evaluation, self._questions, self._spec.data.prompt_suffix, self._spec.seed
        )
        patience = self._spec.generator.timeout_seconds
        answers = generate(self._roles.generators, self._waiter, patience, requests, decoding)
        refs = [r["ref"][0] for r in answers]
        groups = [TrajectoryGroup.from_columns(c) for c in ray.get(refs, timeout=120)]
        judgements = iter(self._judge(groups))
        records = [
            question_records(g, q.question, [next(judgements) for _ in range(g.size)])
            for g, q in zip(groups, self._questions, strict=False)
        ]
        record = summarise(label, step, version, time.monotonic() - started, records)
        save_evaluation(self._paths.evaluations, record)
        return record

    def _judge(self, groups: list[TrajectoryGroup]) -> list[Judgement]:
        items = [(g.gold, text) for g in groups for text in g.texts]
        patience = self._spec.verifier.patience(len(items))
        call = self._roles.verifier.judge_texts.remote(items)
        verdicts: list[Judgement] = self._waiter.one(
            call, patience, f"verdicts on {len(items)} responses"
        )
        return verdicts
