"""The policy loss over flat, ragged tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from algorithms.policy_loss_settings import CispoLoss, GspoLoss, PolicyLoss, PpoLoss, ReinforceLoss

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to plus or minus this before ``exp``, as verl does (docs/method.md)."""


@dataclass(frozen=True)
class LossStats:
    """Sums over the weighted tokens of one or more micro-batches; add them up with ``+``."""

    tokens: int = 0
    """Tokens with a non-zero weight."""
    clipped: int = 0
    """Of these, tokens whose ratio the clip has replaced."""
    k1_sum: float = 0.0
    """Sum of ``-log ratio``: estimates KL(old || new), may be negative."""
    k3_sum: float = 0.0
    """Sum of ``ratio - 1 - log ratio``: same expectation, never negative, less noisy."""
    reference_k3_sum: float = 0.0
    """Sum of the k3 estimate of KL(policy || reference); 0 without a reference."""

    def __add__(self, other: LossStats) -> LossStats:
        return LossStats(
            self.tokens + other.tokens,
            self.clipped + other.clipped,
            self.k1_sum + other.k1_sum,
            self.k3_sum + other.k3_sum,
            self.reference_k3_sum + other.reference_k3_sum,
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
    settings: PolicyLoss,
    logprob: Float[Tensor, " T"],
    old_logprob: Float[Tensor, " T"],
    advantage: Float[Tensor, " T"],
    weight: Float[Tensor, " T"],
    sequence: Integer[Tensor, " T"] | None = None,
    entropy: Float[Tensor, " T"] | None = None,
    reference_logprob: Float[Tensor, " T"] | None = None,
) -> tuple[Float[Tensor, ""], LossStats]:
    """Return ``sum_t w_t (l_t + k KL_t - c H_t)`` and its statistics.

    ``l_t`` is the surrogate that ``settings`` names, see :func:`surrogate`; ``KL_t`` the k3
    estimate of KL(policy || reference); ``H_t`` the entropy. The weights carry every mean (see
    :func:`algorithms.batching.token_weights`), so losses of micro-batches and workers add up.

    Args:
        settings: surrogate and coefficients k and c.
        logprob: log pi of the drawn tokens at the sampling temperature, carries the gradient.
        old_logprob: the same under the policy before the first update of the step.
        advantage: advantage of the token's sequence.
        weight: weight of the token, 0 outside the loss.
        sequence: number of the token's sequence; only GSPO needs it.
        entropy: entropy at each token, with gradient; only for an entropy coefficient above 0.
        reference_logprob: log-probability under the reference; only for a KL coefficient above 0.

    Raises:
        ValueError: an input that the settings need is missing.
    """
    # A token outside the loss may have any log-probability; kept out here, it cannot make 0 * inf.
    active = weight != 0
    logprob = torch.where(active, logprob, 0.0)
    log_ratio = torch.where(active, logprob - old_logprob.detach(), 0.0)
    log_ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    token_loss, clipped = surrogate(settings, logprob, log_ratio, advantage, sequence)
    reference_k3 = torch.zeros((), dtype=torch.float64)
    if settings.entropy_coefficient:
        if entropy is None:
            raise ValueError("an entropy coefficient above 0 needs the entropy of each token")
        token_loss = token_loss - settings.entropy_coefficient * torch.where(active, entropy, 0.0)
    if settings.kl_coefficient:
        if reference_logprob is None:
            raise ValueError("a KL coefficient above 0 needs the reference's log-probabilities")
        kl = k3(torch.where(active, logprob - reference_logprob.detach(), 0.0))
        token_loss = token_loss + settings.kl_coefficient * kl
        reference_k3 = kl.detach().double().sum()
    loss = (weight * token_loss).sum()
    with torch.no_grad():
        sums = torch.stack(
            [
                active.sum().double(),
                (clipped & active).sum().double(),
                -log_ratio.double().sum(),
                (torch.expm1(log_ratio.double()) - log_ratio.double()).sum(),
                reference_k3.to(log_ratio.device),
            ]
        ).tolist()
    return loss, LossStats(int(sums[0]), int(sums[1]), *sums[2:])


def k3(log_ratio: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
    """Return ``exp(-x) - 1 + x`` for ``x = log policy - log reference``: for tokens drawn from the
    policy its mean is KL(policy || reference), and it is never negative (Schulman 2020)."""
    x = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return torch.expm1(-x) + x


def surrogate(
    settings: PolicyLoss,
    logprob: Float[Tensor, " T"],
    log_ratio: Float[Tensor, " T"],
    advantage: Float[Tensor, " T"],
    sequence: Integer[Tensor, " T"] | None,
) -> tuple[Float[Tensor, " T"], Bool[Tensor, " T"]]:
    """Return the loss of each token without its weight, and whether the clip replaced its ratio.

    With ``r = exp(log pi - log pi_old)`` (E7):

    * ``ppo``: ``max(-A r, -A clip(r))``, for ``A < 0`` at most ``-A c`` with a dual clip.
    * ``reinforce``: ``-A log pi``.
    * ``gspo``: ``ppo`` on ``s = exp(mean_t log r_t)`` of the sequence, in the form
      ``sg(s / r) r`` that gives each token its own gradient.
    * ``cispo``: ``-sg(clip(r)) A log pi``.
    """
    if isinstance(settings, ReinforceLoss):
        return -advantage * logprob, torch.zeros_like(logprob, dtype=torch.bool)
    if isinstance(settings, GspoLoss):
        if sequence is None:
            raise ValueError("gspo needs the sequence of each token")
        mean = _sequence_mean(log_ratio.detach(), sequence)
        log_ratio = mean + log_ratio - log_ratio.detach()
    ratio = log_ratio.exp()
    low = 0.0 if settings.clip_low is None else 1.0 - settings.clip_low
    bounded = torch.clamp(ratio, low, 1.0 + settings.clip_high)
    if isinstance(settings, CispoLoss):
        return -bounded.detach() * advantage * logprob, bounded.detach() != ratio.detach()
    plain, clipped = -advantage * ratio, -advantage * bounded
    loss, replaced = torch.maximum(plain, clipped), clipped > plain
    if isinstance(settings, PpoLoss) and settings.dual_clip is not None:
        ceiling = -advantage * settings.dual_clip
        over = (advantage < 0) & (loss > ceiling)
        loss, replaced = torch.where(over, ceiling, loss), replaced | over
    return loss, replaced


def _sequence_mean(values: Float[Tensor, " T"], sequence: Integer[Tensor, " T"]) -> Tensor:
    """Return, for each token, the mean of ``values`` over its sequence."""
    count = int(sequence.max()) + 1 if len(sequence) else 0
    sums = torch.zeros(count, dtype=values.dtype, device=values.device)
    sizes = torch.zeros_like(sums).index_add_(0, sequence, torch.ones_like(values))
    return (sums.index_add_(0, sequence, values) / sizes.clamp_min(1))[sequence]
