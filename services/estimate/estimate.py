"""The estimate of a whole job."""

from __future__ import annotations

from algorithms.strict import Strict
from services.estimate.assumptions import DEFAULT, Assumptions
from services.estimate.memory import RoleMemory, memory
from services.estimate.tokens import (
    NOTHING,
    Range,
    StageTokens,
    evaluation_tokens,
    stage_tokens,
)
from services.model_folder import ModelFacts
from services.spec.job import JobSpec

_FORWARD, _FORWARD_AND_BACKWARD = 2, 6
"""Floating point operations for each parameter and token."""


class Estimate(Strict):
    """What a job will take at most, unless criteria, guards or people end it sooner."""

    parameters: int
    """Of the model."""
    steps: int
    stages: list[StageTokens]
    evaluation_tokens: Range
    seconds: Range
    """From the queue to the end."""
    gpu_hours: Range
    """Reserved GPUs times the time."""
    memory: list[RoleMemory]
    main_gib: float
    """Main memory of all workers of all roles together."""
    gpu_gib: float
    """GPU memory that weights, gradients, moments and activations need, likewise."""
    assumptions: Assumptions


def estimate(
    spec: JobSpec,
    facts: ModelFacts,
    *,
    mean_response_tokens: float | None = None,
    threads: int = 2,
    assumptions: Assumptions = DEFAULT,
) -> Estimate:
    """Estimate a job.

    Args:
        spec: of the job.
        facts: of its model.
        mean_response_tokens: where it has been measured, over the whole run.
        threads: cores that the workers of a role share where the specification does not say.
        assumptions: what is taken for granted.
    """
    turns = max(1, len(spec.schedule) // len(spec.stages))
    stages = [stage_tokens(s, turns, mean_response_tokens, assumptions) for s in spec.stages]
    evaluated = evaluation_tokens(spec, mean_response_tokens, assumptions)
    sampled = evaluated
    trained = NOTHING
    for stage in stages:
        sampled = sampled.plus(stage.response_tokens)
        trained = trained.plus(stage.trained_tokens)
    seconds = (
        sampled.scaled(_sampling_seconds(spec, facts, threads, assumptions))
        .plus(trained.scaled(_training_seconds(spec, facts, threads, assumptions)))
        .plus(assumptions.start_seconds + spec.total_steps * assumptions.step_seconds)
    )
    roles = memory(spec, facts, assumptions)
    gpus = spec.generator.workers * spec.generator.gpus + spec.learner.workers * spec.learner.gpus
    return Estimate(
        parameters=facts.parameters,
        steps=spec.total_steps,
        stages=stages,
        evaluation_tokens=evaluated,
        seconds=seconds,
        gpu_hours=seconds.scaled(gpus / 3600),
        memory=roles,
        main_gib=sum(r.workers * r.main_gib for r in roles),
        gpu_gib=sum(r.workers * r.gpu_gib for r in roles),
        assumptions=assumptions,
    )


def _sampling_seconds(spec: JobSpec, facts: ModelFacts, threads: int, a: Assumptions) -> float:
    """Seconds for one response token, all generators at work."""
    g, operations = spec.generator, _FORWARD * facts.parameters
    if g.gpus:
        return operations / (a.gpu_decode_flops * g.gpus * g.workers)
    each = g.threads or max(1, threads // g.workers)
    return (a.cpu_seconds_per_token + operations / (a.cpu_flops * each)) / g.workers


def _training_seconds(spec: JobSpec, facts: ModelFacts, threads: int, a: Assumptions) -> float:
    """Seconds for one trained token, all learners at work."""
    learner = spec.learner
    passes = _FORWARD_AND_BACKWARD + (_FORWARD if learner.old_logprobs == "recomputed" else 0)
    operations = passes * facts.parameters
    if learner.gpus:
        return operations / (a.gpu_train_flops * learner.gpus * learner.workers)
    each = learner.threads or max(1, threads // learner.workers)
    # What a token costs by itself falls on sampling: a learner sees whole batches.
    return operations / (a.cpu_flops * each) / learner.workers
