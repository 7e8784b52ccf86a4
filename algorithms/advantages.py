"""From rewards to advantages."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from algorithms.arrays import Array


def absolute(beta: float, rewards: Float32[Array, " G"]) -> Float32[Array, " G"]:
    """Return ``A = beta R`` (E5): no mean and no deviation, so a positive never turns negative."""
    return (beta * rewards.astype(np.float64)).astype(np.float32)


def group_relative(
    rewards: Float32[Array, " G"], included: Bool[Array, " G"], eps: float = 1e-6
) -> Float32[Array, " G"]:
    """Return ``A = (R - mean) / (std + eps)`` over the included responses of one group (E8).

    The deviation is the unbiased one (n - 1), as ``torch.std`` and verl's GRPO have it; METHOD 1.5
    chooses the group, not the batch, as the population. Excluded responses enter no statistic and
    get 0. A group with equal rewards, or with fewer than two included responses, gives 0
    throughout: it says nothing about which response is better.

    Args:
        rewards: shape [G].
        included: shape [G]; responses with a verdict.
        eps: added to the deviation.
    """
    advantages = np.zeros(len(rewards), dtype=np.float32)
    # The mean of equal float32 values is exact in float64, so their advantages are exactly 0.
    kept = rewards[included].astype(np.float64)
    if len(kept) < 2:
        return advantages
    advantages[included] = (kept - kept.mean()) / (kept.std(ddof=1) + eps)
    return advantages
