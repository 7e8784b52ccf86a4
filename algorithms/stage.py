"""A stage: what is optimised, how responses are sampled for it, and when it ends."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from algorithms.criteria import AccuracyGuard, Criterion, LengthTarget
from algorithms.objectives import Compress, Entangled, Objective
from algorithms.strict import Strict

UpdateUnit = Literal["prompts", "sequences"]


class Sampling(Strict):
    """How training responses are drawn. Behaviour log-probabilities are those of this
    distribution, and the learner applies the same temperature."""

    temperature: float = Field(default=0.6, gt=0, le=2)
    """0.6 in the compression stage, 1.0 in the exploration stage (docs/method.md)."""
    max_tokens: int = Field(default=4096, gt=0)
    """Generation cap in response tokens, end token included."""
    group_size: int = Field(default=8, ge=1)
    """Responses drawn for each prompt."""


class Stage(Strict):
    """One stage of a job. Stages run in the order of the list."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """Unique within the job; the stage endpoint takes it."""
    objective: Objective
    sampling: Sampling = Sampling()
    steps: int = Field(default=400, ge=1)
    """Rollout iterations: one batch sampled, verified and trained on in several updates. The stage
    ends here at the latest."""
    until: tuple[Criterion, ...] = ()
    """Criteria that end the stage earlier, at the first that holds; none is the paper's fixed
    number of steps."""
    guard: AccuracyGuard | None = None
    """Ends the stage when it costs too much held-out accuracy."""
    prompts_per_step: int = Field(default=64, ge=1)
    """Prompts in a rollout batch."""
    prompts_per_update: int = Field(default=16, ge=1)
    """Prompts in a mini-batch: 64 and 16 make four optimiser updates a step."""
    sequences_per_update: int | None = Field(default=None, ge=1)
    """Sequences in a mini-batch, drawn from all groups of the step: the other reading of the
    paper's "every 16 samples". Unset: ``prompts_per_update`` counts."""
    learning_rate: float = Field(default=1e-6, gt=0)
    """Constant AdamW learning rate of the stage."""
    optimizer: Literal["reset", "keep"] = "reset"
    """Whether Adam's moments start at zero when the stage begins (weights are always kept)."""
    data: Literal["continue", "restart"] = "continue"
    """Whether the prompt stream goes on where the stage before stopped, or starts over."""
    on_entry: Literal["drop", "train"] = "drop"
    """What becomes of samples caught in flight when this stage begins: dropped and counted, or
    trained under the objective that drew them before the switch."""

    @property
    def length_clip(self) -> int | None:
        """L of the stage; None where nothing is clipped."""
        if isinstance(self.objective, Entangled):
            return self.objective.compress.length_clip
        return self.objective.length_clip if isinstance(self.objective, Compress) else None

    @property
    def update_unit(self) -> UpdateUnit:
        """What a mini-batch is made of."""
        return "prompts" if self.sequences_per_update is None else "sequences"

    @property
    def items_per_update(self) -> int:
        """Prompts or sequences in a mini-batch."""
        return self.sequences_per_update or self.prompts_per_update

    @property
    def updates_per_step(self) -> int:
        if self.sequences_per_update is None:
            return self.prompts_per_step // self.prompts_per_update
        return self.prompts_per_step * self.sampling.group_size // self.sequences_per_update

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        self._check_update_size()
        objective = self.objective
        if not isinstance(objective, Compress) and self.sampling.group_size < 2:
            raise ValueError(
                "sampling.group_size must be at least 2 for the group-relative objective "
                f"{objective.type!r}: a group of one always has advantage 0"
            )
        if isinstance(objective, Compress) and self.sampling.max_tokens > objective.length_clip:
            raise ValueError(
                f"sampling.max_tokens ({self.sampling.max_tokens}) must not exceed "
                f"objective.length_clip ({objective.length_clip}): longer responses have "
                "reward 0 and would only cost time"
            )
        return self

    def _check_update_size(self) -> None:
        sequences = self.prompts_per_step * self.sampling.group_size
        if self.sequences_per_update is None:
            if self.prompts_per_step % self.prompts_per_update:
                raise ValueError(
                    f"prompts_per_update ({self.prompts_per_update}) must divide "
                    f"prompts_per_step ({self.prompts_per_step})"
                )
        elif sequences % self.sequences_per_update:
            raise ValueError(
                f"sequences_per_update ({self.sequences_per_update}) must divide the {sequences} "
                "sequences of a step (prompts_per_step times sampling.group_size)"
            )

    @model_validator(mode="after")
    def _criteria_can_decide(self) -> Stage:
        for index, criterion in enumerate(self.until):
            if criterion.earliest > self.steps:
                late = "min_steps" if criterion.min_steps > self.steps else "window"
                raise ValueError(
                    f"until.{index}.{late} ({getattr(criterion, late)}) is too long for a stage of "
                    f"{self.steps} steps: {criterion.type} can hold at step {criterion.earliest} "
                    "at the earliest; shorten it or raise the stage's steps"
                )
            cap = self.sampling.max_tokens
            if (
                isinstance(criterion, LengthTarget)
                and criterion.tokens is not None
                and criterion.tokens >= cap
            ):
                raise ValueError(
                    f"until.{index}.tokens ({criterion.tokens:g}) must be below "
                    f"sampling.max_tokens ({cap}): no response is longer, so the target would be "
                    "reached at once"
                )
        return self
