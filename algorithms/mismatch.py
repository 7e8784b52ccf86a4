"""How far the learner's log-probabilities are from the generator's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LIMIT = 20.0
"""A difference beyond this is clamped inside the k3 estimate only, so that one token cannot make
it infinite."""


@dataclass(frozen=True)
class Mismatch:
    """Sums over tokens, with ``d = learner - behaviour`` in nats; merge workers with ``+``."""

    tokens: int = 0
    abs_sum: float = 0.0
    abs_max: float = 0.0
    k1_sum: float = 0.0
    """Sum of ``-d``."""
    k3_sum: float = 0.0
    """Sum of ``exp(d) - 1 - d``."""

    def __add__(self, other: Mismatch) -> Mismatch:
        return Mismatch(
            self.tokens + other.tokens,
            self.abs_sum + other.abs_sum,
            max(self.abs_max, other.abs_max),
            self.k1_sum + other.k1_sum,
            self.k3_sum + other.k3_sum,
        )

    @property
    def abs_mean(self) -> float | None:
        """Mean |d|; None without tokens."""
        return self.abs_sum / self.tokens if self.tokens else None

    @property
    def kl_k1(self) -> float | None:
        """KL(behaviour || learner), unbiased but noisy; None without tokens."""
        return self.k1_sum / self.tokens if self.tokens else None

    @property
    def kl_k3(self) -> float | None:
        """KL(behaviour || learner), never negative; None without tokens."""
        return self.k3_sum / self.tokens if self.tokens else None


def mismatch(
    behaviour: Float[Tensor, " T"], learner: Float[Tensor, " T"], mask: Bool[Tensor, " T"]
) -> Mismatch:
    """Compare the log-probabilities of the drawn tokens where ``mask`` holds.

    Both must be of the same weights and of the same distribution, the temperature included: then
    the difference is numerics alone. Tokens are drawn by the generator, so the estimates are of
    KL(behaviour || learner), k1 and k3 of Schulman, "Approximating KL divergence" (2020).
    """
    d = (learner.detach().double() - behaviour.detach().double())[mask]
    if d.numel() == 0:
        return Mismatch()
    clamped = d.clamp(-LIMIT, LIMIT)
    sums = torch.stack(
        [d.abs().sum(), d.abs().max(), -d.sum(), (torch.expm1(clamped) - clamped).sum()]
    ).tolist()
    return Mismatch(d.numel(), *sums)
