"""Pearson and Spearman correlation, None where they have no value."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from algorithms.arrays import Array


def pearson(x: Shaped[Array, " N"], y: Shaped[Array, " M"]) -> float | None:
    """Return the product-moment correlation, within [-1, 1].

    M must be N. None for fewer than two pairs, a column without spread, or a value that is not
    finite.

    Raises:
        ValueError: the columns differ in length.
    """
    if x.shape != y.shape:
        raise ValueError(f"correlation needs pairs, got {len(x)} and {len(y)} values")
    if len(x) < 2:
        return None
    a, b = _centred(x), _centred(y)
    if a is None or b is None:
        return None
    return float(np.clip(a @ b, -1.0, 1.0))


def spearman(x: Shaped[Array, " N"], y: Shaped[Array, " M"]) -> float | None:
    """Return the Pearson correlation of the ranks, ties sharing their average rank."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    return pearson(average_ranks(x), average_ranks(y))


def average_ranks(values: Shaped[Array, " N"]) -> Float[Array, " N"]:
    """Return the ranks 1..N; equal values share the mean of the ranks they take up."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: Float[Array, " N"] = (last - (count - 1) / 2.0)[group]
    return ranks


def _centred(values: Shaped[Array, " N"]) -> Float[Array, " N"] | None:
    """Return the values less their mean, of norm 1; None where that cannot be."""
    wide = np.asarray(values, np.float64)
    low, high = wide.min(), wide.max()
    # Compared as they stand: rounding of the mean would give equal values a spread.
    if not (np.isfinite(low) and np.isfinite(high)) or low == high:
        return None
    # Scaled first, by a half that cannot overflow, so that no square can either.
    scaled = (wide / 2 - low / 2) / (high / 2 - low / 2)
    centred = scaled - scaled.mean()
    unit: Float[Array, " N"] = centred / np.linalg.norm(centred)
    return unit
