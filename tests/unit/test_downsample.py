"""Downsampling keeps ends, order and peaks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.downsample import largest_triangles

CURVES = st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=300)


@given(CURVES, st.integers(3, 60))
def test_it_keeps_both_ends_in_order_and_no_more_than_asked(y, points):
    x = list(range(len(y)))
    kept = largest_triangles(x, y, points)
    assert kept == sorted(set(kept))
    assert len(kept) == min(len(y), points)
    if y:
        assert (kept[0], kept[-1]) == (0, len(y) - 1)


def test_a_lone_peak_stays():
    y = [0.0] * 1000
    y[437] = 1.0
    assert 437 in largest_triangles(range(1000), y, 20)


def test_a_bucket_by_hand():
    # Buckets {1, 2} and {3, 4}; the mean behind the first is (3.5, 0).
    assert largest_triangles([0, 1, 2, 3, 4, 5], [0, 5, 1, 0, 0, 0], 4)[1] == 1
    assert largest_triangles([0, 1, 2, 3, 4, 5], [0, 1, 5, 0, 0, 0], 4)[1] == 2


def test_a_wave_keeps_its_range():
    y = [math.sin(i / 50) for i in range(10_000)]
    kept = [y[i] for i in largest_triangles(range(10_000), y, 200)]
    assert max(kept) > 0.999
    assert min(kept) < -0.999


def test_too_few_points():
    with pytest.raises(ValueError, match="at least 3"):
        largest_triangles([1, 2], [1, 2], 2)
