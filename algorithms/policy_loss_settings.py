"""Which surrogate a sample feeds: a discriminated union that rides on the sample."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from algorithms.strict import Strict


class _Loss(Strict):
    kl_coefficient: float = Field(default=0.0, ge=0)
    """Weight of KL(policy || reference), estimated by k3 (Schulman 2020). Above 0 the learner
    keeps the base model and runs it over every trained token."""
    entropy_coefficient: float = Field(default=0.0, ge=0)
    """Weight of an entropy bonus: the loss gains ``-c H``."""
    high_entropy_weight: float = Field(default=1.0, ge=0, le=1)
    """Factor on the weight of the tokens with the highest entropy, where the paper finds the
    connectors. Below 1 in the compression stage, it pulls less on what exploration needs; 1 is
    the paper."""
    high_entropy_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of a mini-batch's trained tokens that counts as having high entropy (80/20 rule)."""

    @property
    def needs_reference(self) -> bool:
        """Whether the learner has to run the reference model."""
        return self.kl_coefficient > 0

    @property
    def needs_measuring(self) -> bool:
        """Whether the learner has to look at a sequence before it trains on it."""
        return self.needs_reference or self.high_entropy_weight != 1


class PpoLoss(_Loss):
    """``max(-A r, -A clip(r, 1 - low, 1 + high))`` for each token (Schulman et al. 2017, eq. 7)."""

    type: Literal["ppo"] = "ppo"
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    """The ratio is clipped below at ``1 - clip_low``."""
    clip_high: float = Field(default=0.2, gt=0)
    """The ratio is clipped above at ``1 + clip_high``."""
    dual_clip: float | None = Field(default=None, gt=1)
    """Bounds the loss of a token with negative advantage at ``-A c`` (Ye et al. 2020); verl uses
    3, DAPO's recipe 10. Unset: no bound."""


class ReinforceLoss(_Loss):
    """``-A log pi`` for each token: no ratio, as E4 and E7 are written on policy."""

    type: Literal["reinforce"] = "reinforce"


class GspoLoss(_Loss):
    """PPO's clip on the sequence ratio ``s = exp(mean_t log r_t)`` (Zheng et al. 2025, GSPO)."""

    type: Literal["gspo"] = "gspo"
    high_entropy_weight: float = Field(default=1.0, gt=0, le=1)
    """As elsewhere, but above 0: the ratio is a mean over every token of the sequence."""
    clip_low: float = Field(default=3e-4, gt=0, lt=1)
    """Sequence ratios lie far closer to 1 than those of tokens."""
    clip_high: float = Field(default=4e-4, gt=0)


class CispoLoss(_Loss):
    """``-sg(clip(r, 1 - low, 1 + high)) A log pi``: clipped tokens keep a gradient (MiniMax-M1,
    eq. 4 and 5), so rare connectors are not silenced by the clip."""

    type: Literal["cispo"] = "cispo"
    clip_low: float | None = Field(default=None, gt=0, lt=1)
    """Unset: no lower bound, as in MiniMax-M1."""
    clip_high: float = Field(default=0.28, gt=0)


PolicyLoss = Annotated[PpoLoss | ReinforceLoss | GspoLoss | CispoLoss, Field(discriminator="type")]
