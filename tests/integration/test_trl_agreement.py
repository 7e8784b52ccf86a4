"""Our losses and TRL's GRPO loss on the same tensors, through TRL's own code."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from algorithms.batching import token_weights
from algorithms.losses import policy_loss
from algorithms.objectives import Explore
from algorithms.policy_loss_settings import CispoLoss, GspoLoss, PolicyLoss, PpoLoss
from algorithms.scoring import score_groups
from tests.unit.trajectories import judge, make_group

GROUPS = [[7, 12, 3], [20, 5, 9]]
"""Response lengths of two groups."""
CASES: dict[str, tuple[Explore, dict[str, Any]]] = {
    "token-mean": (Explore(), {"loss_type": "bnpo"}),
    "token-mean with KL": (
        Explore(loss=PpoLoss(clip_low=0.2, clip_high=0.28, kl_coefficient=0.1)),
        {"loss_type": "bnpo", "beta": 0.1},
    ),
    "seq-mean-token-mean": (
        Explore(aggregation="seq-mean-token-mean"),
        {"loss_type": "grpo"},
    ),
    "seq-mean-token-sum-norm": (
        Explore(aggregation="seq-mean-token-sum-norm", token_norm=32),
        {"loss_type": "dr_grpo", "max_completion_length": 32},
    ),
    "gspo": (
        Explore(aggregation="seq-mean-token-mean", loss=GspoLoss(clip_low=0.2, clip_high=0.28)),
        {"loss_type": "grpo", "importance_sampling_level": "sequence"},
    ),
    "cispo": (
        Explore(loss=CispoLoss(clip_high=0.28)),
        {"loss_type": "cispo", "epsilon_high": 1.28},
    ),
}


class Trainer(SimpleNamespace):
    """The attributes that TRL's loss reads; the log-probabilities come from the test."""

    def _get_per_token_logps_and_entropies(self, *_: Any, **__: Any) -> tuple[Any, Any, None]:
        return self.logprobs, torch.zeros_like(self.logprobs), None


def trl_loss(logprobs: torch.Tensor, inputs: dict[str, Any], **settings: Any) -> torch.Tensor:
    from trl import GRPOTrainer

    one = SimpleNamespace(
        num_processes=1,
        sync_gradients=True,
        gather=lambda x: x,
        reduce=lambda x, reduction: x,
    )
    defaults: dict[str, Any] = {
        "logprobs": logprobs,
        "top_entropy_quantile": 1.0,
        "off_policy_mask_threshold": None,
        "importance_sampling_level": "token",
        "beta": 0.0,
        "epsilon_low": 0.2,
        "epsilon_high": 0.28,
        "use_vllm": False,
        "model": SimpleNamespace(training=False),
        "current_gradient_accumulation_steps": 1,
        "_entropy_bonus_enabled": False,
        "aux_loss_enabled": False,
        "accelerator": one,
        "args": SimpleNamespace(delta=None, use_bias_correction_kl=False),
        "_metrics": {"train": defaultdict(list), "eval": defaultdict(list)},
    }
    loss: torch.Tensor = GRPOTrainer._compute_loss(
        Trainer(**{**defaults, **settings}), None, inputs
    )
    return loss


def our_loss(
    settings: PolicyLoss, columns: dict[str, torch.Tensor], weight: torch.Tensor
) -> torch.Tensor:
    loss, _ = policy_loss(
        settings,
        columns["logprob"],
        columns["old"],
        columns["advantage"],
        weight,
        columns["sequence"],
        None,
        columns["reference"] if settings.needs_reference else None,
    )
    return loss


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_agree_with_trl(case: str) -> None:
    objective, settings = CASES[case]
    groups = [make_group(lengths, group_id=f"g{i}") for i, lengths in enumerate(GROUPS)]
    judged = [judge("correct", "incorrect", "incorrect"), judge("correct", "correct", "incorrect")]
    scored = score_groups(objective, groups, judged)
    lengths = np.concatenate([g.lengths for g in groups])
    advantage = torch.from_numpy(np.concatenate([s.advantages for s in scored])).double()
    assert (advantage != 0).all()
    weight = torch.from_numpy(token_weights(scored, lengths).weight)

    rng = torch.Generator().manual_seed(0)
    rows, width = len(lengths), int(lengths.max())
    mask = torch.arange(width)[None] < torch.from_numpy(lengths)[:, None]
    old = -torch.rand(rows, width, generator=rng, dtype=torch.float64) * 3
    moved = old + 0.5 * torch.randn(rows, width, generator=rng, dtype=torch.float64)
    reference = old + 0.1
    padded = moved.clone().requires_grad_()
    inputs = {
        "prompt_ids": torch.zeros(rows, 1, dtype=torch.long),
        "prompt_mask": torch.ones(rows, 1, dtype=torch.long),
        "completion_ids": torch.zeros(rows, width, dtype=torch.long),
        "completion_mask": mask.long(),
        "advantages": advantage,
        "old_per_token_logps": old,
        "ref_per_token_logps": reference,
        "num_items_in_batch": mask.sum().double(),
    }
    theirs = trl_loss(padded, inputs, **settings)
    (their_gradient,) = torch.autograd.grad(theirs, padded)

    flat = moved[mask].clone().requires_grad_()
    sequence = torch.arange(rows)[:, None].expand(rows, width)[mask]
    columns = {
        "logprob": flat,
        "old": old[mask],
        "reference": reference[mask],
        "advantage": advantage[sequence],
        "sequence": sequence,
    }
    ours = our_loss(objective.loss, columns, weight[sequence])
    (our_gradient,) = torch.autograd.grad(ours, flat)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    assert abs(ours.item()) > 1e-3
    torch.testing.assert_close(our_gradient, their_gradient[mask], atol=1e-6, rtol=0)
