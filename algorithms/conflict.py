"""How much two objectives pull against each other (E2, section 3.1): a gauge, not a theorem."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from algorithms.arrays import Array
from algorithms.objectives import Compress, Entangled, Explore
from algorithms.stage import Stage


def contrast(stages: tuple[Stage, ...]) -> tuple[Compress, Explore] | None:
    """Return the compression and the accuracy objective of a job, the first of each; None for a
    job that has only one of them."""
    parts: list[Compress | Explore] = []
    for stage in stages:
        objective = stage.objective
        if isinstance(objective, Entangled):
            parts += [objective.compress, objective.explore]
        else:
            parts.append(objective)
    compress = next((p for p in parts if isinstance(p, Compress)), None)
    explore = next((p for p in parts if isinstance(p, Explore)), None)
    return None if compress is None or explore is None else (compress, explore)


def cosine(first: Float[Tensor, " P"], second: Float[Tensor, " P"]) -> float | None:
    """Return the cosine of two gradients: -1 when one undoes the other, None when one is zero."""
    norms = torch.linalg.vector_norm(first.double()) * torch.linalg.vector_norm(second.double())
    if float(norms) == 0.0:
        return None
    return float(first.double() @ second.double() / norms)


def share(magnitude: Shaped[Array, " T"], chosen: Shaped[Array, " T"]) -> float | None:
    """Return the part of a gradient's token magnitudes that falls on the chosen tokens, None for a
    gradient without any."""
    total = float(magnitude.sum())
    return float(magnitude[chosen].sum()) / total if total > 0 else None
