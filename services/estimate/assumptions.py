"""The numbers an estimate rests on. They are given out with it.

The figures of the CPU were taken from the recorded runs of the preset ``tiny-cpu`` (two cores,
docs/results/runs): 3,650 tokens a second sampled and 3,960 trained on, 1.3 s of other work a step,
and, by process, the proportional set sizes of one such job. Those of the GPU are published
throughputs of an H100, not measured here.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from algorithms.strict import Strict

GIB: Final = 2.0**30


class Assumptions(Strict):
    """Everything an estimate takes for granted."""

    mean_response_ratio: float = Field(default=0.25, gt=0, le=1)
    """Mean length of a response, as a share of the stage's ``max_tokens``, where it is not known.
    The range runs from a tenth to all of it."""
    prompt_tokens: int = Field(default=128, ge=0)
    """Mean length of a prompt with its template."""
    cpu_flops: float = 25e9
    """Floating point operations a second that one thread gets through, in float32."""
    cpu_seconds_per_token: float = 2.3e-4
    """What a token costs on the CPU whatever the size of the model."""
    gpu_decode_flops: float = 5e13
    """The same for sampling on one GPU, which memory bounds: 5 % of an H100's peak."""
    gpu_train_flops: float = 3.5e14
    """For training on one GPU: 35 % of an H100's peak."""
    start_seconds: float = 45.0
    """From the queue to the first step."""
    step_seconds: float = 1.3
    """Of a step besides sampling and training: verdicts, weights, records."""
    generator_base_gib: float = 1.6
    """A generator process without weights and cache."""
    learner_base_gib: float = 0.75
    """A learner process without weights, gradients, moments and activations."""
    coordination_gib: float = 1.45
    """Driver, Ray Train, replay queue, weight publisher."""
    verifier_worker_gib: float = 0.15
    platform_gib: float = 1.1
    """Ray itself and the control plane, shared by all jobs of the machine."""
    gpu_memory_share: float = 0.9
    """Of its GPU, which a generator takes whatever the model needs."""


DEFAULT: Final = Assumptions()
