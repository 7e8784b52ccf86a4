"""E11 and the statistics of a report."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.metrics import l_acc, mcnemar_exact_p, wilson_interval


def test_l_acc_reproduces_a_figure_worked_by_hand():
    # docs/method.md: 53.5 * sqrt(1 - 1911 / 9031) = 47.5.
    assert l_acc(53.5, 1911, 9031).value == pytest.approx(47.5, abs=0.05)
    assert l_acc(0.8, 75, 100).value == pytest.approx(0.4)


def test_l_acc_is_accuracy_at_no_length_and_zero_at_the_base_length():
    assert l_acc(0.7, 0, 100).value == pytest.approx(0.7)
    assert l_acc(0.7, 100, 100) == l_acc(0.9, 100, 100)
    assert l_acc(0.7, 100, 100).value == 0.0
    assert not l_acc(0.7, 100, 100).clamped


def test_l_acc_of_longer_responses_is_clamped_and_flagged():
    longer = l_acc(0.7, 101, 100)
    assert (longer.value, longer.clamped) == (0.0, True)


@pytest.mark.parametrize(("length", "base"), [(1.0, 0.0), (1.0, -5.0), (-1.0, 5.0)])
def test_l_acc_refuses_impossible_lengths(length, base):
    with pytest.raises(ValueError, match="base length"):
        l_acc(0.5, length, base)


def test_wilson_published_example():
    # 15 of 148, 95 %: 0.0624 to 0.1605 (Newcombe 1998, table I).
    low, high = wilson_interval(15, 148)
    assert (low, high) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))
    # 0 of 20: 0 to 0.1611; 1 of 29: 0.0061 to 0.1718 (the same table).
    assert wilson_interval(0, 20) == (0.0, pytest.approx(0.1611, abs=5e-5))
    assert wilson_interval(1, 29) == (
        pytest.approx(0.0061, abs=5e-5),
        pytest.approx(0.1718, abs=5e-5),
    )


@given(st.integers(1, 500), st.data())
def test_wilson_ends_solve_the_score_equation(trials, data):
    successes = data.draw(st.integers(0, trials))
    low, high = wilson_interval(successes, trials, 0.9)
    share = successes / trials
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            z = abs(share - end) / math.sqrt(end * (1 - end) / trials)
            assert z == pytest.approx(1.6448536, rel=1e-5)
    mirrored = wilson_interval(trials - successes, trials, 0.9)
    assert mirrored == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_wilson_without_trials_knows_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_wilson_refuses_impossible_input():
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(3, 2)
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(1, 2, 1.0)


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [
        (0, 0, 1.0),
        (0, 5, 2 / 32),
        (5, 0, 2 / 32),
        (1, 9, 2 * 11 / 1024),
        (5, 5, 1.0),
        (6, 16, 0.05248),
    ],
)
def test_mcnemar_exact(lost, gained, p):
    assert mcnemar_exact_p(lost, gained) == pytest.approx(p, abs=1e-5)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_against_the_whole_distribution(lost, gained):
    n = lost + gained
    observed = math.comb(n, lost)
    # Two-sided by likelihood: for a symmetric binomial the same as doubling the tail.
    as_extreme = sum(math.comb(n, k) for k in range(n + 1) if math.comb(n, k) <= observed)
    assert mcnemar_exact_p(lost, gained) == pytest.approx(min(1.0, as_extreme / 2**n))


def test_mcnemar_of_many_changes_does_not_overflow():
    assert 0 < mcnemar_exact_p(2400, 2600) < 0.01
    with pytest.raises(ValueError, match="negative"):
        mcnemar_exact_p(-1, 2)
