"""How many tokens a job samples and trains on."""

from __future__ import annotations

from algorithms.stage import Stage
from algorithms.strict import Strict
from services.estimate.assumptions import Assumptions
from services.spec.job import EvaluationSpec, JobSpec


class Range(Strict):
    """A figure that is not known exactly."""

    low: float
    expected: float
    high: float

    def scaled(self, factor: float) -> Range:
        """Every bound times a factor."""
        return Range(
            low=self.low * factor, expected=self.expected * factor, high=self.high * factor
        )

    def plus(self, other: Range | float) -> Range:
        """The sum with another range, or with a number."""
        if not isinstance(other, Range):
            other = Range(low=other, expected=other, high=other)
        return Range(
            low=self.low + other.low,
            expected=self.expected + other.expected,
            high=self.high + other.high,
        )


NOTHING = Range(low=0, expected=0, high=0)


class StageTokens(Strict):
    """One stage, all its cycles together."""

    name: str
    responses: int
    """At most: criteria and guards may end a stage sooner."""
    response_tokens: Range
    trained_tokens: Range
    """Prompt and response, once for each pass of the learner."""


def stage_tokens(stage: Stage, turns: int, known_mean: float | None, a: Assumptions) -> StageTokens:
    """Tokens of ``turns`` turns of a stage.

    Args:
        stage: of the specification.
        turns: how often it is run: the number of cycles.
        known_mean: mean response length in tokens, where it has been measured.
        a: the assumptions.
    """
    responses = turns * stage.steps * stage.prompts_per_step * stage.sampling.group_size
    length = mean_length(stage.sampling.max_tokens, known_mean, a)
    return StageTokens(
        name=stage.name,
        responses=responses,
        response_tokens=length.scaled(responses),
        trained_tokens=length.plus(a.prompt_tokens).scaled(responses),
    )


def evaluation_tokens(spec: JobSpec, known_mean: float | None, a: Assumptions) -> Range:
    """Response tokens of every evaluation: of the base model, after each stage, and within."""
    evaluation = spec.evaluation
    if evaluation is None:
        return NOTHING
    times = 1 + len(spec.schedule)
    if evaluation.every_steps is not None:
        times += spec.total_steps // evaluation.every_steps
    return _length(evaluation, known_mean, a).scaled(
        times * evaluation.questions * evaluation.samples
    )


def mean_length(cap: int, known_mean: float | None, a: Assumptions) -> Range:
    """Mean response length under a cap, in tokens; a measured one is right to a quarter."""
    if known_mean is not None:
        mean = min(known_mean, cap)
        return Range(low=0.75 * mean, expected=mean, high=min(1.25 * mean, cap))
    low = min(0.1, a.mean_response_ratio)
    return Range(low=low * cap, expected=a.mean_response_ratio * cap, high=float(cap))


def _length(evaluation: EvaluationSpec, known_mean: float | None, a: Assumptions) -> Range:
    return mean_length(evaluation.max_tokens, known_mean, a)
