"""The gradients of the compression and of the accuracy objective on one and the same batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from algorithms.arrays import Array
from algorithms.conflict import cosine, share
from algorithms.token_gradients import drawn_gradient_norm
from services.learning.samples import Batch, ScoredResponse, Update, collate

MicroBatches = Callable[[Sequence[ScoredResponse]], list[tuple[list[ScoredResponse], bool]]]


@dataclass(frozen=True)
class Pull:
    """What one objective does to a batch."""

    gradient: Tensor
    """[P] over all parameters and all ranks."""
    magnitude: NDArray[np.float64]
    """[T] ``|w A| ||e_y - p||`` of each token of this rank."""
    connector: NDArray[np.bool_]
    """[T] whether the token is a connector."""


def gradient_conflict(
    model: nn.Module,
    updates: tuple[Update, Update],
    temperature: float,
    micro_batches: MicroBatches,
    connectors: Sequence[int],
    device: torch.device,
) -> dict[str, float | None]:
    """Return how the compression objective (first) and the accuracy objective pull on the batch.

    The gradients are those of the first update of a step, ``sum w A grad log pi``: ratios are 1.
    Nothing is trained. Not for partitioned parameters (ZeRO 3).

    Args:
        model: the policy, with whole parameters.
        updates: one batch, scored by either objective.
        temperature: the one the tokens were sampled at.
        micro_batches: this rank's share of sequences.
        connectors: token ids.
        device: of the model.

    Returns:
        ``cosine`` of the two gradients, and the share of connectors in each one's token
        magnitudes; None for a gradient that is zero.
    """
    pulls = [
        _pull(model, update, temperature, micro_batches, connectors, device) for update in updates
    ]
    shares = [_share_over_ranks(p) for p in pulls]
    return {
        "cosine": cosine(pulls[0].gradient, pulls[1].gradient),
        "connector_share_compress": shares[0],
        "connector_share_accuracy": shares[1],
    }


def _pull(
    model: nn.Module,
    update: Update,
    temperature: float,
    micro_batches: MicroBatches,
    connectors: Sequence[int],
    device: torch.device,
) -> Pull:
    parameters = [p for p in model.parameters() if p.requires_grad]
    total = [torch.zeros_like(p, dtype=torch.float32) for p in parameters]
    magnitudes, marks = [np.zeros(0)], [np.zeros(0, np.bool_)]
    for sequences, muted in micro_batches([s for s in update.sequences if s.has_gradient]):
        if muted:
            continue
        batch = collate(sequences).to(device)
        strength = batch.weights * batch.advantages
        logprob = model(batch.input_ids, batch.positions, batch.targets, temperature)[0]
        grads = torch.autograd.grad(-(strength * logprob).sum(), parameters, allow_unused=True)
        for whole, grad in zip(total, grads, strict=True):
            if grad is not None:
                whole.add_(grad.float())
        magnitudes.append(_magnitude(model, batch, strength, temperature))
        marks.append(np.isin(batch.targets.cpu().numpy(), connectors))
    flat = torch.cat([t.flatten() for t in total])
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(flat)
    return Pull(flat, np.concatenate(magnitudes), np.concatenate(marks))


@torch.no_grad()
def _magnitude(
    model: nn.Module, batch: Batch, strength: Tensor, temperature: float
) -> NDArray[np.float64]:
    """Return ``|w A| ||e_y - p||`` [N]: what each token sends into the logits."""
    logprob, _, _, square_sum, _ = model(
        batch.input_ids, batch.positions, batch.targets, temperature, measure=True
    )
    norm: Array = drawn_gradient_norm(logprob.cpu().numpy(), square_sum.cpu().numpy())
    return np.asarray(strength.abs().cpu().numpy() * norm, np.float64)


def _share_over_ranks(pull: Pull) -> float | None:
    sums = np.array([pull.magnitude[pull.connector].sum(), pull.magnitude.sum()])
    if dist.is_initialized() and dist.get_world_size() > 1:
        parts: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(parts, sums)
        sums = np.sum(parts, axis=0)
    return share(np.array([sums[0], sums[1] - sums[0]]), np.array([True, False]))


def connector_ids(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """Return the ids of the connectors that are one token, with and without a space before."""
    found = set()
    for word in words:
        for text in (word, f" {word}"):
            ids = tokenizer.encode(text, add_special_tokens=False)
            if len(ids) == 1:
                found.add(int(ids[0]))
    return sorted(found)
