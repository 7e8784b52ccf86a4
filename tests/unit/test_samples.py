"""From scored groups to padded micro-batches on several ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from algorithms.objectives import Compress, Entangled
from algorithms.scoring import ScoredGroup, score_groups
from algorithms.trajectory import TrajectoryGroup
from services.learning.samples import (
    ScoredResponse,
    build_update,
    build_updates,
    collate,
    shard,
)
from tests.unit.trajectories import judge, make_group, scored_response


def response(length: int, slot: int, *, prompt: int = 3, weight: float = 0.5) -> ScoredResponse:
    return scored_response(
        np.arange(100, 100 + length),
        prompt=np.arange(prompt, dtype=np.int32),
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


def scored_batch() -> list[tuple[TrajectoryGroup, ScoredGroup]]:
    groups = [make_group([10 + i, 20 + i, 30 + i], group_id=f"g{i}") for i in range(4)]
    judged = [judge("correct", "incorrect", "correct")] * 4
    return list(zip(groups, score_groups(Compress(), groups, judged), strict=True))


def test_a_sequence_without_advantage_or_weight_has_no_gradient() -> None:
    update = build_update(scored_batch())
    assert [s.has_gradient for s in update.sequences] == [True, False, True] * 4


def test_mini_batches_of_prompts_keep_groups_together() -> None:
    updates = build_updates(scored_batch(), "prompts", 2, seed=3)
    assert [len(u.sequences) for u in updates] == [6, 6]
    lengths = sorted(len(s.response) for u in updates for s in u.sequences)
    assert lengths == sorted(n + i for i in range(4) for n in (10, 20, 30))


def test_mini_batches_of_sequences_cut_across_groups() -> None:
    updates = build_updates(scored_batch(), "sequences", 4, seed=3)
    assert [len(u.sequences) for u in updates] == [4, 4, 4]
    lengths = sorted(len(s.response) for u in updates for s in u.sequences)
    assert lengths == sorted(n + i for i in range(4) for n in (10, 20, 30))
    for update in updates:  # each is normalised by its own four sequences
        for s in update.sequences:
            if s.has_gradient:
                assert s.weight == pytest.approx(1 / (4 * len(s.response)))
    again = build_updates(scored_batch(), "sequences", 4, seed=3)
    assert [len(s.response) for s in again[0].sequences] == [
        len(s.response) for s in updates[0].sequences
    ]


def test_each_sequence_keeps_the_loss_it_was_stamped_with() -> None:
    groups = [make_group([10, 20]), make_group([10, 20])]
    judged = [judge("correct", "correct"), judge("incorrect", "incorrect")]
    scored = score_groups(Entangled(), groups, judged)
    update = build_update(list(zip(groups, scored, strict=True)))
    assert [getattr(s.loss, "clip_high", None) for s in update.sequences] == [0.2] * 2 + [0.28] * 2
