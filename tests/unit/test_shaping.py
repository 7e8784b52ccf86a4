"""E6 and table 2c: the length shaping functions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.shaping import shape


def test_values_at_the_ends_and_in_the_middle():
    values = shape("exponential", np.array([0, 2048, 4096]), 4096, 0.1)
    np.testing.assert_allclose(values, [1.0, math.sqrt(0.1), 0.1], rtol=1e-12)


def test_published_table_of_defaults():
    # docs/method.md: f at 512, 1024, 2048, 4096 for L = 4096.
    lengths = np.array([512, 1024, 2048, 4096])
    np.testing.assert_allclose(
        shape("exponential", lengths, 4096, 0.1), [0.75, 0.56, 0.32, 0.10], atol=5e-3
    )
    np.testing.assert_allclose(
        shape("exponential", lengths, 4096, 0.5), [0.92, 0.84, 0.71, 0.50], atol=5e-3
    )


@given(st.integers(1, 10_000), st.floats(0.01, 0.99), st.data())
def test_each_token_costs_the_same_share(limit, r, data):
    x = data.draw(st.integers(0, limit))
    step = data.draw(st.integers(1, limit))
    first, second = shape("exponential", np.array([x, x + step]), limit, r)
    assert second < first
    assert second / first == pytest.approx(r ** (step / limit), rel=1e-9)


@pytest.mark.parametrize("r", [0.0, 1.0, -0.1, 1.5])
def test_r_outside_the_open_interval_is_refused(r):
    with pytest.raises(ValueError, match="r is"):
        shape("exponential", np.array([1]), 10, r)


def test_limit_must_be_positive():
    with pytest.raises(ValueError, match="limit is 0"):
        shape("exponential", np.array([1]), 0, 0.1)


@pytest.mark.parametrize("form", ["exponential", "linear", "cosine"])
@given(limit=st.integers(2, 9000), r=st.floats(0.01, 0.99))
def test_every_form_falls_from_one_to_r(form, limit, r):
    values = shape(form, np.arange(limit + 1), limit, r)
    assert values[0] == pytest.approx(1.0)
    assert values[-1] == pytest.approx(r)
    assert (np.diff(values) < 0).all()


def test_linear_and_cosine_closed_forms():
    """f at 512, 1024, 2048, 4096 for r = 0.1 and L = 4096, and the middle of both forms."""
    lengths = np.array([512, 1024, 2048, 4096])
    np.testing.assert_allclose(
        shape("linear", lengths, 4096, 0.1), [0.8875, 0.775, 0.55, 0.1], atol=1e-12
    )
    np.testing.assert_allclose(
        shape("cosine", lengths, 4096, 0.1), [0.96575, 0.86820, 0.55, 0.1], atol=1e-5
    )


@given(x=st.integers(1, 4095))
def test_exponential_presses_hardest_and_cosine_least_on_short_responses(x):
    values = [float(shape(f, np.array([x]), 4096, 0.1)[0]) for f in ("exponential", "linear")]
    assert values[0] < values[1]
    if x < 2048:
        assert values[1] < float(shape("cosine", np.array([x]), 4096, 0.1)[0])
