"""Mini-batches, their loss weights, and the micro-batches they are computed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, Integer

from algorithms.arrays import Array
from algorithms.rewards import Disposition
from algorithms.scoring import ScoredGroup

Item = TypeVar("Item")

_UNCOUNTED: frozenset[Disposition] = frozenset(
    {"verifier_timeout", "verifier_error", "zero_advantage"}
)
"""Left out of every denominator: never judged, so no evidence about the policy, or filtered."""


@dataclass(frozen=True)
class TokenWeights:
    """Loss weights of one mini-batch of ``S`` sequences, groups one after another."""

    weight: Float64[Array, " S"]
    """Weight of each *token* of the sequence; 0 for an excluded sequence."""
    sequences: int
    """Judged sequences that were not filtered, the N of the ``all`` normaliser."""
    trained: int
    """Sequences that enter the loss."""
    empty: bool
    """No sequence has a gradient: skip the update and count it. Adam would otherwise move the
    weights on old moments and weight decay alone."""


def token_weights(groups: Sequence[ScoredGroup], lengths: Integer[Array, " S"]) -> TokenWeights:
    """Return w such that the loss of a mini-batch is exactly ``sum_s sum_t w_s l_{s,t}``.

    * ``seq-mean-token-mean`` (the 1/|o| of E1): ``w_s = 1 / (N |y_s|)``.
    * ``token-mean``: ``w_s = 1 / M``.
    * ``seq-mean-token-sum-norm`` (Dr. GRPO): ``w_s = 1 / (N C)`` with the constant ``token_norm``.

    N counts sequences and M their tokens: with the normaliser ``all`` over every judged sequence
    of the mini-batch, so that zeros stay in the denominator; with ``positives`` over the trained
    ones. Where all judged sequences are trained, as in exploration, the two agree.
    Groups with different settings may share a mini-batch; each part is then normalised by the full
    mini-batch. Sequences the verifier never judged count nowhere.

    Args:
        groups: the scored groups of the mini-batch, on every worker together.
        lengths: response tokens, groups one after another, shape [S].

    Raises:
        ValueError: sizes differ, or a sequence that counts has no token.
    """
    dispositions = [d for group in groups for d in group.dispositions]
    if len(dispositions) != len(lengths):
        raise ValueError(
            f"{len(groups)} groups hold {len(dispositions)} sequences but {len(lengths)} lengths "
            "were given; every sequence needs one"
        )
    counted = np.array([d not in _UNCOUNTED for d in dispositions], dtype=np.bool_)
    trained = np.array([d == "train" for d in dispositions], dtype=np.bool_)
    if bool(np.any(lengths[counted] < 1)):
        raise ValueError("a sequence of the mini-batch has no token; the end token counts as one")
    weight = np.zeros(len(lengths), dtype=np.float64)
    if bool(trained.any()):
        start = 0
        for group in groups:
            members = np.arange(start, start + group.size)
            start += group.size
            members = members[trained[members]]
            population = counted if group.normaliser == "all" else trained
            if group.aggregation == "seq-mean-token-mean":
                weight[members] = 1.0 / (population.sum() * lengths[members])
            elif group.aggregation == "seq-mean-token-sum-norm":
                weight[members] = 1.0 / (population.sum() * group.token_norm)
            else:
                weight[members] = 1.0 / lengths[population].sum()
    pulled = np.concatenate([np.zeros(0), *(group.has_gradient for group in groups)])
    return TokenWeights(
        weight=weight,
        sequences=int(counted.sum()),
        trained=int(trained.sum()),
        empty=not bool(np.any(weight * pulled)),
    )


def split_updates(
    items: Sequence[Item], per_update: int, seed: int | Sequence[int]
) -> tuple[tuple[Item, ...], ...]:
    """Shuffle the groups (or sequences) of a step and cut them into mini-batches.

    The result depends on the order of ``items`` and on the seed only: sort them first if they
    arrive in an order of their own. The last mini-batch is smaller when groups were lost.

    Args:
        items: the groups of one rollout batch, one for each prompt, or all its sequences.
        per_update: items in a mini-batch.
        seed: e.g. ``(job_seed, step)``, so that each step has its own order.
    """
    if per_update < 1:
        raise ValueError(f"per_update is {per_update}; it must be at least 1")
    order = np.random.default_rng(seed).permutation(len(items))
    return tuple(
        tuple(items[i] for i in order[start : start + per_update])
        for start in range(0, len(order), per_update)
    )


def micro_batches(
    lengths: Integer[Array, " S"], max_padded_tokens: int
) -> tuple[tuple[int, ...], ...]:
    """Pack sequences, longest first, so that no batch pads to more than the budget.

    A batch of n sequences costs n times its longest one. A sequence longer than the budget passes
    alone. Ties keep the given order, so the packing is deterministic.

    Args:
        lengths: tokens of the whole sequence, prompt included, shape [S].
        max_padded_tokens: budget of one forward pass.

    Returns:
        Indices into ``lengths``; every sequence stands in exactly one batch.
    """
    if max_padded_tokens < 1:
        raise ValueError(f"max_padded_tokens is {max_padded_tokens}; it must be at least 1")
    batches: list[list[int]] = []
    longest = 0
    for index in np.argsort(-lengths, kind="stable").tolist():
        if batches and longest * (len(batches[-1]) + 1) <= max_padded_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = int(lengths[index])
    return tuple(tuple(batch) for batch in batches)
