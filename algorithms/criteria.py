"""When a stage ends before its steps are used up: criteria and the accuracy guard, as data.

The paper fixes 400 steps for each stage, so every criterion is a gap with a default of ours. What
they do with the figures of a run is in ``criterion_watch.py`` and ``stage_machine.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from algorithms.strict import Strict


class EntropyPlateau(Strict):
    """Entropy has stopped moving: the slope of its running median stays near zero (gap)."""

    type: Literal["entropy_plateau"] = "entropy_plateau"
    metric: Literal["entropy_untempered", "entropy", "entropy_sampled"] = "entropy_untempered"
    """Field of the step record, in nats. At temperature 1 it can be compared between stages."""
    slope: float = Field(default=2e-4, gt=0)
    """Largest slope, up or down, that counts as flat, in nats per step (gap). Noise of standard
    deviation s in single steps gives the slope one of s sqrt(12 / window^3): 3e-5 for 0.003 nats
    and the default window, well below this."""
    window: int = Field(default=50, ge=2)
    """Steps the slope is fitted over by least squares."""
    smoothing: int = Field(default=5, ge=1)
    """Steps of the running median the slope is fitted to; odd. It takes outliers away and leaves a
    straight line as it is; 1 turns it off."""
    patience: int = Field(default=5, ge=1)
    """Steps in a row whose slope must be flat, so that a turning point is not taken for rest."""
    min_steps: int = Field(default=1, ge=1)
    """Steps of the stage before which it cannot hold."""

    @property
    def memory(self) -> int:
        """Readings that one slope rests on."""
        return self.window + self.smoothing - 1

    @property
    def earliest(self) -> int:
        """First step of the stage at which it can hold."""
        return max(self.min_steps, self.memory + self.patience - 1)

    @model_validator(mode="after")
    def _median_has_a_middle(self) -> EntropyPlateau:
        if self.smoothing % 2 == 0:
            raise ValueError(
                f"smoothing ({self.smoothing}) must be odd: the median of an even number of steps "
                f"lies between two of them; take {self.smoothing + 1}"
            )
        return self


class _WindowMean(Strict):
    """A criterion on the mean of one figure over the newest steps."""

    window: int = Field(default=5, ge=1)
    """Steps the mean is taken over."""
    min_steps: int = Field(default=1, ge=1)
    """Steps of the stage before which it cannot hold."""

    @property
    def memory(self) -> int:
        """Readings that one mean rests on."""
        return self.window

    @property
    def patience(self) -> int:
        return 1

    @property
    def earliest(self) -> int:
        """First step of the stage at which it can hold."""
        return max(self.min_steps, self.window)


class LengthTarget(_WindowMean):
    """Training responses are as short as wanted: their mean length is at or below a target (gap).

    Give either ``tokens`` or ``ratio``.
    """

    type: Literal["length_target"] = "length_target"
    tokens: float | None = Field(default=None, gt=0)
    """Target in response tokens, end token included."""
    ratio: float | None = Field(default=None, gt=0, lt=1)
    """Target as a share of the base model's mean length on the held-out questions."""

    @property
    def metric(self) -> str:
        return "response_length_mean"

    @model_validator(mode="after")
    def _one_target(self) -> LengthTarget:
        if (self.tokens is None) == (self.ratio is None):
            raise ValueError(
                "tokens or ratio: give exactly one of the two, a number of response tokens or a "
                "share of the base model's length"
            )
        return self


class ClipRatio(_WindowMean):
    """The length clip has stopped to bite, or bites too much: the share of responses cut at the
    generation cap is at or beyond a threshold (gap).

    This is the paper's clip rate (``truncated_ratio`` of a step), not the share of tokens whose
    probability ratio the loss clips (``clip_ratio`` of a step). Give ``at_most`` or ``at_least``.
    """

    type: Literal["clip_ratio"] = "clip_ratio"
    at_most: float | None = Field(default=None, ge=0, lt=1)
    """Holds once no larger share of responses is cut: nearly all fit below the clip."""
    at_least: float | None = Field(default=None, gt=0, le=1)
    """Holds once no smaller share of responses is cut: responses grow into the cap."""

    @property
    def metric(self) -> str:
        return "truncated_ratio"

    @model_validator(mode="after")
    def _one_side(self) -> ClipRatio:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(
                "at_most or at_least: give exactly one of the two, as a share of responses"
            )
        return self


Criterion = Annotated[EntropyPlateau | LengthTarget | ClipRatio, Field(discriminator="type")]


class AccuracyGuard(Strict):
    """Ends a stage that costs more accuracy on the held-out questions than is allowed (gap).

    It judges every evaluation made in the stage and the one at its end. The best evaluation is
    looked for since the stage began, the one it began with included: a stage can undo its own work,
    never that of the stages before.
    """

    max_drop: float = Field(default=0.05, ge=0, lt=1)
    """Largest drop of accuracy that is accepted, as a share: 0.05 is five points. Mind the noise:
    on 256 questions the 95 % interval is about five points wide to either side."""
    action: Literal["leave", "rollback"] = "rollback"
    """``leave`` goes on with the next stage as the policy is; ``rollback`` does so from the weights
    and the optimiser of the best evaluation."""
    reference: Literal["base", "best"] = "base"
    """What the drop is measured from: the base model, or the best evaluation of the stage. The best
    of several noisy figures lies above the truth, so ``best`` is the stricter one."""
