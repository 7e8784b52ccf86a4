"""vLLM and the learner's model agree on log-probabilities, before and after a weight update."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from algorithms.trajectory import TrajectoryGroup
from services import weights
from services.builtin import resolve_path
from services.learning.policy_model import PolicyModel, load_policy
from services.learning.samples import collate
from services.rollout.engine import RolloutEngine, WeightMismatch
from services.rollout.request import Decoding, RolloutRequest
from services.spec.job import GeneratorSpec
from services.verification.tolerance import Tolerance
from tests.unit.trajectories import scored_response

MODEL: Path = resolve_path("builtin:tiny-reasoner")
TOLERANCE = 1e-4
"""Mean absolute difference in nats that the issue of log-probability parity allows."""


@pytest.fixture(scope="module")
def engine() -> Iterator[RolloutEngine]:
    return RolloutEngine(
        str(MODEL), GeneratorSpec(max_model_len=256, max_sequences=32, kv_cache_gib=0.2), seed=1
    )


def roll_out(engine: RolloutEngine, temperature: float, seed: int = 11) -> list[TrajectoryGroup]:
    requests = [
        RolloutRequest(
            group_id=f"g{i}",
            question_id=f"q{i}",
            prompt=f"What is {i + 2} + 5 - 3 + 4?",
            gold=(str(i + 8),),
            seed=seed + 100 * i,
            tolerance=Tolerance(absolute=0.1, relative=0.01) if i else None,
        )
        for i in range(4)
    ]
    return engine.generate(requests, Decoding(temperature=temperature, max_tokens=60, group_size=4))


def learner_logprobs(policy: PolicyModel, group: TrajectoryGroup, temperature: float) -> np.ndarray:
    rows = [
        scored_response(
            group.response_ids[a:b],
            prompt=group.prompt_ids,
            behaviour_logprobs=group.behaviour_logprobs[a:b],
            slot=i,
        )
        for i, (a, b) in enumerate(zip(group.offsets[:-1], group.offsets[1:], strict=True))
    ]
    batch = collate(rows)
    with torch.no_grad():
        logprob, _, _ = policy(batch.input_ids, batch.positions, batch.targets, temperature)
    return np.asarray(logprob.numpy())


def mismatch(engine: RolloutEngine, policy: PolicyModel, temperature: float) -> float:
    groups = roll_out(engine, temperature)
    difference = np.concatenate(
        [learner_logprobs(policy, g, temperature) - g.behaviour_logprobs for g in groups]
    )
    return float(np.abs(difference).mean())


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3])
def test_behaviour_logprobs_are_those_of_the_sampled_distribution(
    engine: RolloutEngine, temperature: float
) -> None:
    policy = load_policy(MODEL, torch.float32, chunk=64)
    assert mismatch(engine, policy, temperature) < TOLERANCE


def test_a_weight_update_reaches_the_engine_exactly(engine: RolloutEngine) -> None:
    policy = load_policy(MODEL, torch.float32, chunk=64)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    before = mismatch(engine, policy, 0.6)
    assert before > 1e-2, "the new policy must differ, or the update proves nothing"
    named = [(n, p) for n, p in policy.lm.named_parameters()]
    bundle = weights.pack(named)
    digest = weights.checksum(bundle)
    assert engine.load_weights(7, bundle, digest) == digest
    assert engine.version == 7
    assert mismatch(engine, policy, 0.6) < TOLERANCE


def test_a_damaged_update_is_refused_and_the_old_policy_stays(engine: RolloutEngine) -> None:
    before = roll_out(engine, 0.6)
    policy = load_policy(MODEL, torch.float32, chunk=64)
    bundle = weights.pack(list(policy.lm.named_parameters()))
    digest = weights.checksum(bundle)
    bundle["buffer"][1000] ^= 1
    version = engine.version
    with pytest.raises(WeightMismatch, match="published"):
        engine.load_weights(8, bundle, digest)
    assert engine.version == version
    after = roll_out(engine, 0.6)
    assert all(
        np.array_equal(a.response_ids, b.response_ids) for a, b in zip(before, after, strict=True)
    )


def test_the_same_seeds_give_the_same_tokens_whatever_came_before(engine: RolloutEngine) -> None:
    first = roll_out(engine, 1.0, seed=5)
    roll_out(engine, 0.6, seed=77)
    again = roll_out(engine, 1.0, seed=5)
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.response_ids, b.response_ids)
        assert np.array_equal(a.behaviour_logprobs, b.behaviour_logprobs)


def test_accepted_answers_and_tolerance_travel_with_the_responses(engine: RolloutEngine) -> None:
    groups = [TrajectoryGroup.from_columns(g.columns()) for g in roll_out(engine, 1.0)]
    assert [g.gold for g in groups] == [("8",), ("9",), ("10",), ("11",)]
    assert [g.tolerance for g in groups] == [None] + [(0.1, 0.01)] * 3


def test_a_finished_response_ends_with_the_end_token_and_a_cut_one_does_not(
    engine: RolloutEngine,
) -> None:
    end = engine._tokenizer.eos_token_id
    groups = roll_out(engine, 1.0, seed=3)
    assert {f for g in groups for f in g.finish_reasons} <= {"stop", "length"}
    for g in groups:
        for i, reason in enumerate(g.finish_reasons):
            last = g.response_ids[g.offsets[i + 1] - 1]
            assert (last == end) == (reason == "stop")
