"""Length shaping: how much a correct response of a given length is worth."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64, Integer

from algorithms.arrays import Array


def exponential(length: Integer[Array, " G"], limit: int, r: float) -> Float64[Array, " G"]:
    """Return ``f(x) = exp(-lambda x)`` with ``lambda = -ln(r) / L`` (E6).

    So ``f(0) = 1``, ``f(L) = r``, and every further token costs the same share of the rest.

    Args:
        length: x, response tokens with the end token, shape [G].
        limit: L, in tokens.
        r: value at L.

    Raises:
        ValueError: ``r`` is outside (0, 1) or ``limit`` is not positive.
    """
    if not 0 < r < 1:
        raise ValueError(f"r is {r}; it must lie between 0 and 1, both excluded, e.g. 0.1")
    if limit <= 0:
        raise ValueError(f"limit is {limit}; it must be a positive number of tokens")
    decay = -math.log(r) / limit
    return np.exp(-decay * length.astype(np.float64))
