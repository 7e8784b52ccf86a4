"""Correlations against worked examples, and what they must not depend on."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from algorithms.correlation import average_ranks, pearson, spearman

X = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
Y = np.array([2.0, 1.0, 4.0, 3.0, 7.0])

whole = arrays(np.float64, 12, elements=st.integers(-50, 50).map(float))


def test_pearson_of_a_worked_example() -> None:
    # sum of products of deviations 12, of squares 10 and 21.2.
    assert pearson(X, Y) == pytest.approx(12 / math.sqrt(10 * 21.2))


def test_spearman_of_a_worked_example_without_ties() -> None:
    # rank differences -1, 1, -1, 1, 0: 1 - 6 * 4 / (5 * 24).
    assert spearman(X, Y) == pytest.approx(1 - 6 * 4 / (5 * 24))


def test_ties_share_the_mean_of_their_ranks() -> None:
    ranks = average_ranks(np.array([10.0, 30.0, 10.0, 20.0, 30.0, 30.0]))
    assert ranks.tolist() == [1.5, 5.0, 1.5, 3.0, 5.0, 5.0]


@given(whole, whole)
def test_pearson_is_the_standard_librarys(x, y) -> None:
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    assert pearson(x, y) == pytest.approx(statistics.correlation(x.tolist(), y.tolist()), abs=1e-9)


@given(whole, whole)
def test_spearman_is_pearson_of_ranks_and_blind_to_scale(x, y) -> None:
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    ranks = ([float((v < u).sum() + ((v == u).sum() + 1) / 2) for u in v] for v in (x, y))
    want = statistics.correlation(*ranks)
    assert spearman(x, y) == pytest.approx(want, abs=1e-9)
    assert spearman(np.exp(x / 10), y) == pytest.approx(want, abs=1e-9)
    assert spearman(-x, y) == pytest.approx(-want, abs=1e-9)


def test_perfect_lines_are_exactly_one() -> None:
    assert pearson(X, 3 * X - 7) == pytest.approx(1.0)
    assert pearson(X, -X) == pytest.approx(-1.0)
    assert pearson(1e300 * X, X) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.array([]), np.array([])),
        (np.array([1.0]), np.array([2.0])),
        (np.full(7, 0.1), np.arange(7.0)),
        (np.array([1.0, 2.0, math.nan]), np.arange(3.0)),
        (np.array([1.0, 2.0, math.inf]), np.arange(3.0)),
    ],
)
def test_what_has_no_correlation_has_none(x, y) -> None:
    assert pearson(x, y) is None
    assert spearman(x, y) is None


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs"):
        pearson(X, Y[:3])
