"""E5 and E8: absolute and group-relative advantages."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from algorithms.advantages import absolute, relative

rewards_of = hnp.arrays(np.float32, st.integers(2, 12), elements=st.floats(-2, 2, width=32))


def everyone(rewards):
    return np.ones(len(rewards), dtype=np.bool_)


def group_relative(rewards, included, eps=1e-6):
    return relative([rewards], [included], "group", eps)[0]


def test_absolute_is_beta_times_reward():
    rewards = np.array([0.0, 0.25, 1.0], dtype=np.float32)
    np.testing.assert_allclose(absolute(0.5, rewards), [0.0, 0.125, 0.5])


# Rewards of size: beta times the smallest float32 is 0.
positive_or_zero = hnp.arrays(
    np.float32, st.integers(1, 12), elements=st.just(0.0) | st.floats(2**-20, 2, width=32)
)


@given(positive_or_zero, st.floats(0.1, 10))
def test_absolute_never_turns_a_positive_negative(rewards, beta):
    assert ((absolute(beta, rewards) > 0) == (rewards > 0)).all()


def test_group_relative_closed_form():
    # Mean 1, unbiased deviation sqrt(((1)^2 + 0 + (1)^2) / 2) = 1.
    rewards = np.array([0.0, 1.0, 2.0], dtype=np.float32)
    np.testing.assert_allclose(group_relative(rewards, everyone(rewards)), [-1, 0, 1], rtol=1e-5)


@given(rewards_of)
def test_group_relative_agrees_with_torch_in_double_precision(rewards):
    advantages = group_relative(rewards, everyone(rewards))
    exact = torch.from_numpy(rewards).double()
    expected = (exact - exact.mean()) / (exact.std() + 1e-6)
    np.testing.assert_allclose(advantages, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_eps_is_added_to_the_deviation():
    rewards = np.array([0.0, 2.0], dtype=np.float32)
    expected = 1 / (np.sqrt(2) + 0.5)
    got = group_relative(rewards, everyone(rewards), eps=0.5)
    np.testing.assert_allclose(got, [-expected, expected], rtol=1e-6)


@given(st.floats(-2, 2, width=32), st.integers(2, 12))
def test_equal_rewards_give_exactly_zero(value, size):
    rewards = np.full(size, value, dtype=np.float32)
    assert (group_relative(rewards, everyone(rewards)) == 0.0).all()


@given(rewards_of, st.data())
def test_excluded_responses_change_nothing_and_get_zero(rewards, data):
    included = data.draw(hnp.arrays(np.bool_, len(rewards)))
    advantages = group_relative(rewards, included)
    assert (advantages[~included] == 0).all()
    alone = rewards[included]
    if len(alone) >= 2:
        np.testing.assert_array_equal(advantages[included], group_relative(alone, everyone(alone)))
    moved = np.where(included, rewards, rewards + 100).astype(np.float32)
    np.testing.assert_array_equal(group_relative(moved, included), advantages)


@pytest.mark.parametrize("kept", [0, 1])
def test_fewer_than_two_included_give_zero(kept):
    rewards = np.array([1.0, 0.0, 0.0], dtype=np.float32)
    included = np.arange(3) < kept
    assert (group_relative(rewards, included) == 0).all()


def test_a_batch_of_one_group_is_a_group():
    rewards, mask = np.array([0.0, 1.0, 2.0], np.float32), np.array([True, True, False])
    expected = group_relative(rewards, mask)
    for normalisation in ("batch", "group-mean-batch-std"):
        np.testing.assert_allclose(relative([rewards], [mask], normalisation)[0], expected)


def test_group_mean_with_batch_deviation():
    """Groups (0, 2) and (10, 10): centred -1, 1, 0, 0; unbiased deviation sqrt(2 / 3)."""
    rewards = [np.array([0, 2], np.float32), np.array([10, 10], np.float32)]
    masks = [np.array([True, True])] * 2
    first, second = relative(rewards, masks, "group-mean-batch-std")
    np.testing.assert_allclose(first, [-((3 / 2) ** 0.5), (3 / 2) ** 0.5], rtol=1e-5)
    assert (second == 0).all()


def test_batch_mean_is_over_included_responses_of_all_groups():
    rewards = [np.array([0, 99], np.float32), np.array([2, 4], np.float32)]
    masks = [np.array([True, False]), np.array([True, True])]
    first, second = relative(rewards, masks, "batch")
    np.testing.assert_allclose(first, [-1, 0], rtol=1e-5)  # 0, 2, 4: mean 2, deviation 2
    np.testing.assert_allclose(second, [0, 1], atol=1e-5)
