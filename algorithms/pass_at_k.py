"""Accuracy from several responses to a question: avg@k and pass@k."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean


def avg_at_k(correct: Sequence[int], judged: Sequence[int]) -> float | None:
    """Return the mean over questions of the share of correct responses.

    With k responses to each question this is avg@k, and with one it is the plain accuracy. Each
    question weighs the same, however many of its responses could be judged; questions without any
    are left out.

    Args:
        correct: correct responses to each question, shape [Q].
        judged: responses to each question that have a verdict, shape [Q].

    Returns:
        A share; None when no question has a judged response.
    """
    shares = [c / n for c, n in zip(correct, judged, strict=True) if n]
    return fmean(shares) if shares else None


def pass_at_k(correct: int, judged: int, k: int) -> float:
    """Return the chance that at least one of k responses is correct, from n of which c are.

    ``1 - C(n - c, k) / C(n, k)``: the unbiased estimate from k responses drawn without
    replacement (Chen et al. 2021, equation 1), where ``1 - (1 - c/n)^k`` is too low.

    Args:
        correct: c, correct responses to the question.
        judged: n, responses to the question that have a verdict.
        k: responses allowed.

    Raises:
        ValueError: not ``0 <= correct <= judged`` and ``1 <= k <= judged``.
    """
    if not 0 <= correct <= judged:
        raise ValueError(f"correct must lie in 0..{judged}, got {correct}")
    if not 1 <= k <= judged:
        raise ValueError(f"k must lie in 1..{judged}, the responses there are; got {k}")
    return 1.0 - math.comb(judged - correct, k) / math.comb(judged, k)
