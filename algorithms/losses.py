"""The policy loss: PPO's clipped surrogate over flat, ragged tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to plus or minus this before ``exp``, as verl does (METHOD 2.2)."""


@dataclass(frozen=True)
class LossStats:
    """Sums over the weighted tokens of one or more micro-batches; add them up with ``+``."""

    tokens: int = 0
    """Tokens with a non-zero weight."""
    clipped: int = 0
    """Of these, tokens whose clipped branch is the larger loss, so they have no gradient."""
    k1_sum: float = 0.0
    """Sum of ``-log ratio``: estimates KL(old || new), may be negative."""
    k3_sum: float = 0.0
    """Sum of ``ratio - 1 - log ratio``: same expectation, never negative, less noisy."""

    def __add__(self, other: LossStats) -> LossStats:
        return LossStats(
            self.tokens + other.tokens,
            self.clipped + other.clipped,
            self.k1_sum + other.k1_sum,
            self.k3_sum + other.k3_sum,
        )

    @property
    def clip_ratio(self) -> float | None:
        """Share of clipped tokens; None without tokens."""
        return self.clipped / self.tokens if self.tokens else None

    @property
    def kl_k1(self) -> float | None:
        """Mean over tokens, in nats; None without tokens."""
        return self.k1_sum / self.tokens if self.tokens else None

    @property
    def kl_k3(self) -> float | None:
        """Mean over tokens, in nats; None without tokens."""
        return self.k3_sum / self.tokens if self.tokens else None


def policy_loss(
    logprob: Float[Tensor, " T"],
    old_logprob: Float[Tensor, " T"],
    advantage: Float[Tensor, " T"],
    weight: Float[Tensor, " T"],
    clip_low: float | Float[Tensor, " T"],
    clip_high: float | Float[Tensor, " T"],
) -> tuple[Float[Tensor, ""], LossStats]:
    """Return ``sum_t w_t max(-A_t r_t, -A_t clip(r_t, 1 - low, 1 + high))`` and its statistics.

    E7 with the clip of Schulman et al. 2017, eq. 7 (verl "vanilla", without the dual clip);
    ``r = exp(log pi - log pi_old)``. The weights carry every mean (see
    :func:`algorithms.batching.token_weights`), so losses of micro-batches and workers add up.

    Args:
        logprob: log pi of the drawn tokens at the sampling temperature, carries the gradient.
        old_logprob: the same under the policy before the first update of the step.
        advantage: advantage of the token's sequence.
        weight: weight of the token, 0 outside the loss.
        clip_low: lower clip distance, one number or one for each token.
        clip_high: upper clip distance, likewise.
    """
    # A token outside the loss may have any log-probability; kept out here, it cannot make 0 * inf.
    active = weight != 0
    log_ratio = torch.where(active, logprob - old_logprob.detach(), 0.0)
    log_ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    ratio = log_ratio.exp()
    low = torch.as_tensor(1.0 - clip_low, dtype=ratio.dtype, device=ratio.device)
    high = torch.as_tensor(1.0 + clip_high, dtype=ratio.dtype, device=ratio.device)
    plain = -advantage * ratio
    clipped = -advantage * torch.clamp(ratio, low, high)
    loss = (weight * torch.maximum(plain, clipped)).sum()
    with torch.no_grad():
        sums = torch.stack(
            [
                active.sum().double(),
                (clipped > plain).sum().double(),
                -log_ratio.double().sum(),
                (torch.expm1(log_ratio.double()) - log_ratio.double()).sum(),
            ]
        ).tolist()
    return loss, LossStats(int(sums[0]), int(sums[1]), sums[2], sums[3])
