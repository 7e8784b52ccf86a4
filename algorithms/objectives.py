"""Training objectives as data: a discriminated union whose defaults are the vetted settings.

An objective says how groups of verified responses become rewards, advantages and loss weights.
The learner never sees it: what it needs rides on the samples.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from algorithms.policy_loss_settings import PolicyLoss, PpoLoss
from algorithms.repetition import NGRAM
from algorithms.strict import Strict

Aggregation = Literal["seq-mean-token-mean", "token-mean", "seq-mean-token-sum-norm"]
"""How token losses become one number: mean over each sequence first, over all tokens at once, or
the sum over each sequence divided by a constant (Dr. GRPO)."""

Shaping = Literal["exponential", "linear", "cosine"]
"""Form of the length shaping; each has f(0) = 1 and f(L) = r (table 2c)."""

MeasuredLength = Literal["response", "think", "answer"]
"""Tokens that count as length: all, those up to ``</think>``, or those after it."""

Normalisation = Literal["group", "batch", "group-mean-batch-std"]
"""Where mean and deviation of E8 are taken: in the group (GRPO), in the whole rollout batch (the
paper's words), or the mean in the group and the deviation in the batch (REINFORCE++-baseline)."""


class _Aggregated(Strict):
    token_norm: int = Field(default=4096, gt=0)
    """Constant that token sums are divided by with ``seq-mean-token-sum-norm``."""


class Compress(_Aggregated):
    """Compression stage (paper section 3.3): length clip, positive-only updates with absolute
    advantage, exponential length shaping."""

    type: Literal["compress"] = "compress"
    length_clip: int = Field(default=4096, gt=0)
    """L, in response tokens: a longer response has reward 0 (E3), so it is not trained on.
    It is also the generation cap of the stage."""
    shaping: Shaping = "exponential"
    r: float = Field(default=0.1, gt=0, lt=1)
    """Value of the shaping function at length L: f(L) = r (E6); 0.1 unless you know better."""
    measured_length: MeasuredLength = "response"
    """Length that the shaping sees; the clip always sees the whole response."""
    beta: float = Field(default=1.0, gt=0)
    """Scale of the absolute advantage A = beta * R (E5)."""
    normaliser: Literal["all", "positives"] = "all"
    """Denominator of the positive-only mean: every sequence of the mini-batch, or the positives."""
    aggregation: Aggregation = "seq-mean-token-mean"
    """The explicit 1/|o| of E1."""
    loss: PolicyLoss = PpoLoss()
    """Ratio clipping for the second to last update on one rollout batch."""


class Repetition(Strict):
    """Penalty on responses that go in circles."""

    weight: float = Field(default=0.5, gt=0)
    """Reward lost by a response that is nothing but repetition."""
    n: int = Field(default=NGRAM, ge=1)
    """Tokens in a row that count as a repetition when they stand in the response again."""
    threshold: float = Field(default=0.2, ge=0, lt=1)
    """Repetition rate up to which nothing is lost: answers restate what was found."""


class Explore(_Aggregated):
    """Exploration stage (paper section 3.4): GRPO over all trajectories with a format, an answer
    and a mild length reward (E8 to E10)."""

    type: Literal["explore"] = "explore"
    length_threshold: int = Field(default=4096, gt=0)
    """Responses up to this many tokens pay no length penalty; the paper uses L of stage one."""
    length_penalty: float = Field(default=0.25, ge=0)
    """Reward lost for each further ``length_unit`` tokens (E10)."""
    length_unit: int = Field(default=1024, gt=0)
    """The paper's "1k tokens": 1024, or 1000."""
    length_form: Literal["linear", "stepwise"] = "linear"
    """Whether a part of a unit costs its part, or nothing."""
    length_floor: float = Field(default=-1.0, le=0)
    """The length reward never falls below this."""
    length_of: Literal["all", "correct"] = "all"
    """Whose length costs: that of every response, or of correct ones only."""
    answer_reward: float = Field(default=1.0, gt=0)
    """Reward of a correct answer."""
    incorrect_reward: float = Field(default=0.0, le=0)
    """Reward of an answer that is wrong or was cut off; Laser has -0.5."""
    unparsable_reward: float = Field(default=0.0, le=0)
    """Reward of a response without a readable answer; Laser and Thinkless have -1."""
    format_reward: float = Field(default=0.1, ge=0)
    """Reward of one ``</think>`` followed by exactly one non-empty box and an end token."""
    repetition: Repetition | None = None
    """Penalty on repetition, a fourth part of the reward; null takes none (the paper's E9)."""
    normalisation: Normalisation = "group"
    zero_advantage: Literal["keep", "drop"] = "keep"
    """Groups without any advantage: kept in the mini-batch and its denominator, or left out and
    counted (the filter of DAPO, without drawing others in their place)."""
    aggregation: Aggregation = "token-mean"
    loss: PolicyLoss = PpoLoss(clip_low=0.2, clip_high=0.28)
    """Clip-higher (DAPO): rare tokens may grow faster than they may shrink."""


class Entangled(Strict):
    """Both objectives in one batch (EE, paper section 4.3): groups answered correctly often enough
    are compressed, the others trained for accuracy. The paper's counter-example, kept to be
    measured against."""

    type: Literal["entangled"] = "entangled"
    threshold: float = Field(default=0.5, gt=0, le=1)
    """Share of correct responses from which a group is compressed; exactly this share is."""
    compress: Compress = Compress()
    """Rules of the groups that are compressed. A correct response beyond the length clip counts as
    correct for the routing and has reward 0."""
    explore: Explore = Explore()
    """Rules of the other groups."""

    @model_validator(mode="after")
    def _one_population(self) -> Entangled:
        if self.explore.normalisation != "group":
            raise ValueError(
                "explore.normalisation must be 'group' in an entangled objective: its batch mixes "
                "rewards of two kinds, which have no common mean"
            )
        return self


Objective = Annotated[Compress | Explore | Entangled, Field(discriminator="type")]
