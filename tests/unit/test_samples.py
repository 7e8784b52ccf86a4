"""From scored groups to padded micro-batches on several ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.learning.samples import ScoredResponse, collate, shard


def response(length: int, slot: int, *, prompt: int = 3, weight: float = 0.5) -> ScoredResponse:
    return ScoredResponse(
        prompt=np.arange(prompt, dtype=np.int32),
        response=np.arange(100, 100 + length, dtype=np.int32),
        behaviour_logprobs=np.full(length, -0.1, dtype=np.float32),
        advantage=2.0,
        weight=weight,
        slot=slot,
    )


def test_positions_point_at_the_token_before_each_target() -> None:
    batch = collate([response(4, 0), response(2, 1, prompt=5)])
    flat = batch.input_ids.flatten()
    assert batch.input_ids.shape == (2, 7)
    assert torch.equal(flat[batch.positions + 1], batch.targets)
    assert batch.targets.tolist() == [100, 101, 102, 103, 100, 101]
    assert batch.advantages.tolist() == [2.0] * 6
    assert batch.weights.tolist() == [0.5] * 6


def test_a_muted_batch_has_no_weight() -> None:
    assert collate([response(4, 0)], muted=True).weights.abs().sum() == 0


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_share_every_sequence_once_and_keep_in_step(world: int) -> None:
    sequences = [response(3 + 5 * (i % 4), i) for i in range(7)]
    plans = [shard(sequences, r, world, max_padded_tokens=30) for r in range(world)]
    assert len({len(p) for p in plans}) == 1
    seen = sorted(s.slot for plan in plans for batch, muted in plan if not muted for s in batch)
    assert seen == list(range(7))


def test_a_rank_keeps_a_sequence_whatever_else_is_chosen() -> None:
    """Log-probabilities measured before a step must be on the rank that trains the sequence."""
    sequences = [response(4, i) for i in range(6)]
    some = shard(sequences[:5:2], 1, 2, 100)
    every = shard(sequences, 1, 2, 100)
    chosen = {s.slot for batch, muted in some if not muted for s in batch}
    assert chosen <= {s.slot for batch, _ in every for s in batch}


def test_nothing_to_do_is_no_micro_batch() -> None:
    assert shard([], 0, 2, 100) == []


def test_a_sequence_without_advantage_or_weight_has_no_gradient() -> None:
    assert response(3, 0).has_gradient
    assert not response(3, 0, weight=0.0).has_gradient
