"""Length shaping: how much a correct response of a given length is worth."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64, Integer

from algorithms.arrays import Array
from algorithms.objectives import Shaping


def shape(
    form: Shaping, length: Integer[Array, " G"], limit: int, r: float
) -> Float64[Array, " G"]:
    """Return f(x) of the named form; each falls from ``f(0) = 1`` to ``f(L) = r`` (table 2c).

    * ``exponential``: ``exp(-lambda x)`` with ``lambda = -ln(r) / L`` (E6): every further token
      costs the same share of the rest.
    * ``linear``: ``1 - (1 - r) x / L``: every token costs the same.
    * ``cosine``: ``r + (1 - r) / 2 (1 + cos(pi x / L))`` (Yeo et al. 2025): the middle costs most.

    Args:
        form: name of the function.
        length: x, in tokens, at most L, shape [G].
        limit: L, in tokens.
        r: value at L.

    Raises:
        ValueError: ``r`` is outside (0, 1) or ``limit`` is not positive.
    """
    if not 0 < r < 1:
        raise ValueError(f"r is {r}; it must lie between 0 and 1, both excluded, e.g. 0.1")
    if limit <= 0:
        raise ValueError(f"limit is {limit}; it must be a positive number of tokens")
    x = length.astype(np.float64)
    if form == "exponential":
        return np.exp(math.log(r) / limit * x)
    if form == "linear":
        return 1 - (1 - r) * x / limit
    return r + (1 - r) / 2 * (1 + np.cos(math.pi * x / limit))
