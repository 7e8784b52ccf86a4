"""Intervals and paired tests by resampling questions.

Responses to one question resemble each other, so the question is what is drawn: a cluster bootstrap
(Efron and Tibshirani 1993, chapter 8). All figures here are means over questions of one value a
question, for which drawing clusters is drawing those values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 10_000
_AT_ONCE: Final = 2**21
"""Values drawn at the same time; bounds memory at about 32 MB."""


@dataclass(frozen=True)
class PairedDifference:
    """What changed from one model to another on the same questions."""

    questions: int
    mean: float
    """After minus before, mean over questions."""
    low: float
    high: float
    """The percentile interval of the mean."""
    p: float
    """Two-sided: ``min(1, 2 (1 + min(#{d* <= 0}, #{d* >= 0})) / (1 + resamples))`` over the
    resampled means d*."""


def cluster_interval(
    values: Sequence[float], seed: int, confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean over questions.

    Where all questions have one value the interval has no width: the bootstrap knows only what it
    has seen. The same values and seed give the same interval on every machine.

    Args:
        values: one value a question, shape [Q].
        seed: of the resampling.

    Raises:
        ValueError: there are no values, or ``confidence`` does not lie within (0, 1).
    """
    means = _resampled_means(np.asarray(values, np.float64), seed, resamples)
    return _percentiles(means, confidence)


def paired_bootstrap(
    before: Sequence[float],
    after: Sequence[float],
    seed: int,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> PairedDifference:
    """Return the mean difference of two models on the same questions, with interval and p-value.

    A question is drawn with both its values, so what makes it hard for both cancels out.

    Args:
        before: one value a question of the first model, shape [Q].
        after: of the second model, in the same order, shape [Q].
        seed: of the resampling.

    Raises:
        ValueError: there are no questions, or the two differ in number.
    """
    if len(before) != len(after):
        raise ValueError(f"paired values must match, got {len(before)} before, {len(after)} after")
    differences = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    means = _resampled_means(differences, seed, resamples)
    low, high = _percentiles(means, confidence)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return PairedDifference(
        questions=len(before),
        mean=float(differences.mean()),
        low=low,
        high=high,
        p=min(1.0, 2 * (1 + tail) / (1 + resamples)),
    )


def _resampled_means(values: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    """Means of ``resamples`` samples of [Q] drawn with replacement, shape [resamples]."""
    count = len(values)
    if not count:
        raise ValueError("a bootstrap needs at least one question")
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = max(1, _AT_ONCE // count)
    parts = []
    for start in range(0, resamples, rows):
        drawn = generator.integers(0, count, (min(rows, resamples - start), count), np.int32)
        parts.append(values[drawn].mean(axis=1))
    return np.concatenate(parts)


def _percentiles(means: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)
