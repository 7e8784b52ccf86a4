"""Loss weights by entropy: pull less on the tokens where the policy hesitates.

The paper finds that compression and accuracy fight over high-entropy tokens, the connectors.
Taking weight off them in the compression stage is the direct remedy; with weight 0 it is the
inverse of the 80/20 rule (Wang et al. 2025), which trains on nothing else.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def entropy_threshold(entropy: Float[Tensor, " T"], share: float) -> float:
    """Return the entropy from which a token is among the ``share`` with the highest.

    Args:
        entropy: of the trained tokens of a mini-batch, on all workers, shape [T], in nats.
        share: between 0 and 1.

    Returns:
        The k-th highest entropy with ``k = floor(share T)``; infinity where k is 0.
    """
    count = int(share * len(entropy))
    if count == 0:
        return float("inf")
    return float(torch.topk(entropy, count).values[-1])


def emphasis(
    entropy: Float[Tensor, " T"], threshold: float | None, weight: float
) -> Float[Tensor, " T"]:
    """Return the factor on each token's loss weight: ``weight`` from the threshold on, else 1."""
    if threshold is None:
        return torch.ones_like(entropy)
    return torch.where(entropy >= threshold, weight, 1.0).to(entropy.dtype)
