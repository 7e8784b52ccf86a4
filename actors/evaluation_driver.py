"""The driver of an evaluation:
``python -m actors.evaluation_driver --job ID --attempt N --home PATH``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ray

from actors.attempt import Attempt, run_driver
from actors.evaluation_run import EvaluationRun
from actors.examiner import Examiner
from actors.roles import Handle, start_generators, start_verifier
from actors.waiting import Waiter
from services.evaluation.plan import Chunk
from services.evaluation.question_set import load_question_set
from services.evaluation.quotation import fixed_facts, quotation
from services.evaluation.response import Response
from services.evaluation.result_folder import ResultFolder
from services.home import Home
from services.model_folder import inspect_model
from services.model_identity import identify
from services.model_source import model_folder
from services.stores.protocol import JobStore

_START_SECONDS = 900


class EvaluationDriver(Attempt):
    """One attempt at one evaluation."""

    def __init__(self, store: JobStore, home: Home, job_id: str, attempt: int) -> None:
        super().__init__(store, home, job_id, attempt)
        self.spec = store.get_job(job_id).evaluation
        self.run: EvaluationRun | None = None
        self._phase = "start"
        self._handles: list[Handle] = []

    def progress(self, progress: dict[str, Any]) -> None:
        super().progress({**progress, "phase": self._phase})

    def current_progress(self) -> dict[str, Any] | None:
        return None if self.run is None else self.run.progress()

    def kill_workers(self) -> None:
        for handle in self._handles:
            ray.kill(handle)

    def leave(self) -> str:
        return "; the finished chunks are kept"

    def work(self) -> None:
        # Finished benchmarks are told of again: what the attempt before could not say is dropped.
        self.go_on_from(None, lambda entry: False)
        spec, result = self.spec, ResultFolder(self.home.job(self.job_id).result)
        self.fetch_from_hub(spec)
        self._model = model_folder(spec.model.path, self.store, self.home)
        facts, identity = inspect_model(self._model), identify(self._model)
        sets = [load_question_set(b, spec.questions) for b in spec.benchmarks]
        result.begin(fixed_facts(spec, identity, sets))
        self.connect()
        self.run = EvaluationRun(spec, sets, result, self, self._start)
        self.become_running()
        limits = (c for c in (spec.generator.max_model_len, facts.context) if c)
        context = min(limits, default=None)

        def conclude(done: Mapping[str, Any]) -> None:
            complete = len(done) == len(sets)
            result.write(quotation(self.job_id, spec, identity, context, done, complete=complete))

        self.run.run(conclude)

    def _start(self) -> Callable[[Chunk], list[Response]]:
        """Start the workers, and wait for them. An attempt that finds every chunk does not."""
        spec = self.spec
        generators = start_generators(self.job_id, spec.generator, self._model, spec.seed)
        verifier = start_verifier(self.job_id, spec.verifier)
        self._handles = [*generators.values(), verifier]
        waiter = Waiter(self.tick)
        ready = [g.ready.remote() for g in generators.values()]
        waiter.all(ready, _START_SECONDS, f"{len(ready)} generator(s) to start")
        self._phase = "evaluate"
        return Examiner(
            generators, verifier, waiter, spec.generator, spec.verifier, spec.policy
        ).answer


if __name__ == "__main__":
    run_driver(EvaluationDriver, "The driver of one attempt at an evaluation.")
