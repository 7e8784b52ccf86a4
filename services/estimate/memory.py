"""What each role needs in memory at its peak."""

from __future__ import annotations

from typing import Literal

from algorithms.strict import Strict
from services.estimate.assumptions import GIB, Assumptions
from services.model_folder import ModelFacts
from services.spec.job import JobSpec

_ACTIVATION_BYTES = 34
"""Kept for the backward pass by one layer for each token and each hidden unit, at two bytes a
number and without attention matrices (Korthikanti et al. 2022, equation 2)."""


class RoleMemory(Strict):
    """One role."""

    role: Literal["generator", "learner", "verifier", "coordination", "platform"]
    workers: int
    main_gib: float
    """Main memory of one worker."""
    gpu_gib: float
    """GPU memory of one worker; 0 on the CPU."""
    because: str
    """The sum it is made of, in words."""


def memory(spec: JobSpec, facts: ModelFacts, a: Assumptions) -> list[RoleMemory]:
    """Memory by role, in the order of the work."""
    return [
        _generator(spec, facts, a),
        _learner(spec, facts, a),
        RoleMemory(
            role="verifier",
            workers=spec.verifier.workers,
            main_gib=a.verifier_worker_gib,
            gpu_gib=0,
            because="a process with a computer algebra system",
        ),
        RoleMemory(
            role="coordination",
            workers=1,
            # The object store holds the newest weights besides.
            main_gib=a.coordination_gib + _weights(spec.learner.dtype, facts),
            gpu_gib=0,
            because="driver, Ray Train, replay queue and publisher; weights on their way",
        ),
        RoleMemory(
            role="platform",
            workers=1,
            main_gib=a.platform_gib,
            gpu_gib=0,
            because="Ray and the control plane, once for all jobs",
        ),
    ]


def _generator(spec: JobSpec, facts: ModelFacts, a: Assumptions) -> RoleMemory:
    g, weights = spec.generator, _weights(spec.generator.dtype, facts)
    if g.gpus:
        return RoleMemory(
            role="generator",
            workers=g.workers,
            main_gib=a.generator_base_gib + weights,
            gpu_gib=weights,
            because=(
                f"weights {weights:.1f} GiB; the key-value cache takes what is left of "
                f"{a.gpu_memory_share:.0%} of the GPU"
            ),
        )
    return RoleMemory(
        role="generator",
        workers=g.workers,
        main_gib=a.generator_base_gib + 2 * weights + g.kv_cache_gib,
        gpu_gib=0,
        because=f"process, weights twice while new ones arrive, cache {g.kv_cache_gib:g} GiB",
    )


def _learner(spec: JobSpec, facts: ModelFacts, a: Assumptions) -> RoleMemory:
    learner, parameters = spec.learner, facts.parameters / GIB
    bf16 = learner.dtype == "bfloat16"
    weights = _weights(learner.dtype, facts)
    gradients = weights
    # Adam's two moments in float32, and float32 master weights beside bfloat16 ones.
    optimiser = (12 if bf16 else 8) * parameters
    ranks = learner.workers
    optimiser /= ranks if learner.zero_stage >= 1 else 1
    gradients /= ranks if learner.zero_stage >= 2 else 1
    held = weights / (ranks if learner.zero_stage >= 3 else 1)
    width = 1 if bf16 else 2
    activations = (
        learner.micro_batch_tokens * facts.layers * facts.hidden * _ACTIVATION_BYTES * width / GIB
    )
    # Logits, their softmax and their gradient, in float32, for one chunk.
    logits = 3 * 4 * learner.logprob_chunk * facts.vocabulary / GIB
    total = held + gradients + optimiser + activations + logits
    on_gpu = bool(learner.gpus)
    return RoleMemory(
        role="learner",
        workers=ranks,
        main_gib=a.learner_base_gib + (weights if on_gpu else total),
        gpu_gib=total if on_gpu else 0,
        because=(
            f"weights {held:.2f}, gradients {gradients:.2f}, optimiser {optimiser:.2f} (ZeRO "
            f"{learner.zero_stage}), activations {activations:.2f}, logits {logits:.2f} GiB"
        ),
    )


def _weights(dtype: str, facts: ModelFacts) -> float:
    return (2 if dtype == "bfloat16" else 4) * facts.parameters / GIB
