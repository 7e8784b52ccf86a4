"""How much of a response stood in it before."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

NGRAM: Final = 20
"""Tokens in a row that count as a repetition when they stand in a response again: long enough that
common phrases and short calculations are none, short enough to see a loop early."""


def repetition_rate(tokens: Sequence[Hashable], n: int = NGRAM) -> float:
    """Return the share of n-grams that stood in the response before.

    ``1 - distinct n-grams / n-grams`` (seq-rep-n of Welleck et al. 2020): 0 where every run of n
    tokens is new, near 1 in a loop. A response shorter than n tokens repeats nothing.

    Args:
        tokens: token ids or words, shape [T].
        n: length of the runs compared.

    Raises:
        ValueError: ``n`` is below 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    count = len(tokens) - n + 1
    if count < 1:
        return 0.0
    return 1.0 - len({tuple(tokens[i : i + n]) for i in range(count)}) / count
