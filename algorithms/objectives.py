"""Training objectives as data: a discriminated union whose defaults are the vetted settings.

An objective says how a group of verified responses becomes rewards, advantages and loss weights.
The learner never sees it: what it needs rides on the samples.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from algorithms.strict import Strict

Aggregation = Literal["seq-mean-token-mean", "token-mean"]
"""How token losses become one number: mean over each sequence first, or over all tokens at once."""


class PolicyLoss(Strict):
    """The surrogate every objective feeds; rides on the sample (Schulman et al. 2017, eq. 7)."""

    clip_low: float = Field(default=0.2, gt=0, lt=1)
    """The ratio is clipped below at ``1 - clip_low``."""
    clip_high: float = Field(default=0.2, gt=0)
    """The ratio is clipped above at ``1 + clip_high``."""


class Compress(Strict):
    """Compression stage (paper section 3.3): length clip, positive-only updates with absolute
    advantage, exponential length shaping."""

    type: Literal["compress"] = "compress"
    length_clip: int = Field(default=4096, gt=0)
    """L, in response tokens: a longer response has reward 0 (E3), so it is not trained on.
    It is also the generation cap of the stage."""
    r: float = Field(default=0.1, gt=0, lt=1)
    """Value of the shaping function at length L: f(L) = r (E6)."""
    beta: float = Field(default=1.0, gt=0)
    """Scale of the absolute advantage A = beta * R (E5)."""
    normaliser: Literal["all", "positives"] = "all"
    """Denominator of the positive-only mean: every sequence of the mini-batch, or the positives."""
    aggregation: Aggregation = "seq-mean-token-mean"
    """The explicit 1/|o| of E1."""
    loss: PolicyLoss = PolicyLoss()
    """Ratio clipping for the second to last update on one rollout batch."""


class Explore(Strict):
    """Exploration stage (paper section 3.4): GRPO over all trajectories with a format, an answer
    and a mild length reward (E8 to E10)."""

    type: Literal["explore"] = "explore"
    length_threshold: int = Field(default=4096, gt=0)
    """Responses up to this many tokens pay no length penalty; the paper uses L of stage one."""
    length_penalty: float = Field(default=0.25, ge=0)
    """Reward lost for each further ``length_unit`` tokens (E10)."""
    length_unit: int = Field(default=1024, gt=0)
    """The paper's "1k tokens"."""
    length_floor: float = Field(default=-1.0, le=0)
    """The length reward never falls below this."""
    answer_reward: float = Field(default=1.0, gt=0)
    """Reward of a correct answer."""
    format_reward: float = Field(default=0.1, ge=0)
    """Reward of one ``</think>`` followed by exactly one non-empty box and an end token."""
    aggregation: Aggregation = "token-mean"
    loss: PolicyLoss = PolicyLoss(clip_low=0.2, clip_high=0.28)
    """Clip-higher (DAPO): rare tokens may grow faster than they may shrink."""


Objective = Annotated[Compress | Explore, Field(discriminator="type")]
