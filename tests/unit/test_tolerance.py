"""Tolerances: bounds included, and nonsense refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from services.verification.tolerance import Tolerance


@pytest.mark.parametrize(
    ("tolerance", "gold", "answer", "near"),
    [
        (Tolerance(), "1", "1", True),
        (Tolerance(), "1", "1.0000001", False),
        (Tolerance(absolute=0.1), "1.5", "1.6", True),
        (Tolerance(absolute=0.3), "1.5", "1.8", True),
        (Tolerance(absolute=0.1), "1.5", "1.6001", False),
        (Tolerance(relative=0.01), "-200", "-202", True),
        (Tolerance(relative=0.01), "-200", "-202.1", False),
        (Tolerance(relative=0.01), "0", "0.001", False),
        (Tolerance(absolute=0.5, relative=0.01), "10", "10.5", True),
        (Tolerance(absolute=1e-40), "0", "1e-40", True),
    ],
)
def test_the_greater_bound_counts_and_is_included(
    tolerance: Tolerance, gold: str, answer: str, near: bool
):
    assert tolerance.accepts(Fraction(gold), Fraction(answer)) is near


@pytest.mark.parametrize(
    ("absolute", "relative", "named"),
    [
        (-1.0, 0.0, "tolerance.absolute"),
        (float("nan"), 0.0, "tolerance.absolute"),
        (0.0, float("inf"), "tolerance.relative"),
        (0.0, 1.0, "tolerance.relative"),
    ],
)
def test_nonsense_is_refused_by_name(absolute: float, relative: float, named: str):
    with pytest.raises(ValueError, match=named):
        Tolerance(absolute, relative)
