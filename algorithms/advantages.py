"""From rewards to advantages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64

from algorithms.arrays import Array
from algorithms.objectives import Normalisation


def absolute(beta: float, rewards: Float32[Array, " G"]) -> Float32[Array, " G"]:
    """Return ``A = beta R`` (E5): no mean and no deviation, so a positive never turns negative."""
    return (beta * rewards.astype(np.float64)).astype(np.float32)


def relative(
    rewards: Sequence[Float32[Array, " _"]],
    included: Sequence[Bool[Array, " _"]],
    normalisation: Normalisation,
    eps: float = 1e-6,
) -> list[Float32[Array, " _"]]:
    """Return ``A = (R - mean) / (std + eps)`` for each group of a rollout batch (E8).

    * ``group``: mean and deviation of the group, as GRPO has it; the default, where the paper says
      both "GRPO" and "batch".
    * ``batch``: mean and deviation of the whole batch, the paper's words.
    * ``group-mean-batch-std``: the mean of the group; the deviation of what is left of the rewards
      in the whole batch after it is subtracted (REINFORCE++-baseline, DLER).

    The deviation is the unbiased one (n - 1), as ``torch.std`` and verl's GRPO have it. Excluded
    responses enter no statistic and get 0. A group with equal rewards gives 0 with the first and
    the third: it says nothing about which response is better. So does a population of one.

    Args:
        rewards: one array [G] for each group.
        included: likewise; responses with a verdict.
        normalisation: population of the statistics.
        eps: added to the deviation.
    """
    # The mean of equal float32 values is exact in float64, so their advantages are exactly 0.
    kept = [r[i].astype(np.float64) for r, i in zip(rewards, included, strict=True)]
    everything = np.concatenate([np.zeros(0), *kept])
    if normalisation == "batch":
        centred = [k - everything.mean() if len(everything) else k for k in kept]
        scales = [_deviation(everything)] * len(kept)
    else:
        centred = [k - k.mean() if len(k) > 1 else np.zeros(len(k)) for k in kept]
        whole = _deviation(np.concatenate([np.zeros(0), *centred]))
        scales = [_deviation(k) if normalisation == "group" else whole for k in kept]
    advantages = []
    for reward, mask, values, scale in zip(rewards, included, centred, scales, strict=True):
        group = np.zeros(len(reward), dtype=np.float32)
        if scale is not None:
            group[mask] = values / (scale + eps)
        advantages.append(group)
    return advantages


def _deviation(values: Float64[Array, " _"]) -> float | None:
    """Return the unbiased deviation, None for fewer than two values."""
    return float(values.std(ddof=1)) if len(values) > 1 else None
