"""Which tokens carry the entropy: the high-entropy token set (paper, figure 3e; docs/method.md)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Shaped

from algorithms.arrays import Array

TOP_SHARE = 0.2
"""Share of the tokens of a batch that count as high-entropy (the 80/20 rule)."""
MIN_COUNT = 20
MIN_SHARE = 1e-5
"""A token enters with at least ``max(MIN_COUNT, MIN_SHARE * N)`` occurrences among them."""
LIMIT = 100


@dataclass(frozen=True)
class TokenEntropy:
    """One entry of the table."""

    token_id: int
    count: int
    """Occurrences among the high-entropy tokens, those of its own prompt's words left out."""
    mean_entropy: float
    """Over these occurrences, in nats."""


def high_entropy_tokens(
    token_id: Shaped[Array, " N"],
    entropy: Shaped[Array, " N"],
    in_prompt: Bool[Array, " N"],
    *,
    top_share: float = TOP_SHARE,
    min_count: int = MIN_COUNT,
    limit: int = LIMIT,
) -> list[TokenEntropy]:
    """Rank the tokens among the ``ceil(top_share * N)`` most uncertain positions of a batch.

    Occurrences of a token that stands in its own prompt are dropped (the paper's "context-specific
    words tied to the problem description"); the same token after another prompt is kept. The rest
    is ranked by mean entropy, equal means by the smaller id.

    Args:
        token_id: drawn tokens, shape [N].
        entropy: of the distribution each was drawn from, in nats, shape [N].
        in_prompt: whether the token occurs in the prompt of its response, shape [N].
        top_share: within (0, 1].
        min_count: see ``MIN_SHARE``.
        limit: longest table.
    """
    total = len(token_id)
    if total == 0:
        return []
    # Stable, so that which of several equal positions are taken does not depend on the machine.
    top = np.argsort(-np.asarray(entropy, np.float64), kind="stable")
    top = top[: math.ceil(top_share * total)]
    top = top[~in_prompt[top]]
    ids, group, counts = np.unique(token_id[top], return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=entropy[top], minlength=len(ids)) / counts
    enough = counts >= max(min_count, MIN_SHARE * total)
    entries = [
        TokenEntropy(int(i), int(n), float(h))
        for i, n, h in zip(ids[enough], counts[enough], means[enough], strict=True)
    ]
    return sorted(entries, key=lambda e: (-e.mean_entropy, e.token_id))[:limit]


def is_connector_token(text: str, connectors: Collection[str]) -> bool:
    """Whether the text of a token, without the space around it, is one of ``connectors``.

    Capitals count: "Then" opens a step, the "then" of "if ... then" does not.
    """
    return text.strip() in connectors
