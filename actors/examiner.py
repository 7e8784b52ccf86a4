"""A chunk of an evaluation through the generators and the verifier that training uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ray

from actors.generation import generate
from actors.roles import Handle
from actors.waiting import Waiter
from algorithms.trajectory import Judgement, TrajectoryGroup
from services.evaluation.plan import Chunk
from services.evaluation.response import Response, cases_of, responses_of
from services.spec.job import GeneratorSpec, VerifierSpec
from services.verification.policy import Policy

_FETCH_SECONDS = 120


@dataclass(frozen=True)
class Examiner:
    """Puts questions, has the answers judged, and waits for nothing without a bound."""

    generators: Mapping[str, Handle]
    verifier: Handle
    waiter: Waiter
    generator: GeneratorSpec
    verification: VerifierSpec
    policy: Policy

    def answer(self, chunk: Chunk) -> list[Response]:
        """Return every response to the questions of a chunk, judged.

        Raises:
            WaitTimeout: generators or verifier did not answer in time.
        """
        patience = self.generator.timeout_seconds
        drawn = generate(self.generators, self.waiter, patience, chunk.requests, chunk.decoding)
        columns = ray.get([d["ref"][0] for d in drawn], timeout=_FETCH_SECONDS)
        groups = [TrajectoryGroup.from_columns(c) for c in columns]
        first = next(iter(self.generators.values()))
        opened: bool = self.waiter.one(
            first.opens_thinking.remote(), patience, "the chat template of the model"
        )
        cases = cases_of(chunk, groups, self.policy, opened=opened)
        judging = self.verifier.judge_texts.remote(cases)
        conversations = [
            (request.prompt, text)
            for request, group in zip(chunk.requests, groups, strict=True)
            for text in group.texts
        ]
        counting = first.thinkless_tokens.remote(conversations)
        judgements: list[Judgement] = self.waiter.one(
            judging, self.verification.patience(len(cases)), f"verdicts on {len(cases)} responses"
        )
        counts: list[int] = self.waiter.one(
            counting, patience, f"the tokens of {len(cases)} conversations"
        )
        return responses_of(chunk, groups, judgements, counts, self.policy)
