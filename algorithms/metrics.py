"""Figures of a report: L-Acc, and the statistics that say how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class LAcc:
    """Accuracy discounted by length."""

    value: float
    """In the unit of the accuracy given."""
    clamped: bool
    """The responses are longer than the reference: the formula has no value there, 0 stands."""


def l_acc(accuracy: float, length: float, base_length: float) -> LAcc:
    """Return ``Acc * sqrt(1 - L / L_base)`` (E11).

    Args:
        accuracy: share or per cent; the result has the same unit.
        length: L, mean response length in tokens.
        base_length: L_base, the base model's mean on the same questions.

    Raises:
        ValueError: ``base_length`` is not positive or ``length`` is negative.
    """
    if base_length <= 0 or length < 0:
        raise ValueError(
            f"L-Acc needs a length of 0 or more and a positive base length, got {length} and "
            f"{base_length}"
        )
    if length > base_length:
        return LAcc(0.0, clamped=True)
    return LAcc(accuracy * math.sqrt(1.0 - length / base_length), clamped=False)


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, as shares (Wilson 1927).

    Unlike the plain normal interval it stays within [0, 1] and keeps a width at 0 and 1. Without
    trials it is (0, 1).

    Raises:
        ValueError: ``successes`` is not within 0..trials, or ``confidence`` not within (0, 1).
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must lie in 0..{trials}, got {successes}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    # The ends are exactly 0 and 1 at the extremes; rounding would leave them just beside.
    low = 0.0 if successes == 0 else centre - spread
    high = 1.0 if successes == trials else centre + spread
    return low, high


def mcnemar_exact_p(lost: int, gained: int) -> float:
    """Return the two-sided exact p-value that answers were lost and gained at equal rates.

    Under the null, each of the ``n = lost + gained`` questions that changed went either way with
    probability one half: ``p = min(1, 2 P[Bin(n, 1/2) <= min(lost, gained)])`` (McNemar 1947,
    exact form). Questions with the same verdict before and after say nothing. 1 when none changed.

    Args:
        lost: questions answered correctly before and not after.
        gained: questions answered correctly after and not before.

    Raises:
        ValueError: a count is negative.
    """
    if lost < 0 or gained < 0:
        raise ValueError(f"counts cannot be negative, got lost {lost} and gained {gained}")
    changed = lost + gained
    tail = sum(math.comb(changed, k) for k in range(min(lost, gained) + 1))
    return min(1.0, 2 * tail / (1 << changed))
